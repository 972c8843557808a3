"""Time gathers against NumPy and every peer installed (torch, onnxruntime, numba): a quick look, in about a minute.

Results are compared before anything is timed; a wrong one makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys

from fastembed import _bench
from fastembed._bench import report

HELP = "time gathers against NumPy and any peer installed"
EXAMPLE = "fastembed bench --json > figures.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    figures = _bench.run(_bench.QUICK, tell)
    print(json.dumps(figures, indent=2) if args.json else report.text(figures))
    return 1 if figures["errors"] else 0


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
