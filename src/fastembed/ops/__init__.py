"""Ids and rows: the array functions. Nothing here knows of layers or files."""

from fastembed._native.kernels import (
    clear_output_cache,
    embedding_bag,
    gather,
    gather_with_mask,
    mask,
    set_output_cache,
)
from fastembed.ops._threads import get_num_threads, num_threads, set_num_threads

__all__ = [
    "clear_output_cache",
    "embedding_bag",
    "gather",
    "gather_with_mask",
    "get_num_threads",
    "mask",
    "num_threads",
    "set_num_threads",
    "set_output_cache",
]
