"""`python -m benchmarks --fused`: what the mask costs when a gather makes it on its way, the two in turns.

The full run takes `gather` and `gather+mask` minutes apart, in which the machine's speed changes by more than that.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastembed import _bench, ops
from fastembed._bench.measure import FOREIGN_SHARE, Quiet, floor, paired_round
from fastembed._bench.operations import Call
from fastembed._bench.workloads import WORKLOADS

PROCESSES = 3


def main(folder: Path, small: bool, peers: tuple[str, ...] | None, tell: Callable[[str], None]) -> int:
    names = [name for name in WORKLOADS if name != "W1"]
    results: list[dict[str, Any]] = []
    for process in range(1 if small else PROCESSES):
        for name in names:
            tell(f"{name}, process {process + 1}")
            command = [sys.executable, "-m", "benchmarks.fused", name, str(int(small))]
            results += json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    figures = {"machine": _bench.harness.machine.describe(), "results": results}
    (folder / "fused.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    text = markdown(results)
    (folder / "fused.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def measured(name: str, small: bool) -> list[dict[str, Any]]:
    """One line for one thread and one for all: the median of the pairs' ratios, gather with the mask over gather."""
    workload = WORKLOADS[name].small() if small else WORKLOADS[name]
    table, ids = workload.make()
    rows, mask = ops.gather_with_mask(table, ids, padding_id=0)
    if not (np.array_equal(rows, np.take(table, ids, axis=0)) and np.array_equal(mask, ids != 0)):
        raise AssertionError(f"{name}: wrong rows or mask")
    del rows, mask
    found = []
    for threads in sorted({1, ops.get_num_threads()}):
        names = {"gather": ops.gather, "gather_with_mask": ops.gather_with_mask, "table": table, "ids": ids}
        alone = Call(f"gather(table, ids, num_threads={threads})", names)
        fused = Call(f"gather_with_mask(table, ids, padding_id=0, num_threads={threads})", names)
        Quiet(0.0 if small else 5.0).wait()
        pairs = paired_round(alone, fused, 0.01 if small else 2.0, 0 if small else 2)
        ratio = statistics.median(b / a for a, b in zip(pairs.base, pairs.peer, strict=True))
        found.append({
            "workload": name,
            "threads": threads,
            "ratio": ratio,
            "floors": floor(pairs.peer) / floor(pairs.base),
            "seconds": statistics.median(pairs.base),
            "others": pairs.foreign or 0.0,
        })
    return found


def markdown(results: list[dict[str, Any]]) -> str:
    lines = [
        "The time of `gather_with_mask` over that of `gather`, fresh outputs, in turns: medians of the pairs, in the",
        "middle process and in each; floors: of the times that a tenth of the calls stay below, in the middle process.",
        "",
        "| workload | threads | gather | with the mask | each process | floors | others |",
        "|---|--:|--:|--:|---|--:|--:|",
    ]
    for name, threads in sorted({(one["workload"], one["threads"]) for one in results}):
        ones = [one for one in results if (one["workload"], one["threads"]) == (name, threads)]
        middle = {key: statistics.median(one[key] for one in ones) for key in ("ratio", "floors", "seconds")}
        others = max(one["others"] for one in ones)
        each = ", ".join(f"{one['ratio']:.2f}" for one in ones)
        lines.append(
            f"| {name} | {threads} | {middle['seconds'] * 1e3:.3g} ms | {middle['ratio'] - 1:+.0%} | {each} "
            f"| {middle['floors'] - 1:+.0%} | {others:.0%}{'!' if others > FOREIGN_SHARE else ''} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], sys.argv[2] == "1")))
