"""Which format a file has, by its content; its name says nothing."""

from __future__ import annotations

import os
from typing import BinaryIO

from fastembed.io._error import FormatError
from fastembed.io.atomic import Path, check_path
from fastembed.io.manifest import MANIFEST
from fastembed.io.npy import file_size
from fastembed.io.opening import open_regular

NPY, NPZ, SAFETENSORS, HDF5, KERAS, DIRECTORY, STATIC, WORDS = (
    "npy", "npz", "safetensors", "hdf5", "keras", "directory", "static", "words",
)  # fmt: skip
# What a folder of a static-embedding model has.
STATIC_FILES = ("model.safetensors", os.path.join("0_StaticEmbedding", "model.safetensors"))
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def detect(path: Path) -> str:
    """The format of a file or folder.

    Returns:
        One of: 'npy', 'npz', 'safetensors', 'hdf5', 'keras' (an archive of Keras), 'directory' (our own), 'static' (a
        folder of model2vec or sentence-transformers), or 'words' (everything else: word vectors as text or binary,
        compressed or not).

    Raises:
        FormatError: the file is empty, or a folder is of no known kind.
        OSError: the file is missing, not a regular file, or not to be read.
    """
    name = check_path(path)
    if os.path.isdir(name):
        return _detect_folder(name)
    with open_regular(path) as file:
        start = file.read(9)
        if not start:
            raise FormatError(f"{name}: byte 0: the file is empty.")
        if start.startswith(b"\x93NUMPY"):
            return NPY
        if start.startswith((b"PK\3\4", b"PK\5\6")):
            return _detect_archive(file, name)
        if hdf5_place(file, start) is not None:
            return HDF5
        # text, read as a length, would be far past any file's end
        if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= file_size(file) - 8:
            return SAFETENSORS
    return WORDS


def _detect_folder(path: str) -> str:
    if os.path.exists(os.path.join(path, MANIFEST)):
        return DIRECTORY
    if any(os.path.exists(os.path.join(path, file)) for file in STATIC_FILES):
        return STATIC
    raise FormatError(f"{path}: a folder of vectors holds {MANIFEST}, or {' or '.join(STATIC_FILES)}.")


def _detect_archive(file: BinaryIO, path: str) -> str:
    # not before they are needed: together they take as long as a small table
    import zipfile

    from fastembed.io.npz import check_directory

    check_directory(file, path)
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError):
        # .npz is by far the most frequent archive of tables, and its reader says what is wrong
        return NPZ
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return KERAS
    return NPZ if not names or any(name.endswith(".npy") for name in names) else WORDS


def hdf5_place(file: BinaryIO, start: bytes) -> int | None:
    """Where HDF5's signature stands: at byte 0, or at 512, 1024, 2048 ..., behind a block of the user's; or None."""
    size = file_size(file)
    place = 0
    while start[:8] != _HDF5_MAGIC:
        place = max(512, 2 * place)
        if place + 8 > min(size, 2**20):
            return None
        file.seek(place)
        start = file.read(8)
    return place
