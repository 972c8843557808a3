"""Keras's Embedding layer without Keras: a multithreaded C row gather and mask under the Keras 2.2.4 API."""

from fastembed import backend, constraints, initializers, layers, models, ops, regularizers
from fastembed._versions import show_versions
from fastembed.backend import clear_session
from fastembed.layers import Embedding
from fastembed.models import Sequential
from fastembed.ops import (
    clear_output_cache,
    embedding_bag,
    gather,
    gather_with_mask,
    get_num_threads,
    mask,
    num_threads,
    set_num_threads,
    set_output_cache,
)

__version__ = "0.1.0"

__all__ = [
    "Embedding",
    "Sequential",
    "__version__",
    "backend",
    "clear_output_cache",
    "clear_session",
    "constraints",
    "embedding_bag",
    "gather",
    "gather_with_mask",
    "get_num_threads",
    "initializers",
    "layers",
    "mask",
    "models",
    "num_threads",
    "ops",
    "regularizers",
    "set_num_threads",
    "set_output_cache",
    "show_versions",
]
