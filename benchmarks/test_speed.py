"""fastembed's own speed from one version to the next: `pytest benchmarks/test_speed.py --benchmark-autosave`.

Afterwards `--benchmark-compare` shows the difference. For comparisons with other libraries use `python -m benchmarks`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from fastembed import ops
from fastembed._bench.operations import masked_mean
from fastembed._bench.workloads import WORKLOADS

pytest.importorskip("pytest_benchmark")


@functools.lru_cache(maxsize=1)
def made(name: str) -> tuple[Any, Any]:
    return WORKLOADS[name].make()


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("operation", ["gather", "out", "gather+mask", "mask", "bag"])
@pytest.mark.parametrize("threads", sorted({1, ops.get_num_threads()}))
def test_speed(benchmark: Any, name: str, operation: str, threads: int) -> None:
    table, ids = made(name)
    benchmark.group = f"{name} {operation}"
    with ops.num_threads(threads):
        if operation == "out":
            out = np.zeros((*ids.shape, table.shape[1]), np.float32)
            result = benchmark(ops.gather, table, ids, out=out)
        elif operation == "mask":
            np.testing.assert_array_equal(benchmark(ops.mask, ids), ids != 0)
            return
        elif operation == "bag":
            if ids.ndim == 1:
                pytest.skip("one bag only")
            result = benchmark(ops.embedding_bag, table, ids, padding_id=0)
            np.testing.assert_allclose(result, masked_mean(table, ids), rtol=1e-5, atol=1e-6)
            return
        elif operation == "gather+mask":
            result, mask = benchmark(ops.gather_with_mask, table, ids)
            np.testing.assert_array_equal(mask, ids != 0)
        else:
            result = benchmark(ops.gather, table, ids)
    np.testing.assert_array_equal(result, np.take(table, ids, axis=0))
