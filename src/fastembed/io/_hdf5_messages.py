"""What an HDF5 object header says, decoded from bytes: types, shapes, layouts, filters, attributes, links.

Layouts are those of the HDF5 File Format Specification, version 3.0, section IV. Each function takes the bytes of one
message and raises `Malformed` (or struct.error, where they end too soon) with words for what is wrong; the caller adds
the file and the place.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

# message types
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT, FILTERS = 1, 2, 3, 6, 7, 8, 11
ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 12, 16, 17, 21
READ = frozenset(
    (DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT, FILTERS, ATTRIBUTE, SYMBOL_TABLE, ATTRIBUTE_INFO)
)

UNDEFINED = 2**64 - 1  # the address of what there is not
_MAX_NDIM = 32
_CLASSES = (
    *("integer", "float", "time", "string", "bit field", "opaque", "compound", "reference", "enumeration"),
    *("variable length", "array", "complex"),
)
# size: exponent place and bits, fraction bits, bias, of the floats that NumPy has
_FLOATS = {2: (10, 5, 10, 15), 4: (23, 8, 23, 127), 8: (52, 11, 52, 1023)}


class Malformed(Exception):
    """Words for what is wrong."""


class Type(NamedTuple):
    """A datatype: what it is in words, its bytes, and NumPy's dtype where it is a plain number."""

    kind: str
    size: int
    dtype: np.dtype[Any] | None


class Layout(NamedTuple):
    """Where the elements are: `compact` bytes, or an address with a size or, for chunks, with their shape."""

    kind: str
    address: int = UNDEFINED
    size: int = 0
    chunk: tuple[int, ...] = ()
    compact: bytes = b""


class Attribute(NamedTuple):
    """An attribute as it stands in the file."""

    name: str
    type: Type
    shape: tuple[int, ...] | None
    data: bytes


def dataspace(data: bytes) -> tuple[int, ...] | None:
    """The shape; None for no elements at all."""
    version, ndim = struct.unpack_from("<BB", data)
    if version not in (1, 2):
        raise Malformed(f"the dataspace must be of version 1 or 2. Received: {version}.")
    if ndim > _MAX_NDIM:
        raise Malformed(f"at most {_MAX_NDIM} dimensions are read. Received: {ndim}.")
    if version == 2 and data[3] == 2:
        return None
    return struct.unpack_from(f"<{ndim}Q", data, 8 if version == 1 else 4)


def datatype(data: bytes) -> Type:
    """The type of elements."""
    first, bits, size = data[0], int.from_bytes(data[1:4], "little"), struct.unpack_from("<I", data, 4)[0]
    number = first & 15
    if number >= len(_CLASSES):
        raise Malformed(f"there is no datatype of class {number}.")
    kind, order = _CLASSES[number], ">" if bits & 1 else "<"
    dtype = None
    if kind == "integer":
        whole = struct.unpack_from("<HH", data, 8) == (0, 8 * size) and size in (1, 2, 4, 8)
        dtype = np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}") if whole else None
    elif kind == "float" and size in _FLOATS:
        where, width, fraction, bias = _FLOATS[size]
        usual = struct.unpack_from("<HHBBBBI", data, 8) == (0, 8 * size, where, width, 0, fraction, bias)
        dtype = np.dtype(f"{order}f{size}") if usual and not bits & 0x40 else None
    elif kind == "variable length" and bits & 15 == 1:
        kind = "text"
    return Type(kind, size, dtype)


def layout(data: bytes) -> Layout:
    """Where the elements of a dataset are."""
    version, kind = data[0], data[1]
    if version not in (3, 4):
        raise Malformed(f"the data layout must be of version 3 or 4. Received: {version}.")
    if kind == 0:
        (size,) = struct.unpack_from("<H", data, 2)
        return Layout("compact", size=size, compact=data[4 : 4 + size])
    if kind == 1:
        return Layout("contiguous", *struct.unpack_from("<QQ", data, 2))
    if kind == 2 and version == 3:
        ndim = data[2]
        (address,) = struct.unpack_from("<Q", data, 3)
        return Layout("chunked", address, chunk=struct.unpack_from(f"<{ndim}I", data, 11))
    if kind == 2:
        raise Malformed("the chunks have an index of the newer kind, which is not read.")
    if kind == 3:
        raise Malformed("virtual storage, which takes its values from other files, is never read.")
    raise Malformed(f"there is no data layout of class {kind}.")


def filters(data: bytes) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """The numbers of the filters that chunks went through, in their order, with their arguments."""
    version, count = data[0], data[1]
    if version not in (1, 2):
        raise Malformed(f"the filters must be of version 1 or 2. Received: {version}.")
    found = []
    place = 8 if version == 1 else 2
    for _ in range(count):
        (number,) = struct.unpack_from("<H", data, place)
        length = 0
        place += 2
        if version == 1 or number >= 256:
            (length,) = struct.unpack_from("<H", data, place)
            place += 2
        _, values = struct.unpack_from("<HH", data, place)
        place += 4 + (_padded(length) if version == 1 else length)
        found.append((number, struct.unpack_from(f"<{values}I", data, place)))
        place += 4 * (values + (values & 1 if version == 1 else 0))
    return tuple(found)


def attribute(data: bytes) -> Attribute:
    """An attribute, its value not decoded."""
    version, flags, name_size, type_size, space_size = struct.unpack_from("<BBHHH", data)
    if version not in (1, 2, 3):
        raise Malformed(f"the attribute must be of version 1, 2 or 3. Received: {version}.")
    if version > 1 and flags:
        raise Malformed("the attribute has a shared type, which is not read.")
    place = 9 if version == 3 else 8
    parts = []
    for size in (name_size, type_size, space_size):
        parts.append(data[place : place + size])
        place += _padded(size) if version == 1 else size
    return Attribute(text(parts[0].rstrip(b"\0")), datatype(parts[1]), dataspace(parts[2]), data[place:])


def link(data: bytes) -> tuple[str, int]:
    """A link's name and the address it leads to."""
    version, flags = data[0], data[1]
    if version != 1:
        raise Malformed(f"the link must be of version 1. Received: {version}.")
    place, kind = 2, 0
    if flags & 8:
        kind, place = data[place], place + 1
    place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[place : place + width], "little")
    place += width
    name = text(data[place : place + length])
    if kind:
        raise Malformed(f"{name!r} is {'a soft' if kind == 1 else 'an external'} link, which is never followed.")
    return name, struct.unpack_from("<Q", data, place + length)[0]


def refuse_dense(data: bytes, what: str, skip: int) -> None:
    """Refuse links or attributes that are kept outside the object header; `skip` bytes follow if a flag is set."""
    place = 2 + (skip if data[1] & 1 else 0)
    if struct.unpack_from("<Q", data, place)[0] != UNDEFINED:
        raise Malformed(f"the {what} are in a fractal heap, which is not read: write the file as h5py does by default.")


def text(data: bytes) -> str:
    """A name, from UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed(f"a name must be UTF-8. Received: {data[:50]!r}.") from None


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8
