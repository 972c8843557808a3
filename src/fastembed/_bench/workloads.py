"""What is looked up: tables and ids of the sizes that people have, made from a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_SEED = 20180925
_PADDING = 0.3
# Tables with more numbers than this repeat a block of so many, which is quicker than drawing them all.
_BLOCK = 16_000_057

Kind = Literal["uniform", "zipf", "scattered", "text", "sorted", "reversed", "equal"]


@dataclass(frozen=True)
class Workload:
    """A table of `rows` x `columns` and ids of `ids_shape` and `dtype`.

    `kind` is how often an id comes. "uniform": each alike. "zipf": the id of rank k in proportion to k ** -exponent,
    the frequent ids first, as a tokenizer numbers them. "scattered": the same, the frequent ids anywhere in the table.
    "text": as "zipf" without the padding id 0, which ends each sample instead, 30 % of all ids. "sorted" and
    "reversed": uniform ones in order. "equal": always the id in the middle.
    """

    name: str
    rows: int
    columns: int
    ids_shape: tuple[int, ...]
    kind: Kind
    exponent: float = 1.0
    dtype: str = "int64"

    @property
    def table_bytes(self) -> int:
        return self.rows * self.columns * 4

    def small(self) -> Workload:
        """The same kind at a size for checking results in no time."""
        shape = (*(min(n, 12) for n in self.ids_shape[:-1]), min(self.ids_shape[-1], 300))
        return replace(self, rows=min(self.rows, 500), columns=min(self.columns, 100), ids_shape=shape)

    def make(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The table and the ids, the same on every call."""
        generator = np.random.default_rng([_SEED, self.rows, self.columns])
        table = self._table(generator)
        return table, np.ascontiguousarray(self._ids(generator), dtype=self.dtype)

    def _table(self, generator: np.random.Generator) -> NDArray[np.float32]:
        size = self.rows * self.columns
        if size <= _BLOCK:
            return generator.random((self.rows, self.columns), dtype=np.float32)
        table = np.empty(size, np.float32)
        block = generator.random(_BLOCK, dtype=np.float32)
        for start in range(0, size, _BLOCK):
            table[start : start + _BLOCK] = block[: size - start]
        return table.reshape(self.rows, self.columns)

    def _ids(self, generator: np.random.Generator) -> NDArray[Any]:
        ids: NDArray[Any]
        if self.kind == "equal":
            return np.full(self.ids_shape, self.rows // 2)
        if self.kind in ("uniform", "sorted", "reversed"):
            ids = generator.integers(self.rows, size=self.ids_shape)
            if self.kind != "uniform":
                ids = np.sort(ids, axis=None).reshape(self.ids_shape)
            return ids if self.kind != "reversed" else ids[::-1]
        first = 1 if self.kind == "text" else 0
        weights = np.cumsum(np.arange(1, self.rows - first + 1, dtype=np.float64) ** -self.exponent)
        ids = first + np.searchsorted(weights, generator.random(self.ids_shape) * weights[-1])
        if self.kind == "scattered":
            ids = generator.permutation(self.rows)[ids]
        elif self.kind == "text":
            length = self.ids_shape[-1]
            lengths = generator.uniform(1 - 2 * _PADDING, 1, (*self.ids_shape[:-1], 1)) * length
            ids[np.arange(length) >= np.rint(lengths)] = 0
        return ids


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("W1", 6, 2, (4, 3), "uniform"),
        Workload("W2", 30_000, 128, (32, 128), "uniform"),
        Workload("W3", 50_000, 300, (64, 256), "text"),
        Workload("W4u", 1_000_000, 64, (4096, 26), "uniform"),
        Workload("W4z", 1_000_000, 64, (4096, 26), "scattered"),
        Workload("W5", 128_000, 1024, (8, 2048), "zipf"),
        Workload("W6", 10_000_000, 16, (1_000_000,), "uniform"),
    )
}
