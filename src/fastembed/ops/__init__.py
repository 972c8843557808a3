"""Ids and rows: the array functions. Nothing here knows of layers or files."""

from fastembed._native.kernels import gather, gather_with_mask
from fastembed.ops._threads import get_num_threads, num_threads, set_num_threads

__all__ = ["gather", "gather_with_mask", "get_num_threads", "num_threads", "set_num_threads"]
