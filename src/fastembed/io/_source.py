"""`Source`: bytes at any place of a file, or of a part of it; whatever lies outside is a FormatError."""

from __future__ import annotations

import io
import zlib
from typing import Any, BinaryIO

from fastembed.io._error import FormatError

# What may be unpacked: this, and so many times what is stored. Trained floats shrink by a tenth at most when they are
# compressed; a bomb's zeros by 1000.
_FREE_BYTES, _MAX_RATIO = 8 << 20, 8
LIMIT = f"{_FREE_BYTES} and {_MAX_RATIO} times as many"
# Bytes that are read or unpacked at a time: between two of them Ctrl-C is felt.
_PIECE = 1 << 22


class Source:
    """A window of an open file.

    Args:
        file: what is read; it stays the caller's to close.
        name: what errors call it, a path say.
        start: the window's first byte in the file.
        size: the window's bytes; default, all that follow.
    """

    def __init__(self, file: BinaryIO, name: str, start: int = 0, size: int | None = None) -> None:
        self.file = file
        self.name = name
        self.start = start
        self.size = file.seek(0, io.SEEK_END) - start if size is None else size

    @classmethod
    def of_bytes(cls, data: bytes, name: str) -> Source:
        """A window of all of `data`."""
        return cls(io.BytesIO(data), name)

    def read(self, place: int, length: int) -> bytes:
        """The bytes from `place` on, `length` of them, all or a FormatError."""
        self.check(place, length)
        self.file.seek(self.start + place)
        data = self.file.read(length)
        if len(data) != length:
            raise self.error(place + len(data), "the file has become shorter while it was read.")
        return data

    def read_into(self, place: int, buffer: memoryview) -> None:
        """Fill a buffer of bytes with those from `place` on, or raise a FormatError."""
        self.check(place, len(buffer))
        self.file.seek(self.start + place)
        done = 0
        while done < len(buffer):
            count = self.file.readinto(buffer[done : done + _PIECE])  # type: ignore[attr-defined]
            if not count:
                raise self.error(place + done, "the file has become shorter while it was read.")
            done += count

    def check(self, place: int, length: int) -> None:
        """Raise a FormatError if these bytes are not all inside the window."""
        if place + length > self.size:
            raise self.error(place, f"{length} bytes from here on lie outside the {self.size} bytes that there are.")

    def error(self, place: int, text: str) -> FormatError:
        """The FormatError that names the file and the byte."""
        return FormatError(f"{self.name}: byte {place}: {text}")


def expands_too_much(size: int, stored: int) -> bool:
    """Whether values take so many times what is stored of them that they are not what Keras writes."""
    return size > _FREE_BYTES + _MAX_RATIO * stored


def inflate(data: bytes, size: int, wbits: int = zlib.MAX_WBITS) -> bytes | None:
    """What compressed `data` unpacks to if that is `size` bytes, else None; never more than that is made."""
    unpacker = zlib.decompressobj(wbits)
    try:
        unpacked = unpacker.decompress(data, size + 1) if size < _PIECE else _in_pieces(unpacker, data, size)
    except zlib.error:
        return None
    return unpacked if len(unpacked) == size and unpacker.eof else None


def _in_pieces(unpacker: Any, data: bytes, size: int) -> bytes:
    left, out = memoryview(data), io.BytesIO()
    while not unpacker.eof and out.tell() <= size:
        piece = unpacker.unconsumed_tail or left[:_PIECE]
        left = left if unpacker.unconsumed_tail else left[_PIECE:]
        unpacked = unpacker.decompress(piece, min(_PIECE, size + 1 - out.tell()))
        if not len(piece) and not unpacked:  # it ends too soon
            break
        out.write(unpacked)
    return out.getvalue()


def checksum(data: bytes) -> int:
    """The CRC-32 of bytes."""
    view, found = memoryview(data), 0
    for start in range(0, len(view), _PIECE):
        found = zlib.crc32(view[start : start + _PIECE], found)
    return found
