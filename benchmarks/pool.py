"""`python -m benchmarks --pool`: fastembed's threads against OpenMP's, on an idle machine, a busy one, and after fork.

A gather on OpenMP's threads (openmp.c, static and dynamic schedule) is compiled when this runs. Every case has a
process of its own and writes into the same output each time; one thread of fastembed is the measure of all.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastembed import _bench, ops
from fastembed._bench.limit import compiled
from fastembed._bench.measure import FOREIGN_SHARE, Quiet, floor, paired_round
from fastembed._bench.operations import Call, output
from fastembed._bench.workloads import WORKLOADS

HERE = Path(__file__).parent
WHO = ("fastembed", "OpenMP static", "OpenMP dynamic")
NAMES = ("W2", "W3", "W4u")
CALLERS = 8
FORK_SECONDS = 20
PROCESSES = 3


def main(folder: Path, small: bool, peers: tuple[str, ...] | None, tell: Callable[[str], None]) -> int:
    with tempfile.TemporaryDirectory() as place:
        library = compiled(HERE / "openmp.c", Path(place), "-fopenmp")
        who = WHO if library is not None else WHO[:1]
        found: dict[str, dict[str, Any]] = {}
        for case in [f"{case}, {name}" for name in NAMES for case in ("idle", "contended", "callers")] + ["fork, W3"]:
            found[case] = {}
            for one in who:
                tell(f"{case}: {one}")
                job = {"case": case, "who": one, "library": library and str(library), "seconds": 0.02 if small else 0.5}
                results = [_in_process(job) for _ in range(1 if small or case.startswith("fork") else PROCESSES)]
                found[case][one] = _middle(results)
    figures = {"machine": _bench.harness.machine.describe(), "threads": ops.get_num_threads(), "cases": found}
    (folder / "pool.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    text = markdown(found, who, figures["threads"])
    (folder / "pool.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def markdown(found: dict[str, dict[str, Any]], who: tuple[str, ...], threads: int) -> str:
    lines = [
        f"With {threads} threads. Idle and contended (a busy loop holds the last CPU): the time of a call, and in",
        "brackets how many times that of one thread of fastembed in the same process, taken in turns. Callers: calls",
        f"a second of {CALLERS} Python threads together. Fork: a gather in the child of a process that had gathered.",
        'Medians of three processes, within one the time that a tenth of the calls (idle) or half of them (contended)',
        'stay below; "!": others used the machine meanwhile.',
        "",
        "| case | " + " | ".join(who) + " |",
        "|---|" + "--:|" * len(who),
    ]
    for case, results in found.items():
        lines.append(f"| {case} | " + " | ".join(_cell(results[one]) for one in who) + " |")
    return "\n".join(lines) + "\n"


def _cell(result: dict[str, Any]) -> str:
    if "ended" in result:
        return result["ended"]
    mark = "!" if result.get("foreign", 0) > FOREIGN_SHARE else ""
    if "calls" in result:
        return f"{result['calls']:,.0f}/s{mark}"
    return f"{result['seconds'] * 1e3:.2f} ms ({result['times']:.2f}){mark}"


def _middle(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, number by number, and the worst share of others."""
    if len(results) == 1 or any("ended" in result for result in results):
        return next((result for result in results if "ended" in result), results[0])
    middle: dict[str, Any] = {key: statistics.median(result[key] for result in results) for key in results[0]}
    if "foreign" in middle:
        middle["foreign"] = max(result["foreign"] for result in results)
    return middle


def _in_process(job: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.pool", json.dumps(job)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return {"ended": "no end within 300 s"}
    return json.loads(done.stdout) if done.returncode == 0 else {"ended": f"exit code {done.returncode}"}


def _measured(job: dict[str, Any]) -> dict[str, Any]:
    case, _, name = job["case"].partition(", ")
    table, ids = WORKLOADS[name].make()
    threads = ops.get_num_threads()
    one = Call("gather(table, ids, out=out, num_threads=1)", _names(table, ids))
    call = _call(job, table, ids, threads)
    result = call.run()[0]
    if not np.array_equal(result, np.take(table, ids, axis=0)):
        return {"ended": "wrong rows"}
    if case == "fork":
        return _forked(call, np.take(table, ids, axis=0))
    if case == "callers":
        return _callers(lambda: _call(job, table, ids, threads), job["seconds"])
    Quiet(5.0).wait()
    with _busy_loop() if case == "contended" else contextlib.nullcontext():
        measured = paired_round(one, call, job["seconds"], 0 if case == "contended" else 3)
    # idle: the samples that nobody disturbed; contended: being disturbed is the case
    typical = statistics.median if case == "contended" else floor
    times = typical(measured.peer) / typical(measured.base)
    # the busy loop is foreign itself: one CPU
    foreign = (measured.foreign or 0.0) - (1.0 if case == "contended" else 0.0)
    return {"seconds": typical(measured.peer), "times": times, "foreign": max(0.0, foreign)}


def _names(table: Any, ids: Any) -> dict[str, Any]:
    return {"gather": ops.gather, "table": table, "ids": ids, "out": output(table, ids)}


def _call(job: dict[str, Any], table: Any, ids: Any, threads: int) -> Call:
    names = _names(table, ids)
    out = names["out"]
    if job["who"] == "fastembed":
        return Call(f"gather(table, ids, out=out, num_threads={threads})", names)
    function = getattr(ctypes.CDLL(job["library"]), "gather_" + job["who"].split()[1])
    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
    arguments = (pointer(table.ctypes.data), size(len(table)), size(table.strides[0]), pointer(ids.ctypes.data))
    names |= {"function": function, "arguments": (*arguments, size(ids.size), pointer(out.ctypes.data), threads)}
    return Call("function(*arguments)", names, lambda bad: (out if bad == 0 else None,))


@contextlib.contextmanager
def _busy_loop() -> Iterator[None]:
    """A process that keeps the last CPU busy."""
    last = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{last}]); print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


def _callers(make: Callable[[], Call], seconds: float) -> dict[str, Any]:
    """Calls a second of several Python threads, each with an output of its own."""
    calls = [make() for _ in range(CALLERS)]
    counts = [0] * CALLERS
    stop = threading.Event()

    def caller(position: int) -> None:
        call = calls[position]
        code, names = compile(call.statement, "caller", "eval"), dict(call.names)
        while not stop.is_set():
            eval(code, names)
            counts[position] += 1

    callers = [threading.Thread(target=caller, args=(position,)) for position in range(CALLERS)]
    started = time.perf_counter()
    for thread in callers:
        thread.start()
    stop.wait(max(2 * seconds, 0.1))
    stop.set()
    for thread in callers:
        thread.join()
    return {"calls": sum(counts) / (time.perf_counter() - started)}


def _forked(call: Call, expected: Any) -> dict[str, Any]:
    """How a gather in the child of a process that has gathered ends."""
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(call.run()[0], expected) else 1)
    while time.perf_counter() - started < FORK_SECONDS:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return {"ended": "works" if status == 0 else "wrong rows"}
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return {"ended": f"hangs (killed after {FORK_SECONDS} s)"}


if __name__ == "__main__":
    print(json.dumps(_measured(json.loads(sys.argv[1]))))
