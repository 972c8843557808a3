"""What each function of `fastembed.ops` means, in plain NumPy.

Tests and benchmarks compare with these; nothing else imports them. Arguments are assumed to be valid: a contiguous
float32 table and integer ids.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def gather(table: NDArray[np.float32], ids: NDArray[np.integer], *, mode: str = "raise") -> NDArray[np.float32]:
    """rows[i, j, ...] = table[ids[i, j, ...]]"""
    ids = np.asarray(ids)
    num_rows = len(table)
    # Python integers: exact for every dtype, uint64 included
    wanted = [int(i) for i in ids.reshape(-1)]
    rows = np.zeros((len(wanted), table.shape[1]), np.float32)
    for position, i in enumerate(wanted):
        if mode == "clip" and num_rows:
            i = min(max(i, 0), num_rows - 1)
        elif mode == "wrap" and num_rows:
            i %= num_rows
        if 0 <= i < num_rows:
            rows[position] = table[i]
        elif mode != "zero":
            raise IndexError(position, i)
    return rows.reshape((*ids.shape, table.shape[1]))


def gather_with_mask(
    table: NDArray[np.float32], ids: NDArray[np.integer], *, padding_id: int = 0, mode: str = "raise"
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """mask = ids != padding_id; rows = gather(table, ids), where a padding id outside the table gives zeros."""
    ids = np.asarray(ids)
    mask = np.array([int(i) != padding_id for i in ids.reshape(-1)], bool).reshape(ids.shape)
    if 0 <= padding_id < len(table):
        return gather(table, ids, mode=mode), mask
    rows = np.zeros((*ids.shape, table.shape[1]), np.float32)
    rows[mask] = gather(table, ids[mask], mode=mode)
    return rows, mask


def mask(ids: NDArray[np.integer], padding_id: int = 0) -> NDArray[np.bool_]:
    """ids != padding_id, in exact integers"""
    ids = np.asarray(ids)
    return np.array([int(i) != padding_id for i in ids.reshape(-1)], bool).reshape(ids.shape)


def embedding_bag(
    table: NDArray[np.float32],
    ids: Any,
    *,
    reduce: str = "mean",
    offsets: NDArray[np.integer] | None = None,
    lengths: NDArray[np.integer] | None = None,
    weights: Any = None,
    padding_id: int | None = None,
    include_last_offset: bool | None = None,
    mode: str = "raise",
) -> NDArray[np.float32]:
    """rows[b] = reduce(table[ids of bag b that are not padding]), summed in float32 in the order of the ids."""
    if offsets is not None:
        ends = list(offsets[1:]) if include_last_offset else [*offsets[1:], len(ids)]
        bags = [slice(int(start), int(end)) for start, end in zip(offsets, ends, strict=False)]
    elif lengths is not None:
        bags = [slice(int(sum(lengths[:b])), int(sum(lengths[: b + 1]))) for b in range(len(lengths))]
    else:
        shape = ids.shape[:-1] if isinstance(ids, np.ndarray) else (len(ids),)
        if isinstance(ids, np.ndarray):
            ids = ids.reshape(int(np.prod(shape)), ids.shape[-1])
            weights = None if weights is None else np.asarray(weights).reshape(ids.shape)
        bags = list(range(len(ids)))    # type: ignore[arg-type]
    rows = np.zeros((len(bags), table.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for b, bag in enumerate(bags):
            bag_weights = None if weights is None else np.asarray(weights[bag], np.float32)
            rows[b] = _bag(table, np.asarray(ids[bag]), reduce, bag_weights, padding_id, mode)
    return rows if offsets is not None or lengths is not None else rows.reshape((*shape, table.shape[1]))


def _bag(
    table: NDArray[np.float32],
    ids: NDArray[np.integer],
    reduce: str,
    weights: NDArray[np.float32] | None,
    padding_id: int | None,
    mode: str,
) -> NDArray[np.float32]:
    keep = [k for k, i in enumerate(ids.tolist()) if padding_id is None or i != padding_id]
    rows = gather(table, ids[keep].astype(ids.dtype if len(ids) else np.int64), mode=mode)
    result = np.zeros(table.shape[1], np.float32)
    if not keep:
        return result
    if reduce == "max":
        result[:] = rows[0]
        for row in rows[1:]:
            np.copyto(result, row, where=(row > result) | (np.isnan(row) & ~np.isnan(result)))
        return result
    scales = np.ones(len(keep), np.float32) if weights is None else weights[keep]
    divisor = np.float32(0)
    for row, scale in zip(rows, scales, strict=True):
        result = result + (row if weights is None else row * scale)
        divisor = divisor + (scale * scale if reduce == "sqrtn" else scale)
    if weights is None:
        divisor = np.float32(len(keep))
    if reduce != "sum":
        result = result / (np.sqrt(divisor) if reduce == "sqrtn" else divisor)
    return result


def embedding_grad(
    ids: NDArray[np.integer], output_grad: NDArray[np.float32], num_rows: int, *, padding_id: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.intp], tuple[int, int]]:
    """values, indices, dense_shape: zeros to which `np.add.at` has added the gradients, and of it the rows named"""
    flat = [int(i) for i in np.asarray(ids).reshape(-1)]
    keep = [k for k, i in enumerate(flat) if i != padding_id]
    for k in keep:
        if not 0 <= flat[k] < num_rows:
            raise IndexError(k, flat[k])
    dim = output_grad.shape[-1]
    named = np.array([flat[k] for k in keep], np.intp)
    indices, places = np.unique(named, return_inverse=True)
    values = np.zeros((len(indices), dim), np.float32)
    np.add.at(values, places, output_grad.reshape(len(flat), dim)[keep])
    return values, indices, (num_rows, dim)


def embedding_bag_grad(
    ids: Any,
    output_grad: NDArray[np.float32],
    num_rows: int,
    *,
    reduce: str = "mean",
    offsets: NDArray[np.integer] | None = None,
    lengths: NDArray[np.integer] | None = None,
    weights: Any = None,
    padding_id: int | None = None,
    include_last_offset: bool | None = None,
    table: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.intp], tuple[int, int]]:
    """embedding_grad of weight * (1 / divisor) * the bag's gradient; with "max", of it where the id's row won"""
    if lengths is None and offsets is not None:
        lengths = np.diff(offsets if include_last_offset else [*offsets, len(ids)])
    elif lengths is None:
        array = not isinstance(ids, (list, tuple))
        bags = ids.reshape(int(np.prod(ids.shape[:-1])), ids.shape[-1]) if array else ids
        if weights is not None:
            weights = np.asarray(weights).reshape(-1) if array else np.concatenate(weights)
        lengths = np.array([len(bag) for bag in bags], np.intp)
        ids = np.concatenate([np.asarray(bag) for bag in bags]) if len(bags) else np.zeros(0, np.int64)
    dim = output_grad.shape[-1]
    grads = output_grad.reshape(len(lengths), dim)
    each = np.zeros((len(ids), dim), np.float32)
    scales = None if weights is None else np.asarray(weights, np.float32)
    end = 0
    for bag, length in enumerate(lengths.tolist()):
        start, end = end, end + length
        keep = [k for k in range(start, end) if padding_id is None or int(ids[k]) != padding_id]
        if not keep:
            continue
        if reduce == "max":
            assert table is not None
            rows = table[np.asarray(ids)[keep].astype(np.int64)]
            for d in range(dim):
                each[keep[int(np.argmax(rows[:, d]))], d] = grads[bag, d]
            continue
        divisor = np.float32(1 if reduce == "sum" else len(keep))
        if scales is not None and reduce != "sum":
            divisor = np.float32(0)
            for k in keep:
                divisor = divisor + (scales[k] * scales[k] if reduce == "sqrtn" else scales[k])
        with np.errstate(all="ignore"):
            scale = np.float32(1) / (np.sqrt(divisor) if reduce == "sqrtn" else divisor)
            for k in keep:
                each[k] = grads[bag] * (scale if scales is None else scales[k] * scale)
    return embedding_grad(np.asarray(ids), each, num_rows, padding_id=padding_id)


def scatter_add(
    table: NDArray[np.float32], ids: NDArray[np.integer], values: NDArray[np.float32], alpha: float = 1.0
) -> None:
    """table[ids[k]] += alpha * values[k], in the order of the ids"""
    np.add.at(table, np.asarray(ids), np.float32(alpha) * values)
