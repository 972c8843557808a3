"""The one harness for every comparison: `fastembed bench` runs it in a minute, `python -m benchmarks` in full.

`workloads` says what is looked up, `peers` how each library does it, `measure` how a pair is timed, `worker` is the
process that one peer gets, `harness` starts the workers and sums up, `machine` and `report` say where and what.
"""

from __future__ import annotations

from fastembed._bench.harness import FULL, QUICK, Plan, check, run

__all__ = ["FULL", "QUICK", "Plan", "check", "run"]
