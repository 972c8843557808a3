"""Writing word vectors as a directory, atomically; `manifest.py` has the format and `directory.py` reads it.

Replacing a directory never touches a file that its manifest names. The new files get names of their own, are synced,
and one rename puts the new manifest in the place of the old: whoever opens the directory, after a kill at any moment,
finds the old vectors or the new ones, whole. Then the old files go, and the new ones take their plain names by hard
links and one more rename of a manifest; where a file system has no hard links they keep their own. An empty directory
is filled in the same way. A new directory is filled under a temporary name and renamed. Processes that have the old one
mapped keep it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed.io.atomic import AtomicFile, Path, check_path, replacing, sync_folder, temporary_name
from fastembed.io.directory import inspect_directory, is_vectors_directory
from fastembed.io.keys import PackedKeys
from fastembed.io.manifest import MANIFEST, PARTS, Manifest, Part, is_left_behind, is_part_name, part_name
from fastembed.io.mapping import row_blocks
from fastembed.io.npy import write_header

# Bytes written and hashed at a time. Linux caches what one call wrote as one piece and maps such pieces whole: after
# calls of 1 MiB the first lookup of ten words makes 10 MiB resident, after these 640 KiB.
_CHUNK = 1 << 16


def write_directory(
    path: Path, table: NDArray[np.float32], keys: PackedKeys, advance: Callable[[int], None] | None = None
) -> None:
    """Write vectors as a new directory, or in the place of one that this function wrote.

    Args:
        path: the directory; its parent exists.
        table: (V, D), float32, C-contiguous, mapped ones too.
        keys: of its rows.
        advance: called with the number of bytes of the table just written, for a progress bar; default None.

    Raises:
        ValueError: there are not as many keys as rows, or the path holds a NUL character.
        FileExistsError: the path is a file, or a directory with other files in it; nothing is touched.
        FormatError: its manifest is damaged; remove it first. OSError: what the system says.
    """
    name = check_path(path)
    if not name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    folder = os.path.realpath(name)
    if len(keys) != len(table):
        raise ValueError(f"there must be a key for each of the {len(table)} rows. Received: {len(keys)} keys.")
    if not _is_there(folder):
        temporary = temporary_name(folder)
        try:
            os.mkdir(temporary)
            _write_files(temporary, table, keys, "", None, advance)
            os.rename(temporary, folder)
        except OSError as error:
            raise OSError(error.errno, error.strerror, folder) from error
        finally:
            if os.path.isdir(temporary):
                _remove(temporary, os.listdir(temporary))
                os.rmdir(temporary)
        sync_folder(os.path.dirname(folder))
        return
    if not os.path.isdir(folder):
        raise FileExistsError(errno.EEXIST, "A directory cannot take the place of a file", folder)
    with _locked(folder):
        # somebody else's manifest is an error here, and is not replaced
        old = inspect_directory(folder) if is_vectors_directory(folder) else None
        if old is None and any(not is_left_behind(name) for name in os.listdir(folder)):
            raise FileExistsError(errno.EEXIST, "The directory holds other files and no vectors", folder)
        manifest = _write_files(folder, table, keys, secrets.token_hex(8), old, advance)
        _remove_others(folder, manifest)
        _give_plain_names(folder, manifest)


def _is_there(path: str) -> bool:
    """`os.path.lexists`, with the system's error where it will not take the name: before anything is written."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _write_files(
    folder: str,
    table: NDArray[np.float32],
    keys: PackedKeys,
    token: str,
    old: Manifest | None,
    advance: Callable[[int], None] | None,
) -> Manifest:
    arrays: dict[str, NDArray[Any]] = {"table": table, "keys": keys.blob}
    arrays |= {"offsets": keys.offsets, "index": keys.hash_index}
    paths = {role: os.path.join(folder, part_name(role, token)) for role in PARTS}
    like = None if old is None else [os.path.join(folder, old.files[role].name) for role in PARTS]
    parts: dict[str, Part] = {}
    try:
        with replacing(*paths.values(), like=like) as files:
            for (role, array), file in zip(arrays.items(), files, strict=True):
                parts[role] = _write_part(role, array, file, os.path.basename(paths[role]), advance)
        manifest = Manifest(parts, keys.seed)
        _write_manifest(folder, manifest)
    except BaseException:  # the names are this call's own
        if not _is_published(folder, token):
            _remove(folder, [os.path.basename(path) for path in paths.values()])
        raise
    return manifest


def _write_part(
    role: str, array: NDArray[Any], file: AtomicFile, name: str, advance: Callable[[int], None] | None
) -> Part:
    hashed = _HashedFile(file)
    if role != "keys":
        write_header(hashed, array.shape, PARTS[role][2])
    rows = max(_CHUNK // max(array[:1].nbytes, 1), 1)
    for _, block in row_blocks(array, rows, 0, len(array)):
        hashed.write(np.ascontiguousarray(block, PARTS[role][2]).data)
        if advance is not None and role == "table":
            advance(block.nbytes)
    return Part(name, PARTS[role][2], array.shape, hashed.size, hashed.digest.hexdigest())


def _is_published(folder: str, token: str) -> bool:
    """Whether the manifest names the files with this token: then they are the vectors, whatever failed afterwards."""
    try:
        with open(os.path.join(folder, MANIFEST), "rb") as file:
            return f'"{part_name("table", token)}"'.encode() in file.read()
    except FileNotFoundError:
        return False


class _HashedFile:
    """A file being written, and the checksum of what was written to it."""

    def __init__(self, file: AtomicFile) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: memoryview | bytes) -> None:
        if memoryview(data).nbytes == 0:
            return  # an array with a 0 in its shape cannot be cast to bytes
        self.file.write(data)
        self.digest.update(data)
        self.size += memoryview(data).nbytes


def _write_manifest(folder: str, manifest: Manifest) -> None:
    with replacing(os.path.join(folder, MANIFEST)) as (file,):
        file.write(manifest.to_json())


def _give_plain_names(folder: str, manifest: Manifest) -> None:
    plain = {role: Part(**(vars(part) | {"name": part_name(role)})) for role, part in manifest.files.items()}
    try:
        for role, part in manifest.files.items():
            os.link(os.path.join(folder, part.name), os.path.join(folder, plain[role].name))
    except OSError:
        return  # no hard links here: the names with tokens stay
    sync_folder(folder)
    renamed = Manifest(plain, manifest.seed)
    _write_manifest(folder, renamed)
    _remove_others(folder, renamed)


def _remove_others(folder: str, manifest: Manifest) -> None:
    """Remove the files of other saves: of the one replaced, and what a kill left of others."""
    needed = {part.name for part in manifest.files.values()} | {MANIFEST}
    _remove(folder, [name for name in os.listdir(folder) if is_part_name(name) and name not in needed])


def _remove(folder: str, names: list[str]) -> None:
    for name in names:
        # Windows refuses while somebody has the file mapped: the next save removes it; a folder of the name is not ours
        with contextlib.suppress(FileNotFoundError, PermissionError, IsADirectoryError):
            os.unlink(os.path.join(folder, name))


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """One writer at a time, where the system locks directories; a killed one's lock is gone with it."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
