"""The manifest of a directory of word vectors: what its files are, parsed with every claim checked.

    {"format": "fastembed vectors", "version": 1, "hash": "siphash-2-4", "seed": 0,
     "files": {"table": {"name": "table.npy", "dtype": "<f4", "shape": [V, D], "bytes": 120128, "sha256": "..."},
               "keys": {"name": "keys.utf8", "dtype": "|u1", "shape": [bytes], ...},
               "offsets": {"name": "offsets.npy", "dtype": "<i8", "shape": [V + 1], ...},
               "index": {"name": "index.npy", "dtype": "<u8", "shape": [slots], ...}}}

While a directory is being replaced, a file's name may be, for instance, table-0123456789abcdef.npy.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from fastembed.io._error import FormatError

MANIFEST = "manifest.json"
# Of each part: the first and last of its name, its dtype, how many dimensions it has.
PARTS = {
    "table": ("table", ".npy", "<f4", 2),
    "keys": ("keys", ".utf8", "|u1", 1),
    "offsets": ("offsets", ".npy", "<i8", 1),
    "index": ("index", ".npy", "<u8", 1),
}
# A manifest takes some 900 bytes.
MOST_BYTES = 1 << 16

# Rows that are there take room in the file; of others a few bytes may claim any width, for which a query takes memory.
_WIDEST_OF_NONE = 2**24

_FORMAT, _VERSION, _HASH = "fastembed vectors", 1, "siphash-2-4"
_FIELDS = {"format", "version", "hash", "seed", "files"}
_SUFFIX = re.compile(r"(?:-[0-9a-f]{16})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Part:
    """One file of the directory."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int  # of the whole file
    sha256: str  # of the whole file, as `sha256sum` prints it


@dataclass(frozen=True)
class Manifest:
    """The parts by their names in PARTS, and the seed of the hash index."""

    files: dict[str, Part]
    seed: int

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        fields = {"format": _FORMAT, "version": _VERSION, "hash": _HASH, "seed": self.seed}
        files = {role: asdict(part) for role, part in self.files.items()}
        return (json.dumps(fields | {"files": files}, indent=1) + "\n").encode()


def part_name(role: str, token: str = "") -> str:
    """The name of a part's file; a token keeps it apart from a file of the same part that is still needed."""
    stem, extension, _, _ = PARTS[role]
    return f"{stem}-{token}{extension}" if token else f"{stem}{extension}"


def is_part_name(name: str) -> bool:
    """Whether a file of this name could be a part, or one that a kill left half written."""
    name = name.partition(".tmp-")[0]
    return name == MANIFEST or any(_is_name_of(role, name) for role in PARTS)


def is_left_behind(name: str) -> bool:
    """Whether a file of this name, where no manifest is, is what a kill left of a save: none has a plain name yet."""
    return is_part_name(name) and name not in (MANIFEST, *map(part_name, PARTS))


def parse(raw: bytes, path: str) -> Manifest:
    """The checked manifest; `path` is its name in messages.

    Raises:
        FormatError: it is not one, or its parts contradict each other.
    """
    if len(raw) > MOST_BYTES:
        raise FormatError(f"{path}: a manifest takes at most {MOST_BYTES} bytes. Received: more.")
    try:
        fields = json.loads(raw.decode(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not JSON: {error}.") from None
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
        raise FormatError(f'{path}: a directory of vectors has a manifest with "format": "{_FORMAT}".')
    if not _is_size(fields.get("version")) or fields["version"] != _VERSION:
        raise FormatError(f'{path}: "version" must be {_VERSION}. Received: {_shown(fields.get("version"))}.')
    if set(fields) != _FIELDS or fields["hash"] != _HASH or not _is_size(fields["seed"]):
        raise FormatError(
            f'{path}: beside "format" and "version" there must be "files", "hash": "{_HASH}" and "seed", a whole '
            f"number. Received: {_shown({key: value for key, value in fields.items() if key != 'files'})}."
        )
    files = fields["files"]
    if not isinstance(files, dict) or set(files) != set(PARTS):
        names = sorted(files) if isinstance(files, dict) else files
        raise FormatError(f'{path}: "files" must name {", ".join(PARTS)}. Received: {_shown(names)}.')
    manifest = Manifest({role: _parse_part(role, files[role], path) for role in PARTS}, fields["seed"])
    rows, dim = manifest.files["table"].shape
    if rows == 0 and dim > _WIDEST_OF_NONE:
        raise FormatError(
            f'{path}: "table": rows of which there are none have at most {_WIDEST_OF_NONE} numbers. Received: {dim}.'
        )
    if manifest.files["offsets"].shape[0] != rows + 1:
        raise FormatError(
            f"{path}: the table has {rows} rows, so there must be {rows + 1} offsets. "
            f"Received: {manifest.files['offsets'].shape[0]}."
        )
    slots = manifest.files["index"].shape[0]
    if slots <= rows or slots & (slots - 1):
        raise FormatError(f"{path}: the index must have a power of two of slots, over {rows}. Received: {slots}.")
    return manifest


def _parse_part(role: str, fields: Any, path: str) -> Part:
    place = f'{path}: "{role}": '
    _, extension, dtype, ndim = PARTS[role]
    if not isinstance(fields, dict) or set(fields) != {"name", "dtype", "shape", "bytes", "sha256"}:
        raise FormatError(f'{place}there must be "name", "dtype", "shape", "bytes" and "sha256" and nothing else.')
    name, shape, size, digest = fields["name"], fields["shape"], fields["bytes"], fields["sha256"]
    if not isinstance(name, str) or not _is_name_of(role, name):
        raise FormatError(f'{place}"name" must be {part_name(role)!r}, or have a token. Received: {_shown(name)}.')
    if fields["dtype"] != dtype:
        raise FormatError(f'{place}"dtype" must be {dtype!r}. Received: {_shown(fields["dtype"])}.')
    if not isinstance(shape, list) or len(shape) != ndim or not all(map(_is_size, shape)):
        raise FormatError(f'{place}"shape" must be {ndim} whole numbers from 0 on. Received: {_shown(shape)}.')
    least = math.prod(shape) * int(dtype[2])
    if not _is_size(size) or size < least or (extension != ".npy" and size != least):
        raise FormatError(f'{place}"bytes" must fit shape {shape} of {dtype}. Received: {_shown(size)}.')
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise FormatError(f'{place}"sha256" must be 64 hexadecimal digits. Received: {_shown(digest)}.')
    return Part(name, dtype, tuple(shape), size, digest)


def _is_name_of(role: str, name: str) -> bool:
    stem, extension, _, _ = PARTS[role]
    return (
        name.startswith(stem)
        and name.endswith(extension)
        and _SUFFIX.fullmatch(name, len(stem), len(name) - len(extension)) is not None
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return fields


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}... ({len(text)} characters)"
