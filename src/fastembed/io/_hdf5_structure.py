"""The structure of an HDF5 file: superblock, object headers, B-trees and heaps, read only where the file has them.

libhdf5, and h5py with it, believes what a file says of itself: of 4,549 copies of a Keras model with one to four bytes
changed, h5py 3.16 ended the process at 13 and did not come back from 5. Hence a reader of our own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastembed.io import _hdf5_messages as messages
from fastembed.io._hdf5_messages import Malformed
from fastembed.io._source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_NAME = 4096
_MAX_LINKS = 1 << 16
_MESSAGE = 64  # what a message costs beside its bytes, in memory and, as if it were bytes to read, in time

Decoded = TypeVar("Decoded")
Messages = list[tuple[int, bytes]]


class Structure:
    """The structure of an HDF5 file.

    Attributes:
        root: address of the root group's object header.

    Args:
        source: its bytes.

    Raises:
        FormatError: if it is none, or is truncated.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        # Bytes of structure that may be read. Each is read once or twice; a file that takes more leads in circles.
        self._budget = 8 * source.size + (1 << 16)
        # Bytes that names, strings and paths may take. A file has the first two once, some are read four times; a path
        # takes less than the header at its end.
        self._texts = 2 * source.size + (1 << 20)
        self._num_links = 0
        self.links: dict[int, dict[str, int]] = {}  # of groups, by their address
        # heaps by their address, as many as the file has bytes
        self._heaps: dict[int, bytes] = {}
        self._collections: dict[int, tuple[bytes, dict[int, tuple[int, int]]]] = {}
        self._kept = 0
        start = source.read(0, min(source.size, 8))
        if start != SIGNATURE:
            found = f"{start!r}" if start else "an empty file"
            raise source.error(0, f"an HDF5 file begins with {SIGNATURE!r}. Received: {found}.")
        self.root: int = self.decode(0, self._superblock)

    def _superblock(self) -> int:
        """The address of the root group."""
        (version,) = self.structure(8, 1)
        if version > 3:
            raise Malformed(f"the superblock must be of version 0 to 3. Received: {version}.")
        widths = self.structure(13 if version < 2 else 9, 2)
        if widths != b"\x08\x08":
            raise Malformed(f"addresses and lengths must take 8 bytes each. Received: {widths[0]} and {widths[1]}.")
        if version < 2:
            place = 24 + 4 * version
            base, _, end, _, _, root = struct.unpack("<6Q", self.structure(place, 48))
        else:
            base, _, end, root = struct.unpack("<4Q", self.structure(12, 32))
        # other than 0 behind a block of the user's; what is put in front of a finished file does not change it
        bases = sorted({0, self.source.start})
        if base not in bases:
            raise Malformed(f"the base address must be {' or '.join(map(str, bases))}. Received: {base}.")
        size = base + self.source.size
        if end > size:
            raise Malformed(f"the file is truncated: it says that it has {end} bytes, there are {size}.")
        return int(root)

    def decode(self, place: int, function: Callable[..., Decoded], *arguments: Any) -> Decoded:
        """Call a function; what it finds malformed becomes a FormatError that names the place."""
        try:
            return function(*arguments)
        except Malformed as error:
            raise self.source.error(place, str(error)) from None
        except (struct.error, IndexError):
            raise self.source.error(place, "this part of the structure ends too soon.") from None

    def structure(self, place: int, length: int) -> bytes:
        """Bytes of structure."""
        self._budget -= length + 16
        if self._budget < 0:
            raise self.source.error(place, "the structure leads in circles.")
        return self.source.read(place, length)

    # ── object headers ───────────────────────────────────────────────────────────────────────────

    def header(self, address: int) -> Messages:
        """The messages of an object header: types and bytes."""
        return self.decode(address, self._header, address)

    def _header(self, address: int) -> Messages:
        start = self.structure(address, 16)
        if start[:4] == b"OHDR":
            flags = start[5]
            width = 1 << (flags & 3)
            place = address + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
            blocks = [(place + width, int.from_bytes(self.structure(place, width), "little"))]
            count, head, skip = 1 << 16, "<BHB", 2 if flags & 4 else 0
        else:
            version, count, size = struct.unpack_from("<BxHxxxxI", start)
            if version != 1:
                raise Malformed(f"an object header begins with version 1 or 'OHDR'. Received: {start[:4]!r}.")
            blocks, head, skip = [(address + 16, size)], "<HHB", 3
        found: Messages = []
        step = struct.calcsize(head) + skip
        left = count
        for begin, length in blocks:  # which grows
            block = self.structure(begin, length)
            place = 0
            while place + step <= length and left:
                kind, size, message_flags = struct.unpack_from(head, block, place)
                data = block[place + step : place + step + size]
                if len(data) < size:
                    raise Malformed(f"a message of {size} bytes does not fit into its block of {length}.")
                place += step + size
                if message_flags & 2 and kind in (messages.DATATYPE, messages.DATASPACE, messages.LAYOUT):
                    raise Malformed("the object has a shared message, which is not read.")
                left -= 1
                self._budget -= _MESSAGE
                if kind in messages.READ:
                    found.append((kind, data))
                if kind == messages.CONTINUATION:
                    begin_next, length_next = struct.unpack_from("<QQ", data)
                    if head == "<BHB":
                        begin_next, length_next = begin_next + 4, max(length_next - 8, 0)
                    blocks.append((begin_next, length_next))
        return found

    # ── trees, heaps ─────────────────────────────────────────────────────────────────────────────

    def leaves(self, address: int, kind: int, key_size: int) -> Iterator[tuple[bytes, int]]:
        """The (key, address) pairs at the ends of a B-tree of version 1."""
        todo: list[tuple[int, int | None]] = [(address, None)]
        seen = set()
        while todo:
            address, level = todo.pop()
            head = self.structure(address, 24)
            if head[:4] != b"TREE" or head[4] != kind or address in seen or level not in (None, head[5]):
                raise self.source.error(address, "there must be a node of a B-tree, once in it and of its level.")
            seen.add(address)
            (count,) = struct.unpack_from("<H", head, 6)
            step = key_size + 8
            body = self.structure(address + 24, count * step)
            for place in range(0, len(body), step):
                key = body[place : place + key_size]
                (child,) = struct.unpack_from("<Q", body, place + key_size)
                if head[5]:
                    todo.append((child, head[5] - 1))
                else:
                    yield key, child

    def symbol_table(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """The names and addresses in a group of the older kind."""
        names = self._heap(heap)
        for _, node in self.leaves(tree, 0, 8):
            head = self.structure(node, 8)
            if head[:4] != b"SNOD":
                raise self.source.error(node, f"there must be a node 'SNOD' of names. Received: {head[:4]!r}.")
            entries = self.structure(node + 8, 40 * struct.unpack_from("<H", head, 6)[0])
            for name_place, address, cache in struct.iter_unpack("<QQI20x", entries):
                end = names.find(b"\0", name_place, name_place + _MAX_NAME)
                if end < 0:
                    raise Malformed(f"a name must end within its heap and {_MAX_NAME} bytes.")
                self.count_text(end - name_place)
                name = messages.text(names[name_place:end])
                if cache == 2:
                    raise Malformed(f"{name!r} is a soft link, which is never followed.")
                yield name, address

    def _heap(self, address: int) -> bytes:
        if address not in self._heaps:
            head = self.structure(address, 32)
            if head[:4] != b"HEAP":
                raise Malformed(f"there must be a heap of names at byte {address}. Received: {head[:4]!r}.")
            size, _, place = struct.unpack_from("<3Q", head, 8)
            self._make_room(size)
            self._heaps[address] = self.structure(place, size)
        return self._heaps[address]

    def _make_room(self, size: int) -> None:
        self._kept += size
        if self._kept > self.source.size:  # heaps that overlap
            self._heaps.clear()
            self._collections.clear()
            self._kept = size

    def global_object(self, address: int, index: int) -> bytes:
        """A string in a global heap."""
        if address not in self._collections:
            head = self.structure(address, 16)
            if head[:4] != b"GCOL":
                raise Malformed(f"there must be a global heap at byte {address}. Received: {head[:4]!r}.")
            (size,) = struct.unpack_from("<Q", head, 8)
            self._make_room(size)
            block = self.structure(address + 16, max(size - 16, 0))
            found: dict[int, tuple[int, int]] = {}
            place = 0
            while place + 16 <= len(block):
                number, length = struct.unpack_from("<H6xQ", block, place)
                if number == 0 or length > len(block) - place - 16:
                    break
                found[number] = place + 16, place + 16 + length
                place += 16 + (length + 7) // 8 * 8
            self._collections[address] = block, found
        block, found = self._collections[address]
        if index not in found:
            raise Malformed(f"the global heap at byte {address} has no object {index}.")
        value = block[slice(*found[index])]
        self.count_text(2 * len(value))  # as bytes and as text
        return value

    def count_text(self, size: int) -> None:
        """Count the bytes of a name, a string or a path, of which all together may take so many."""
        self._texts -= size
        if self._texts < 0:
            raise Malformed("the names and strings, and the paths made of them, take more than twice the file.")

    def count_link(self) -> None:
        """Count a link, of which there may be so many."""
        self._num_links += 1
        if self._num_links > _MAX_LINKS:
            raise Malformed(f"at most {_MAX_LINKS} groups and datasets are read.")
