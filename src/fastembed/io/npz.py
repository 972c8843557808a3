"""NumPy's .npz files: zip archives of .npy files, read without unpickling or extracting anything.

Only members that are stored or deflated are read, as `np.savez` and `np.savez_compressed` write them.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed.io import floats
from fastembed.io._error import FormatError
from fastembed.io.atomic import Path
from fastembed.io.choice import choose
from fastembed.io.npy import Header, file_size, read_header
from fastembed.io.opening import open_regular, zip_directory

_SUFFIX = ".npy"
# The list of members is parsed into Python objects many times its size; 10,000 arrays take half of this.
_MAX_DIRECTORY = 2**20
# Deflate packs at most 1032 to 1, floats of a trained table hardly 2 to 1: past this a small file fills the memory.
_MAX_RATIO = 100
_FREE_BYTES = 2**24
# NumPy pads a header by some 100 bytes. Blanks take next to nothing when packed: this keeps 20,000 arrays below 1 s.
_MAX_HEADER = 2**14
# What `zipfile` raises for archives that are damaged in one way or another.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OverflowError, RuntimeError,
    UnicodeDecodeError,
)  # fmt: skip


def list_tables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The name of each array of 2 dimensions and floats, with its shape and dtype.

    Raises:
        FormatError: the file is not a whole .npz file of plain arrays; names the path and the member.
        OSError: the file is missing, a directory, not a regular file, or not to be read.
    """
    with _archive(path) as (archive, name):
        return _tables(_headers(archive, name))


def read_table(
    path: Path, *, name: str | None = None, mmap: bool = False, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Read a table (V, D) of floats.

    Args:
        path: of the file.
        name: of the array; None for the only table.
        mmap: no difference: arrays in an archive are not aligned, and may be compressed.
        dtype: of the result: float16, float32 or float64.

    Raises:
        ValueError: there are several tables and no `name`, or none of it.
        FormatError, OSError: as `list_tables`, and when a checksum is wrong.
    """
    with _archive(path) as (archive, shown):
        headers = _headers(archive, shown)
        chosen = choose(_tables(headers), name, shown)
        header = headers[chosen]
        info, wanted = archive.getinfo(chosen + _SUFFIX), np.dtype(dtype)
        place = f"{shown}: {info.filename!a}: "
        if math.prod(header.shape) * wanted.itemsize > 2 * info.compress_size:
            _compare_checksum(archive, info)  # before a small file that is damaged takes much memory
        with archive.open(info) as file:
            read_header(file, place[:-2], info.file_size)
            table = floats.read_floats(
                file, (header.shape[0], header.shape[1]), header.dtype.str, wanted, place, header.fortran_order
            )
            # the checksum is compared at the end
            file.read(1)
            return table


def verify(path: Path) -> None:
    """Compare the checksum of every array; raises as `read_table`."""
    with _archive(path) as (archive, shown):
        for name in _headers(archive, shown):
            _compare_checksum(archive, archive.getinfo(name + _SUFFIX))


def _compare_checksum(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    with archive.open(info) as file:
        while file.read(floats.BLOCK_BYTES):
            pass


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, str]]:
    """The opened archive and its path; whatever `zipfile` says of a damaged one becomes a FormatError."""
    shown = os.fsdecode(path)
    with open_regular(path) as file:
        check_directory(file, shown)
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive, shown
        except FormatError:
            raise
        except OSError as error:
            # a member that claims to begin before the file does
            if error.errno != errno.EINVAL:
                raise
            raise FormatError(f"{shown}: the archive is damaged: it points out of the file.") from None
        except _DAMAGE as error:
            raise FormatError(f"{shown}: the archive is damaged: {str(error) or type(error).__name__}.") from None


def check_directory(file: BinaryIO, path: str) -> None:
    """Refuse a zip archive that is cut off, or whose list of members would take much memory."""
    place, length = zip_directory(file)
    if place < 0:
        size = file_size(file)
        raise FormatError(
            f"{path}: byte {size}: a zip archive ends with the list of its members: this is none, or is truncated."
        )
    if length > _MAX_DIRECTORY:
        raise FormatError(
            f"{path}: byte {place}: the list of members takes at most {_MAX_DIRECTORY} bytes. Received: {length}."
        )
    file.seek(0)


def _headers(archive: zipfile.ZipFile, path: str) -> dict[str, Header]:
    """The checked header of each member."""
    headers: dict[str, Header] = {}
    for info in archive.infolist():
        place = f"{path}: {info.filename!a}: "
        name = info.filename.removesuffix(_SUFFIX)
        parts = info.filename.replace("\\", "/").split("/")
        if name == info.filename or not parts[0] or ".." in parts:
            raise FormatError(f"{place}a .npz file holds arrays by name, each ending in .npy.")
        if name in headers:
            raise FormatError(f"{place}the archive holds this name twice.")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError(f"{place}the array is encrypted, or compressed by another method than deflate.")
        if info.header_offset + info.compress_size > archive.start_dir:
            raise FormatError(
                f"{place}byte {info.header_offset}: from here on there must be {info.compress_size} bytes. "
                f"Received: {max(0, archive.start_dir - info.header_offset)}."
            )
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise FormatError(
                f"{place}an array that is not compressed takes as many bytes as it has. "
                f"Received: {info.compress_size} for {info.file_size}."
            )
        if info.file_size > max(_FREE_BYTES, _MAX_RATIO * info.compress_size):
            raise FormatError(
                f"{place}{info.compress_size:,} bytes claim to hold {info.file_size:,}: more than {_MAX_RATIO} times "
                "as many are not unpacked. Save such an array uncompressed, with np.savez."
            )
        with archive.open(info) as file:
            headers[name] = read_header(file, place[:-2], info.file_size, _MAX_HEADER)
    return headers


def _tables(headers: dict[str, Header]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {
        name: (header.shape, header.dtype.name)
        for name, header in headers.items()
        if len(header.shape) == 2 and header.dtype.kind == "f"
    }
