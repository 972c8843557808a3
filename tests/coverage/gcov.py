"""What gcov counted, merged over the programs that a file was compiled into.

A branch is an edge out of a decision in the source. gcov's others are left out: those of a call that may throw, those
that find an exception's `catch`, and those on a line without words, such as the brace that ends a block, where
destructors run, and those of instructions that gcov takes for calls that may not come back. Copies of one function (a
template's, a macro's, one in each program) are counted together; where a constant takes a branch out of one copy, that
copy is counted by itself.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

NATIVE = "src/fastembed/_native/"
MARK = re.compile(r"uncounted: (.*?)(?: \*/)?$")


class Taken(NamedTuple):
    """How many of the branches, or lines, of a file were taken, and the numbers of the lines where one was not."""

    taken: int
    count: int
    missed: Sequence[int]


def _edges(branches: Sequence[dict[str, Any]]) -> Iterator[int]:
    # a call that may throw ends its block: its two edges stand side by side
    k = 0
    while k < len(branches):
        if any(branch["throw"] for branch in branches[k : k + 2]):
            k += 2
        else:
            yield branches[k]["count"]
            k += 1


class Counts:
    """Counts of one build's programs: `lines` and `branches` of each file of _native, by its name."""

    def __init__(self, place: Path, data: Iterable[Path]):
        self.sources = {path.name: path.read_text(encoding="utf-8").splitlines() for path in _sources(place)}
        self.lines: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.branches: dict[str, dict[tuple[int, int], list[int]]] = defaultdict(dict)
        for path in data:
            command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(path)]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True)
            for file in json.loads(done.stdout)["files"]:
                name = file["file"].rpartition("/")[2]
                # Cython's #line names its sources from src on
                if file["file"] in (NATIVE + name, NATIVE.removeprefix("src/") + name) and name in self.sources:
                    self._add(name, file["lines"])

    def _add(self, name: str, lines: Sequence[dict[str, Any]]) -> None:
        source = self.sources[name]
        for line in lines:
            number = line["line_number"]
            if number > len(source):
                continue
            text = source[number - 1]
            self.lines[name][number] += line["count"]
            edges = list(_edges(line["branches"]))
            if not edges or not re.search(r"\w", text) or re.search(r"catch \(|_mm256_", text) or MARK.search(text):
                continue
            before = self.branches[name].setdefault((number, len(edges)), [0] * len(edges))
            before[:] = [a + b for a, b in zip(before, edges, strict=True)]

    def of_branches(self, name: str, among: Iterable[range]) -> Taken:
        """The branches on these lines of a file."""
        return self._taken({key: edges for key, edges in self.branches[name].items() if _inside(key[0], among)})

    def of_lines(self, name: str, but: Iterable[range]) -> Taken:
        """The lines of a file that have code, but for these."""
        chosen = {(line, 1): [count] for line, count in self.lines[name].items() if not _inside(line, but)}
        return self._taken({key: one for key, one in chosen.items() if not MARK.search(self.sources[name][key[0] - 1])})

    @staticmethod
    def _taken(edges: dict[tuple[int, int], list[int]]) -> Taken:
        every = [(line, count) for (line, _), counts in sorted(edges.items()) for count in counts]
        missed = sorted({line for line, count in every if count == 0})
        return Taken(sum(count > 0 for _, count in every), len(every), missed)

    def whole(self, name: str) -> list[range]:
        """All lines of a file."""
        return [range(1, len(self.sources[name]) + 1)]

    def plain_loops(self, name: str) -> list[range]:
        """The lines of a Cython file's functions that run without the GIL and raise nothing: as they are in C."""
        found, source = [], self.sources[name]
        begin = end = 0
        for number, text in enumerate([*source, "end"], 1):
            if text[:1].strip() and not text.startswith((")", "#")):
                if begin and re.search(r"noexcept nogil:$", "\n".join(source[begin - 1 : end]), re.MULTILINE):
                    found.append(range(begin, end + 1))
                begin = number if text.startswith("cdef ") else 0
            end = number
        return found


def _inside(line: int, ranges: Iterable[range]) -> bool:
    return any(line in one for one in ranges)


def _sources(place: Path) -> list[Path]:
    return [path for kind in ("pyx", "pxi", "h", "hpp") for path in (place / NATIVE).glob(f"*.{kind}")]
