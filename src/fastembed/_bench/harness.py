"""Starts a process for every peer, collects what they measured and sums it up."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fastembed import ops
from fastembed._bench import machine, peers
from fastembed._bench.measure import floor
from fastembed._bench.operations import NAMES
from fastembed._bench.workloads import WORKLOADS, Workload

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run measures: `processes` for every peer, each `rounds` of `seconds` a case.

    A round in which others used the machine is done again, at most `repeats` times; each process waits for quiet
    moments, `patience` seconds in all. `one_workload_a_process` keeps what one workload leaves behind (buffers, peaks
    of memory) from the next. Everybody gets the number of threads that fastembed uses here, or each of `threads`.
    `operations` and `peers` name those to measure; None is all. `limit` is benchmarks/limit.c, compiled.
    """

    workloads: tuple[Workload, ...]
    processes: int
    rounds: int
    seconds: float
    repeats: int
    patience: float
    one_workload_a_process: bool
    threads: tuple[int, ...] | None = None
    operations: tuple[str, ...] | None = None
    peers: tuple[str, ...] | None = None
    limit: str | None = None


QUICK = Plan(
    workloads=tuple(WORKLOADS[name] for name in ("W1", "W2", "W3", "W4u")),
    processes=1,
    rounds=1,
    seconds=0.2,
    repeats=1,
    patience=0.0,
    one_workload_a_process=False,
    operations=("gather", "out hot", "gather+mask", "mask", "bag", "layer"),
)
FULL = Plan(
    workloads=tuple(WORKLOADS.values()),
    processes=3,
    rounds=1,
    seconds=0.3,
    repeats=2,
    patience=10.0,
    one_workload_a_process=True,
)


def run(plan: Plan, tell: Tell) -> dict[str, Any]:
    """Measure a plan; returns machine, versions, threads and one summary a case, as JSON can hold them.

    A case with a wrong result, or a process that died, is told and is in "errors"; nothing of it was timed.
    """
    threads = sorted(set(plan.threads or [ops.get_num_threads()]))
    groups = [[one] for one in plan.workloads] if plan.one_workload_a_process else [list(plan.workloads)]
    names = [name for name in peers.installed() if plan.peers is None or name in plan.peers]
    collected: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    errors: list[str] = []
    for process, group, count, peer in itertools.product(range(plan.processes), groups, threads, names):
        tell(f"{_names(group)}: {peer}, {count} threads, process {process + 1} of {plan.processes}")
        job = {"peer": peer, "workloads": [asdict(one) for one in group], "threads": count, "check": False}
        job |= {name: getattr(plan, name) for name in _OF_THE_JOB}
        for case in _worker(job):
            if "error" in case:
                errors.append(_name(case) + case["error"])
                tell(errors[-1])
            else:
                key = tuple(case[part] for part in ("workload", "operation", "threads", "peer"))
                collected.setdefault(key, []).append(case)
    results = [_summary(same) for same in collected.values()]
    _add_limits(results)
    order: list[list[Any]] = [[one.name for one in plan.workloads], list(NAMES), threads, names]
    parts = ("workload", "operation", "threads", "peer")
    results.sort(key=lambda result: [known.index(result[part]) for known, part in zip(order, parts, strict=True)])
    return {
        "machine": machine.describe(),
        "threads": threads,
        "plan": asdict(plan),
        "results": results,
        "errors": errors,
    }


def check(tell: Tell) -> int:
    """Compare fastembed with NumPy and every peer, bit for bit, on small workloads; returns the number of errors."""
    failures = 0
    small = [asdict(one.small()) for one in WORKLOADS.values()]
    for peer in peers.installed():
        found: list[dict[str, Any]] = []
        for threads in sorted({1, 2, ops.get_num_threads()}):
            job = {"peer": peer, "workloads": small, "threads": threads, "check": True}
            found += _worker(job | {"operations": None, "patience": 0, "limit": None})
        wrong = [case for case in found if "error" in case]
        for case in wrong:
            tell(_name(case) + case["error"])
        failures += len(wrong)
        tell(f"{peer} {machine.version_of(peer)}: {len(found) - len(wrong)} of {len(found)} results the same")
    return failures


_OF_THE_JOB = ("operations", "rounds", "seconds", "repeats", "patience", "limit")


def _names(group: list[Workload]) -> str:
    return ", ".join(one.name for one in group) if len(group) < 8 else f"{len(group)} workloads"


def _worker(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cases of a job, done in a process of its own; the last one has an "error" if that process died."""
    command = [sys.executable, "-m", "fastembed._bench.worker", json.dumps(job)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
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
        **{key: same[0][key] for key in ("workload", "operation", "peer", "threads", "statement", "base")},
        "ratio": middle,
        "quartiles": [low, high],
        "process_ratios": [_process_ratio(case) for case in same],
        # from times that a tenth of the samples stay below: those that nobody disturbed, when somebody did
        "floor_ratio": statistics.median(_floor_ratio(case) for case in same),
        "pairs": len(ratios),
        "seconds": seconds,
        "numpy_seconds": statistics.median(base),
        "floor_seconds": floor(peer),
        "bytes": same[0]["bytes"],
        "rows_per_second": same[0]["rows"] / seconds,
        "gb_per_second": same[0]["bytes"] / seconds / 1e9,
        "limit_seconds": _median(limit for case in same for limit in case["limits"]),
        "call_mb": _median(case["call_mb"] for case in same),
        "peak_mb": _median(case["peak_mb"] for case in same),
        "worst_foreign_share": max(foreign, default=None),
        "repeated_rounds": sum(round_["repeated"] for round_ in rounds),
    }


def _add_limits(results: list[dict[str, Any]]) -> None:
    """Every library's share of the limit, which fastembed's process measured."""
    limits = {
        (result["workload"], result["operation"], result["threads"]): result["limit_seconds"]
        for result in results
        if result["peer"] == "fastembed"
    }
    for result in results:
        limit = limits.get((result["workload"], result["operation"], result["threads"]))
        result["limit_seconds"] = limit
        result["of_limit"] = None if limit is None else limit / result["floor_seconds"]


def _process_ratio(case: dict[str, Any]) -> float:
    rounds: list[dict[str, list[float]]] = case["rounds"]
    return statistics.median(a / b for round_ in rounds for a, b in zip(round_["base"], round_["peer"], strict=True))


def _floor_ratio(case: dict[str, Any]) -> float:
    base, peer = ([x for round_ in case["rounds"] for x in round_[key]] for key in ("base", "peer"))
    return floor(base) / floor(peer)


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
