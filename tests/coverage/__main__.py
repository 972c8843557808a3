"""Counts the branches of the kernels and the loaders that the tests take.

    python -m tests.coverage                        all: minutes
    python -m tests.coverage --missed               names the lines where a branch is not taken
    python -m tests.coverage --place FOLDER         works there and keeps what it counted
    python -m tests.coverage --place FOLDER io      runs one piece more and counts again

Copies the sources into a temporary folder, builds them with FASTEMBED_BUILD=coverage, and runs the tests that reach
them and the two C++ drivers. Prints a table file by file, what a comment takes out of the count, and two totals; ends
with 1 when one of them is below what is wanted or a test failed. Needs the sources, gcc with gcov, coverage.py, and
what `pip install --no-build-isolation -e .[test]` needs.

Kernels: the headers, and Cython's functions that run without the GIL and raise nothing, which are plain loops in C.
Loaders: their headers, and the Python modules. What Cython generates elsewhere (an error's way out behind nearly every
call) has no counterpart in the source: there, lines are counted, and count for neither total.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .gcov import MARK, NATIVE, Counts, Taken

ROOT = Path(__file__).parents[2]
KERNELS = ["ids.hpp", "vectors.h", "copies.h", "sums.h", "rows.h", "steps.h", "debts.h", "updates.h", "losses.h"]
KERNELS += ["groups.hpp", "pool.hpp", "buffers.hpp", "mapped.hpp"]
LOADERS = ["reader.hpp", "lines.hpp", "numbers.hpp", "words.hpp", "keys.hpp", "sequences.hpp"]
MODULES = ["io/*.py", "loading.py", "tables.py", "_loading.py", "_stored_weights.py"]
WANTED = {"kernels": 100, "loaders": 95}

FLAGS = ["-std=c++17", "-pthread", "-ffp-contract=off", "--coverage", "-fprofile-update=atomic", "-O0"]
FLAGS += ["--param", "logical-op-non-short-circuit=0", "-DFASTEMBED_COVERAGE", "-I", NATIVE]  # as setup.py has them
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "1200"]
TRACED = ["-m", "coverage", "run", *PYTEST]
FILES = ["tests/io", "tests/vectors", *(f"tests/keras/test_{name}.py" for name in ("saving", "saving_hostile"))]
SEPARATE = [*FILES[2:], "tests/reliability/test_native.py"]  # what builds the drivers builds them without counters
PIECES = {
    "fuzz": ["tests/reliability/fuzz.cpp", "10000"],
    "cellar": ["tests/reliability/cellar.cpp"],
    "parsers": ["tests/fuzz/parsers.cpp", "50000"],
    # the positions past 32 bits take half a minute, and no branch of their own
    "ops": [*PYTEST, "tests/ops", "--deselect=tests/ops/test_gather.py::test_gather_names_positions_past_32_bits"],
    "io": [*TRACED, *FILES],
    "others": [*PYTEST, "tests/keras", "tests/reliability", *(f"--ignore={path}" for path in SEPARATE)],
}
CONFIGURATION = """
[run]
branch = true
parallel = true
source = src/fastembed
[report]
exclude_also = uncounted:
"""


def _prepare(place: Path) -> None:
    skip = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "*.so", "results")
    made = shutil.ignore_patterns("*.cpp")  # by Cython, without the lines' numbers

    def left_out(folder: str, names: list[str]) -> set[str]:
        return skip(folder, names) | (made(folder, names) if folder.endswith("_native") else set())

    shutil.copytree(ROOT, place, ignore=left_out, dirs_exist_ok=True)
    (place / ".coveragerc").write_text(CONFIGURATION, encoding="utf-8")
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=place, env=os.environ | {"FASTEMBED_BUILD": "coverage"}, check=True)
    for data in place.glob("build/**/*.gcda"):
        if data.stat().st_mtime < data.with_suffix(".gcno").stat().st_mtime:
            data.unlink()  # counted in another build


def _run(place: Path, piece: str) -> str:
    """What went wrong, or nothing."""
    began = time.monotonic()
    first, *rest = PIECES[piece]
    if first.endswith(".cpp"):
        build = ["g++", *FLAGS, first, "-o", piece]
        subprocess.run(build, cwd=place, check=True)
        command = [str(place / piece), *rest]
    else:
        command = [sys.executable, *PIECES[piece]]
    environment = {"PYTHONPATH": str(place / "src"), "FASTEMBED_SOURCE": str(place)}
    environment |= {"FASTEMBED_RACE_CALLS": "2000", "FASTEMBED_SLOW": "1"}
    done = subprocess.run(command, cwd=place, env=os.environ | environment, capture_output=True, text=True, check=False)
    print(f"{piece}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return "" if done.returncode == 0 else f"{piece} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def _of_python(place: Path) -> dict[str, Taken]:
    modules = [path for pattern in MODULES for path in sorted((place / "src/fastembed").glob(pattern))]
    include = ",".join(str(path) for path in modules)
    command = [sys.executable, "-m", "coverage"]
    subprocess.run([*command, "combine", "-q", "--append"], cwd=place, capture_output=True, check=False)
    if not (place / ".coverage").exists():  # the piece that makes it was not run
        return {}
    subprocess.run([*command, "json", "-q", "-o", "python.json", f"--include={include}"], cwd=place, check=True)
    found = {}
    for name, file in json.loads((place / "python.json").read_text(encoding="utf-8"))["files"].items():
        summary = file["summary"]
        missed = sorted({begin for begin, _ in file["missing_branches"]})
        path = Path(name).as_posix().removeprefix("src/fastembed/")
        found[path] = Taken(summary["covered_branches"], summary["num_branches"], missed)
    return found


def _percent(taken: int, count: int) -> str:
    return f"{1000 * taken // count / 10:.1f}" if count else ""


def report(place: Path, missed: bool) -> bool:
    """Print the tables; whether both totals are what is wanted."""
    counts = Counts(place, [*place.glob("build/**/*.gcda"), *place.glob("*.gcda")])
    cython = sorted(name for name in counts.sources if name.endswith((".pyx", ".pxi")))
    loops = {name: counts.plain_loops(name) for name in cython}
    groups: dict[str, dict[str, Taken]] = {
        "kernels": {name: counts.of_branches(name, counts.whole(name)) for name in KERNELS}
        | {f"{name}, plain loops": counts.of_branches(name, loops[name]) for name in cython if loops[name]},
        "loaders": {name: counts.of_branches(name, counts.whole(name)) for name in LOADERS} | _of_python(place),
        "lines of Cython": {name: counts.of_lines(name, loops[name]) for name in cython},
    }
    good = True
    totals = []
    for group, files in groups.items():
        what = "lines" if group.startswith("lines") else "branches"
        print(f"\n| {group} | {what} | taken | percent |\n|---|--:|--:|--:|")
        for name, one in files.items():
            lines = f" not taken: {', '.join(map(str, one.missed))}" if missed and one.missed else ""
            print(f"| {name} | {one.count} | {one.taken} | {_percent(one.taken, one.count)} |{lines}")
        taken, count = sum(one.taken for one in files.values()), sum(one.count for one in files.values())
        totals.append(f"{group}: {taken} of {count}{'' if what == 'lines' else ' branches'}")
        if group in WANTED:
            totals[-1] += f" ({_percent(taken, count)} %, wanted {WANTED[group]} %)"
            good &= 100 * taken >= WANTED[group] * count
    print("\nnot counted, each for the reason that stands beside it:")
    for path in sorted((place / "src/fastembed").rglob("*")):
        if path.suffix in (".h", ".hpp", ".pyx", ".pxi", ".py"):
            for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if found := MARK.search(text):
                    print(f"{path.relative_to(place / 'src/fastembed').as_posix()}:{number}: {found[1]}")
    print(f"\n{totals[2]}\n{totals[0]}; {totals[1]}")
    return good


def _count(place: Path, pieces: Sequence[str], missed: bool) -> int:
    _prepare(place)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = list(filter(None, pool.map(lambda piece: _run(place, piece), pieces)))
    good = report(place, missed)
    for failure in failures:
        print(failure, file=sys.stderr)
    return int(not good or bool(failures))


def main() -> int:
    """Run the pieces asked for, and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage", description="Branches that the tests take.")
    parser.add_argument("pieces", nargs="*", help=f"of {', '.join(PIECES)}, or none; default all")
    parser.add_argument("--place", type=Path, help="a folder that is kept; counts add up in it")
    parser.add_argument("--missed", action="store_true", help="the lines where a branch is not taken")
    arguments = parser.parse_args()
    pieces = [piece for piece in arguments.pieces or PIECES if piece != "none"]
    if arguments.place:
        return _count(arguments.place.resolve(), pieces, arguments.missed)
    with tempfile.TemporaryDirectory() as folder:
        return _count(Path(folder) / "copy", pieces, arguments.missed)


if __name__ == "__main__":
    sys.exit(main())
