"""Stand-ins in NumPy for the gradient functions, until the compiled ones are here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed.ops import _bags, _check
from fastembed.ops._slices import IndexedSlices


def _sum(ids: NDArray[Any], grads: NDArray[np.float32], num_rows: int) -> IndexedSlices:
    indices, inverse = np.unique(ids, return_inverse=True)
    values = np.zeros((len(indices), grads.shape[1]), np.float32)
    np.add.at(values, inverse, grads)
    return IndexedSlices(values, indices.astype(np.intp), (num_rows, grads.shape[1]))


def _checked(ids: NDArray[Any], num_rows: int, padding_id: int | None) -> None:
    bad = (ids < 0) | (ids >= num_rows)
    if padding_id is not None:
        bad &= ids != padding_id
    if bad.any():
        at = int(np.argmax(bad))
        raise _check.bad_id(at, int(ids.reshape(-1)[at]), ids.shape, num_rows)


def embedding_grad(
    ids: Any, output_grad: Any, num_rows: int, *, padding_id: int | None = None, num_threads: int | None = None
) -> IndexedSlices:
    ids, padding_id = _check.ids(ids, num_rows, "raise", padding_id)
    _checked(ids, num_rows, padding_id)
    grads = np.asarray(output_grad, np.float32).reshape(ids.size, -1)
    flat = ids.reshape(-1)
    if padding_id is not None:
        grads, flat = grads[flat != padding_id], flat[flat != padding_id]
    return _sum(flat, grads, num_rows)


def embedding_bag_grad(
    ids: Any,
    output_grad: Any,
    num_rows: int,
    *,
    reduce: str = "mean",
    offsets: Any = None,
    lengths: Any = None,
    weights: Any = None,
    padding_id: int | None = None,
    table: Any = None,
    num_threads: int | None = None,
) -> IndexedSlices:
    ids, starts, weights, padding_id = _bags.bags(
        ids, offsets, lengths, weights, None, reduce, num_rows, "raise", padding_id, None
    )
    _checked(ids, num_rows, padding_id)
    sizes = np.diff(starts) if starts is not None else np.full(int(np.prod(ids.shape[:-1])), ids.shape[-1])
    bag = np.repeat(np.arange(len(sizes)), sizes)
    flat = ids.reshape(-1)
    grads = np.asarray(output_grad, np.float32)
    grads = grads.reshape(len(sizes), -1)
    kept = np.ones(len(flat), bool) if padding_id is None else flat != padding_id
    each = np.ones(len(flat), np.float32) if weights is None else weights.reshape(-1)
    if reduce == "max":
        from fastembed._native.kernels import embedding_bag_max_positions

        _, which = embedding_bag_max_positions(table, ids, offsets=offsets, lengths=lengths, padding_id=padding_id)
        rows = np.where(which.reshape(grads.shape)[bag] == np.arange(len(flat))[:, None], grads[bag], np.float32(0))
        return _sum(flat[kept], rows[kept], num_rows)
    factor = each
    if reduce != "sum":
        divisor = np.zeros(len(sizes), np.float32)
        np.add.at(divisor, bag[kept], (each * each if reduce == "sqrtn" and weights is not None else each)[kept])
        if reduce == "sqrtn":
            divisor = np.sqrt(divisor)
        with np.errstate(all="ignore"):
            factor = each / divisor[bag]
    return _sum(flat[kept], (grads[bag] * factor[:, None])[kept], num_rows)


def scatter_add(table: Any, ids: Any, values: Any, alpha: float = 1.0, *, num_threads: int | None = None) -> None:
    ids, _ = _check.ids(ids, len(table), "raise")
    _checked(ids, len(table), None)
    np.add.at(table, ids.reshape(-1), np.float32(alpha) * np.asarray(values, np.float32).reshape(ids.size, -1))
