"""What is measured: the operations, the plain NumPy each is compared with, and what its result must be.

"gather": rows into a fresh output. "out hot": into the same array each time. "out cold": the same after the caches were
emptied, for NumPy as well. "gather+mask": fresh rows and `ids != 0`. "mask": `ids != 0` alone. "bag": the mean of each
sample's rows without its padding (id 0), against NumPy's take and mean, which counts padding as rows; "bag, masked":
the same against the quickest NumPy that means the same. "layer": the call of an Embedding, on the smallest workload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float32]
Ids = NDArray[Any]

NAMES = ("gather", "out hot", "out cold", "gather+mask", "mask", "bag", "bag, masked", "layer")


@dataclass(frozen=True)
class Call:
    """A statement and the names in it; `result` turns what it gives into NumPy arrays, rows first.

    timeit runs that very text, so that a call of 300 ns is not measured through a wrapper of 100.
    """

    statement: str
    names: Mapping[str, Any]
    result: Callable[[Any], tuple[Any, ...]] = field(default=lambda value: (value,))

    def run(self) -> tuple[Any, ...]:
        return self.result(eval(self.statement, dict(self.names)))


@dataclass(frozen=True)
class Operation:
    """How one operation is compared: with `base` in time, with the result of `expected` in value.

    `of` names the peer's call. `source`, `rows` and `out_bytes` are what the operation reads and fills, for its limit.
    """

    of: str
    base: Call
    expected: Call
    exact: bool
    cold: bool
    source: NDArray[Any]
    rows: Ids
    out_bytes: int

    def wrong(self, result: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
        """Whether dtypes, shapes or bits differ; values beyond rounding, where sums may be taken in any order."""
        if len(result) != len(expected):
            return True
        pairs = list(zip(result, expected, strict=True))
        if any(a.dtype != b.dtype or a.shape != b.shape for a, b in pairs):
            return True
        if self.exact:
            return not all(np.array_equal(_bits(a), _bits(b)) for a, b in pairs)
        return not all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in pairs)


def operations(table: Table, ids: Ids) -> dict[str, Operation]:
    """The operations that a workload has, by name."""
    names = {"take": np.take, "table": table, "ids": ids}
    take = Call("take(table, ids, axis=0)", names)
    both = Call("(take(table, ids, axis=0), ids != 0)", names, tuple)
    mask = Call("ids != 0", names)
    row = table.shape[1] * 4
    all_rows: tuple[Any, ...] = (table, ids, ids.size * row)
    found = {
        "gather": Operation("gather", take, take, True, False, *all_rows),
        "out hot": Operation("out", take, take, True, False, *all_rows),
        "gather+mask": Operation("gather+mask", both, both, True, False, *all_rows),
        # reading the ids as rows of 4 KiB, one after the other
        "mask": Operation("mask", mask, mask, True, False, *_pages(ids), ids.size),
    }
    if table.size < 100:
        found["layer"] = Operation("layer", take, take, True, False, *all_rows)
        return found
    found["out cold"] = Operation("out", take, take, True, True, *all_rows)
    if ids.ndim == 2:
        plain = Call("take(table, ids, axis=0).mean(axis=-2)", names)
        masked = Call("masked_mean(table, ids)", {**names, "masked_mean": masked_mean})
        reads: tuple[Any, ...] = (table, ids[ids != 0], len(ids) * row)
        found["bag"] = Operation("bag", plain, masked, False, False, *reads)
        found["bag, masked"] = Operation("bag", masked, masked, False, False, *reads)
    return {name: found[name] for name in NAMES if name in found}


def masked_mean(table: Table, ids: Ids) -> Table:
    """The mean without padding as NumPy does it fastest: einsum beats `where=` and products by 2 to 3 times."""
    mask = (ids != 0).astype(np.float32)
    sums: Table = np.einsum("bld,bl->bd", np.take(table, ids, axis=0), mask)
    sums /= np.maximum(mask.sum(axis=-1, keepdims=True), np.float32(1))
    return sums


def output(table: Table, ids: Ids) -> Table:
    """An output for the operations that take one, already backed by memory."""
    return np.ones((*ids.shape, table.shape[1]), np.float32)


def _pages(ids: Ids) -> tuple[NDArray[Any], NDArray[np.int64]]:
    flat = ids.reshape(-1).view(np.uint8)
    width = min(4096, flat.nbytes)
    pages = flat[: flat.nbytes // width * width].reshape(-1, width)
    return pages, np.arange(len(pages))


def _bits(array: Any) -> Any:
    # -0.0 == 0.0, and NaN != NaN: bits say more
    return array.view(np.uint32) if array.dtype == np.float32 else array


