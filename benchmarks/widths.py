"""`python -m benchmarks --widths`: GB/s by row width, for every library, under the limit that the memory sets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import plot
from fastembed import _bench, ops
from fastembed._bench.limit import compiled
from fastembed._bench.workloads import Workload

WIDTHS = tuple(1 << k for k in range(13))
TABLE_BYTES, OUTPUT_BYTES = 256 << 20, 8 << 20
PLAN = _bench.Plan((), 3, 1, 0.15, 1, 5.0, one_workload_a_process=False, operations=("gather",))


def main(folder: Path, small: bool, peers: tuple[str, ...] | None, tell: Callable[[str], None]) -> int:
    scale = 64 if small else 1
    workloads = {
        str(width): Workload(str(width), TABLE_BYTES // scale // width // 4, width, (_ids(width) // scale,), "uniform")
        for width in WIDTHS
    }
    plan = replace(PLAN, processes=1, seconds=0.005, patience=0.0, repeats=0) if small else PLAN
    threads = ops.get_num_threads()
    plan = replace(plan, workloads=tuple(workloads.values()), threads=(threads,), peers=peers)
    with tempfile.TemporaryDirectory() as place:
        limit = compiled(Path(__file__).parent / "limit.c", Path(place))
        run = _bench.run(replace(plan, limit=limit and str(limit)), tell)
    curve: dict[str, Any] = {
        "columns": list(WIDTHS),
        "note": f"{TABLE_BYTES >> 20} MiB of table, {OUTPUT_BYTES >> 20} MiB of fresh output, uniform ids, "
        f"{threads} threads; np.take: 1",
    }
    for one in run["results"]:
        volume = one["bytes"] / 1e9
        curve.setdefault(one["peer"], []).append(volume / one["seconds"])
        if one["peer"] == "fastembed":
            curve.setdefault("numpy", []).append(volume / one["numpy_seconds"])
            curve.setdefault("T_lim", []).append(volume / (one["limit_seconds"] or float("nan")))
    figures = {"machine": run["machine"], "curve": curve, "errors": run["errors"], "results": run["results"]}
    (folder / "widths.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    text = markdown(curve)
    (folder / "widths.md").write_text(text, encoding="utf-8")
    plot.save_width(curve, folder / "widths.png")
    print(text)
    return 1 if run["errors"] else 0


def markdown(curve: dict[str, Any]) -> str:
    names = [name for name in ("T_lim", *plot.COLOURS) if name in curve]
    lines = [f"GB/s of output by columns: {curve['note']}", "", "| columns | " + " | ".join(names) + " |"]
    lines.append("|--:|" + "--:|" * len(names))
    for k, columns in enumerate(curve["columns"]):
        lines.append(f"| {columns} | " + " | ".join(f"{curve[name][k]:.2f}" for name in names) + " |")
    return "\n".join(lines) + "\n"


def _ids(width: int) -> int:
    return min(OUTPUT_BYTES // 4 // width, 1 << 20)
