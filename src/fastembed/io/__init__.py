"""Bytes to arrays and back: one file per format family; whatever is written is written atomically.

Nothing here unpickles, runs code from a file or believes a size that a file claims before checking it.
"""

from __future__ import annotations

from fastembed.io._error import FormatError
from fastembed.io.npy import open_npy

__all__ = ["FormatError", "open_npy"]
