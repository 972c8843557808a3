"""Keras 3's .keras files: a ZIP archive of two JSON texts and an HDF5 file of weights.

The archive is read by hand, not by `zipfile`: member names, places and sizes are checked against the file before
anything is taken, and nothing is ever extracted.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from fastembed.io._source import LIMIT, Source, checksum, expands_too_much, inflate

SIGNATURE = b"PK\x03\x04"
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"

_END, _CENTRAL, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", SIGNATURE
_END64, _LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
_MAX_MEMBERS = 4096
_BLOCK = 1 << 20


class _Member(NamedTuple):
    method: int
    crc: int
    stored: int
    size: int
    header: int


class Archive:
    """The members of a ZIP archive.

    Args:
        source: its bytes.

    Raises:
        FormatError: if it is none, is damaged, or a member has a name that leads out of the archive.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        count, size, self._directory = self._end()
        if count > _MAX_MEMBERS:
            raise source.error(self._directory, f"an archive has at most {_MAX_MEMBERS} members. Received: {count}.")
        self._members: dict[str, _Member] = {}
        try:
            self._read_directory(source.read(self._directory, size), count)
        except (struct.error, IndexError):
            raise source.error(self._directory, "the archive's directory ends too soon.") from None

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """A member, unpacked; its checksum is checked."""
        member, place = self._find(name)
        data: bytes | None = self.source.read(place, member.stored)
        if member.method:
            data = inflate(data or b"", member.size, -zlib.MAX_WBITS)
        if data is None or len(data) != member.size:
            raise self.source.error(place, f"member {name!r} does not unpack to {member.size} bytes.")
        if checksum(data) != member.crc:
            raise self._damaged(name, place)
        return data

    def part(self, name: str, check: bool = True) -> Source:
        """A member as a part of the file where it is stored as it is, else unpacked into memory.

        Args:
            name: of the member.
            check: whether the checksum is checked, which takes a pass over a stored member.
        """
        member, place = self._find(name)
        title = f"{self.source.name}: {name}"
        if member.method:
            return Source.of_bytes(self.read(name), title)
        part = Source(self.source.file, title, self.source.start + place, member.size)
        if check:
            crc = 0
            for start in range(0, member.size, _BLOCK):
                crc = zlib.crc32(part.read(start, min(_BLOCK, member.size - start)), crc)
            if crc != member.crc:
                raise self._damaged(name, place)
        return part

    def _damaged(self, name: str, place: int) -> Exception:
        return self.source.error(place, f"member {name!r} is damaged: its checksum is another one.")

    def _end(self) -> tuple[int, int, int]:
        """The number of members, and the size and place of the directory."""
        source = self.source
        begin = max(source.size - 22 - 65535, 0)
        tail = source.read(begin, source.size - begin)
        place = tail.rfind(_END)
        if place < 0 or place + 22 + struct.unpack_from("<H", tail.ljust(place + 22), place + 20)[0] != len(tail):
            raise source.error(begin + max(place, 0), "a ZIP archive ends with its directory, which is not there.")
        end = begin + place
        disk, first, here, count, size, directory = struct.unpack_from("<4H2I", tail, place + 4)
        if 0xFFFF in (here, count) or 0xFFFFFFFF in (size, directory):
            locator = source.read(max(end - 20, 0), 20)
            at = struct.unpack_from("<Q", locator, 8)[0]
            if locator[:4] != _LOCATOR64 or source.read(at, 4) != _END64:
                raise source.error(end, "the archive's large directory is not there.")
            disk, first, here, count, size, directory = struct.unpack("<2I4Q", source.read(at + 16, 40))
            end = at
        if disk or first or here != count or directory + size != end:
            raise source.error(end, "the archive's directory is not where its end says.")
        return count, size, directory

    def _read_directory(self, data: bytes, count: int) -> None:
        place = 0
        for _ in range(count):
            if data[place : place + 4] != _CENTRAL:
                raise self.source.error(self._directory + place, "there must be a member of the archive's directory.")
            flags, method, crc, stored, size = struct.unpack_from("<HH4xIII", data, place + 8)
            name_size, extra_size, comment_size, header = struct.unpack_from("<HHH8xI", data, place + 28)
            begin = place + 46
            name = self._name(data[begin : begin + name_size], self._directory + place)
            extra = data[begin + name_size : begin + name_size + extra_size]
            if 0xFFFFFFFF in (size, stored, header):
                size, stored, header = _large(extra, size, stored, header)
            if flags & 0x2041:
                raise self.source.error(self._directory + place, f"member {name!r} is encrypted, which is not read.")
            self._members[name] = _Member(method, crc, stored, size, header)
            place = begin + name_size + extra_size + comment_size

    def _name(self, data: bytes, place: int) -> str:
        name = data.decode("utf-8", "replace")
        parts = name.split("/")
        if name in self._members or "\\" in name or "\0" in name or ":" in name or ".." in parts or not parts[0]:
            raise self.source.error(
                place, f"a member must have a path of its own, inside the archive. Received: {name!r}."
            )
        return name

    def _find(self, name: str) -> tuple[_Member, int]:
        """A member, and where its bytes begin; they are all there and do not unpack to too many."""
        source = self.source
        if name not in self._members:
            names = ", ".join(sorted(self._members)[:10]) or "nothing"
            raise source.error(self._directory, f"there must be a member {name!r} in the archive. It has: {names}.")
        member = self._members[name]
        head = source.read(member.header, 30)
        name_size, extra_size = struct.unpack_from("<HH", head, 26)
        place = member.header + 30 + name_size + extra_size
        if head[:4] != _LOCAL or source.read(member.header + 30, name_size) != name.encode():
            raise source.error(member.header, f"there must be the header of member {name!r}.")
        if member.method not in (0, 8):
            raise source.error(member.header, f"member {name!r} is packed by method {member.method}: 0 and 8 are read.")
        if place + member.stored > self._directory or (not member.method and member.size != member.stored):
            raise source.error(place, f"the {member.stored} bytes of member {name!r} do not fit into the archive.")
        if expands_too_much(member.size, member.stored):
            raise source.error(
                place, f"member {name!r} unpacks {member.stored} bytes to {member.size}, more than {LIMIT}."
            )
        return member, place


def _large(extra: bytes, *values: int) -> list[int]:
    """The sizes and the place of a member that take more than 32 bits."""
    place = 0
    while place + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{size // 8}Q", extra, place + 4))
            return [next(numbers, value) if value == 0xFFFFFFFF else value for value in values]
        place += 4 + size
    return list(values)
