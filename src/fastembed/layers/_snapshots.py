"""What of a weight goes into a pickle or a copy: a private copy of its array, of one version for all of a model.

Pickle asks an object for its state and writes the parts later, when other threads may have gone on. So the first object
asked copies the arrays of all its weights at once, and they take their copies from there. A weight is pickled once,
whoever names it; a layer's own names for the arrays of its weights are pickled as references to the weights.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._native.kernels import reading

_of_thread = threading.local()  # .last: a reference to the last `_Snapshot` of this thread
_DEPTH = 8  # of lists, tuples and dicts in an owner's attributes that are looked through for arrays of weights


class _Snapshot:
    """Copies of weights' arrays. Part of the state that is being pickled, so that it lives as long as that takes."""

    def __init__(self, weights: Sequence[Any]) -> None:
        self.weights = {id(weight): weight for weight in weights}
        with reading([weight.guard for weight in weights]):
            for weight in weights:
                weight.settle()
            self.values: dict[int, NDArray[np.float32]] = {id(weight): weight.value.copy() for weight in weights}

    def __reduce__(self) -> Any:
        return type(None), ()


class _ArrayOf:
    """Stands in a pickle for the array of a weight."""

    def __init__(self, weight: Any) -> None:
        self.weight = weight


def _last() -> _Snapshot | None:
    reference = getattr(_of_thread, "last", None)
    return None if reference is None else reference()


def value_of(weight: Any) -> NDArray[np.float32]:
    """A copy of a weight's array: of the version that whoever is being pickled around it has noted, else of now."""
    last = _last()
    value = None if last is None else last.values.pop(id(weight), None)
    return _Snapshot([weight]).values[id(weight)] if value is None else value


def state_of(owner: Any, weights: Sequence[Any]) -> dict[str, Any]:
    """What to pickle of an owner of weights."""
    arrays = {id(weight.value): _ArrayOf(weight) for weight in weights}
    state = {
        name: _replaced(value, arrays, _DEPTH) for name, value in owner.__dict__.items() if name != "_guards"
    }
    last = _last()
    if weights and (last is None or any(id(weight) not in last.weights for weight in weights)):
        state["_snapshot"] = last = _Snapshot(weights)
        _of_thread.last = weakref.ref(last)
    return state


def restored(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an owner from what `state_of` made of them."""
    return {name: _replaced(value, {}, _DEPTH) for name, value in state.items() if name != "_snapshot"}


def _replaced(value: Any, arrays: dict[int, _ArrayOf], depth: int) -> Any:
    """A value with arrays of weights for references, or the other way round; itself where it holds none."""
    kind = type(value)
    if kind is np.ndarray:
        return arrays.get(id(value), value)
    if kind is _ArrayOf:
        return value.weight.value
    if kind not in (list, tuple, dict) or not depth:
        return value
    items = list(value.values() if kind is dict else value)
    new = [_replaced(item, arrays, depth - 1) for item in items]
    if all(one is other for one, other in zip(items, new, strict=True)):
        return value
    return dict(zip(value, new, strict=True)) if kind is dict else kind(new)
