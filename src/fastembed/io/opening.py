"""Regular files opened for reading: as they are, or the content of a gzip, bz2, xz or zip file, as a stream.

Told apart by content, never by name. A stream ends in a FormatError where the compressed data is damaged, cut off, or
gives so much more than its own size that it can only be meant to fill the memory or the disk.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from fastembed.io._error import FormatError, printable
from fastembed.io.atomic import Path, check_path

if TYPE_CHECKING:
    import zipfile

# The modules of compressed formats are imported where they are needed: together they take as long as a small table.

# Word vectors as text compress to a third or a half; the most that gzip can do is 1,032.
_MAX_RATIO = 100
_FREE_BYTES = 4 * 2**20
# Compressed bytes read at a time.
_PIECE = 2**16
# Python's zipfile takes about ten times the size of a zip's directory in memory.
_MAX_DIRECTORY = 2**20


def open_regular(path: Path, buffering: int = -1) -> BinaryIO:
    """Open a file for reading if it is a regular one; `buffering` is as for `open`.

    Raises:
        OSError: the file is missing, a directory, not a regular file, or not to be read.
        ValueError: the path holds a NUL character.
    """
    name = check_path(path)
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    if os.path.isdir(name):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", name)
    fd = os.open(name, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "Not a regular file", name)
    file: Any = os.fdopen(fd, "rb", buffering)
    opened: BinaryIO = file
    return opened


def zip_directory(file: BinaryIO) -> tuple[int, int]:
    """Where a zip's record of its end begins, or -1, and the most bytes that it may say its directory takes.

    An archive past 4 GB has a second, wider record, and a locator of it in front of the first. Some versions of zipfile
    take the wide record that lies in front of the locator, others that to which the locator points: the one that says
    more counts here, as each may have been put there for this check.
    """
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - 2**16 - 22)
    file.seek(start)
    tail = file.read()
    # only a whole record, of 22 bytes: its last numbers may look like a signature
    end = tail.rfind(b"PK\5\6", 0, max(0, len(tail) - 18))
    if end < 0:
        return -1, 0
    place, length = start + end, int.from_bytes(tail[end + 12 : end + 16], "little")
    file.seek(max(0, place - 76))
    before = file.read(min(76, place))
    if before[-20:-16] != b"PK\6\7":
        return place, length
    file.seek(min(size, int.from_bytes(before[-12:-4], "little")))
    records = [record for record in (before[:-20], file.read(56)) if len(record) == 56 and record[:4] == b"PK\6\6"]
    lengths = [int.from_bytes(record[40:48], "little") for record in records]
    if length < 2**32 - 1 or not lengths:  # else it only says that the wide one knows
        lengths.append(length)
    return place, max(lengths)


class _Source(io.RawIOBase):
    """The compressed bytes, until nobody wants them: Python's gzip may read on for seconds before it gives a byte."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.stopped = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.stopped:
            raise OSError(errno.ECANCELED, "no longer wanted")
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        return count


class Stream:
    """The bytes of a file, decompressed if need be; a context manager.

    `label` names it in errors; `size` is that of the file, or of a zip's member, as it lies there; `length` that of the
    content where it is known before reading, else None (a zip's own word for it is not believed).
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.label = os.fsdecode(path)
        self._file = open_regular(path, buffering=0)
        self._source = _Source(self._file)
        self._archive: zipfile.ZipFile | None = None
        self._content: Any = None
        self._damage: tuple[type[Exception], ...] = ()
        self._base = 0
        self._given = 0
        self.size = os.fstat(self._file.fileno()).st_size
        self.length: int | None = None
        try:
            self._open(name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        for opened in (self._content, self._archive, self._file):
            if opened is not None:
                opened.close()

    def stop(self) -> None:
        """Let a read of another thread end soon, with an error."""
        self._source.stopped = True

    def consumed(self) -> int:
        """How many of `size` bytes were read so far."""
        return max(0, min(self.size, self._file.tell() - self._base))

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer from its start; fewer bytes than it holds only at the end of the content."""
        if self._content is None:
            return self._fill(self._file, buffer)
        try:
            count = self._fill(self._content, buffer)
        except self._damage as error:
            if isinstance(error, OSError) and error.errno:
                raise OSError(error.errno, error.strerror, self.label) from error
            raise FormatError(
                f"{self.label}: near byte {self._file.tell():,}: the compressed data is damaged or cut off: {error}"
            ) from error
        self._given += count
        if self._given > _FREE_BYTES + _MAX_RATIO * self.consumed():
            raise FormatError(
                f"{self.label}: near byte {self._file.tell():,}: {self.consumed():,} compressed bytes gave more than "
                f"{_MAX_RATIO} times as many: it is not read, as a bomb would be made so. "
                "Decompress it with another program if you trust it."
            )
        return count

    @staticmethod
    def _fill(source: Any, buffer: memoryview) -> int:
        done = 0
        while done < len(buffer):
            count = source.readinto(buffer[done:])
            if not count:
                break
            done += count
        return done

    def _open(self, name: str | None) -> None:
        start = self._file.read(10)
        self._file.seek(0)
        if start[:4] in (b"PK\3\4", b"PK\5\6"):
            self._open_member(name)
            return
        if name is not None:
            raise ValueError(
                f"{self.label}: `name` chooses a file inside a zip, and this is no zip. Received: {name!r}."
            )
        # Python's gzip reads names in headers byte by byte
        source: Any = io.BufferedReader(self._source, _PIECE)
        if start[:3] == b"\x1f\x8b\x08":
            import gzip
            import zlib

            self._content, self._damage = gzip.GzipFile(fileobj=source), (OSError, EOFError, zlib.error)
        elif start[:3] == b"BZh" and start[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
            import bz2

            self._content, self._damage = bz2.BZ2File(source), (OSError, EOFError)
        elif start[:6] == b"\xfd7zXZ\0":
            import lzma

            self._content, self._damage = lzma.LZMAFile(source), (OSError, EOFError, lzma.LZMAError)  # noqa: SIM115
        else:
            self.length = self.size

    def _open_member(self, name: str | None) -> None:
        import lzma
        import zipfile
        import zlib

        self._damage = (OSError, EOFError, ValueError, OverflowError, NotImplementedError, struct.error)
        self._damage += (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
        self._check_directory()
        try:
            self._archive = zipfile.ZipFile(self._file)
        except self._damage as error:
            raise FormatError(f"{self.label}: the zip's directory is damaged or cut off: {error}") from error
        members = [
            m
            for m in self._archive.infolist()
            # `is_dir` fails on a name of no characters
            if m.filename and not m.is_dir() and not m.filename.startswith("__MACOSX/")
        ]
        chosen = members if name is None else [member for member in members if member.filename == name]
        if len(chosen) != 1:
            self._refuse_members(members, chosen, name)
        member = chosen[0]
        self.label = f"{self.label}: {printable(member.filename)}"
        if member.flag_bits & 1:
            raise FormatError(f"{self.label}: the file in the zip is encrypted.")
        try:
            self._content = self._archive.open(member)
        except (*self._damage, RuntimeError) as error:
            raise FormatError(f"{self.label}: cannot be read from the zip: {error}") from error
        self.size, self._base = min(member.compress_size, self.size), self._file.tell()

    def _refuse_members(self, members: list[zipfile.ZipInfo], chosen: list[zipfile.ZipInfo], name: str | None) -> None:
        if not members:
            raise FormatError(f"{self.label}: the zip holds no file.")
        if name is not None and chosen:
            raise FormatError(f"{self.label}: the zip holds {len(chosen)} files of the name {name!r}.")
        names = ", ".join(repr(member.filename[:100]) for member in members[:20])
        names += f" and {len(members) - 20} more" if len(members) > 20 else ""
        if name is None:
            raise ValueError(f"{self.label}: the zip holds {len(members)} files; choose one with `name`: {names}.")
        raise ValueError(f"{self.label}: the zip holds no file of the name {name!r}. It holds: {names}.")

    def _check_directory(self) -> None:
        """FormatError when the zip's directory is too large to be given to zipfile, which reads all of it."""
        _, directory = zip_directory(self._file)
        self._file.seek(0)
        if directory > _MAX_DIRECTORY:
            raise FormatError(
                f"{self.label}: the zip's directory takes {directory:,} bytes; at most {_MAX_DIRECTORY:,} are read."
            )
