"""A .npy file as a table: one array of two dimensions, of floats."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed.io import floats
from fastembed.io._error import FormatError
from fastembed.io.atomic import Path
from fastembed.io.npy import Header, file_size, inspect_npy, map_array, read_header
from fastembed.io.opening import open_regular


def list_tables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The array's shape and dtype, under the name 'table'; nothing where it is no table.

    Raises:
        FormatError: the file is not a whole .npy file of plain numbers.
        OSError: the file is missing, a directory, not a regular file, or not to be read.
    """
    header = inspect_npy(path)
    return {"table": (header.shape, header.dtype.name)} if _problem(header) is None else {}


def read_table(
    path: Path, *, name: str | None = None, mmap: bool = False, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Read a table (V, D) of floats.

    Args:
        path: of the file.
        name: None: the array has no name.
        mmap: whether to map it where the file holds it as it is asked for, in C order, aligned; read-only then.
        dtype: of the result: float16, float32 or float64.

    Raises:
        ValueError: a name is given.
        FormatError: the array has not two dimensions, or is not of floats; and as `list_tables`.
        OSError: as `list_tables`.
    """
    shown = os.fsdecode(path)
    wanted = np.dtype(dtype)
    with open_regular(path) as file:
        header = read_header(file, shown, file_size(file))
        if name is not None:
            raise ValueError(f"{shown}: a .npy file holds one array, which has no name. Received: name={name!r}.")
        problem = _problem(header)
        if problem is not None:
            raise FormatError(f"{shown}: {problem}")
        as_asked = header.dtype == wanted and not header.fortran_order and not header.offset % wanted.itemsize
        if mmap and as_asked:
            return map_array(file, header.offset, header.shape, wanted)
        file.seek(header.offset)
        shape, place = (header.shape[0], header.shape[1]), f"{shown}: byte {header.offset}: "
        return floats.read_floats(file, shape, header.dtype.str, wanted, place, header.fortran_order)


def _problem(header: Header) -> str | None:
    """Why the array is no table."""
    if len(header.shape) != 2:
        return f"a table has 2 dimensions, (rows, columns). Received: shape {header.shape}."
    if header.dtype.kind != "f":
        return f"a table is of floats. Received: dtype {header.dtype}."
    return None
