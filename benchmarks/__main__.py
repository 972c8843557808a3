"""`python -m benchmarks`: every workload and every library installed, into benchmarks/results/.

With --check: only compare the results of fastembed with each library's, on small shapes, without timing.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.plot import save_plot
from fastembed import _bench
from fastembed._bench import report, workloads

RESULTS = Path(__file__).parent / "results"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare results only, on small shapes; writes nothing")
    parser.add_argument("--only", nargs="+", metavar="W", choices=workloads.WORKLOADS, help="these workloads only")
    parser.add_argument("--small", action="store_true", help="small shapes and few pairs: to try the harness itself")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the files go")
    args = parser.parse_args(argv)
    if args.check:
        return 1 if _bench.check(tell) else 0
    plan = _bench.FULL
    if args.only:
        plan = replace(plan, workloads=tuple(args.only))
    if args.small:
        plan = replace(plan, small=True, processes=1, rounds=1, seconds=0.01, repeats=0)
    figures = _bench.run(plan, tell)
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "results.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (args.results / "results.md").write_text(report.markdown(figures), encoding="utf-8")
    save_plot(figures, args.results / "speedup.png")
    print(report.text(figures))
    return 1 if figures["errors"] else 0


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
