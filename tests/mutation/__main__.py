"""Plants the bugs of `mutants.py` one after the other in a copy of the sources, and runs the tests that must notice.

    python -m tests.mutation                    all: an hour and more (a C mutant is a build without optimisation)
    python -m tests.mutation --sample 10        ten of each language, spread over the list
    python -m tests.mutation --only python

Needs the sources, gcc, and what `pip install --no-build-isolation -e .[test]` needs. Prints each survivor, and last the
scores. A mutant whose tests take longer than --limit seconds counts as noticed, as a hang would be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .mutants import PYTHON, C, Mutant

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"FASTEMBED_RACE_CALLS": "2000", "PYTHONDONTWRITEBYTECODE": "1"}


def _run(command: Sequence[str], place: Path, limit: float, **environment: str) -> int | None:
    """The exit status; None when it took too long."""
    with subprocess.Popen(
        command,
        cwd=place,
        env=os.environ | ENVIRONMENT | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None


def _build(place: Path) -> bool:
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    return _run(command, place, 900, FASTEMBED_BUILD="debug") == 0


def _test(place: Path, tests: str, limit: float) -> int | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    return _run(command, place, limit, PYTHONPATH=str(place / "src"), FASTEMBED_SOURCE=str(place))


def survives(mutant: Mutant, place: Path, limit: float) -> bool:
    """Whether no test notices."""
    path = place / "src" / "fastembed" / mutant.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.file}: {mutant.old!r} occurs {text.count(mutant.old)} times"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        if mutant.file.startswith("_native/") and not _build(place):
            return False
        return _test(place, mutant.tests, limit) == 0
    finally:
        path.write_text(text, encoding="utf-8")


def _sampled(mutants: list[Mutant], count: int | None) -> list[Mutant]:
    if count is None or count >= len(mutants):
        return mutants
    return [mutants[k * len(mutants) // count] for k in range(count)]


def main() -> int:
    """Run the mutants asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Bugs that the tests must notice.")
    parser.add_argument("--sample", type=int, help="so many of each language")
    parser.add_argument("--only", choices=("c", "python"))
    parser.add_argument("--limit", type=float, default=300, help="seconds that the tests of a mutant may take")
    arguments = parser.parse_args()
    scores = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "copy"
        skip = shutil.ignore_patterns(".git", "__pycache__", "*.npz", "results")
        shutil.copytree(ROOT, place, ignore=skip)
        for language, mutants, wanted in (("python", PYTHON, 90), ("c", C, 95)):
            if arguments.only not in (None, language):
                continue
            chosen = _sampled(mutants, arguments.sample)
            if language == "c" and not _build(place):
                sys.exit("the copy does not build")
            left = 0
            for number, mutant in enumerate(chosen, 1):
                if survives(mutant, place, arguments.limit):
                    left += 1
                    print(f"survived: {mutant.file}: {mutant.old.strip()!r} -> {mutant.new.strip()!r}", flush=True)
                print(f"{language} {number}/{len(chosen)}, {left} survived", file=sys.stderr, flush=True)
            scores.append((language, len(chosen) - left, len(chosen), wanted))
    print(
        "; ".join(
            f"{language}: {died} of {count} noticed (wanted {wanted} %)" for language, died, count, wanted in scores
        )
    )
    return int(any(100 * died < wanted * count for _, died, count, wanted in scores))


if __name__ == "__main__":
    sys.exit(main())
