"""Ids and rows: the array functions. Nothing here knows of layers or files."""

from fastembed._native.kernels import (
    clear_output_cache,
    embedding_bag,
    embedding_bag_grad,
    embedding_grad,
    gather,
    gather_with_mask,
    mask,
    scatter_add,
    set_output_cache,
)
from fastembed.ops._slices import IndexedSlices
from fastembed.ops._threads import get_num_threads, num_threads, set_num_threads

__all__ = [
    "IndexedSlices",
    "clear_output_cache",
    "embedding_bag",
    "embedding_bag_grad",
    "embedding_grad",
    "gather",
    "gather_with_mask",
    "get_num_threads",
    "mask",
    "num_threads",
    "scatter_add",
    "set_num_threads",
    "set_output_cache",
]
