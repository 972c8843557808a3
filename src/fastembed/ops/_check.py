"""Arguments that are not exact kernel input: converted where that is harmless, refused in words where not.

The compiled functions call these only when an argument is not already exact, so nothing here costs the common case.
"""

from __future__ import annotations

import itertools
import mmap
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._native import kernels

_INT64 = np.iinfo(np.int64)


def table(given: Any) -> NDArray[np.float32]:
    """The table as a plain ndarray over the same memory; an error when that takes a conversion."""
    fix = "convert it once, with np.ascontiguousarray(table, dtype=np.float32)"
    if not isinstance(given, np.ndarray):
        raise TypeError(f"`table` must be a float32 NumPy array (V, D). Received: {_kind(given)}; {fix}.")
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(
            "`table` must be a plain float32 array. Received: a masked array; fill it, with table.filled()."
        )
    # what is checked must be what is returned: another thread may assign to the shape or dtype of the caller's array
    table: NDArray[Any] = given.view(np.ndarray)
    if table.dtype.type is not np.float32:
        raise TypeError(f"`table` must be a float32 array (V, D). Received: dtype {table.dtype}; {fix}.")
    if table.ndim != 2:
        raise ValueError(f"`table` must have 2 dimensions (V, D). Received: shape {table.shape}.")
    if layout := _unfit_layout(table):
        if not table.flags.aligned:
            fix = 'convert it once, with np.require(table, np.float32, ["C", "A"])'
        raise ValueError(
            f"`table` must be C-contiguous, aligned and of native byte order. Received: one {layout}; {fix}."
        )
    watch(table)
    return table


_watched: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def watch(array: Any) -> None:
    """Sees to it that the process survives when the file mapped under an array is cut short: see `kernels.watch`."""
    base: Any = array
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if type(base) is mmap.mmap and base not in _watched:
        weakref.finalize(base, kernels.forget, kernels.watch(base))
        _watched.add(base)


def ids(
    ids: Any,
    num_rows: int,
    mode: str,
    padding_id: int | None = None,
    bad: Callable[[int, int, Sequence[int], int], IndexError] | None = None,
) -> tuple[NDArray[np.integer], int | None]:
    """Contiguous native ids, the array itself or a private copy of it; and the padding id among those.

    `bad` words the error about an id as `bad_id` does, which it is by default.
    """
    if isinstance(ids, np.ma.MaskedArray):
        raise TypeError("`ids` must be a plain integer array. Received: a masked array; fill it, with ids.filled(id).")
    array = (ids if isinstance(ids, np.ndarray) else _from_sequence(ids)).view(np.ndarray)  # as in `table`
    if array.dtype == object:
        array, padding_id = _from_objects(array, num_rows, mode, padding_id, bad or bad_id)
    if array.dtype.kind not in "iu":
        if array.size == 0 and not isinstance(ids, np.ndarray):  # an empty list says nothing of its items
            return np.zeros(array.shape, np.int64), padding_id
        raise TypeError(f"`ids` must be integers. Received: dtype {array.dtype}; {_ids_fix(array.dtype.kind)}.")
    watch(ids)
    # a copy only where the layout asks for one
    exact = np.require(array, array.dtype.newbyteorder("="), ["C", "A"])
    kernels.check_whole(array)
    return exact, padding_id


def whole_ids(ids: NDArray[Any]) -> NDArray[np.int64]:
    """Float ids as int64, when every one is a whole number that its dtype holds exactly.

    Raises:
        ValueError: an id is NaN, infinite, has a fraction, or is past the whole numbers that its dtype can tell apart,
            or past int64.
    """
    watch(ids)
    bits = np.finfo(ids.dtype).nmant + 1
    exact, limit, holder = 2**bits, f"2**{bits}", ids.dtype
    if bits > 63:
        exact, limit, holder = int(_INT64.max), "2**63 - 1", np.dtype(np.int64)
    # NaN fails every comparison; so `not fine` finds it
    with np.errstate(invalid="ignore"):
        fine = (np.abs(ids) <= exact) & (np.floor(ids) == ids)
    kernels.check_whole(ids)
    if not fine.all():
        first = np.unravel_index(int(np.argmin(fine)), ids.shape)
        place = _place([int(i) for i in first])
        raise ValueError(
            f"{place} = {ids[first]} is no id: it is not a whole number, or is past {limit}, from where "
            f"{holder} does not hold every one; pass integer ids."
        )
    whole = ids.astype(np.int64)
    kernels.check_whole(ids)
    return whole


def output(
    name: str, given: Any, is_mask: bool, shape: tuple[int, ...], form: str, **inputs: NDArray[Any] | None
) -> NDArray[Any]:
    """A given output as a plain ndarray over the same memory, when it fits and shares none with the inputs.

    `form` says in words where the shape comes from.
    """
    dtype = np.dtype(bool if is_mask else np.float32)
    if not isinstance(given, np.ndarray) or isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must be a {dtype} NumPy array of shape {shape}. Received: {_kind(given)}.")
    out: NDArray[Any] = given.view(np.ndarray)  # as in `table`
    if out.dtype.type is not dtype.type:
        raise TypeError(f"`{name}` must be a {dtype} array of shape {shape}. Received: dtype {out.dtype}.")
    if out.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape}, {form}. Received: {out.shape}.")
    if layout := _unfit_layout(out):
        raise ValueError(f"`{name}` must be C-contiguous, aligned and of native byte order. Received: one {layout}.")
    if not out.flags.writeable:
        raise ValueError(f"`{name}` must be writable. Received: a read-only array.")
    apart(name, out, **inputs)
    return out


def apart(name: str, out: Any, **inputs: Any) -> None:
    """Refuses an output that shares memory with an input."""
    for other_name, other in inputs.items():
        if isinstance(out, np.ndarray) and isinstance(other, np.ndarray) and np.may_share_memory(out, other):
            raise ValueError(
                f"`{name}` must not share memory with `{other_name}`: it would be read after it is written."
            )


def outputs_overlap() -> ValueError:
    """The error for two outputs over the same memory."""
    return ValueError("`out` and `mask_out` must not share memory.")


def integer(name: str, value: Any) -> int:
    """An integer argument; bool is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be an integer. Received: {value!r} ({type(value).__name__}).")
    return int(value)


def size(name: str, value: Any) -> int:
    """An integer >= 0."""
    number = integer(name, value)
    most = int(np.iinfo(np.intp).max)
    if not 0 <= number <= most:
        raise ValueError(f"`{name}` must be an integer >= 0{f' and <= {most}' * (number > most)}. Received: {number}.")
    return number


def number(name: str, value: Any) -> float:
    """A real number; bool is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"`{name}` must be a number. Received: {value!r} ({type(value).__name__}).")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"`{name}` must be a number that a float holds. Received: an integer past 1.8e308.") from None


def grads(name: str, grads: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Contiguous float32 of a shape and one more axis, D: the array itself where it is such."""
    array = np.asarray(grads).view()  # as in `table`
    if isinstance(grads, np.ma.MaskedArray) or array.dtype.kind not in "iuf":
        received = _kind(grads) if isinstance(grads, np.ma.MaskedArray) else f"dtype {array.dtype}"
        raise TypeError(f"`{name}` must be floats of shape {_and_dim(shape)}. Received: {received}.")
    if array.ndim != len(shape) + 1 or array.shape[:-1] != shape:
        raise ValueError(f"`{name}` must have shape {_and_dim(shape)}. Received: {array.shape}.")
    watch(grads)
    exact = np.require(array, np.float32, ["C", "A"])
    kernels.check_whole(array)
    return exact


def _and_dim(shape: tuple[int, ...]) -> str:
    return f"({', '.join([*map(str, shape), 'D'])})"


def writable_table(given: Any) -> NDArray[np.float32]:
    """A table that may be written to."""
    checked = table(given)
    if not checked.flags.writeable:
        raise ValueError("`table` must be writable. Received: a read-only array.")
    return checked


def same_dim(table: NDArray[np.float32], dim: int) -> None:
    """Refuses rows of another width than the table's."""
    if table.shape[1] != dim:
        raise ValueError(f"`values` must have rows as wide as the table's, {table.shape[1]}. Received: {dim}.")


def max_table(given: Any, num_rows: int, dim: int) -> NDArray[np.float32]:
    """As `table`, where a maximum's gradient needs it; also refuses a missing one, or one of another shape."""
    if given is None:
        raise ValueError('reduce="max" needs `table`, which says whose number was the largest. Received: None.')
    checked = table(given)
    if checked.shape != (num_rows, dim):
        raise ValueError(f"`table` must have shape {(num_rows, dim)}, (num_rows, D). Received: {checked.shape}.")
    return checked


def bad_mode(mode: Any, modes: Sequence[str]) -> Exception:
    """The error for an unknown mode."""
    known = ", ".join(f'"{name}"' for name in modes)
    return (ValueError if isinstance(mode, str) else TypeError)(f"`mode` must be one of {known}. Received: {mode!r}.")


def bad_reduce(reduce: Any, mode: Any, reductions: Sequence[str]) -> Exception:
    """The error for an unknown reduction, or for one passed as `mode`."""
    if isinstance(mode, str) and mode in reductions:
        return ValueError(
            f"`mode` says what becomes of ids outside the table; the reduction is named by `reduce`: reduce={mode!r}."
        )
    known = ", ".join(f'"{name}"' for name in reductions)
    return (ValueError if isinstance(reduce, str) else TypeError)(
        f"`reduce` must be one of {known}. Received: {reduce!r}."
    )


def bad_id(position: int, value: int, shape: Sequence[int], num_rows: int) -> IndexError:
    """The error for the id `value` at flat `position` of ids of this shape."""
    return bad_id_at(indices(position, shape), value, num_rows)


def indices(position: int, shape: Sequence[int]) -> list[int]:
    """Where flat `position` is in an array of this shape."""
    where: list[int] = []
    for size in reversed(shape):
        position, index = divmod(position, size)
        where.insert(0, index)
    return where


def bad_id_at(where: Sequence[int], value: int, num_rows: int, function: str = "gather") -> IndexError:
    """The error for an id outside the table; begins with Keras's words.

    `function` is the one that could take it; "": it is the number of a row to change, and none could.
    """
    padding = "gather_with_mask" if function == "gather" else function
    takes = ""
    if function and not function.endswith("_grad"):  # a gradient has no modes
        takes = f'{function}\'s mode="clip", "wrap" or "zero" accepts any id.'
    if num_rows == 0:
        why = "the table has no rows."
    elif value < 0:
        why = "negative ids do not count from the end."
        if function:
            why += f" If it marks padding, name it to {padding} as padding_id{f'; {takes}' if takes else '.'}"
    else:
        why = (
            f"the table has {num_rows} rows; it needs (an Embedding's input_dim must be) at least the largest id + 1."
            f"{f' {takes}' if takes else ''}"
        )
    return IndexError(f"{_place(where)} = {value} is not in [0, {num_rows}): {why}")


def _place(where: Sequence[int]) -> str:
    return f"indices[{','.join(map(str, where))}]" if where else "indices"


def _unfit_layout(array: NDArray[Any]) -> str:
    """What keeps the kernel from using the memory of this array as it is; nothing when it can."""
    if not array.dtype.isnative:
        return "of foreign byte order"
    if not array.flags.c_contiguous:
        return f"with strides {array.strides}"
    return "" if array.flags.aligned else "that is not aligned"


def _kind(value: Any) -> str:
    return "a masked array" if isinstance(value, np.ma.MaskedArray) else type(value).__name__


def _ids_fix(kind: str) -> str:
    if kind == "b":
        return "a mask is no array of ids; np.flatnonzero(mask) gives the ids where it is True"
    if kind == "f":
        return "convert them, with ids.astype(np.int64), if they are whole numbers"
    return "convert them to an integer dtype"


def _from_sequence(ids: Any) -> NDArray[Any]:
    try:
        array = np.asarray(ids)
    except ValueError as error:
        raise ValueError(f"`ids` must be integers in nested lists of equal lengths, or an array: {error}") from None
    if array.dtype.kind == "f":
        # NumPy makes floats of integers that neither int64 nor uint64 holds together, [-1, 2**63] say
        objects = np.asarray(ids, object)
        if all(isinstance(value, (int, np.integer)) for value in objects.flat):
            return objects
    return array


def _from_objects(
    ids: NDArray[Any],
    num_rows: int,
    mode: str,
    padding_id: int | None,
    bad: Callable[[int, int, Sequence[int], int], IndexError],
) -> tuple[NDArray[np.int64], int | None]:
    """Python integers, some past 64 bits, as int64 ids and a padding id that mean the same in this mode."""
    values = [integer("ids", value) for value in ids.flat]
    if mode == "raise" or (num_rows == 0 and mode != "zero"):
        for position, value in enumerate(values):
            if not 0 <= value < num_rows and value != padding_id:
                raise bad(position, value, ids.shape, num_rows)
    padding = padding_id
    if padding is not None and not _INT64.min <= padding <= _INT64.max:
        used = set(values)
        padding = next(unused for unused in itertools.count(-1, -1) if unused not in used)

    def stand_in(value: int) -> int:
        if padding is not None and value == padding_id:
            return padding
        if _INT64.min <= value <= _INT64.max:
            return value
        if mode == "wrap":
            row = value % num_rows
            return row - num_rows if row == padding else row
        far = _INT64.max if value > 0 else _INT64.min
        return far if far != padding else far // 2

    return np.array([stand_in(value) for value in values], np.int64).reshape(ids.shape), padding
