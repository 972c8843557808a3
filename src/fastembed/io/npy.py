"""NumPy's .npy files: opened by mapping after every claim of the header is checked, written as a stream of rows.

The format is that of `numpy.lib.format`, versions 1.0 to 3.0: magic, version, length of the header, the header (the
text of a dict), then the elements.
"""

from __future__ import annotations

import ast
import io
import math
import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed._native.kernels import check_whole
from fastembed.io._error import FormatError, quoted
from fastembed.io.atomic import Path
from fastembed.io.mapping import map_file, mapping_of
from fastembed.io.opening import open_regular

_MAGIC = b"\x93NUMPY"
# A header of plain numbers with 32 dimensions of 19 digits each stays below this.
_MAX_HEADER = 2048
_MAX_NDIM = 32
_MAX_BYTES = 2**63 - 1
_PLAIN_DTYPE = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|c(?:8|16))")
# Everything a header of plain numbers is made of. A text of other things never reaches the parser.
_TOKENS = re.compile(r"""(?:'[^'\\\n]*'|"[^"\\\n]*"|True|False|None|[-\d\s{}()\[\],:])*""")


class Writer(Protocol):
    """What bytes go to: an `AtomicFile`, or one that also counts or hashes them."""

    def write(self, data: memoryview | bytes) -> None:
        """Append all of `data`."""


@dataclass(frozen=True)
class Header:
    """What a .npy file says of itself, already checked against the file.

    `offset` is the byte where the elements begin, `version` that of the format.
    """

    version: tuple[int, int]
    dtype: np.dtype[Any]
    fortran_order: bool
    shape: tuple[int, ...]
    offset: int

    @property
    def num_bytes(self) -> int:
        """The bytes of the elements, without the header."""
        return math.prod(self.shape) * self.dtype.itemsize


def inspect_npy(path: Path) -> Header:
    """The checked header of a .npy file; raises what `open_npy` raises."""
    with open_regular(path) as file:
        return read_header(file, os.fsdecode(path), file_size(file))


def open_npy(path: Path) -> NDArray[Any]:
    """Map a .npy file read-only into memory, without reading its elements.

        table = open_npy("table.npy")      # (V, D)

    Everything the header claims is checked against the file first, so that no file can make this read elsewhere,
    allocate, hang or run code. An array without elements is an ordinary empty array.

    Returns:
        A read-only array of the file's shape, dtype (byte order included) and order.

    Raises:
        FormatError: the file is not a whole .npy file of plain numbers (bool, integer, float or complex); names the
            path and the place.
        OSError: the file is missing, a directory, not a regular file, or not to be read.
        ValueError: the path holds a NUL character.
    """
    with open_regular(path) as file:
        header = read_header(file, os.fsdecode(path), file_size(file))
        return map_array(file, header.offset, header.shape, header.dtype, header.fortran_order)


def map_array(
    file: BinaryIO, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], fortran_order: bool = False
) -> NDArray[Any]:
    """Map a part of a file, which is known to be that long, as a read-only array."""
    order: Any = "F" if fortran_order else "C"
    num_bytes = math.prod(shape) * dtype.itemsize
    if num_bytes == 0:
        # nothing to map, and mmap refuses a length of 0
        array: NDArray[Any] = np.empty(shape, dtype, order)
        array.flags.writeable = False
        return array
    mapping = map_file(file.fileno(), offset + num_bytes)
    return np.ndarray(shape, dtype, mapping, offset, order=order)


def flat_chunks(array: NDArray[Any], length: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give an array in C order, as pairs of a position and a 1-D array of at most `length` elements from there on.

    Each is contiguous and of native byte order, whatever the array is. The pages of an array from `open_npy` are
    released behind the reader, so that a file larger than the memory can be walked through.
    """
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
    mapping = mapping_of(array)
    for start in range(0, array.size, length):
        chunk = np.asarray(flat[start : start + length])
        exact = chunk.astype(chunk.dtype.newbyteorder("="), copy=False)
        if exact is not chunk or not array.flags.c_contiguous:
            check_whole(array)  # what was copied; who reads the mapping itself checks what was read
        yield start, exact
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)


def write_header(file: Writer, shape: tuple[int, ...], dtype: DTypeLike) -> None:
    """Begin a C-ordered .npy file of this shape and dtype; `file.write` takes the elements from there on."""
    header = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    file.write(header.getvalue())


def file_size(file: BinaryIO) -> int:
    """The bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def read_header(file: IO[bytes], name: str, size: int, longest: int = _MAX_BYTES) -> Header:
    """The checked header of the .npy file of `size` bytes that begins where `file` stands.

    `name` is for errors; no header of more than `longest` bytes is read.
    """
    start = file.read(8)
    if start[:6] != _MAGIC:
        found = "an empty file" if not start else f"{start[:6]!r}"
        raise FormatError(f"{name}: byte 0: a .npy file begins with {_MAGIC!r}. Received: {found}.")
    if len(start) < 8:
        raise FormatError(f"{name}: byte {size}: the file ends inside the version of the format.")
    version = (start[6], start[7])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise FormatError(f"{name}: byte 6: the version must be 1.0, 2.0 or 3.0. Received: {version[0]}.{version[1]}.")
    width = 2 if version == (1, 0) else 4
    length_bytes = file.read(width)
    offset = 8 + width + int.from_bytes(length_bytes, "little")
    if len(length_bytes) < width or offset > size:
        raise FormatError(
            f"{name}: byte 8: the header ends at byte {offset}, the file at byte {size}: the file is truncated."
        )
    if offset > longest:
        raise FormatError(
            f"{name}: byte 8: the header of a packed array takes at most {longest} bytes. Received: {offset}."
        )
    dtype, fortran_order, shape = _parse_header(file, offset - 8 - width, f"{name}: byte {8 + width}: ")
    header = Header(version, dtype, fortran_order, shape, offset)
    if size != offset + header.num_bytes:
        lies = "truncated" if size < offset + header.num_bytes else "longer than its header says"
        raise FormatError(
            f"{name}: byte {offset}: shape {shape} of {dtype} takes {header.num_bytes} bytes, "
            f"{size - offset} follow the header: the file is {lies}."
        )
    return header


def _parse_header(file: IO[bytes], length: int, place: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    # Writers may pad the header with as many blanks as they like: read on only as long as it is blanks.
    text = file.read(min(length, _MAX_HEADER)).decode("latin-1")
    if length > _MAX_HEADER and not _is_blank(file, length - _MAX_HEADER):
        raise FormatError(f"{place}the header of plain numbers takes at most {_MAX_HEADER} bytes. Received: {length}.")
    try:
        if not _TOKENS.fullmatch(text):
            raise ValueError
        fields = ast.literal_eval(text.strip())
        wrong_keys = not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        wrong_keys = True
    if wrong_keys:
        raise FormatError(
            f"{place}the header must be the text of a dict of 'descr', 'fortran_order' and 'shape'. "
            f"Received: {quoted(text.strip())}."
        )
    descr, fortran_order, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    if not isinstance(descr, str) or not _PLAIN_DTYPE.fullmatch(descr):
        raise FormatError(
            f"{place}'descr' must be a bool, integer, float or complex dtype such as '<f4'; objects and structures "
            f"are never loaded. Received: {quoted(descr)}."
        )
    if not isinstance(fortran_order, bool):
        raise FormatError(f"{place}'fortran_order' must be True or False. Received: {quoted(fortran_order)}.")
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape) or len(shape) > _MAX_NDIM:
        raise FormatError(
            f"{place}'shape' must be a tuple of at most {_MAX_NDIM} whole numbers >= 0. Received: {quoted(shape)}."
        )
    dtype = np.dtype(descr)
    # NumPy counts strides in signed 64 bits, also for the other dimensions of an empty array
    if math.prod(n for n in shape if n) * dtype.itemsize > _MAX_BYTES:
        raise FormatError(f"{place}'shape' must stay below 2**63 bytes. Received: {quoted(shape)} of {dtype}.")
    return dtype, fortran_order, shape


def _is_blank(file: IO[bytes], length: int) -> bool:
    while length > 0:
        block = file.read(min(length, 2**16))
        if block.strip():
            return False
        length -= len(block)
    return True
