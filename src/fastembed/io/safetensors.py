"""safetensors files, read and written without a library: the format is a length, a JSON header and the elements.

Everything the header says is checked against the file before memory is taken or a byte is mapped. Source: the format's
description in its repository, huggingface/safetensors, and the rules its own reader applies.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed._native.kernels import check_whole
from fastembed.io import floats
from fastembed.io._error import FormatError, quoted
from fastembed.io.atomic import Path, replacing
from fastembed.io.choice import choose
from fastembed.io.npy import file_size, map_array
from fastembed.io.opening import open_regular

# Bits of an element, and NumPy's name where there is one.
_DTYPES: dict[str, tuple[int, str]] = {
    "BOOL": (8, "bool"), "U8": (8, "uint8"), "I8": (8, "int8"), "U16": (16, "uint16"), "I16": (16, "int16"),
    "U32": (32, "uint32"), "I32": (32, "int32"), "U64": (64, "uint64"), "I64": (64, "int64"),
    "F16": (16, "float16"), "BF16": (16, floats.BFLOAT16), "F32": (32, "float32"), "F64": (64, "float64"),
    "C64": (64, "complex64"), "F8_E4M3": (8, "float8_e4m3"), "F8_E5M2": (8, "float8_e5m2"),
    "F8_E8M0": (8, "float8_e8m0"), "F6_E2M3": (6, "float6_e2m3"), "F6_E3M2": (6, "float6_e3m2"), "F4": (4, "float4"),
}  # fmt: skip
_NOT_NUMPYS = {floats.BFLOAT16, *(name for bits, name in _DTYPES.values() if name.startswith("float") and bits <= 8)}
_WRITTEN = {"float16": "F16", "float32": "F32", "float64": "F64", floats.BFLOAT16: "BF16"}
_KEYS = {"dtype", "shape", "data_offsets"}
_MAX_NDIM = 32
_MAX_BYTES = 2**63 - 1
# Parsed JSON takes up to 32 bytes a character: a header within these bounds keeps that below 16 MiB and twice the file.
_HEADER_ROOM = 2**24
_PARSED_BYTES = 32
# Elements begin at a multiple of this in our files.
_ALIGNMENT = 64


@dataclass(frozen=True)
class Tensor:
    """A tensor as the checked header describes it; `start` and `stop` are bytes of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def inspect_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name, in the order of the file.

    Raises:
        FormatError: the file is not a whole safetensors file; names the path and the place.
        OSError: the file is missing, a directory, not a regular file, or not to be read.
    """
    with open_regular(path) as file:
        return _read_header(file, os.fsdecode(path))


def list_tables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The name of each tensor of 2 dimensions and floats, with its shape and dtype; raises as `inspect_safetensors`."""
    return _tables(inspect_safetensors(path))


def read_table(
    path: Path, *, name: str | None = None, mmap: bool = False, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Read a table (V, D).

    Args:
        path: of the file.
        name: of the tensor; None for the only table.
        mmap: whether to map it where the file holds it as it is asked for, aligned; read-only then.
        dtype: of the result: float16, float32 or float64.

    Raises:
        ValueError: there are several tables and no `name`, or none of it.
        FormatError, OSError: as `inspect_safetensors`.
    """
    with open_regular(path) as file:
        shown = os.fsdecode(path)
        tensors = _read_header(file, shown)
        tensor = tensors[choose(_tables(tensors), name, shown)]
        return _read(file, tensor, np.dtype(dtype), mmap, shown)


def read_tensor(path: Path, name: str) -> NDArray[Any]:
    """Map a tensor of any shape, of a dtype that NumPy has.

    Raises:
        FormatError: there is none of this name, or its dtype is not NumPy's; and as `inspect_safetensors`.
    """
    with open_regular(path) as file:
        shown = os.fsdecode(path)
        tensor = _read_header(file, shown).get(name)
        if tensor is None:
            raise FormatError(f"{shown}: holds no tensor named {name!r}.")
        if tensor.dtype in _NOT_NUMPYS:
            raise FormatError(f"{shown}: {name!r}: NumPy has no {tensor.dtype}.")
        return map_array(file, tensor.start, tensor.shape, np.dtype(tensor.dtype).newbyteorder("<"))


def write_tables(path: Path, tables: Mapping[str, NDArray[Any]]) -> None:
    """Write tables by name, atomically, in the order given.

    Args:
        path: of the file, replaced if there is one.
        tables: float16, float32, float64 or (ml_dtypes) bfloat16 arrays of any layout.

    Raises:
        OSError: what the system says, naming the path.
    """
    header: dict[str, Any] = {}
    end = 0
    for name, table in tables.items():
        begin, end = end, end + table.size * table.itemsize
        header[name] = {"dtype": _WRITTEN[table.dtype.name], "shape": list(table.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    with replacing(path) as (file,):
        file.write(len(text).to_bytes(8, "little") + text)
        for table in tables.values():
            for block in row_blocks(table):
                file.write(block.view(np.uint8).data)
            check_whole(table)


def row_blocks(table: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """The rows of a table in little-endian C order, a contiguous 1-D block at a time."""
    if not table.size:
        return  # of rows without elements a header may claim 2**60
    step = max(1, floats.BLOCK_BYTES // max(1, table[:1].nbytes))
    for start in range(0, len(table), step):
        block = np.ascontiguousarray(table[start : start + step])
        yield block.astype(block.dtype.newbyteorder("<"), copy=False).reshape(-1)


def _tables(tensors: Mapping[str, Tensor]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {
        name: (tensor.shape, tensor.dtype)
        for name, tensor in tensors.items()
        if len(tensor.shape) == 2 and tensor.dtype in _WRITTEN
    }


def _read(file: BinaryIO, tensor: Tensor, dtype: np.dtype[Any], mmap: bool, path: str) -> NDArray[Any]:
    as_asked = tensor.dtype == dtype and dtype.newbyteorder("<") == dtype and not tensor.start % dtype.itemsize
    if mmap and as_asked:
        return map_array(file, tensor.start, tensor.shape, dtype)
    file.seek(tensor.start)
    stored = tensor.dtype if tensor.dtype == floats.BFLOAT16 else np.dtype(tensor.dtype).newbyteorder("<").str
    shape = (tensor.shape[0], tensor.shape[1])
    return floats.read_floats(file, shape, stored, dtype, f"{path}: byte {tensor.start}: ")


def _read_header(file: BinaryIO, path: str) -> dict[str, Tensor]:
    size = file_size(file)
    start = file.read(8)
    if len(start) < 8:
        raise FormatError(f"{path}: byte 0: a safetensors file begins with 8 bytes of length. Received: {size} bytes.")
    length = int.from_bytes(start, "little")
    if length > size - 8:
        raise FormatError(f"{path}: byte 0: the header takes {length} bytes, {size - 8} follow: the file is truncated.")
    if length > (_HEADER_ROOM + 2 * size) // _PARSED_BYTES:
        raise FormatError(f"{path}: byte 0: the header takes {length} bytes of a file of {size}: no file of tensors.")
    text = file.read(length)
    if len(text) < length:
        raise FormatError(f"{path}: byte {8 + len(text)}: the file ends inside its header.")
    tensors: dict[str, Tensor] = {}
    for name, fields in _parse(text, f"{path}: byte 8: ").items():
        if name == "__metadata__":
            if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
                raise FormatError(f"{path}: byte 8: '__metadata__' must map strings to strings.")
        else:
            tensors[name] = _check(fields, 8 + length, size, f"{path}: byte 8: tensor {quoted(name)}: ")
    tensors = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)))
    end = 8 + length
    for name, tensor in tensors.items():
        if tensor.start != end:
            hole = tensor.start - end
            what = f"leaves a hole of {hole} bytes" if hole > 0 else "overlaps the tensor before it"
            raise FormatError(f"{path}: byte {tensor.start}: tensor {quoted(name)} {what}.")
        end = tensor.stop
    if end != size:
        raise FormatError(f"{path}: byte {end}: the tensors end here, the file at byte {size}.")
    return tensors


def _parse(text: bytes, place: str) -> dict[str, Any]:
    """The header's JSON as a dict, with whole numbers of at most 64 bits as the only numbers."""
    try:
        if text[:1] != b"{":
            raise ValueError(f"it begins with {text[:1]!r}")
        fields = json.loads(
            text.decode(),
            object_pairs_hook=_unique,
            parse_int=_whole,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except RecursionError:
        raise FormatError(f"{place}the header's JSON is nested too deep.") from None
    except ValueError as error:
        raise FormatError(f"{place}the header must be a JSON object: {error}.") from None
    result: dict[str, Any] = fields
    return result


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {quoted(twice)} occurs twice")
    for key in fields:
        # JSON can spell half of a surrogate pair, which UTF-8 cannot
        if not key.isascii() and key != key.encode("utf-8", "replace").decode():
            raise ValueError(f"the key {quoted(key)} holds half a surrogate pair")
    return fields


def _whole(text: str) -> int:
    if len(text) > 20:
        _no_number(text)
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{quoted(text)} is not a whole number of 64 bits")


def _check(fields: Any, base: int, size: int, place: str) -> Tensor:
    if not isinstance(fields, dict) or set(fields) != _KEYS:
        raise FormatError(
            f"{place}needs 'dtype', 'shape' and 'data_offsets', and nothing else. Received: {quoted(fields)}."
        )
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise FormatError(f"{place}'dtype' must be one of {', '.join(_DTYPES)}. Received: {quoted(dtype)}.")
    if not _are_sizes(shape) or len(shape) > _MAX_NDIM:
        raise FormatError(
            f"{place}'shape' must be a list of at most {_MAX_NDIM} whole numbers >= 0. Received: {quoted(shape)}."
        )
    if not _are_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= size - base:
        raise FormatError(
            f"{place}'data_offsets' must be two whole numbers, rising, up to {size - base}, where the file ends. "
            f"Received: {quoted(offsets)}."
        )
    bits, name = _DTYPES[dtype]
    if math.prod(n for n in shape if n) * bits > 8 * _MAX_BYTES:
        raise FormatError(f"{place}'shape' must stay below 2**63 bytes. Received: {quoted(shape)} of {dtype}.")
    if math.prod(shape) * bits != 8 * (offsets[1] - offsets[0]):
        raise FormatError(
            f"{place}shape {tuple(shape)} of {dtype} takes {math.prod(shape) * bits / 8:.16g} bytes, "
            f"its 'data_offsets' {offsets} give it {offsets[1] - offsets[0]}."
        )
    return Tensor(name, tuple(shape), base + offsets[0], base + offsets[1])


def _are_sizes(values: Any) -> bool:
    # JSON's true is a bool, which is an int
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
