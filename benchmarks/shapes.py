"""`python -m benchmarks --shapes`: gathers of many shapes, and every one in which fastembed loses."""

from __future__ import annotations

import itertools
import json
import os
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastembed import _bench, ops
from fastembed._bench.measure import FOREIGN_SHARE
from fastembed._bench.workloads import Workload

WIDTHS = (1, 7, 50, 96, 100, 200, 384, 768, 1536, 4096)
HEIGHTS = (100, 10_000, 1_000_000, 10_000_000)
# What fastembed is held to: this many times np.take on one thread, this many times the best peer on all.
AGAINST_NUMPY, AGAINST_PEERS = 0.95, 0.9
OUTPUT_BYTES = 8 << 20
# Larger tables than this take longer to make than to measure: one as large as a quarter of the memory stands for them.
LARGE_BYTES = 512 << 20
# tensorflow and jax copy the table: twice a larger one would not fit beside everything else.
MOST_COPIED = LARGE_BYTES
COPYING = ("tensorflow", "jax")

PLAN = _bench.Plan((), 3, 1, 0.1, 0, 5.0, one_workload_a_process=False, operations=("gather",))


def cases(memory: int) -> list[Workload]:
    """The shapes: widths by heights; orders and frequencies of ids; dtypes of ids; few ids."""
    largest = [(memory // 4 // 4 // 96, 96), (LARGE_BYTES // 4 // 4096, 4096)]
    found = [
        Workload(f"{height:,} x {width}", height, width, (_count(width),), "uniform")
        for height, width in [*itertools.product(HEIGHTS, WIDTHS), *largest]
        if height * width * 4 <= min(LARGE_BYTES, memory // 4) or (height, width) in largest
    ]
    for width in (7, 100, 768):
        height = 1_000_000 if width < 768 else 200_000
        shape = (_count(width),)
        for kind in ("sorted", "reversed", "equal"):
            found.append(Workload(f"{kind}, {height:,} x {width}", height, width, shape, kind))  # type: ignore[arg-type]
        for power in (0.8, 1.0, 1.2, 1.5):
            found.append(Workload(f"Zipf {power}, {height:,} x {width}", height, width, shape, "scattered", power))
    for width in (1, 50, 384):
        for dtype, height in (("uint8", 256), ("uint16", 65_536), ("int32", 100_000)):
            name = f"{dtype}, {height:,} x {width}"
            found.append(Workload(name, height, width, (_count(width),), "uniform", dtype=dtype))
    for width in (1, 7, 64, 384):
        for count in (1, 10, 100, 1000):
            found.append(Workload(f"{count} ids, 10,000 x {width}", 10_000, width, (count,), "uniform"))
    return found


def _count(width: int) -> int:
    return min(OUTPUT_BYTES // (4 * width), 1_000_000)


def main(folder: Path, small: bool, peers: tuple[str, ...] | None, tell: Callable[[str], None]) -> int:
    workloads = cases(64 << 20 if small else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    plan = replace(PLAN, processes=1, seconds=0.005, patience=0.0) if small else PLAN
    most = ops.get_num_threads()
    fitting = tuple(one for one in workloads if one.table_bytes <= MOST_COPIED)
    large = tuple(one for one in workloads if one.table_bytes > MOST_COPIED)
    names = [name for name in _bench.peers.installed() if name != "numpy" and (peers is None or name in peers)]
    without = tuple(name for name in names if name not in COPYING)
    figures: dict[str, Any] = {"results": [], "errors": []}
    for threads, chosen, who in (
        (1, tuple(workloads), ("fastembed",)),
        (most, fitting, tuple(names)),
        (most, large, without),
    ):
        if chosen:
            run = _bench.run(replace(plan, workloads=chosen, threads=(threads,), peers=who), tell)
            figures["machine"] = run["machine"]
            figures["results"] += run["results"]
            figures["errors"] += run["errors"]
    figures["shapes"] = compared(figures["results"], [one.name for one in workloads], most)
    (folder / "shapes.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    text = markdown(figures, most)
    (folder / "shapes.md").write_text(text, encoding="utf-8")
    print(text)
    return 1 if figures["errors"] else 0


def compared(results: list[dict[str, Any]], names: list[str], most: int) -> list[dict[str, Any]]:
    """One line a shape: the ratio to np.take on one thread, to the best peer on `most`; medians of the processes."""
    ratios = {(one["workload"], one["threads"], one["peer"]): _of_processes(one) for one in results}
    foreign = {(one["workload"], one["threads"]): 0.0 for one in results}
    for one_result in results:
        key = one_result["workload"], one_result["threads"]
        foreign[key] = max(foreign[key], one_result["worst_foreign_share"] or 0.0)
    lines = []
    for name in names:
        one, many = ratios.get((name, 1, "fastembed")), ratios.get((name, most, "fastembed"))
        peers = {who: ratio for (case, threads, who), ratio in ratios.items() if (case, threads) == (name, most)}
        peers.pop("fastembed", None)
        best = max(peers, key=lambda who: peers[who], default=None)
        against = many / peers[best] if best is not None and many is not None else None
        lines.append({
            "shape": name,
            "one": one,
            "many": many,
            "best": best,
            "against best": against,
            "peers": peers,
            "others": [foreign.get((name, threads), 0.0) for threads in (1, most)],
            "loses": (one or 1) < AGAINST_NUMPY or (against or 1) < AGAINST_PEERS,
        })
    return lines


def _of_processes(one: dict[str, Any]) -> float:
    """The median of the processes' medians; where others used the machine, of the times that a tenth stay below."""
    if (one["worst_foreign_share"] or 0.0) > FOREIGN_SHARE:
        return float(one["floor_ratio"])
    return statistics.median(one["process_ratios"])


def markdown(figures: dict[str, Any], most: int) -> str:
    """The shapes that lose, then all of them."""
    head = [
        f"| shape | 1 thread / np.take | {most} threads / np.take | best peer | {most} threads / best peer "
        f"| others, 1 thread | others, {most} |",
        "|---|--:|--:|---|--:|--:|--:|",
    ]
    rows = [(one["loses"], _row(one)) for one in figures["shapes"]]
    losing = [row for loses, row in rows if loses]
    text = [
        f"## {len(losing)} of {len(rows)} shapes in which fastembed loses",
        "",
        f"Below {AGAINST_NUMPY} times np.take on one thread, or {AGAINST_PEERS} times the best peer on {most}. Where",
        '"others" used more than 6 % of a CPU, the ratio is that of the times a tenth of the samples stay below.',
        "",
        *(head + losing if losing else []),
        "",
        "## All shapes",
        "",
        *head,
        *(row for _, row in rows),
        "",
        *(f"- {name}: {value}" for name, value in figures["machine"].items()),
        *(f"- {error}" for error in figures["errors"]),
    ]
    return "\n".join(text) + "\n"


def _row(one: dict[str, Any]) -> str:
    best = "" if one["best"] is None else f"{one['best']} {one['peers'][one['best']]:.2f}"
    cells = [one["shape"], _ratio(one["one"]), _ratio(one["many"]), best, _ratio(one["against best"])]
    return "| " + " | ".join([*cells, *(f"{share:.0%}" for share in one["others"])]) + " |"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
