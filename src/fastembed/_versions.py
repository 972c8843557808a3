"""What fastembed runs on: for bug reports and beside every benchmark figure."""

from __future__ import annotations

import platform
import sys
from typing import TextIO

import numpy as np


def show_versions(file: TextIO | None = None) -> None:
    """Print the versions that a bug report needs, one a line.

    The version of fastembed, Python, the system, NumPy, the compiler and what it built against, the instruction path
    in use among those available, and how many threads a call gets and where that number comes from.

    Args:
        file: where to print; `sys.stdout` when None.
    """
    for name, value in versions().items():
        print(f"{name:12}{value}", file=file)


def versions() -> dict[str, str]:
    """The lines of `show_versions`, name and value."""
    from fastembed import __version__

    bits = 64 if sys.maxsize > 2**32 else 32
    return {
        "fastembed": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()}, {bits}-bit)",
        "system": platform.platform(),
        "NumPy": np.__version__,
        **_kernel(),
    }


def _kernel() -> dict[str, str]:
    """What the compiled module and the thread settings say of themselves."""
    from fastembed._native import kernels
    from fastembed.ops import _threads

    built = kernels.build_info()
    past = ", large outputs past the caches" if kernels.streams(2**40, 1024) else ""
    return {
        "compiler": built["compiler"],
        "Cython": built["cython"],
        "CPU path": f"{built['cpu_path']} (of {', '.join(built['cpu_paths'])}){past}",
        "threads": _threads.describe(),
    }
