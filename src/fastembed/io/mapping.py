"""Files mapped read-only: how they will be read, walks over tables larger than the memory, files cut short."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._native import kernels

# The mappings that `expect_lookups` was called for.
_for_lookups: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Mapping(mmap.mmap):
    """A mapping that the process survives when somebody cuts its file short: see `check_whole`.

    Reading what is gone gives zeros then, and every function of the package that does so raises OSError. The bytes
    before the end of the page in which the file now ends are not noticed.
    """

    _token = 0

    def __del__(self) -> None:
        kernels.forget(self._token)
        self._token = 0


def map_file(fd: int, length: int) -> Mapping:
    """Map the first `length` bytes of an open file read-only.

    Raises:
        OSError, ValueError: what the system says.
    """
    mapping = Mapping(fd, length, access=mmap.ACCESS_READ)
    mapping._token = kernels.watch(mapping)
    return mapping


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The mapping that an array lies in, `np.memmap` included; None for an array in memory."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, mmap.mmap) else None


def expect_lookups(array: NDArray[Any]) -> None:
    """Tell the system that a mapped array is read here and there: it then reads no more from the file than is touched.

    Where it expects a sequence it reads as much as 8 MiB around each row. Nothing for an array in memory.
    """
    mapping = mapping_of(array)
    if mapping is not None and hasattr(mmap, "MADV_RANDOM"):
        mapping.madvise(mmap.MADV_RANDOM)
        _for_lookups.add(mapping)


def release(array: NDArray[Any]) -> None:
    """Give back the memory of a read-only mapping; its pages are read from the file again when they are needed.

    Nothing for other arrays: a copy-on-write mapping would lose what was written to it.
    """
    mapping = mapping_of(array)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED") and memoryview(mapping).readonly:
        mapping.madvise(mmap.MADV_DONTNEED)


def is_large(table: NDArray[Any]) -> bool:
    """Whether a table is mapped and takes more than half of the memory."""
    mapping = mapping_of(table)
    return mapping is not None and len(mapping) > memory_bytes() // 2


def row_blocks(table: NDArray[Any], rows: int, begin: int, end: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give rows [begin, end) of a table in blocks of at most `rows`, as pairs of a first row and a view.

    A mapped table is read ahead of the reader. One of more than half of the memory is also released behind, so that
    walking through it does not push everything else out.

    Raises:
        OSError: a mapped file was cut short: after the block of which some was not there.
    """
    mapping = mapping_of(table) if hasattr(mmap, "MADV_SEQUENTIAL") else None
    if mapping is not None:
        mapping.madvise(mmap.MADV_SEQUENTIAL)
    behind = is_large(table)
    try:
        for start in range(begin, end, rows):
            block = table[start : min(start + rows, end)]
            yield start, block
            kernels.check_whole(block)
            if behind:
                release(table)
    finally:
        if mapping is not None:
            mapping.madvise(mmap.MADV_RANDOM if mapping in _for_lookups else mmap.MADV_NORMAL)


def memory_bytes() -> int:
    """The memory that this process may use: the machine's, or less where a container's limit says so."""
    limits = []
    if hasattr(os, "sysconf"):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _CGROUP_LIMITS:
        try:
            with open(path, encoding="ascii") as file:
                limits.append(int(file.read()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(limits, default=2**63 - 1)
