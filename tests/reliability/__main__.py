"""Every promise of SECURITY.md with its figure: `python -m tests.reliability` runs each briefly, `--soak` for long.

    python -m tests.reliability                 all rows, a few minutes
    python -m tests.reliability --soak          the figures wanted, hours
    python -m tests.reliability --soak --scale 0.01 --only 2,9

Prints a line a row: hazard, figure wanted, figure reached, seconds. Ends with 1 when a row failed. A row that cannot
run on this machine says why.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.formats import FORMATS

from .cases import SAVES
from .test_process import LONG

ROOT = Path(__file__).parents[2]


class Row(NamedTuple):
    """One promise: which tests show it, and how often they are run or how large they are made in the soak."""

    number: int
    hazard: str
    wanted: str
    tests: Sequence[str]  # as for pytest; -k words after a space
    soak: dict[str, float]  # environment variables, multiplied with --scale
    needs: Callable[[], str] = lambda: ""  # why it cannot run here
    says: Callable[[Callable[[str], float]], str] = lambda scale: ""  # the figure reached, by a variable's value


def _tool(*names: str) -> Callable[[], str]:
    return lambda: ", ".join(f"no {name}" for name in names if shutil.which(name) is None)


def _source() -> str:
    return "" if (ROOT / "src/fastembed/_native").is_dir() else "the sources are not here"


def _branches() -> str:
    return _source() or _tool("gcc", "g++", "gcov")() or ("" if find_spec("coverage") else "no coverage.py")


def _valgrind() -> str:
    return _tool("valgrind")() or ("" if (ROOT / ".ci").is_dir() else "the scripts of .ci are not here")


def _keras() -> str:
    missing = [name for name in ("keras", "jax") if find_spec(name) is None]
    return ", ".join(f"no {name}" for name in missing)


_SHORT = {"FASTEMBED_RACE_CALLS": 20_000}  # where a variable that is not set counts as another number than 1
R = "FASTEMBED_RELIABILITY_SCALE"
X = "FASTEMBED_TEST_SCALE"
ROWS = [
    Row(1, "bad id of any dtype", "1e8 C calls, 1e6 Python examples, 0 reports",
        ["tests/reliability/test_native.py -k random", "tests/ops/test_properties.py tests/ops/test_arguments.py"],
        {R: 1000, X: 2000}, _tool("g++"),
        lambda scale: f"{scale(R) * (1e5 if scale(R) > 1 else 2e4):,.0f} C calls, {scale(X) * 500:,.0f} examples"),
    Row(2, "ids changed during the call", "1e5 raced calls, guard rows untouched; TSan (.ci/races) 0 reports",
        ["tests/ops/test_races.py", "tests/ops/test_bag_arguments.py -k raced"], {"FASTEMBED_RACE_CALLS": 1_000_000},
        says=lambda scale: f"{scale('FASTEMBED_RACE_CALLS'):,.0f} raced calls of each kind"),
    Row(3, "bad id in an update", "table and state unchanged, also without memory",
        ["tests/ops/test_grad.py tests/keras/test_optimizers.py", "tests/reliability/test_failures.py -k allocation"],
        {R: 1}, _tool("gcc")),
    Row(4, "layouts, subclasses, 0 sizes", "1e5 examples", ["tests/ops/test_gather.py", "tests/ops/test_properties.py"],
        {X: 200}, says=lambda scale: f"{scale(X) * 500:,.0f} examples"),
    Row(5, "unfit out=", "ValueError, nothing written", ["tests/ops/test_arguments.py -k out"], {}),
    Row(6, "sizes past 2**31", "a sparse 16 GiB mapped table; -Wconversion clean",
        ["tests/reliability/test_sizes.py", "tests/reliability/test_native.py -k headers"], {}, _source),
    Row(7, "NaN gradients, absurd settings", "only that row changes",
        ["tests/keras/test_table_updates.py", "tests/reliability/test_machine.py -k nan"], {}),
    Row(8, "thread count", "same bits on 1..16 threads, 20 times",
        ["tests/ops/test_threads.py tests/ops/test_paths.py", "tests/reliability/test_machine.py -k threads"], {R: 20}),
    Row(9, "one version a call", "10 min, 0 mixed", ["tests/reliability/test_versions.py"], {R: 60}),
    Row(10, "fork, spawn, forkserver", "1000 forks, 0 hangs",
        ["tests/ops/test_process.py -k fork", "tests/reliability/test_versions.py -k fork"], {R: 35, X: 10},
        says=lambda scale: f"{scale(R) * 30:,.0f} forks beside threads that look up and set"),
    Row(11, "exit with threads alive", "1000 exits, status 0",
        ["tests/ops/test_process.py -k 'exit or interpreter'"], {X: 50}),
    Row(12, "Ctrl-C", "KeyboardInterrupt in 0.2 s, 100 of 100",
        ["tests/ops/test_process.py -k interrupt", "tests/reliability/test_process.py"], {R: 8},
        says=lambda scale: f"{scale(R) * 2:,.0f} interrupts of each of {len(LONG)} calls"),
    Row(13, "many callers", "threads <= callers + cores", ["tests/ops/test_threads.py"], {}),
    Row(14, "process state", "importing changes nothing", ["tests/ops/test_process.py -k import"], {}),
    Row(15, "crash or full disk in a save", "1000 kill -9, 0 corrupt; every call failed once",
        ["tests/io/test_atomic.py", "tests/reliability/test_failures.py -k system_call",
         "tests/reliability/test_process.py -k 'kill or term'", "tests/cli/test_gather.py -k signal"],
        {R: 100}, _tool("gcc"), lambda scale: f"{scale(R) * 5:,.0f} kills of each of {len(SAVES)} saves"),
    Row(16, "hostile files", "1e6 damaged files a format, 1e7 in the soak, nothing but FormatError",
        ["tests/io", "fuzz"], {X: 100}),
    Row(17, ".keras and .h5", "each known weakness a test",
        ["tests/io -k 'keras or hdf5 or h5'", "tests/keras/test_saving_hostile.py"], {X: 20}),
    Row(18, "mapped file cut short", "OSError, 100 of 100", ["tests/reliability/test_mapped.py"], {R: 5},
        says=lambda scale: f"{scale(R) * 20:,.0f} cuts"),
    Row(19, "no memory", "every allocation failed once", ["tests/reliability/test_failures.py -k allocation"], {},
        _tool("gcc")),
    Row(20, "leaks", "< 1 MB per 1e6 calls", ["tests/ops/test_memory.py", "tests/ops/test_buffers.py"], {}),
    Row(21, "tests that do not bite", ">= 95 % of C and 90 % of Python mutants die", ["mutation"], {}, _source),
    Row(22, "untested branches", "100 % of the kernels', 95 % of the loaders'", ["coverage"], {}, _branches),
    Row(23, "memory errors", "no report of Valgrind names our modules", ["valgrind"], {}, _valgrind),
    Row(24, "valid ids beside Keras 3", "rows, masks, outputs, configs equal", ["tests/peers/test_keras3.py"], {X: 10},
        _keras),
]  # fmt: skip


def run(row: Row, soak: bool, scale: float) -> tuple[bool, str]:
    """Whether a row holds, and the figure reached."""
    missing = row.needs()
    if missing:
        return True, f"not run: {missing}"
    if row.tests == ["mutation"]:
        sample = 150 if soak and scale >= 1 else max(1, round(150 * scale)) if soak else 3
        return _last_line([sys.executable, "-m", "tests.mutation", "--sample", str(sample)])
    if row.tests == ["coverage"]:
        if not soak:
            return True, "not run: minutes; --soak does, or python -m tests.coverage"
        return _last_line([sys.executable, "-m", "tests.coverage"])
    if row.tests == ["valgrind"]:
        return _last_line(["bash", ".ci/valgrind", sys.executable])
    environment = dict(os.environ)
    if soak:
        for name, times in row.soak.items():
            environment[name] = f"{max(times * scale, 1):g}" if name == R else str(max(round(times * scale), 1))
    passed, words = 0, []
    for tests in row.tests:
        if tests == "fuzz":
            good, line = _fuzz(max(300, round(1e7 * scale)) if soak else 300)
            words += [line] if good else [f"FAILED {line}"]
            continue
        paths, _, choice = tests.partition(" -k ")
        command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-p", "no:cacheprovider"]
        command += ["--timeout", "36000", *paths.split(), *(["-k", choice.strip("'")] if choice else [])]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        found = re.search(r"(\d+) passed", done.stdout + done.stderr)
        passed += int(found[1]) if found else done.stdout.count(".") if done.returncode == 0 else 0
        if done.returncode == 5:
            words.append(f"{tests}: no such tests yet")
        elif done.returncode:
            words += [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
            words = words or [done.stdout[-300:] + done.stderr[-300:]]
    figure = row.says(lambda name: float(environment.get(name, _SHORT.get(name, 1))))
    factors = ", ".join(f"x{times * scale:g}" for times in row.soak.values()) if soak else ""
    text = f"{figure}{'; ' if figure else ''}{passed} tests{' at ' if factors else ''}{factors}"
    bad = [word for word in words if "no such tests" not in word and not word.endswith("inputs refused or read")]
    return not bad, "; ".join([text, *words])


def _fuzz(runs: int) -> tuple[bool, str]:
    """Damaged files of every format, so many of each; as many formats at a time as there are CPUs."""

    def one(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.fuzz", "--format", name, "--runs", str(runs)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(one, FORMATS))
    failed = [f"{name}: {each.stderr[-300:]}" for name, each in zip(FORMATS, done, strict=True) if each.returncode]
    return not failed, "; ".join(failed) or f"{len(FORMATS)} formats, each {runs:,} inputs refused or read"


def _last_line(command: Sequence[str]) -> tuple[bool, str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr[-300:]]
    return done.returncode == 0, lines[-1]


def main() -> int:
    """Run the rows asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description="Each promise with its figure.")
    parser.add_argument("--soak", action="store_true", help="as long as the figures wanted say")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of that; default 1")
    parser.add_argument("--only", help="numbers of rows, with commas between")
    arguments = parser.parse_args()
    # a shell starts what it sends to the background with Ctrl-C ignored, and children would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    only = {int(number) for number in arguments.only.split(",")} if arguments.only else {row.number for row in ROWS}
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    soak = f", soak x{arguments.scale:g}" if arguments.soak else ""
    print(f"{time.strftime('%Y-%m-%d')}, {machine}, commit {commit}{soak}\n")
    print("| # | hazard | figure wanted | figure reached | seconds |\n|--:|---|---|---|--:|")
    failed = False
    for row in ROWS:
        if row.number not in only:
            continue
        began = time.perf_counter()
        good, reached = run(row, arguments.soak, arguments.scale)
        failed |= not good
        seconds = time.perf_counter() - began
        state = "" if good else "FAILED: "
        print(f"| {row.number} | {row.hazard} | {row.wanted} | {state}{reached} | {seconds:.0f} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
