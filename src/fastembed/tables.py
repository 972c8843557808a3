"""Tables in and out of files: one function for every format, and one for writing."""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed._native.kernels import check_whole
from fastembed.io import npy
from fastembed.io.atomic import Path, check_path, replacing
from fastembed.io.floats import fitting
from fastembed.io.mapping import row_blocks
from fastembed.loading import load_vectors
from fastembed.ops._check import watch

__all__ = ["list_tables", "load_table", "save_table"]

_DTYPES = ("float16", "float32", "float64")
# The module of each format that `io.detect` tells; 'words' have none: they are `load_vectors`'s.
_READERS = {
    "npy": "npy_tables",
    "npz": "npz",
    "safetensors": "safetensors",
    "static": "static_embedding",
    "hdf5": "keras_tables",
    "keras": "keras_tables",
    "directory": "directory",
}
# These read straight into the dtype that is asked for.
_PLAIN = ("npy", "npz", "safetensors", "hdf5", "keras")
# Elements of the others that are converted at a time.
_BLOCK = 2**20
# The name of the table in a safetensors file that holds one.
_NAME = "embeddings"


def load_table(
    path: Path, *, name: str | None = None, mmap: bool = False, dtype: DTypeLike = "float32"
) -> NDArray[Any]:
    """Load a table (V, D) from a file of any format that is known, recognised by its content.

        table = load_table("vectors.npy")
        table = load_table("model.safetensors", name="embeddings", mmap=True)

    The formats: npy, npz, safetensors, folders of static-embedding models, word vectors as text (GloVe, word2vec,
    fastText's .vec) or word2vec binary, Keras's .h5, .weights.h5 and .keras, and our own folders.

    Args:
        path: str or PathLike.
        name: which table, where a file holds several: an array's name, a tensor's, an Embedding layer's.
        mmap: map the file instead of reading it, where it holds the table as it is asked for, in C order; every other
            file is read. A mapped table is read-only, and works in every function.
        dtype: of the result, 'float16', 'float32' or 'float64'; others in the file, bfloat16 too, are converted a
            block at a time (word vectors as text or binary are float32 first).

    Returns:
        A C-contiguous array (V, D).

    Raises:
        FormatError: the content is not what its format demands, holds no table, or a finite number that is infinite in
            `dtype`; names the path and the place.
        ValueError: there are several tables and no `name`, or none of it: they are listed with shape and dtype; or
            `dtype` is no float.
        OSError: the file is missing, not a regular file, or not to be read.
        ImportError: the format needs a package that is not installed; names it.
    """
    wanted = _float_dtype(dtype)
    kind, reader = _reader(path)
    if kind in _PLAIN:
        table: NDArray[Any] = reader.read_table(path, name=name, mmap=mmap, dtype=wanted)
        return table
    if reader is None:
        table = load_vectors(path, name=name, verbose=False).vectors
    else:
        # a folder's table is float32: no copy of it in memory beside the converted one
        table = reader.read_table(path, name=name, mmap=mmap or wanted != np.float32)
    return np.ascontiguousarray(table) if table.dtype == wanted else _converted(table, wanted, path)


def _converted(table: NDArray[Any], dtype: np.dtype[Any], path: Path) -> NDArray[Any]:
    """A C-contiguous copy in another dtype; a FormatError where a finite number is infinite in it."""
    converted = np.empty(table.shape, dtype)
    if not table.size:
        return converted  # of rows without elements a header may claim 2**60
    with fitting(table.dtype, dtype, f"{os.fsdecode(path)}: "):
        for start, block in row_blocks(table, max(1, _BLOCK // table.shape[1]), 0, len(table)):
            converted[start : start + len(block)] = block
    check_whole(table)
    return converted


def list_tables(path: Path) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The tables that a file holds: name to shape and dtype; nothing for word vectors, which hold one without a name.

    Raises:
        FormatError, OSError, ImportError: as `load_table`.
    """
    _, reader = _reader(path)
    tables: dict[str, tuple[tuple[int, ...], Any]] = {} if reader is None else reader.list_tables(path)
    return tables


def save_table(path: Path, table: NDArray[Any]) -> None:
    """Write a table as .npy or .safetensors, by the path's suffix, atomically.

        save_table("vectors.safetensors", table)        # a tensor named 'embeddings'

    Args:
        path: str or PathLike that ends in .npy or .safetensors; an existing file is replaced once all is written.
        table: (V, D) array of float16, float32 or float64, of any layout; in .safetensors also ml_dtypes's bfloat16.

    Raises:
        TypeError: `table` is no array of floats.
        ValueError: it has not two dimensions, or the suffix is another; nothing is written.
        OSError: what the system says, naming the path; nothing is left behind.
    """
    suffix = os.path.splitext(check_path(path))[1].lower()
    if suffix not in (".npy", ".safetensors"):
        raise ValueError(f"`path` must end in .npy or .safetensors. Received: {os.fsdecode(path)!r}.")
    if not isinstance(table, np.ndarray) or isinstance(table, np.ma.MaskedArray):
        raise TypeError(f"`table` must be a plain NumPy array (V, D) of floats. Received: {type(table).__name__}.")
    known = (*_DTYPES, "bfloat16") if suffix == ".safetensors" else _DTYPES
    if table.dtype.name not in known:
        raise TypeError(f"`table` must be of {', '.join(known)} in a {suffix} file. Received: dtype {table.dtype}.")
    if table.ndim != 2:
        raise ValueError(f"`table` must have 2 dimensions (V, D). Received: shape {table.shape}.")
    from fastembed.io import safetensors

    watch(table)
    if suffix == ".safetensors":
        safetensors.write_tables(path, {_NAME: table})
        return
    with replacing(path) as (file,):
        npy.write_header(file, table.shape, table.dtype.newbyteorder("<"))
        for block in safetensors.row_blocks(table):
            file.write(block.data)
        check_whole(table)


def _reader(path: Path) -> tuple[str, Any]:
    """The format of a file, and the module that reads it or None."""
    # not before it is needed: the archive formats take as long to import as the rest
    from fastembed.io.detect import detect

    kind = detect(path)
    return kind, importlib.import_module(f"fastembed.io.{_READERS[kind]}") if kind in _READERS else None


def _float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if dtype is None or found is None or found.name not in _DTYPES or not found.isnative:
        raise ValueError(f"`dtype` must be {', '.join(map(repr, _DTYPES[:2]))} or {_DTYPES[2]!r}. Received: {dtype!r}.")
    return found
