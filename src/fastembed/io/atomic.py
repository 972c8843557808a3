"""Atomic writing: a file gets its final name only once it is whole and on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from typing import TypeAlias

Path: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_MAX_NAME = 255  # bytes that a name may have on most file systems
# What a file system answers that cannot sync a folder, or a folder that may be written but not read.
_NO_FOLDER_SYNC = (errno.EACCES, errno.EINVAL, errno.ENOTSUP)


class AtomicFile:
    """One file being written under a temporary name; made by `replacing`, which also finishes it.

    Attributes:
        path: what it will be called.
        temporary: what it is called until then, for writers that open files by themselves.
    """

    def __init__(self, path: Path, like: Path) -> None:
        self.path = check_path(path)
        # A rename would replace a symbolic link itself: write beside the file that it points to.
        self._target = os.path.realpath(self.path)
        self._like = like
        self.temporary = temporary_name(self._target)
        self._fd = -1
        self._left_to_rename = False

    def write(self, data: memoryview | bytes) -> None:
        """Append all of `data`, in as many system calls as that takes."""
        rest = memoryview(data).cast("B")
        while rest.nbytes:
            with self.naming_the_path():
                rest = rest[os.write(self._fd, rest) :]

    def _open(self) -> None:
        with self.naming_the_path():
            try:
                before = os.stat(self._like)
            except FileNotFoundError:
                before = None
            if before is not None and not stat.S_ISREG(before.st_mode):
                kind = errno.EISDIR if stat.S_ISDIR(before.st_mode) else errno.EINVAL
                raise OSError(kind, "Is a directory" if kind == errno.EISDIR else "Not a regular file")
            self._left_to_rename = True
            # never more open to others than the file it replaces, not even while it is being written
            self._fd = os.open(self.temporary, _FLAGS, 0o666 if before is None else before.st_mode & 0o600)
            if before is not None and hasattr(os, "fchmod"):
                try:
                    os.fchown(self._fd, before.st_uid, before.st_gid)
                except PermissionError:
                    with contextlib.suppress(PermissionError):
                        os.fchown(self._fd, -1, before.st_gid)
                os.fchmod(self._fd, stat.S_IMODE(before.st_mode))

    def _finish(self) -> None:
        with self.naming_the_path():
            os.fsync(self._fd)
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _publish(self) -> None:
        with self.naming_the_path():
            os.replace(self.temporary, self._target)
            self._left_to_rename = False
            sync_folder(os.path.dirname(self._target))

    def _discard(self) -> None:
        if self._fd != -1:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        if self._left_to_rename:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.temporary)

    @contextlib.contextmanager
    def naming_the_path(self) -> Iterator[None]:
        """Within, an error of the system names the file that the caller asked for, not the temporary one or none."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.path) from error


@contextlib.contextmanager
def replacing(*paths: Path, like: Sequence[Path] | None = None) -> Iterator[tuple[AtomicFile, ...]]:
    """Open a new file for each path; when the block ends well, put them all in place.

        with replacing("rows.npy", "mask.npy") as (rows, mask):
            rows.write(...)
            mask.write(...)

    The files are written under temporary names in the folders of their destinations. At the end each is synced to
    the disk, and only when all of them are is the first renamed. When the block or any of these steps fails, a
    KeyboardInterrupt included, the temporary files are removed and no destination was touched (but for those already
    renamed, if the system refuses a later rename). An existing destination keeps its permissions; a symbolic link
    stays and its target is replaced.

    Args:
        paths: where the files go.
        like: for each of them the file whose owner and permissions it gets, default itself, if there is one.

    Raises:
        OSError: what the system says, or that a destination is a folder or not a regular file; naming the path.
        ValueError: a path holds a NUL character.
    """
    files: list[AtomicFile] = []
    try:
        for path, same in zip(paths, paths if like is None else like, strict=True):
            # known to the list before anything exists on the disk, so that no interrupt can leave it behind
            files.append(AtomicFile(path, same))
            files[-1]._open()
        yield tuple(files)
        for file in files:
            file._finish()
        for file in files:
            file._publish()
    finally:
        for file in files:
            file._discard()


def check_path(path: Path) -> str:
    """The path as a str; a ValueError in words for the NUL character that no file system takes."""
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError(f"a path must not contain a NUL character. Received: {name!r}")
    return name


def temporary_name(target: str) -> str:
    """A name beside the target that nobody has: its own, cut where the whole would be longer than a name may be."""
    folder, name = os.path.split(target)
    ending = f".tmp-{secrets.token_hex(8)}"
    while len(os.fsencode(name)) + len(ending) > _MAX_NAME:
        name = name[:-1]
    return os.path.join(folder, name + ending)


def sync_folder(folder: str) -> None:
    """Make a rename in the folder survive a power cut, where the system has a way to do so."""
    if os.name != "posix":
        return
    try:
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
