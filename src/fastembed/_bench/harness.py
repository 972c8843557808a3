"""Starts a process for every peer, collects what they measured and sums it up."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastembed import ops
from fastembed._bench import machine, peers
from fastembed._bench.workloads import WORKLOADS

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run measures: `processes` for every peer, each `rounds` of `seconds` a case.

    A round in which others used the machine is done again, at most `repeats` times.
    `one_workload_a_process` keeps what one workload leaves behind (buffers, peaks of memory) from the next.
    Everybody gets the number of threads that fastembed uses here; `also_one_thread` measures 1 as well.
    """

    workloads: tuple[str, ...]
    processes: int
    rounds: int
    seconds: float
    repeats: int
    one_workload_a_process: bool
    also_one_thread: bool
    small: bool = False


QUICK = Plan(("W1", "W2", "W3", "W4u"), 1, 1, 0.3, 1, one_workload_a_process=False, also_one_thread=False)
FULL = Plan(tuple(WORKLOADS), 3, 3, 0.5, 6, one_workload_a_process=True, also_one_thread=True)


def run(plan: Plan, tell: Tell) -> dict[str, Any]:
    """Measure a plan; returns machine, versions, threads and one summary a case, as JSON can hold them.

    A case with a wrong result, or a process that died, is told and is in "errors"; nothing of it was timed.
    """
    most = ops.get_num_threads()
    threads = sorted({1, most}) if plan.also_one_thread else [most]
    groups = [[name] for name in plan.workloads] if plan.one_workload_a_process else [list(plan.workloads)]
    collected: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    errors: list[str] = []
    for process in range(plan.processes):
        for group in groups:
            for peer in peers.installed():
                tell(f"{', '.join(group)}: {peer}, process {process + 1} of {plan.processes}")
                job = {"peer": peer, "workloads": group, "threads": threads, "rounds": plan.rounds}
                job |= {"seconds": plan.seconds, "repeats": plan.repeats, "small": plan.small, "check": False}
                for case in _worker(job):
                    if "error" in case:
                        errors.append(_name(case) + case["error"])
                        tell(errors[-1])
                    else:
                        key = tuple(case[part] for part in ("workload", "operation", "peer", "threads"))
                        collected.setdefault(key, []).append(case)
    order = {name: i for i, name in enumerate(plan.workloads)}
    results = [_summary(same) for same in collected.values()]
    results.sort(key=lambda result: (order[result["workload"]], result["threads"]))
    return {"machine": machine.describe(), "threads": threads, "plan": vars(plan), "results": results, "errors": errors}


def check(tell: Tell) -> int:
    """Compare fastembed with NumPy and every peer, bit for bit, on small workloads; returns the number of errors."""
    threads = sorted({1, 2, ops.get_num_threads()})
    failures = 0
    for peer in peers.installed():
        job = {"peer": peer, "workloads": list(WORKLOADS), "threads": threads, "small": True, "check": True}
        found = list(_worker(job))
        wrong = [case for case in found if "error" in case]
        for case in wrong:
            tell(_name(case) + case["error"])
        failures += len(wrong)
        tell(f"{peer} {machine.version_of(peer)}: {len(found) - len(wrong)} of {len(found)} results the same")
    return failures


def _worker(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cases of a job, done in a process of its own; the last one has an "error" if that process died."""
    command = [sys.executable, "-m", "fastembed._bench.worker", json.dumps(job)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield json.loads(line)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        yield {"peer": job["peer"], "error": f"its process ended with code {process.returncode}"}


def _name(case: dict[str, Any]) -> str:
    parts = [str(case[part]) for part in ("peer", "workload", "operation") if part in case]
    return " ".join(parts) + (f" with {case['threads']} threads: " if "threads" in case else ": ")


def _summary(same: list[dict[str, Any]]) -> dict[str, Any]:
    """One case, measured by several processes: medians, quartiles and what the machine was doing."""
    rounds = [round_ for case in same for round_ in case["rounds"]]
    base = [seconds for round_ in rounds for seconds in round_["base"]]
    peer = [seconds for round_ in rounds for seconds in round_["peer"]]
    ratios = [a / b for a, b in zip(base, peer, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    seconds = statistics.median(peer)
    foreign = [round_["foreign"] for round_ in rounds if round_["foreign"] is not None]
    return {
        **{key: same[0][key] for key in ("workload", "operation", "peer", "threads", "statement")},
        "ratio": middle,
        "quartiles": [low, high],
        "process_ratios": [_process_ratio(case) for case in same],
        "pairs": len(ratios),
        "seconds": seconds,
        "numpy_seconds": statistics.median(base),
        "rows_per_second": same[0]["rows"] / seconds,
        "gb_per_second": same[0]["bytes"] / seconds / 1e9,
        "call_mb": _median(case["call_mb"] for case in same),
        "peak_mb": _median(case["peak_mb"] for case in same),
        "worst_foreign_share": max(foreign, default=None),
        "repeated_rounds": sum(round_["repeated"] for round_ in rounds),
    }


def _process_ratio(case: dict[str, Any]) -> float:
    rounds: list[dict[str, list[float]]] = case["rounds"]
    return statistics.median(a / b for round_ in rounds for a, b in zip(round_["base"], round_["peer"], strict=True))


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
