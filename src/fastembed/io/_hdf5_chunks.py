"""HDF5 arrays that are stored in chunks, shuffled and compressed perhaps."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastembed.io._hdf5_messages import Malformed
from fastembed.io._source import Source, inflate

_DEFLATE, _SHUFFLE = 1, 2


class Chunks(NamedTuple):
    """The chunks of an array: their shape, how many there must be along each axis, and where each is."""

    shape: tuple[int, ...]
    counts: tuple[int, ...]
    num_bytes: int  # of all chunks, unpacked
    stored: int  # bytes of all chunks in the file, as they claim
    filters: tuple[int, ...]
    # by their first element, in bytes, whose hashes no file can foresee: address, bytes, filters left out
    places: dict[bytes, tuple[int, int, int]]


def find(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunk: tuple[int, ...],
    filters: tuple[tuple[int, tuple[int, ...]], ...],
    leaves: Iterable[tuple[bytes, int]],
) -> Chunks:
    """Look the chunks of an array up; `chunk` is their shape and the bytes of an element, `leaves` is their B-tree."""
    *sizes, item = chunk or (0,)  # a damaged file can say nothing at all
    if len(sizes) != len(shape) or item != dtype.itemsize or 0 in sizes:
        raise Malformed(f"chunks of shape {tuple(sizes)} and {item} bytes do not fit shape {shape} of {dtype}.")
    for number, _ in filters:
        if number not in (_DEFLATE, _SHUFFLE):
            raise Malformed(f"filter {number} is not read, gzip (1) and shuffle (2) alone.")
    counts = tuple(-(-size // length) for size, length in zip(shape, sizes, strict=True))
    places = {}
    for key, address in leaves:
        stored, skipped = struct.unpack_from("<II", key)
        places[key[8:-8]] = address, stored, skipped  # last is the place in the element, 0
    total = sum(stored for _, stored, _ in places.values())
    num_bytes = math.prod(counts) * math.prod(sizes) * item
    return Chunks(tuple(sizes), counts, num_bytes, total, tuple(number for number, _ in filters), places)


def require_all(chunks: Chunks) -> None:
    """Refuse an array of more chunks than there are; one that is missing is found before more are looked at."""
    if len(chunks.places) < math.prod(chunks.counts):
        raise _missing(next(place for place in _starts(chunks) if _key(place) not in chunks.places))


def _missing(place: tuple[int, ...]) -> Malformed:
    return Malformed(f"the chunk at {place} is missing.")


def _key(place: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(place)}Q", *place)


def _starts(chunks: Chunks) -> Iterator[tuple[int, ...]]:
    """The first element of each chunk, in order. No axis is held in memory: a file may claim any."""
    for number in range(math.prod(chunks.counts)):
        place = []
        for length, count in zip(reversed(chunks.shape), reversed(chunks.counts), strict=True):
            number, index = divmod(number, count)
            place.append(length * index)
        yield tuple(reversed(place))


def fill(out: NDArray[Any], chunks: Chunks, source: Source, dtype: np.dtype[Any]) -> None:
    """Fill `out` with the values of all chunks."""
    size = math.prod(chunks.shape) * dtype.itemsize
    for place in _starts(chunks):
        found = chunks.places.get(_key(place))
        if found is None:  # but others, which are none
            raise _missing(place)
        address, stored, skipped = found
        data: bytes | None = source.read(address, stored)
        for position, number in reversed(list(enumerate(chunks.filters))):
            if data is not None and not skipped >> position & 1:
                data = inflate(data, size) if number == _DEFLATE else _unshuffle(data, dtype.itemsize)
        if data is None or len(data) != size:
            raise Malformed(f"the chunk at {place} does not unpack to {size} bytes.")
        block = np.frombuffer(data, dtype).reshape(chunks.shape)
        # chunks at the ends reach beyond the array
        inside = tuple(
            slice(start, min(start + length, end))
            for start, length, end in zip(place, chunks.shape, out.shape, strict=True)
        )
        out[inside] = block[tuple(slice(0, part.stop - part.start) for part in inside)]


def _unshuffle(data: bytes, item: int) -> bytes | None:
    if len(data) % item:
        return None
    return np.frombuffer(data, np.uint8).reshape(item, -1).T.tobytes()
