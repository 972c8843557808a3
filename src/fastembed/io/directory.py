"""Word vectors as a directory of plain files that opens without being read; `manifest.py` has the format."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastembed.io import floats
from fastembed.io._error import FormatError
from fastembed.io.atomic import Path, check_path
from fastembed.io.keys import PackedKeys
from fastembed.io.manifest import MANIFEST, MOST_BYTES, PARTS, Manifest, Part, parse
from fastembed.io.mapping import expect_lookups, map_file, release
from fastembed.io.npy import inspect_npy, open_npy
from fastembed.io.opening import open_regular

_Result = TypeVar("_Result")

# Bytes hashed at a time.
_CHUNK = 1 << 20
# Openings that a writer may spoil by replacing the directory meanwhile.
_ATTEMPTS = 20


class Vectors(NamedTuple):
    """A table (V, D), float32, and the keys of its rows."""

    table: NDArray[np.float32]
    keys: PackedKeys


def is_vectors_directory(path: Path) -> bool:
    """Whether a path is a directory with a manifest, whatever that says."""
    return os.path.isfile(os.path.join(os.fsdecode(path), MANIFEST))


def inspect_directory(path: Path) -> Manifest:
    """The manifest, checked against itself and not against the files; raises what `open_directory` raises."""
    folder = check_path(path)
    return parse(_read_manifest(folder), os.path.join(folder, MANIFEST))


def open_directory(path: Path, mmap: bool = True) -> Vectors:
    """The vectors that `write_directory` wrote.

    Args:
        path: the directory.
        mmap: map the files, read-only, without reading them; else read them into memory.

    Raises:
        FormatError: the manifest is not one, or a file's size, header, dtype or shape is another than it says; names
            the path and the place. The contents are left to `verify`, and checked where they are used.
        OSError: something is missing or not to be read. ValueError: the path holds a NUL character.
    """
    get = _map if mmap else _read
    return _consistently(path, lambda folder, manifest: _vectors(folder, manifest, get))


def read_table(path: Path, *, name: str | None = None, mmap: bool = False) -> NDArray[np.float32]:
    """The table alone, (V, D) float32; `name` is None or "table". Raises what `open_directory` raises."""
    if name not in (None, "table"):
        raise ValueError(f'{os.fsdecode(path)}: the only table of a directory is "table". Received: {name!r}.')
    get = _map if mmap else _read
    return _consistently(path, lambda folder, manifest: get(folder, "table", manifest.files["table"]))


def list_tables(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and dtype of the one table, by its name; raises what `open_directory` raises."""
    table = inspect_directory(path).files["table"]
    return {"table": (table.shape, np.dtype(table.dtype))}


def verify(path: Path, advance: Callable[[int], None] | None = None) -> None:
    """Read everything, and compare the checksums, the keys and their index.

    Args:
        path: the directory.
        advance: called with the number of bytes just read, for a progress bar; default None.

    Raises:
        FormatError: something is not as it was written; names the file. OSError: as from `open_directory`.
    """
    _consistently(path, lambda folder, manifest: _verify(folder, manifest, advance or (lambda count: None)))


def _verify(folder: str, manifest: Manifest, advance: Callable[[int], None]) -> None:
    for role, part in manifest.files.items():
        name = os.path.join(folder, part.name)
        _check_part(name, role, part)
        digest = hashlib.sha256()
        with open(name, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                advance(len(chunk))
        if digest.hexdigest() != part.sha256:
            raise FormatError(f"{name}: its SHA-256 is {digest.hexdigest()}, the manifest says {part.sha256}.")
    keys = _vectors(folder, manifest, _map).keys
    for _ in keys:
        pass  # each is read, and so checked
    found = keys.find_many(keys)
    wrong = np.flatnonzero((found < 0) | (found > np.arange(len(found))))
    if wrong.size:
        row = int(wrong[0])
        raise FormatError(f"{keys.source}: key {row}: the index says that it is in row {found[row]}.")


def _consistently(path: Path, use: Callable[[str, Manifest], _Result]) -> _Result:
    """What `use` makes of the directory, once no writer has replaced it meanwhile."""
    folder = check_path(path)
    for attempt in range(_ATTEMPTS):
        raw = _read_manifest(folder)
        try:
            result = use(folder, parse(raw, os.path.join(folder, MANIFEST)))
        except (FormatError, FileNotFoundError):
            if attempt == _ATTEMPTS - 1 or _read_manifest(folder) == raw:
                raise
        else:
            if _read_manifest(folder) == raw:
                return result
    raise OSError(errno.EBUSY, "The directory is being replaced all the time", folder)


def _read_manifest(folder: str) -> bytes:
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", folder)
    with open_regular(os.path.join(folder, MANIFEST)) as file:
        return file.read(MOST_BYTES + 1)


def _vectors(folder: str, manifest: Manifest, get: Callable[[str, str, Part], NDArray[Any]]) -> Vectors:
    table, blob, offsets, index = (get(folder, role, manifest.files[role]) for role in PARTS)
    keys = PackedKeys(blob, offsets, index, manifest.seed, os.path.join(folder, manifest.files["keys"].name))
    release(offsets)  # whose ends were looked at
    return Vectors(table, keys)


def _map(folder: str, role: str, part: Part) -> NDArray[Any]:
    name = os.path.join(folder, part.name)
    _check_part(name, role, part)
    if role != "keys":
        array = open_npy(name)
    elif part.bytes:
        with open(name, "rb") as file:
            array = np.frombuffer(map_file(file.fileno(), part.bytes), np.uint8)
    else:
        array = np.empty(0, np.uint8)
    expect_lookups(array)
    return array


def _read(folder: str, role: str, part: Part) -> NDArray[Any]:
    name = os.path.join(folder, part.name)
    _check_part(name, role, part)
    offset = 0 if role == "keys" else inspect_npy(name).offset
    array: NDArray[Any] = np.empty(part.shape, part.dtype)
    with open_regular(name) as file:
        file.seek(offset)
        floats.read_exactly(file, array, f"{name}: ")
    return array


def _check_part(name: str, role: str, part: Part) -> None:
    with open_regular(name) as file:
        size = os.fstat(file.fileno()).st_size
    if size != part.bytes:
        raise FormatError(f"{name}: the file has {size} bytes, the manifest says {part.bytes}.")
    if role == "keys":
        return
    header = inspect_npy(name)
    if header.dtype.str != part.dtype or header.shape != part.shape or header.fortran_order:
        order = " in Fortran order" if header.fortran_order else ""
        raise FormatError(
            f"{name}: the header says shape {header.shape} of {header.dtype.str}{order}, the manifest {part.shape} of "
            f"{part.dtype}."
        )
    size = header.dtype.itemsize
    if header.offset % size:
        raise FormatError(
            f"{name}: byte {header.offset}: the elements must begin at a multiple of their {size} bytes, to be mapped."
        )
