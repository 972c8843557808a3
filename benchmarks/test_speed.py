"""fastembed's own speed from one version to the next: `pytest benchmarks/test_speed.py --benchmark-autosave`.

Afterwards `--benchmark-compare` shows the difference. For comparisons with other libraries use `python -m benchmarks`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from fastembed import ops
from fastembed._bench.workloads import WORKLOADS

pytest.importorskip("pytest_benchmark")


@functools.lru_cache(maxsize=1)
def made(name: str) -> tuple[Any, Any]:
    return WORKLOADS[name].make()


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("operation", ["gather", "out", "mask"])
@pytest.mark.parametrize("threads", sorted({1, ops.get_num_threads()}))
def test_speed(benchmark: Any, name: str, operation: str, threads: int) -> None:
    table, ids = made(name)
    benchmark.group = f"{name} {operation}"
    with ops.num_threads(threads):
        if operation == "out":
            out = np.zeros((*ids.shape, table.shape[1]), np.float32)
            result = benchmark(ops.gather, table, ids, out=out)
        elif operation == "mask":
            result, mask = benchmark(ops.gather_with_mask, table, ids)
            np.testing.assert_array_equal(mask, ids != 0)
        else:
            result = benchmark(ops.gather, table, ids)
    np.testing.assert_array_equal(result, np.take(table, ids, axis=0))
