"""HDF5 files, read without libhdf5: every place and size that a file claims is checked against the file first.

Read is what h5py writes by default: groups with symbol tables or links, attributes of strings and numbers, arrays of
numbers that are compact, contiguous or in chunks (shuffle and gzip). A user block in front is for the caller to leave
out. Whatever leads out of the file (external and soft links, external and virtual storage) and object types are
refused.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed.io import _hdf5_chunks as chunks
from fastembed.io import _hdf5_messages as messages
from fastembed.io._error import FormatError, shown
from fastembed.io._hdf5_messages import UNDEFINED, Attribute, Layout, Malformed, Type
from fastembed.io._hdf5_structure import SIGNATURE, Decoded, Messages, Structure
from fastembed.io._source import LIMIT, Source, expands_too_much
from fastembed.io.floats import fitting

__all__ = ["SIGNATURE", "Dataset", "Group", "Node", "root"]

_BLOCK = 1 << 20  # elements that are converted at a time
# NumPy counts strides in signed 64 bits, also for the other axes of an empty array; an element takes 8 bytes at most.
_MAX_ELEMENTS = 2**60


def root(source: Source) -> Group:
    """The root group of an HDF5 file.

    Raises:
        FormatError: if the bytes are no HDF5 file, or it is truncated.
    """
    file = Structure(source)
    return Group(file, "/", file.root)


class Node:
    """A group or a dataset: what has a path and attributes."""

    def __init__(self, file: Structure, path: str, address: int, header: Messages | None = None) -> None:
        self.file = file
        self.path = path
        self.address = address
        self._messages: Messages | None = file.header(address) if header is None else header
        self._attributes: dict[str, Attribute] | None = None

    def error(self, text: str) -> FormatError:
        """The FormatError that names the file and this object."""
        return FormatError(self.where + text)

    @property
    def where(self) -> str:
        """The file and this object, as an error's text begins."""
        return f"{self.file.source.name}: {shown(self.path)}: "

    def count_path(self) -> None:
        """Count the path among what a file's texts may take: each repeats those of the groups above it."""
        self._decode(self.file.count_text, sys.getsizeof(self.path))

    def __contains__(self, name: str) -> bool:
        return name in self._all_attributes()

    def attribute(self, name: str) -> Any:
        """The value of an attribute: bytes for a string, a list of them for several, an array for numbers; or None."""
        found = self._all_attributes().get(name)
        return None if found is None else self._decode(self._value, found)

    def strings(self, name: str) -> list[str]:
        """An attribute that lists strings; one that Keras split into `name0`, `name1` and so on because of its size."""
        values: list[Any] = []
        whole = self.attribute(name)
        parts = [whole] if whole is not None else []
        while whole is None and f"{name}{len(parts)}" in self:
            parts.append(self.attribute(f"{name}{len(parts)}"))
        for part in parts:
            # no strings at all are an empty array of numbers
            values += part if isinstance(part, list) else [part] if isinstance(part, bytes) else list(part)
        if not all(isinstance(value, bytes) for value in values):
            raise self.error(f"the attribute {name!r} must list strings.")
        return [self._decode(messages.text, value) for value in values]

    def _all_attributes(self) -> dict[str, Attribute]:
        if self._attributes is None:
            self._attributes = {}
            for kind, data in self.file.header(self.address) if self._messages is None else self._messages:
                if kind == messages.ATTRIBUTE:
                    found = self._decode(messages.attribute, data)
                    self._attributes[found.name] = found
                elif kind == messages.ATTRIBUTE_INFO:
                    self._decode(messages.refuse_dense, data, "attributes", 2)
        return self._attributes

    def _value(self, found: Attribute) -> Any:
        count = 0 if found.shape is None else math.prod(found.shape)
        if count * found.type.size > len(found.data):
            raise Malformed(f"the attribute {found.name!r} says that it has {count} values, which it has not.")
        if found.type.kind == "string":
            size = found.type.size
            places = range(0, count * size, size) if size else ()
            values = [found.data[place : place + size].rstrip(b"\0") for place in places]
        elif found.type.kind == "text":
            values = [self._text(found.data[16 * place : 16 * place + 16]) for place in range(count)]
        elif found.type.dtype is not None:
            return np.frombuffer(found.data, found.type.dtype, count)
        else:
            raise Malformed(f"the attribute {found.name!r} is of type {found.type.kind}, which is not read.")
        return values[0] if found.shape == () else values

    def _text(self, reference: bytes) -> bytes:
        length, address, index = struct.unpack("<IQI", reference)
        return self.file.global_object(address, index)[:length].rstrip(b"\0") if length else b""

    def _decode(self, function: Callable[..., Decoded], *arguments: Any) -> Decoded:
        try:
            return function(*arguments)
        except Malformed as error:
            raise self.error(str(error)) from None
        except (struct.error, IndexError):
            raise self.error("this part of the structure ends too soon.") from None


class Group(Node):
    """A group: names that lead to groups and datasets."""

    @property
    def links(self) -> dict[str, int]:
        """The names in the group and where they lead to."""
        known = self.file.links
        if self.address not in known:
            known[self.address] = self._decode(self._all_links)
        return known[self.address]

    def _all_links(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for kind, data in self._messages or ():
            pairs: list[tuple[str, int]] | Iterator[tuple[str, int]] = []
            if kind == messages.SYMBOL_TABLE:
                pairs = self.file.symbol_table(*struct.unpack_from("<QQ", data))
            elif kind == messages.LINK:
                pairs = [messages.link(data)]
            elif kind == messages.LINK_INFO:
                messages.refuse_dense(data, "links", 8)
            for name, address in pairs:
                if name in found or not name or "/" in name:
                    raise Malformed(f"{name!r} must be a name, and there only once.")
                self.file.count_link()
                found[name] = address
        return found

    def get(self, path: str) -> Node | None:
        """What a path leads to from here, names separated by '/'; None where there is nothing."""
        node: Node = self
        for name in filter(None, path.split("/")):
            if not isinstance(node, Group) or name not in node.links:
                return None
            node = node.child(name)
        return node

    def child(self, name: str) -> Node:
        """The group or dataset under a name of `links`."""
        path, address = f"{self.path.rstrip('/')}/{name}", self.links[name]
        header = self.file.header(address)
        is_dataset = any(kind == messages.LAYOUT for kind, _ in header)
        return (Dataset if is_dataset else Group)(self.file, path, address, header)

    def group(self, path: str) -> Group:
        """The group that a path leads to; a FormatError where there is none."""
        found = self.get(path)
        if not isinstance(found, Group):
            raise self.error(f"there must be a group {path!r}.")
        return found

    def dataset(self, path: str) -> Dataset:
        """The dataset that a path leads to; a FormatError where there is none."""
        found = self.get(path)
        if not isinstance(found, Dataset):
            raise self.error(f"there must be a dataset {path!r}.")
        return found

    def walk(self) -> Iterator[Node]:
        """All groups and datasets below this group; a group that is met twice is a FormatError."""
        seen = {self.address}
        todo = self._children()
        while todo:
            group, name = todo.pop()
            node = group.child(name)
            if isinstance(node, Group):
                node.count_path()
                if node.address in seen:
                    raise node.error("the group lies inside itself, or in two groups.")
                seen.add(node.address)
                todo += node._children()
            yield node

    def _children(self) -> list[tuple[Group, str]]:
        """The names with their group, the first name last."""
        return [(self, name) for name in sorted(self.links, reverse=True)]


class Dataset(Node):
    """An array. Its shape and size are checked when it is made, its values are not read yet."""

    def __init__(self, file: Structure, path: str, address: int, header: Messages | None = None) -> None:
        super().__init__(file, path, address, header)
        self.count_path()
        parts = dict(self._messages or ())
        self._messages = None  # a dataset is kept, its header of up to 64 KiB may be many datasets' one
        if messages.DATASPACE not in parts or messages.DATATYPE not in parts:
            raise self.error("a dataset must have a shape and a type.")
        shape = self._decode(messages.dataspace, parts[messages.DATASPACE])
        self.shape: tuple[int, ...] = (0,) if shape is None else shape
        self.type: Type = self._decode(messages.datatype, parts[messages.DATATYPE])
        if messages.EXTERNAL_FILES in parts:
            raise self.error("external storage, which takes its values from other files, is never read.")
        self._layout: Layout = self._decode(messages.layout, parts[messages.LAYOUT])
        self._filters = self._decode(messages.filters, parts[messages.FILTERS]) if messages.FILTERS in parts else ()

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """NumPy's dtype, or None where the elements are no plain numbers."""
        return self.type.dtype

    @property
    def num_bytes(self) -> int:
        """The bytes of all elements."""
        return math.prod(self.shape) * self.type.size

    @property
    def num_stored(self) -> int:
        """The bytes of the file that the values take; they are all there."""
        own = self.check()
        return self._chunks(own).stored if self._layout.kind == "chunked" else self.num_bytes

    @property
    def place(self) -> int | None:
        """Where the elements lie in the file, one after the other, or None; they are all there."""
        self.check()
        return self._layout.address if self._layout.kind == "contiguous" and self.num_bytes else None

    def read(self, out: NDArray[Any] | None = None, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """The values: a new array of a dtype, default that of the file, or `out`, C-contiguous and of this shape.

        Raises:
            FormatError: if they are no numbers, or not all there; or a finite number is infinite in the array's dtype.
        """
        own = self.check()
        if out is None:
            out = np.empty(self.shape, own.newbyteorder("=") if dtype is None else dtype)
        with fitting(own, out.dtype, self.where):
            self._read(own, out)
        return out

    def _read(self, dtype: np.dtype[Any], out: NDArray[Any]) -> None:
        if self._layout.kind == "chunked":
            self._decode(chunks.fill, out, self._chunks(dtype), self.file.source, dtype)
        elif out.size and self._layout.kind == "contiguous":
            self._read_contiguous(dtype, out)
        elif out.size:
            out[...] = np.frombuffer(self._layout.compact, dtype).reshape(self.shape)

    def _chunks(self, dtype: np.dtype[Any]) -> chunks.Chunks:
        layout, source = self._layout, self.file.source
        leaves: Iterator[tuple[bytes, int]] = iter(())
        if layout.address != UNDEFINED:
            leaves = self.file.leaves(layout.address, 1, 8 + 8 * len(layout.chunk))
        found = self._decode(chunks.find, self.shape, dtype, layout.chunk, self._filters, leaves)
        values = max(found.num_bytes, self.num_bytes)
        if found.stored > source.size:
            raise self.error(f"chunks share their bytes: together they take {found.stored} of {source.size}.")
        if expands_too_much(values, found.stored):
            raise self.error(f"{values} bytes of values, made of {found.stored} stored ones, are more than {LIMIT}.")
        self._decode(chunks.require_all, found)
        return found

    def _read_contiguous(self, dtype: np.dtype[Any], out: NDArray[Any]) -> None:
        flat = out.reshape(-1)
        source, address = self.file.source, self._layout.address
        if out.dtype == dtype:
            buffer: Any = flat
            source.read_into(address, memoryview(buffer).cast("B"))
            return
        for start in range(0, flat.size, _BLOCK):
            count = min(_BLOCK, flat.size - start)
            raw = source.read(address + start * dtype.itemsize, count * dtype.itemsize)
            flat[start : start + count] = np.frombuffer(raw, dtype)

    def check(self) -> np.dtype[Any]:
        """The dtype, once it is sure that the values are numbers and all there."""
        if self.dtype is None:
            raise self.error(f"values of type {self.type.kind} are not read, numbers alone.")
        layout, size = self._layout, self.num_bytes
        if layout.kind == "compact":
            if layout.size != size or len(layout.compact) != size:
                raise self.error(f"shape {self.shape} takes {size} bytes, {len(layout.compact)} are stored.")
        elif layout.kind == "contiguous":
            stored = 0 if layout.address == UNDEFINED else layout.size
            if stored != size or self._filters:
                raise self.error(f"shape {self.shape} takes {size} bytes, {stored} are stored.")
            if size and layout.address + size > self.file.source.size:
                raise self.error(
                    f"{size} bytes from byte {layout.address} on lie outside the {self.file.source.size} bytes that "
                    "there are."
                )
        elif layout.kind == "chunked":
            self._chunks(self.dtype)
        if math.prod(n for n in self.shape if n) >= _MAX_ELEMENTS:
            raise self.error(f"the axes but those of 0 must stay below 2**60 elements. Received: shape {self.shape}.")
        return self.dtype
