"""Files mapped read-only into memory: what is read of them stays what it was, or an OSError says that it is gone."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._native import kernels


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
    """The mapping that an array is over, or None."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
