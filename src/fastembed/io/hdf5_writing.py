"""HDF5 files and .keras archives, written whole or not at all; needs h5py."""

from __future__ import annotations

import os
import re
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastembed.io.atomic import Path, replacing

Attribute: TypeAlias = "bytes | list[bytes]"
# an array, or what makes one when it is its turn to be written
Array: TypeAlias = "NDArray[Any] | Callable[[], NDArray[Any]]"

# The most bytes of an attribute that an object header holds; Keras splits longer lists of names.
_MAX_ATTRIBUTE = 64512
_BLOCK = 1 << 20


@dataclass
class Branch:
    """A group to be written: attributes, and groups and arrays by name, which may be a path."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    members: dict[str, Branch | Array] = field(default_factory=dict)


def require_h5py() -> Any:
    """Import h5py.

    Raises:
        ImportError: if there is none; the text says how to get it.
    """
    try:
        import h5py  # here and not at the top: an extra
    except ImportError as error:
        raise ImportError(
            'h5py is needed to write Keras files: pip install "fastembed-gather[keras]"', name="h5py"
        ) from error
    return h5py


def write_hdf5(path: Path, content: Branch) -> None:
    """Write an HDF5 file, whole or not at all.

    Raises:
        ImportError: if there is no h5py.
        OSError: if it cannot be written; an existing file is then as it was.
    """
    require_h5py()
    with replacing(path) as (file,), file.naming_the_path():
        _write(file.temporary, content)


def write_archive(path: Path, texts: Mapping[str, bytes], weights_name: str, weights: Branch) -> None:
    """Write a ZIP archive of texts and of an HDF5 file, stored as they are; raises as `write_hdf5`."""
    require_h5py()
    with (
        replacing(path) as (file,),
        file.naming_the_path(),
        # a file without a name: nothing of it stays, whatever happens
        tempfile.TemporaryFile(dir=os.path.dirname(file.temporary)) as hdf5,
    ):
        _write(hdf5, weights)
        hdf5.seek(0)
        with zipfile.ZipFile(file.temporary, "w") as archive:
            for name, text in texts.items():
                with archive.open(zipfile.ZipInfo(name), "w") as member:
                    member.write(text)
            with archive.open(_aligned(weights_name, archive.start_dir), "w", force_zip64=True) as member:
                while block := hdf5.read(_BLOCK):
                    member.write(block)


def _aligned(name: str, place: int) -> zipfile.ZipInfo:
    """A member whose header stands at `place` and whose bytes begin at a multiple of 64, for those who map the file."""
    info = zipfile.ZipInfo(name)
    size = -(place + 30 + len(name) + 20 + 4) % 64  # what the header takes, sizes of 64 bits and this filling included
    info.extra = struct.pack("<HH", 0xD935, size) + bytes(size)
    return info


def _write(target: str | BinaryIO, content: Branch) -> None:
    h5py = require_h5py()
    try:
        # arrays of a page or more begin at multiples of 64, for those who map the file
        with h5py.File(target, "w", alignment_threshold=4096, alignment_interval=64) as file:
            _write_group(file, content)
    except (OSError, RuntimeError) as error:
        # libhdf5 tells the system's error in its text alone
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def _write_group(group: Any, content: Branch) -> None:
    for name, value in content.attributes.items():
        _write_attribute(group.attrs, name, value)
    for name, member in content.members.items():
        if isinstance(member, Branch):
            _write_group(group.require_group(name), member)
        else:
            group.create_dataset(name, data=member() if callable(member) else member)


def _write_attribute(attributes: Any, name: str, value: Attribute) -> None:
    if isinstance(value, bytes):
        # as bytes, not as str: Keras 2.2.4 decodes it
        attributes[name] = value
        return
    names: NDArray[Any] = np.array(value) if value else np.empty(0)
    num_parts = 1
    parts = [names]
    while any(part.nbytes > _MAX_ATTRIBUTE for part in parts):
        num_parts += 1
        parts = np.array_split(names, num_parts)
    for number, part in enumerate(parts):
        attributes[name if num_parts == 1 else f"{name}{number}"] = part
