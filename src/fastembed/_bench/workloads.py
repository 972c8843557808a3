"""What is looked up: tables and ids of the sizes that people have, made from a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_SEED = 20180925
_PADDING = 0.3


@dataclass(frozen=True)
class Workload:
    """A table of `rows` x `columns` and ids of `ids_shape`.

    `kind` is how often an id comes. "uniform": each alike. "zipf": the id of rank k in proportion to 1 / k, the
    frequent ids first, as a tokenizer numbers them. "scattered": the same, the frequent ids anywhere in the table.
    "text": as "zipf" without the padding id 0, which ends each sample instead, 30 % of all ids.
    """

    name: str
    rows: int
    columns: int
    ids_shape: tuple[int, ...]
    kind: Literal["uniform", "zipf", "scattered", "text"]

    def small(self) -> Workload:
        """The same kind at a size for checking results in no time."""
        shape = (*(min(n, 12) for n in self.ids_shape[:-1]), min(self.ids_shape[-1], 300))
        return replace(self, rows=min(self.rows, 500), columns=min(self.columns, 100), ids_shape=shape)

    def make(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The table and the ids, the same on every call."""
        generator = np.random.default_rng([_SEED, self.rows, self.columns])
        table = generator.random((self.rows, self.columns), dtype=np.float32)
        if self.kind == "uniform":
            return table, generator.integers(self.rows, size=self.ids_shape)
        first = 1 if self.kind == "text" else 0
        weights = np.cumsum(1 / np.arange(1, self.rows - first + 1))
        ids = first + np.searchsorted(weights, generator.random(self.ids_shape) * weights[-1])
        if self.kind == "scattered":
            ids = generator.permutation(self.rows)[ids]
        elif self.kind == "text":
            length = self.ids_shape[-1]
            lengths = generator.uniform(1 - 2 * _PADDING, 1, (*self.ids_shape[:-1], 1)) * length
            ids[np.arange(length) >= np.rint(lengths)] = 0
        return table, np.ascontiguousarray(ids, dtype=np.int64)


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
