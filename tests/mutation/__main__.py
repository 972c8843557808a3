"""Plants the bugs of the lists beside this file, each alone in a copy of the sources, and runs what must notice.

    python -m tests.mutation                                        all: an hour on two free cores
    python -m tests.mutation --minutes 4 --results FILE --folder FOLDER      some; the same command again goes on
    python -m tests.mutation --sample 10                            ten of each language, spread over the list
    python -m tests.mutation --only python

Needs the sources, gcc, and what `pip install --no-build-isolation -e .[test]` needs. Prints each survivor, and last the
scores: of all mutants in the results file, else of those that were run. A mutant whose tests take longer than --limit
seconds counts as noticed, as a hang would be; one that does not compile is a mistake in the list, and not counted.

Several are run side by side, each in its own copy. A header's mutant is first tried with the C++ program that calls the
header alone, which takes seconds; only those that survive it are built. Only the extensions that hold the mutated file
are built again, without optimisation.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from .c_mutants import C
from .mutants import Mutant
from .python_mutants import PYTHON

ROOT = Path(__file__).parents[2]
NATIVE = Path("src", "fastembed", "_native")
WANTED = {"c": 95, "python": 90}
# Programs that call headers alone, and the arguments with which they run.
PROGRAMS = {"tests/reliability/fuzz.cpp": "8000", "tests/fuzz/parsers.cpp": "4000", "tests/reliability/cellar.cpp": ""}
_INCLUDE = re.compile(r"""^\s*#?(?:include|cdef extern from)\s+"([\w.]+)\"""", re.MULTILINE)


_running: set[subprocess.Popen[bytes]] = set()
_stopped = threading.Event()


def _run(command: Sequence[str], place: Path, limit: float, **environment: str) -> int | None:
    """The exit status; None when it took too long."""
    with subprocess.Popen(
        command,
        cwd=place,
        env=os.environ | {"FASTEMBED_RACE_CALLS": "2000"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        _running.add(process)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None
        finally:
            _running.discard(process)


def _build(place: Path, only: str = "", force: bool = False) -> bool:
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", *(["--force"] if force else [])]
    return _run(command, place, 900, FASTEMBED_BUILD="quick", FASTEMBED_EXTENSIONS=only) == 0


def _test(place: Path, tests: str, limit: float) -> int | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    return _run(command, place, limit, PYTHONPATH=str(place / "src"), FASTEMBED_SOURCE=str(place))


def _holds(path: Path, file: str, place: Path) -> bool:
    """Whether a source includes a file of _native, through others too."""
    names = set(_INCLUDE.findall(path.read_text(encoding="utf-8")))
    known = [place / NATIVE / name for name in names if (place / NATIVE / name).exists()]
    return file in names or any(_holds(one, file, place) for one in known)


def _try_programs(file: str, place: Path) -> str:
    """Which program notices a mutated header; "" if none does."""
    for name, calls in PROGRAMS.items():
        if not _holds(place / name, file, place):
            continue
        command = ["g++", "-std=c++17", "-pthread", "-O0", "-ffp-contract=off", "-I", str(place / NATIVE)]
        if _run([*command, "-o", str(place / "program"), str(place / name)], place, 300) != 0:
            return "does not compile"
        if _run([str(place / "program"), calls], place, 60) != 0:
            return name
    return ""


def judge(mutant: Mutant, place: Path, limit: float) -> str:
    """What notices a mutant in the copy at `place`: a program, "tests", "time", "does not compile"; "" if nothing."""
    path = place / "src" / "fastembed" / mutant.file
    text, times = path.read_text(encoding="utf-8"), path.stat()
    assert text.count(mutant.old) == 1, f"{mutant.file}: {mutant.old!r} occurs {text.count(mutant.old)} times"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    kept: list[Path] = []
    try:
        if mutant.file.startswith("_native/"):
            noticed = _try_programs(path.name, place)
            if noticed:
                return noticed
            for source in sorted((place / NATIVE).glob("*.pyx")):
                if source == path or _holds(source, path.name, place):
                    kept += [source.with_suffix(".cpp"), *source.parent.glob(f"{source.stem}.*.so")]
                    for built in kept:
                        shutil.copy2(built, f"{built}.kept")
                    if not _build(place, source.stem, force=True):
                        return "does not compile"
        status = _test(place, mutant.tests, limit)
        return "" if status == 0 else "time" if status is None else "tests"
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        # compiled Python is told apart by whole seconds and by size
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()
        for built in set(kept):
            shutil.move(f"{built}.kept", built)


def _sampled(mutants: list[Mutant], count: int | None) -> list[Mutant]:
    if count is None or count >= len(mutants):
        return mutants
    return [mutants[k * len(mutants) // count] for k in range(count)]


def _known(path: Path | None) -> dict[tuple[str, str, str], str]:
    """What a results file says: what noticed each mutant."""
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(row["file"], row["old"], row["new"]): row["noticed"] for row in rows}


def _copies(folder: Path, count: int, built: bool) -> SimpleQueue[Path]:
    """Copies of the sources; built without optimisation where C is to be mutated or nothing is built here."""
    places: SimpleQueue[Path] = SimpleQueue()
    skip = shutil.ignore_patterns(".git", "__pycache__", "*.npz", "results", "build", ".venv")
    built = built or not list((ROOT / NATIVE).glob("kernels.*.so"))

    def ignored(path: str, names: list[str]) -> set[str]:
        generated = {name for name in names if name.endswith((".so", ".cpp"))} if Path(path) == ROOT / NATIVE else set()
        return skip(path, names) | (generated if built else set())

    for number in range(count):
        place = folder / str(number)
        if built and number and not place.exists():
            shutil.copytree(folder / "0", place)
        for kept in (place / NATIVE).glob("*.kept"):  # of a run that was killed
            shutil.move(kept, kept.with_suffix(""))
        shutil.copytree(ROOT, place, ignore=ignored, dirs_exist_ok=True)
        if built and not _build(place):
            sys.exit("the copy does not build")
        places.put(place)
    return places


def main() -> int:
    """Run the mutants asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Bugs that the tests must notice.")
    parser.add_argument("--sample", type=int, help="so many of each language")
    parser.add_argument("--only", choices=("c", "python"))
    parser.add_argument("--part", default="1/1", help="k/n: every n-th of them from the k-th on")
    parser.add_argument("--results", type=Path, help="a file to add results to; mutants that it has are not run again")
    parser.add_argument("--folder", type=Path, help="where to keep the copies and what is built in them, for next time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none after so many")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time; default 2")
    parser.add_argument("--limit", type=float, default=300, help="seconds that the tests of a mutant may take")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    deadline = time.perf_counter() + 60 * arguments.minutes
    listed = {"python": PYTHON, "c": C}
    known = _known(arguments.results)
    todo = [
        mutant
        for language, mutants in listed.items()
        if arguments.only in (None, language)
        for mutant in _sampled(mutants, arguments.sample)[part - 1 :: parts]
        if mutant[:3] not in known
    ]
    lock = threading.Lock()

    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        is_c = any(mutant.file.startswith("_native/") for mutant in todo)
        places = _copies(folder, max(1, min(arguments.jobs, len(todo))), is_c) if todo else SimpleQueue()

        def work(mutant: Mutant) -> None:
            began = time.perf_counter()
            if began > deadline or _stopped.is_set():
                return
            place = places.get()
            noticed = judge(mutant, place, arguments.limit)
            places.put(place)
            if _stopped.is_set():
                return
            with lock:
                known[mutant[:3]] = noticed
                row = dict(zip(("file", "old", "new"), mutant[:3], strict=True)) | {"noticed": noticed}
                seconds = round(time.perf_counter() - began, 1)
                print(f"{seconds:6.1f} s  {noticed or 'SURVIVED'}: {_shown(mutant)}", file=sys.stderr, flush=True)
                if arguments.results is not None:
                    with open(arguments.results, "a", encoding="utf-8") as file:
                        file.write(json.dumps(row | {"seconds": seconds}) + "\n")

        with ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
            try:
                list(pool.map(work, todo))
            except BaseException:  # Ctrl-C: what runs now says nothing
                _stopped.set()
                for process in list(_running):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
    return _report(listed, known)


def _shown(mutant: Mutant) -> str:
    return f"{mutant.file}: {mutant.old.strip()!r} -> {mutant.new.strip()!r}"


def _report(listed: dict[str, list[Mutant]], known: dict[tuple[str, str, str], str]) -> int:
    scores, good = [], True
    for language, mutants in listed.items():
        run = [mutant for mutant in mutants if mutant[:3] in known]
        for mutant in run:
            if known[mutant[:3]] in ("", "does not compile"):
                print(f"{known[mutant[:3]] or 'survived'}: {_shown(mutant)}")
        counted = [mutant for mutant in run if known[mutant[:3]] != "does not compile"]
        died = sum(known[mutant[:3]] != "" for mutant in counted)
        good &= len(counted) == len(run) and 100 * died >= WANTED[language] * len(counted)
        if run:
            percent = 100 * died / max(len(counted), 1)
            scores.append(
                f"{language}: {died} of {len(counted)} noticed, {percent:.1f} % (wanted {WANTED[language]} %)"
            )
    print("; ".join(scores) or "nothing was run")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
