"""`python -m benchmarks --scaling`: the time of an id as tables, ids, rows and threads grow, and where it jumps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import plot
from fastembed import _bench, ops
from fastembed._bench.workloads import Workload

MIB, GIB = 1 << 20, 1 << 30
CLIFF = 1.3     # from one point to the next, over the general trend
PLAN = _bench.Plan((), 3, 1, 0.2, 0, 5.0, one_workload_a_process=False, operations=("gather", "out hot"))


def sweeps(memory: int) -> dict[str, list[tuple[float, Workload]]]:
    """Points (x, workload) of each sweep; everything but x stays the same within one."""
    most = min(8 * GIB, memory // 4)
    sizes = [MIB << k for k in range(14) if MIB << k <= most]
    if sizes[-1] < most:
        sizes.append(most // MIB * MIB)
    found: dict[str, list[tuple[float, Workload]]] = {
        "table, MiB": [(size / MIB, _workload(size // 256, 64, 100_000)) for size in sizes],
        "ids": [],
        "columns": [],
    }
    for power in range(8):
        for count in (10**power, 3 * 10**power):
            if count <= 10**7 and count * 256 <= most:
                found["ids"].append((count, _workload(1_000_000, 64, count)))
    if found["ids"][-1][0] < 10**7:   # 64 columns would not fit: the end of the curve with 16
        found["ids, 16 columns"] = [
            (count, _workload(1_000_000, 16, count))
            for count in (10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7)
            if count * 64 <= most
        ]
    for columns in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096):
        found["columns"].append((columns, _workload(max(64 * MIB // columns // 4, 1000), columns, 10_000)))
    return found


def _workload(rows: int, columns: int, count: int) -> Workload:
    return Workload(f"{rows} x {columns}, {count} ids", rows, columns, (count,), "uniform")


def main(folder: Path, small: bool, peers: tuple[str, ...] | None, tell: Callable[[str], None]) -> int:
    memory = 64 * MIB if small else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    points = sweeps(memory)
    plan = replace(PLAN, processes=1, seconds=0.005, patience=0.0) if small else PLAN
    workloads = {one.name: one for sweep in points.values() for _, one in sweep}
    most = ops.get_num_threads()
    threads = tuple(sorted({1 << k for k in range(most.bit_length())} | {most}))
    run = _bench.run(
        replace(plan, workloads=tuple(workloads.values()), threads=threads, peers=("fastembed",)), tell
    )
    found = {(one["workload"], one["operation"], one["threads"]): one for one in run["results"]}
    curves = [
        {
            "sweep": sweep,
            "operation": operation,
            "threads": count,
            "x": [x for x, _ in line],
            "ns": [_nanoseconds(found[one.name, operation, count], one, sweep) for _, one in line],
            "numpy ns": [
                _nanoseconds(found[one.name, operation, count], one, sweep, "numpy_seconds") for _, one in line
            ],
            "others": [found[one.name, operation, count]["worst_foreign_share"] or 0.0 for _, one in line],
        }
        for sweep, line in points.items()
        for operation in PLAN.operations or ()
        for count in threads
    ]
    figures = {"machine": run["machine"], "curves": curves, "cliffs": cliffs(curves), "errors": run["errors"]}
    (folder / "scaling.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    text = markdown(figures)
    (folder / "scaling.md").write_text(text, encoding="utf-8")
    plot.save_scaling(curves, folder / "scaling.png")
    print(text)
    return 1 if run["errors"] else 0


def _nanoseconds(result: dict[str, Any], workload: Workload, sweep: str, key: str = "seconds") -> float:
    """Nanoseconds an id; a line of 64 bytes where the width is what grows, since an id then means more bytes."""
    lines = max(1.0, workload.columns / 16) if sweep == "columns" else 1.0
    return float(result[key]) * 1e9 / workload.ids_shape[0] / lines


def cliffs(curves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of a curve whose time rises by more than CLIFF from one to the next, and what NumPy's does there."""
    found = []
    for curve in curves:
        for k in range(1, len(curve["x"])):
            rise = curve["ns"][k] / curve["ns"][k - 1]
            if rise > CLIFF:
                found.append({
                    **{key: curve[key] for key in ("sweep", "operation", "threads")},
                    "from": curve["x"][k - 1],
                    "to": curve["x"][k],
                    "rise": rise,
                    "numpy": curve["numpy ns"][k] / curve["numpy ns"][k - 1],
                    "others": max(curve["others"][k - 1 : k + 1]),
                })
    return found


def markdown(figures: dict[str, Any]) -> str:
    lines = [
        f"{len(figures['cliffs'])} places where the time of an id (of 64 bytes where columns grow) rises more than",
        f"{CLIFF} times from one point to the next:",
        "",
        "| sweep | operation | threads | from | to | rise | np.take rises | others |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {one['sweep']} | {one['operation']} | {one['threads']} | {one['from']:g} | {one['to']:g} "
            f"| {one['rise']:.2f} | {one['numpy']:.2f} | {one['others']:.0%} |"
            for one in figures["cliffs"]
        ),
        "",
        *(f"- {error}" for error in figures["errors"]),
    ]
    return "\n".join(lines) + "\n"
