"""What the tests of the array functions share: tables whose every bit is random, bitwise equality, subprocesses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._native import kernels

SANITIZED = "san.so" in os.environ.get("LD_PRELOAD", "")
SLOW = SANITIZED or "FASTEMBED_SLOW" in os.environ  # tests.coverage sets it: its build is without optimisation
SCALE = int(os.environ.get("FASTEMBED_TEST_SCALE", "1"))

# around every width at which the copying of a row changes: whole vectors of 4, 8 and 16 columns, and what is left over
DIMS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 300, 1024)
DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
MODES = ("raise", "clip", "wrap", "zero")


# the ways of writing rows: each instruction path that runs here, and the best of them past the caches whatever the size
PATHS = (*kernels.available_paths(), "streaming")


@contextmanager
def on_path(name: str) -> Iterator[None]:
    """One of PATHS inside the block."""
    before, limits = kernels.build_info()["cpu_path"], kernels.set_streaming(2**62, 1)
    if name == "streaming":
        kernels.set_streaming(0, 1)
    kernels.use_path(None if name == "streaming" else name)
    try:
        yield
    finally:
        kernels.use_path(before)
        kernels.set_streaming(*limits)


def random_table(num_rows: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    """Random bits: NaNs with payloads, infinities, subnormals and negative zeros among them."""
    bits = np.random.default_rng(seed).integers(0, 2**32, (num_rows, dim), np.uint32)
    return bits.view(np.float32)


def same_bits(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether two float32 arrays have one shape and the same bits."""
    assert (a.dtype, b.dtype) == (np.float32, np.float32)
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def bad_id_text(where: tuple[int, ...], value: int, num_rows: int, function: str = "gather") -> str:
    """The whole text of the IndexError about this id; `function` as for `_check.bad_id_at`."""
    place = f"indices[{','.join(map(str, where))}]" if where else "indices"
    padding = "gather_with_mask" if function == "gather" else function
    takes = "" if not function or "grad" in function else f'{function}\'s mode="clip", "wrap" or "zero" accepts any id.'
    if num_rows == 0:
        why = "the table has no rows."
    elif value < 0:
        why = "negative ids do not count from the end."
        why += f" If it marks padding, name it to {padding} as padding_id" if function else ""
        why += (f"; {takes}" if takes else ".") if function else ""
    else:
        why = f"the table has {num_rows} rows; it needs (an Embedding's input_dim must be) at least the largest id + 1."
        why += f" {takes}" if takes else ""
    return f"{place} = {value} is not in [0, {num_rows}): {why}"


def unaligned(array: NDArray[Any]) -> NDArray[Any]:
    """A copy that begins one byte past an aligned address."""
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    copy = raw[: array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def run_python(
    code: str, *arguments: str, options: tuple[str, ...] = (), timeout: float = 120, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a script in a fresh interpreter that finds fastembed where this one does."""
    environment = {k: v for k, v in os.environ.items() if k not in ("FASTEMBED_NUM_THREADS", "OMP_NUM_THREADS")}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    environment.update(env or {})
    return subprocess.run(
        [sys.executable, *options, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def assert_clean(done: subprocess.CompletedProcess[str], stdout: str = "") -> None:
    """Asserts status 0, nothing on stderr, and exactly this on stdout."""
    assert (done.returncode, done.stderr, done.stdout) == (0, "", stdout)
