"""Keras's Embedding layer without Keras: a multithreaded C row gather and mask under the Keras 2.2.4 API."""

from fastembed import (
    activations,
    backend,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    preprocessing,
    regularizers,
)
from fastembed._versions import show_versions
from fastembed.backend import clear_session
from fastembed.layers import Embedding
from fastembed.loading import load_vectors
from fastembed.models import Sequential
from fastembed.ops import (
    IndexedSlices,
    clear_output_cache,
    embedding_bag,
    embedding_bag_grad,
    embedding_grad,
    gather,
    gather_with_mask,
    get_num_threads,
    mask,
    num_threads,
    scatter_add,
    set_num_threads,
    set_output_cache,
)
from fastembed.tables import load_table, save_table
from fastembed.vectors import KeyedVectors

__version__ = "0.1.0"

__all__ = [
    "Embedding",
    "IndexedSlices",
    "KeyedVectors",
    "Sequential",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "clear_output_cache",
    "clear_session",
    "constraints",
    "embedding_bag",
    "embedding_bag_grad",
    "embedding_grad",
    "gather",
    "gather_with_mask",
    "get_num_threads",
    "initializers",
    "layers",
    "load_table",
    "load_vectors",
    "losses",
    "mask",
    "metrics",
    "models",
    "num_threads",
    "ops",
    "optimizers",
    "preprocessing",
    "regularizers",
    "save_table",
    "scatter_add",
    "set_num_threads",
    "set_output_cache",
    "show_versions",
]
