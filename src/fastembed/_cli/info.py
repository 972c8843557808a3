"""Show the versions of fastembed and of what it runs on, or what a .npy FILE holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastembed._versions import show_versions, versions
from fastembed.io.npy import inspect_npy

HELP = "show versions, or what a .npy file holds"
EXAMPLE = "fastembed info table.npy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument("file", metavar="FILE", nargs="?", help="a .npy file; versions are shown without one")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps(versions() if args.file is None else describe(args.file), indent=2))
    elif args.file is None:
        show_versions()
    else:
        shown = describe(args.file)
        shown["shape"] = tuple(shown["shape"])
        shown["bytes"] = f"{shown['bytes']:,}"
        for name, value in shown.items():
            print(f"{name:8}{value}")
    return 0


def describe(path: str) -> dict[str, Any]:
    """What the checked header of a .npy file says, as JSON can hold it."""
    header = inspect_npy(path)
    return {
        "format": f"npy {header.version[0]}.{header.version[1]}",
        "shape": list(header.shape),
        "dtype": f"{header.dtype.name} ({header.dtype.str})",
        "order": "Fortran" if header.fortran_order else "C",
        "bytes": header.num_bytes,
    }
