"""The limit that the memory sets, measured by a small C program, benchmarks/limit.c, compiled at run time."""

from __future__ import annotations

import ctypes
import os
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._bench import machine

_MOST_ROUNDS = 400


def compiled(source: Path, folder: Path, *options: str) -> Path | None:
    """A C file as a shared library in `folder`; None where there is no compiler, or not for this processor."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    library = folder / f"{source.stem}{''.join(options).replace('-', '_')}.so"
    command = [compiler, "-O3", "-mavx2", "-mprfchw", "-pthread", "-shared", "-fPIC", *options]
    done = subprocess.run([*command, str(source), "-o", str(library)], capture_output=True, text=True)
    return library if done.returncode == 0 else None


class Limit:
    """T_lim of one workload and number of threads: the rows read, plus the output filled, each as fast as it goes."""

    def __init__(self, library: str, threads: int) -> None:
        self._function = ctypes.CDLL(library).limit
        self._threads = threads

    def seconds(self, table: NDArray[Any], ids: NDArray[Any], out_bytes: int, cold: bool, budget: float) -> float:
        """What reading table[ids] and filling so many bytes takes: the floor of rounds of about `budget` seconds.

        `cold`: the caches are emptied before either half.
        """
        ids = np.ascontiguousarray(ids.reshape(-1), np.int64)
        out = np.ones(out_bytes, np.uint8)
        evicted = evictor() if cold else np.zeros(0, np.uint8)
        first = self._rounds(table, ids, out, evicted, 3)
        rounds = int(min(max(budget / max(statistics.median(first), 1e-7), 5), 8 if cold else _MOST_ROUNDS))
        times = sorted(self._rounds(table, ids, out, evicted, rounds))
        return times[len(times) // 10]

    def _rounds(self, table: Any, ids: Any, out: Any, evicted: Any, rounds: int) -> list[float]:
        seconds = np.zeros(rounds)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (table, ids, out, evicted, seconds)]
        sizes = [ctypes.c_ssize_t(n) for n in (table.strides[0], ids.size, out.nbytes, evicted.nbytes)]
        arguments = [value for pair in zip(pointers, sizes, strict=False) for value in pair]
        failed = self._function(*arguments, ctypes.c_int(self._threads), ctypes.c_int(rounds), pointers[-1])
        if failed:
            raise RuntimeError("the limit could not be measured: no more threads")
        return [float(value) for value in seconds]


def evictor() -> NDArray[np.uint8]:
    """An array that leaves nothing else in the caches once it has been read."""
    return np.ones(max(2 * machine.last_cache_bytes(), 64 << 20), np.uint8)
