"""The forms in which bags of ids may be given, brought to one: flat ids, where each bag begins, and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._native import kernels, sequences
from fastembed.ops import _check


def bags(
    ids: Any,
    offsets: Any,
    lengths: Any,
    weights: Any,
    include_last_offset: bool | None,
    reduce: str,
    num_rows: int,
    mode: str,
    padding_id: int | None,
    out: Any,
    function: str = "embedding_bag",
) -> tuple[NDArray[np.integer], NDArray[np.intp] | None, NDArray[np.float32] | None, int | None, bool]:
    """Exact ids, starts (B + 1,), weights, padding id, and whether the bags came as a list.

    starts is None when bags are the last axis of the ids. `function` is who is called, for errors.
    """
    if weights is not None and reduce == "max":
        raise ValueError('`weights` have no meaning with reduce="max": scale the table, or use another reduction.')
    if include_last_offset is not None and offsets is None:
        raise ValueError("`include_last_offset` says how `offsets` are meant; there are none.")
    if not isinstance(include_last_offset, (bool, np.bool_, type(None))):
        raise TypeError(f"`include_last_offset` must be True, False or None. Received: {include_last_offset!r}.")
    if offsets is not None and lengths is not None:
        raise ValueError("`offsets` and `lengths` say the same thing: pass one of them.")
    # the caller's own arrays: what is made of them below may be a copy
    _check.apart("out", out, ids=ids, weights=weights, offsets=offsets, lengths=lengths)
    parts = joined = None
    if offsets is None and lengths is None and isinstance(ids, (list, tuple)):
        joined = sequences.join(tuple(ids))
        if joined is not None and isinstance(ids[0], (list, tuple)) and (joined[1] == joined[1][0]).all():
            ids, joined = joined[0].reshape(len(ids), -1), None
        else:
            parts = ids if joined is not None else _ragged(ids)
    if parts is not None:
        if out is not None:
            for part in parts:
                _check.apart("out", out, ids=part)
        if joined is None:
            joined = _joined("ids", parts, "iuO"), np.array([len(part) for part in parts], np.intp)
        starts = _starts_of_lengths(joined[1])
        flat, padding_id = _check.ids(joined[0], num_rows, mode, padding_id, wording(starts, function))
        if flat.ndim != 1:
            raise ValueError(f"`ids` must be an array or a list of 1-D bags. Received: a list of {flat.ndim}-D bags.")
        if weights is not None:
            weights = _weight_parts(weights, np.diff(starts).tolist())
        return flat, starts, _weights(weights, flat.shape), padding_id, True
    flat, padding_id = _check.ids(ids, num_rows, mode, padding_id, wording(None, function))
    weights = _weights(weights, flat.shape)
    if offsets is None and lengths is None:
        if flat.ndim < 2:
            raise ValueError(
                f"{flat.ndim}-D `ids` need `offsets` or `lengths`, which say where bags begin; one bag is ids[None]. "
                f"Received: shape {flat.shape}."
            )
        return flat, None, weights, padding_id, False
    name = "offsets" if lengths is None else "lengths"
    if flat.ndim != 1:
        raise ValueError(f"`ids` with `{name}` must have 1 dimension. Received: shape {flat.shape}.")
    if offsets is not None:
        return flat, _starts_of_offsets(offsets, len(flat), include_last_offset, out), weights, padding_id, False
    sizes_array = _integers("lengths", lengths)
    if sizes_array.min(initial=0) < 0:
        first = int(np.argmax(sizes_array < 0))
        raise ValueError(f"`lengths` must not be negative. Received: lengths[{first}] = {sizes_array[first]}.")
    total = sum(sizes_array.tolist())  # Python's, which does not wrap
    if total != len(flat):
        raise ValueError(f"`lengths` must add up to len(ids) = {len(flat)}. Received: a sum of {total}.")
    return flat, _starts_of_lengths(sizes_array), weights, padding_id, False


def wording(
    starts: NDArray[np.intp] | None, function: str = "embedding_bag"
) -> Callable[[int, int, Sequence[int], int], IndexError]:
    """As `_check.bad_id`, for another function; of a list of bags, whose starts are given, it names bag and place."""

    def bad_id(position: int, value: int, shape: Sequence[int], num_rows: int) -> IndexError:
        if starts is None:
            where = _check.indices(position, shape)
        else:
            bag = int(np.searchsorted(starts, position, "right")) - 1
            where = [bag, position - int(starts[bag])]
        return _check.bad_id_at(where, value, num_rows, function)

    return bad_id


def _ragged(ids: Sequence[Any]) -> Sequence[Any] | None:
    """The sequences of a list of bags; None when it is a nested list of equal lengths or a flat one."""
    try:
        if any(np.ndim(part) == 0 for part in ids[:1]):
            return None
        sizes = {len(part) for part in ids}
    except (TypeError, ValueError):
        return None     # sequences and numbers mixed, or lists of unequal lists as bags: _check.ids words it
    if len(sizes) == 1 and not isinstance(ids[0], np.ndarray):
        return None
    return ids


def _joined(name: str, parts: Sequence[Any], kinds: str) -> Any:
    """The bags' items one after the other; or the first array of them that is of none of these kinds, to be refused."""
    for part in parts:
        if isinstance(part, np.ndarray) and (part.dtype.kind not in kinds or isinstance(part, np.ma.MaskedArray)):
            return part
    if parts and all(type(part) is np.ndarray for part in parts):
        for position, part in enumerate(parts):
            if part.ndim != 1:
                raise ValueError(
                    f"`{name}` must be a list of 1-D bags. Received: {name}[{position}] of shape {part.shape}."
                )
        joined = np.concatenate(parts)
        # NumPy makes floats of int64 and uint64
        return np.concatenate(parts, dtype=object) if kinds == "iuO" and joined.dtype.kind == "f" else joined
    return list(chain.from_iterable(parts))


def _starts_of_lengths(lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    starts = np.zeros(len(lengths) + 1, np.intp)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _starts_of_offsets(offsets: Any, count: int, include_last: bool | None, out: Any) -> NDArray[np.intp]:
    """A private copy of the offsets, checked, with the end of the last bag."""
    starts = _integers("offsets", offsets)
    if include_last is None:
        # only the shape of `out` tells the two forms apart: an offset at the end may also begin a last, empty bag
        fits = isinstance(out, np.ndarray) and out.ndim == 2 and len(out) == len(starts) - 1
        include_last = fits and int(starts[-1]) == count
    if not include_last:
        starts = np.append(starts, count)
    elif not len(starts):
        raise ValueError("`offsets` with `include_last_offset` must have one number at least: the end of the last bag.")
    elif starts[-1] != count:
        raise ValueError(
            f"`offsets` with `include_last_offset` must end with len(ids) = {count}. Received: {starts[-1]} at the end."
        )
    if starts[0] != 0:
        raise ValueError(
            f"`offsets` must begin with 0, where the first bag begins. Received: {starts[0]} at the beginning."
            if include_last or len(starts) > 1
            else f"`offsets` must not be empty when there are ids. Received: {count} ids."
        )
    falls = starts[1:] < starts[:-1]  # not np.diff, which wraps
    if falls.any():
        first = int(np.argmax(falls)) + 1
        if first == len(starts) - 1 and not include_last:
            raise ValueError(
                f"`offsets` must not pass len(ids) = {count}. Received: offsets[{first - 1}] = {starts[first - 1]}."
            )
        raise ValueError(
            f"`offsets` must not decrease. Received: offsets[{first - 1}] = {starts[first - 1]}, "
            f"offsets[{first}] = {starts[first]}."
        )
    return starts


def _integers(name: str, values: Any) -> NDArray[np.intp]:
    """A private 1-D intp copy of integers."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must be plain integers. Received: a masked array.")
    try:
        array = np.array(values)
    except ValueError:
        raise ValueError(f"`{name}` must have 1 dimension. Received: nested lists of unequal lengths.") from None
    if array.size == 0 and not isinstance(values, np.ndarray):
        array = array.astype(np.intp)
    if array.dtype.kind not in "iu":
        raise TypeError(f"`{name}` must be integers. Received: dtype {array.dtype}.")
    if array.ndim != 1:
        raise ValueError(f"`{name}` must have 1 dimension. Received: shape {array.shape}.")
    if array.dtype == np.uint64 and array.max(initial=0) > np.iinfo(np.intp).max:
        raise ValueError(f"`{name}` must fit into 63 bits. Received: {array.max()}.")
    return array.astype(np.intp)


def _weights(weights: Any, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Weights as contiguous float32 of the shape of the ids."""
    if weights is None:
        return None
    if isinstance(weights, np.ma.MaskedArray):
        raise TypeError("`weights` must be plain floats of the shape of `ids`. Received: a masked array.")
    try:
        array = np.asarray(weights).view()  # as in `_check.table`
    except ValueError:
        raise ValueError(
            f"`weights` must have the shape of `ids`, {shape}. Received: nested lists of unequal lengths."
        ) from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"`weights` must be floats of the shape of `ids`. Received: dtype {array.dtype}.")
    if array.shape != shape:
        raise ValueError(f"`weights` must have the shape of `ids`, {shape}. Received: {array.shape}.")
    _check.watch(weights)
    exact = np.ascontiguousarray(array, dtype=np.float32)
    kernels.check_whole(array)
    return exact


def _weight_parts(weights: Any, sizes: list[int]) -> Any:
    """The weights of a list of bags one after the other, when each bag has as many as it has ids."""
    if isinstance(weights, np.ndarray) and weights.ndim > 1:
        weights = list(weights)
    if not isinstance(weights, (list, tuple)) or len(weights) != len(sizes):
        received = f"{len(weights)} sequences" if isinstance(weights, (list, tuple)) else type(weights).__name__
        raise ValueError(f"`weights` must be a list of {len(sizes)} sequences, as `ids` is. Received: {received}.")
    for position, (part, size) in enumerate(zip(weights, sizes, strict=True)):
        if np.ndim(part) == 0:
            raise ValueError(
                f"`weights` must be a list of {len(sizes)} sequences, as `ids` is. "
                f"Received: weights[{position}] = {part!r}."
            )
        if len(part) != size:
            raise ValueError(
                f"`weights` must have a number for each id. Received: {len(part)} in weights[{position}], "
                f"{size} in ids[{position}]."
            )
    joined = _joined("weights", weights, "iuf")
    return np.zeros(0, np.float32) if len(joined) == 0 else joined
