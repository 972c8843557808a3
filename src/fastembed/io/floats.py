"""Stored floats of any width into a table, a block at a time: no copy of the table's size beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastembed.io._error import FormatError

# NumPy has no bfloat16: the upper half of a float32, which travels as an integer of 16 bits.
BFLOAT16 = "bfloat16"
BLOCK_BYTES = 2**22


def read_floats(
    file: IO[bytes], shape: tuple[int, int], stored: str, dtype: np.dtype[Any], place: str, fortran_order: bool = False
) -> NDArray[Any]:
    """Read a table from where `file` stands.

    Args:
        file: may be a stream.
        shape: (V, D).
        stored: the dtype in the file, such as '<f4' or '|i1', or 'bfloat16' (little-endian).
        dtype: of the result, a float.
        place: begins the error's text.
        fortran_order: whether columns follow each other in the file.

    Returns:
        A new C-contiguous array.

    Raises:
        FormatError: the file ends too early; a finite number is infinite in `dtype`; NumPy has no array of this shape.
    """
    try:
        table: NDArray[Any] = np.empty(shape, dtype)
    except ValueError:  # of no rows, say, which takes no room in a file
        raise FormatError(f"{place}'shape' must stay below 2**63 bytes. Received: {shape} of {dtype}.") from None
    raw = np.dtype("<u2" if stored == BFLOAT16 else stored)
    for target in _pieces(table, max(1, BLOCK_BYTES // raw.itemsize), fortran_order):
        if raw == dtype and target.flags.c_contiguous:
            read_exactly(file, target, place)
            continue
        block = np.empty(target.shape, raw)
        read_exactly(file, block, place)
        if stored == BFLOAT16:
            block = (block.astype(np.uint32) << 16).view(np.float32)
        with fitting(block.dtype, dtype, place):
            target[...] = block
    return table


@contextmanager
def fitting(stored: np.dtype[Any], dtype: np.dtype[Any], place: str) -> Iterator[None]:
    """Conversions from one dtype to another, where a finite number that would be infinite is a FormatError.

    Args:
        stored: the dtype in the file.
        dtype: of the result.
        place: begins the error's text.
    """
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError:
        raise FormatError(f"{place}a number of {stored.name} is too large for {dtype}.") from None


def _pieces(table: NDArray[Any], length: int, fortran_order: bool) -> Iterator[NDArray[Any]]:
    """Parts of the table, of at most `length` elements, in the order of the file: 1-D, or whole columns transposed."""
    if not table.size:
        return  # of columns without elements a header may claim 2**40
    if fortran_order and len(table) < length:
        columns = length // len(table)  # a column by itself takes as long as thousands of elements
        for start in range(0, table.shape[1], columns):
            yield table[:, start : start + columns].T
        return
    lines = iter(table.T) if fortran_order else iter((table.reshape(-1),))
    for line in lines:
        for start in range(0, len(line), length):
            yield line[start : start + length]


def read_exactly(file: IO[bytes], into: NDArray[Any], place: str) -> None:
    """Fill a contiguous array from where `file` stands; a FormatError, begun by `place`, when the file ends before."""
    rest = into.reshape(-1).view(np.uint8).data
    while rest.nbytes:
        # a stream decompresses what it is asked for in one piece, and Ctrl-C waits for its end
        count: int = file.readinto(rest[:BLOCK_BYTES])  # type: ignore[attr-defined]
        if not count:
            raise FormatError(f"{place}the file ends {rest.nbytes:,} bytes too early.")
        rest = rest[count:]
