"""Keras's Embedding layer without Keras: a multithreaded C row gather and mask under the Keras 2.2.4 API."""

from fastembed import ops
from fastembed._versions import show_versions
from fastembed.ops import (
    clear_output_cache,
    gather,
    gather_with_mask,
    get_num_threads,
    num_threads,
    set_num_threads,
    set_output_cache,
)

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "clear_output_cache",
    "gather",
    "gather_with_mask",
    "get_num_threads",
    "num_threads",
    "ops",
    "set_num_threads",
    "set_output_cache",
    "show_versions",
]
