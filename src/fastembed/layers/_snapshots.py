"""What of a weight goes into a pickle or a copy: a private copy of its array, of one version for all of a model.

Pickle asks an object for its state and writes the parts later, when other threads may have gone on. So the first object
asked copies the arrays of all its weights at once, and they take their copies from there. A weight is pickled once,
whoever names it; a layer's own names for the arrays of its weights are pickled as references to the weights.

Those copies are for that one pickle, but who keeps its parts, a pickler or an error's traceback say, keeps them too:
an object that took its state from them takes it anew the next time.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._native.kernels import reading


class _OfThread(threading.local):
    snapshots: tuple[weakref.ref[_Snapshot], ...] = ()  # of what is being pickled or copied, the last one first
    asked = 0  # how many owners are being asked what to pickle of them


_of_thread = _OfThread()
_DEPTH = 8  # of lists, tuples and dicts in an owner's attributes that are looked through for arrays of weights


class _Snapshot:
    """Copies of weights' arrays. Part of the state that is being pickled, so that it lives as long as that takes."""

    def __init__(self, weights: Sequence[Any]) -> None:
        self.weights = {id(weight): weight for weight in weights}
        with reading([weight.guard for weight in weights]):
            for weight in weights:
                weight.settle()
            self.values: dict[int, NDArray[np.float32]] = {id(weight): weight.value.copy() for weight in weights}
        self.owners: set[int] = set()  # who took their state

    def serves(self, owner: Any, weights: Sequence[Any]) -> bool:
        return id(owner) not in self.owners and all(id(weight) in self.weights for weight in weights)

    def __reduce__(self) -> Any:
        return type(None), ()


class _ArrayOf:
    """Stands in a pickle for the array of a weight."""

    def __init__(self, weight: Any) -> None:
        self.weight = weight


def _alive() -> list[_Snapshot]:
    alive = [(reference, reference()) for reference in _of_thread.snapshots]
    _of_thread.snapshots = tuple(reference for reference, snapshot in alive if snapshot is not None)
    return [snapshot for _, snapshot in alive if snapshot is not None]


def value_of(weight: Any) -> NDArray[np.float32]:
    """A copy of a weight's array: of the version that whoever is being pickled around it has noted, else of now."""
    for snapshot in _alive():
        value = snapshot.values.pop(id(weight), None)
        if value is not None:
            return value
    return _Snapshot([weight]).values[id(weight)]


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Within, `pickle` or `copy` asks for a state; whoever else asks gets weights that are copied when pickled."""
    _of_thread.asked += 1
    try:
        yield
    finally:
        _of_thread.asked -= 1


def deep_copy(owner: Any, memo: dict[int, Any]) -> Any:
    """`copy.deepcopy` of an owner of weights, after which nobody takes anything from its snapshot."""
    before = _of_thread.snapshots
    try:
        make, arguments, *rest = owner.__reduce_ex__(4)
        new = memo[id(owner)] = make(*copy.deepcopy(arguments, memo))
        if rest and rest[0] is not None:
            new.__setstate__(copy.deepcopy(rest[0], memo))
        return new
    finally:
        _of_thread.snapshots = before


def state_of(owner: Any, weights: Sequence[Any]) -> dict[str, Any]:
    """What to pickle of an owner of weights."""
    arrays = {id(weight.value): _ArrayOf(weight) for weight in weights}
    state = {
        name: _replaced(value, arrays, _DEPTH) for name, value in owner.__dict__.items() if name != "_guards"
    }
    if not weights or not _of_thread.asked:
        return state
    snapshot = next((one for one in _alive() if one.serves(owner, weights)), None)
    if snapshot is None:
        state["_snapshot"] = snapshot = _Snapshot(weights)
        _of_thread.snapshots = (weakref.ref(snapshot), *_of_thread.snapshots)
    snapshot.owners.add(id(owner))
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
