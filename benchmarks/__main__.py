"""`python -m benchmarks`: every workload and every library installed, into benchmarks/results/.

With one of --check, --shapes, --widths, --scaling, --pool, --ragged or --fused: that study instead.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import fused, plot, pool, ragged, scaling, shapes, widths
from fastembed import _bench, ops
from fastembed._bench import report, workloads
from fastembed._bench.limit import compiled

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    study = parser.add_mutually_exclusive_group()
    study.add_argument("--check", action="store_true", help="compare results only, on small shapes; writes nothing")
    study.add_argument("--shapes", action="store_true", help="gathers of many widths, heights, ids and dtypes")
    study.add_argument("--widths", action="store_true", help="GB/s by row width under the limit of the memory")
    study.add_argument("--scaling", action="store_true", help="time per id from small to large, and its jumps")
    study.add_argument("--pool", action="store_true", help="the threads against OpenMP: idle, contended, forked")
    study.add_argument("--ragged", action="store_true", help="pooled sentences against model2vec")
    study.add_argument("--fused", action="store_true", help="what the mask costs a gather that makes it too")
    parser.add_argument("--only", nargs="+", metavar="W", choices=workloads.WORKLOADS, help="these workloads only")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="these libraries only")
    parser.add_argument("--small", action="store_true", help="small shapes and few pairs: to try the harness itself")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the files go")
    args = parser.parse_args(argv)
    if args.check:
        return 1 if _bench.check(tell) else 0
    args.results.mkdir(parents=True, exist_ok=True)
    for module in (shapes, widths, scaling, pool, ragged, fused):
        if getattr(args, module.__name__.rpartition(".")[2]):
            return module.main(args.results, args.small, args.peers and tuple(args.peers), tell)
    plan = replace(_bench.FULL, threads=thread_counts(), peers=args.peers and tuple(args.peers))
    if args.only:
        plan = replace(plan, workloads=tuple(workloads.WORKLOADS[name] for name in args.only))
    if args.small:
        plan = replace(plan, workloads=tuple(one.small() for one in plan.workloads), processes=1, rounds=1)
        plan = replace(plan, seconds=0.01, repeats=0, patience=0.0)
    with tempfile.TemporaryDirectory() as folder:
        limit = compiled(HERE / "limit.c", Path(folder))
        if limit is None:
            tell("no C compiler for this processor: T_lim is left out")
        figures = _bench.run(replace(plan, limit=limit and str(limit)), tell)
    write(figures, args.results)
    print(report.text(figures))
    return 1 if figures["errors"] else 0


def write(figures: dict[str, Any], folder: Path) -> None:
    (folder / "results.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(report.markdown(figures), encoding="utf-8")
    plot.save_speedup(figures, folder / "speedup.png")
    plot.save_latency(figures, folder / "latency.png")
    plot.save_threads(figures, folder / "threads.png")


def thread_counts() -> tuple[int, ...]:
    """1, 2, 4 and so on, and all."""
    most = ops.get_num_threads()
    return tuple(sorted({1 << k for k in range(most.bit_length())} | {most}))


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
