"""A layer's weights: made by name, listed by trainability, counted, copied out and copied in, as in Keras 2.2.4."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import initializers
from .._native.kernels import Guard, check_whole, copy_all, embedding_row_sums
from .._native.kernels import reading as _reading
from .._native.kernels import writing as _writing
from ..io.mapping import mapping_of
from ..ops import _check
from ..ops._tables import new_table
from . import _snapshots

# How many more values may be made where a file's weights will replace them, in a list of one; None elsewhere.
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextlib.contextmanager
def empty_weights(limit: int) -> Iterator[None]:
    """Within, layers make their weights without values, for a file's to replace them.

    Args:
        limit: how many values a file has; layers that want more of them are an error before memory is taken.

    Raises:
        ValueError: within, if layers want more.
    """
    token = _left.set([limit])
    try:
        yield
    finally:
        _left.reset(token)


def draw_seed(initializer: Any) -> None:
    """Draw the seed that an unseeded initializer would.

    Keras fills a table also where other values replace it: what a program draws from np.random after that must not
    differ.
    """
    if isinstance(initializer, initializers.Initializer) and getattr(initializer, "seed", 0) is None:
        np.random.randint(10**7)


@dataclass(eq=False)
class Weight:
    """A layer's array under its name, ``embedding_1/embeddings:0`` say, and what applies to it in training."""

    name: str
    value: NDArray[np.float32]
    regularizer: Callable[[Any], Any] | None = None
    constraint: Callable[[Any], Any] | None = None
    # Rows that training leaves alone, (V,); never changed in place. None: there are none.
    frozen: NDArray[np.bool_] | None = None
    # Held by whoever reads or writes `value`, so that each call sees one version: see `reading` and `writing`.
    guard: Guard = field(default_factory=Guard, repr=False)

    @property
    def debtor(self) -> Any:
        """The optimizer's state of this table, while rows of `value` may lag behind (see `settle`); else None."""
        return self.guard.debtor

    @debtor.setter
    def debtor(self, debtor: Any) -> None:
        self.guard.debtor = debtor

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.value.shape

    def settle(self, ids: Any = None) -> None:
        """Bring rows of `value` up to date; all of them for None.

        Keras moves every row of a table at every step; here a row that a step has no gradient for moves when it is
        read or written next. Whoever reads `value` calls this first.

        Raises:
            IndexError: if an id is outside the table.
        """
        debtor = self.guard.debtor
        if debtor is not None:
            debtor.settle(ids)

    def freeze_rows(self, rows: Any) -> None:
        """Leave rows alone in training from now on: no optimizer, penalty or constraint moves them.

        Args:
            rows: ids of rows, or a bool array (V,); rows frozen before stay frozen.

        Raises:
            IndexError: if an id is outside the table.
            ValueError: if a bool array has another shape.
        """
        chosen = self._chosen(rows)
        self.settle()
        self.frozen = chosen if self.frozen is None else self.frozen | chosen

    def unfreeze_rows(self, rows: Any = None) -> None:
        """Let training move rows again, which begin without optimizer state; all rows for None.

        Raises:
            IndexError: if an id is outside the table.
            ValueError: if a bool array has another shape.
        """
        if self.frozen is None:
            return
        frozen = None if rows is None else self.frozen & ~self._chosen(rows)
        self.frozen = frozen if frozen is not None and frozen.any() else None

    def _chosen(self, rows: Any) -> NDArray[np.bool_]:
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            if chosen.shape != self.shape[:1]:
                raise ValueError(f"A mask of rows must have shape {self.shape[:1]}. Received: shape {chosen.shape}.")
            return chosen.copy()
        marks = np.zeros(self.shape[0], bool)
        none = np.zeros((*chosen.shape, 0), np.float32)
        marks[embedding_row_sums(rows, none, self.shape[0], function="").indices] = True
        return marks

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"value": _snapshots.value_of(self)}


def reading(weights: Iterable[Weight]) -> AbstractContextManager[None]:
    """A context in which no other thread changes these weights: what is read in it is of one version.

    Readers do not keep each other out. Contexts nest, also with `writing`.
    """
    return _reading([weight.guard for weight in weights])


def writing(weights: Iterable[Weight]) -> AbstractContextManager[None]:
    """A context in which no other thread reads or changes these weights: what is changed in it is one new version."""
    return _writing([weight.guard for weight in weights])


def penalty(weight: Weight) -> Any:
    """Return the penalty of a weight that has a regularizer."""
    assert weight.regularizer is not None
    with reading([weight]):
        weight.settle()
        return weight.regularizer(weight.value)


_changes = itertools.count(1)
_last_change = 0  # of which weights any owner has: what owners remember of theirs is of this number


def note_change() -> None:
    """Called whenever a layer gets a weight, or a model a layer or one less."""
    global _last_change
    _last_change = next(_changes)


class WeightOwner:
    """What has weights: the half of `Layer` that deals with them."""

    _guards: tuple[int, tuple[Guard, ...]] = (0, ())  # the number of the last change, and the weights' guards

    name: str
    trainable: Any
    built: bool

    def __init__(self, initial_weights: Any = None) -> None:
        self._trainable_weights: list[Weight] = []
        self._non_trainable_weights: list[Weight] = []
        self._initial_weights: Any = initial_weights

    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        dtype: DTypeLike | None = None,
        initializer: Any = None,
        regularizer: Callable[[Any], Any] | None = None,
        trainable: bool = True,
        constraint: Callable[[Any], Any] | None = None,
    ) -> NDArray[np.float32]:
        """Add a weight and return its array, for `call` to use; `set_weights` and training change it in place.

        Args:
            name: str; `weights` lists it as ``<layer name>/<name>:0``.
            shape: of the array.
            dtype: None or float32.
            initializer: name, config or callable that makes the array.
            regularizer: callable that gives its penalty, which `losses` lists; default None.
            trainable: whether training may change it while the layer is trainable; default True.
            constraint: callable that gives what training makes of a new value; default None.

        Raises:
            ValueError: if `dtype` is another one, the initializer is unknown or gives another shape.
        """
        _check_table_dtype(dtype, self.name)
        initializer = initializers.get(initializer)
        left = _left.get()
        if left is not None:
            initializer = _WithoutValues(initializer, f"{self.name}/{name}", left)
        # An Initializer makes a new array; any other callable may hand out one that somebody else holds.
        as_array = np.asarray if isinstance(initializer, initializers.Initializer) else np.array
        given = initializer(tuple(shape))
        _check.watch(given)
        value: NDArray[np.float32] = as_array(given, np.float32, order="C")
        check_whole(given)
        if value.shape != tuple(shape):
            raise ValueError(
                f"The initializer of {self.name}/{name} must return an array of shape {tuple(shape)}. "
                f"Received: shape {value.shape}."
            )
        weight = Weight(f"{self.name}/{name}:0", value, regularizer, constraint)
        (self._trainable_weights if trainable else self._non_trainable_weights).append(weight)
        note_change()
        return value

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes; none while the layer is not trainable."""
        return list(self._trainable_weights) if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The weights that training leaves alone."""
        frozen = [] if self.trainable else self._trainable_weights
        return [*frozen, *self._non_trainable_weights]

    @property
    def weights(self) -> list[Weight]:
        """All weights, trainable ones first; none before the layer is built."""
        return self.trainable_weights + self.non_trainable_weights

    @property
    def losses(self) -> list[Any]:
        """The penalty of each weight that has a regularizer, computed now."""
        return [penalty(weight) for weight in self.weights if weight.regularizer is not None]

    @property
    def updates(self) -> list[Any]:
        """What changes at every step of training besides the weights: nothing."""
        return []

    def count_params(self) -> int:
        """Return the number of values in all weights.

        Raises:
            RuntimeError: if the layer is not built.
        """
        if not self.built:
            raise RuntimeError(
                f"You tried to call `count_params` on {self.name}, but the layer isn't built. "
                f"You can build it manually via: `{self.name}.build(batch_input_shape)`."
            )
        return sum(weight.value.size for weight in self.weights)

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Return copies of the weights' arrays."""
        own = self._weights_in_order()
        with reading(own):
            for weight in own:
                weight.settle()
            return [weight.value.copy() for weight in own]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy arrays into the weights; other dtypes are converted to float32.

        Raises:
            ValueError, TypeError: if their number or a shape differs, or one is not of numbers; no weight has changed
                then.
            OSError: if a file under one was cut short; no weight has changed then.
        """
        own = self._weights_in_order()
        check_weights(self.name, weights, [weight.shape for weight in own])
        arrays = [numbers_of(given) for given in weights]
        renew(own, arrays)
        self._initial_weights = None

    def _weights_in_order(self) -> list[Weight]:
        return self.weights

    def _reading(self) -> AbstractContextManager[None]:
        """`reading` all weights."""
        return _reading(self._own_guards())

    def _own_guards(self) -> tuple[Guard, ...]:
        """The guards of all weights, each once; what they are is looked up only after a change."""
        change, guards = self._guards
        if change != _last_change or not change:
            change = _last_change
            guards = tuple(dict.fromkeys(weight.guard for weight in self._weights_in_order()))
            self._guards = change, guards
        return guards

    def __getstate__(self) -> dict[str, Any]:
        return _snapshots.state_of(self, self._weights_in_order())

    def __reduce_ex__(self, protocol: Any) -> Any:
        with _snapshots.asking():
            return super().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _snapshots.deep_copy(self, memo)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(_snapshots.restored(state))


def check_weights(layer_name: str, given: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> None:
    """Check that arrays fit weights of these shapes.

    Raises:
        ValueError: if their number or a shape differs, in Keras's words.
    """
    if len(given) != len(shapes):
        raise ValueError(
            f'You called `set_weights(weights)` on layer "{layer_name}" with a  weight list of length {len(given)}, '
            f"but the layer was expecting {len(shapes)} weights. Provided weights: {str(given)[:50]}..."
        )
    for array, shape in zip(given, shapes, strict=True):
        if array.shape != shape:
            raise ValueError(f"Layer weight shape {shape} not compatible with provided weight shape {array.shape}")


def renew(weights: Sequence[Weight], arrays: list[NDArray[Any]]) -> None:
    """Copy arrays of the weights' shapes into them: one new version of all. Some may be the weights' own."""
    values = [weight.value for weight in weights]
    with writing(weights):  # a context without a generator: nothing that takes memory may come after the copies
        for weight in weights:
            weight.settle()
        for position, array in enumerate(arrays):
            if any(np.may_share_memory(array, value) for value in values):
                arrays[position] = array.copy()  # before it is written over
        copy_all(values, arrays)


def numbers_of(given: Any) -> NDArray[Any]:
    """The array itself, where copying it into float32 cannot fail; else what it is in float32.

    Raises:
        ValueError, TypeError: if it is not of numbers.
        OSError: if a file under it was cut short.
    """
    array = np.asarray(given)
    if mapping_of(array) is not None:
        _check.watch(array)
        copy = np.array(array, np.float32)
        check_whole(array)
        return copy
    return array if array.dtype.kind in "biuf" else np.asarray(array, np.float32)


class _WithoutValues(initializers.Initializer):
    """Makes weight `name` in the place of an initializer, and takes its values off the number that is `left`."""

    def __init__(self, initializer: Any, name: str, left: list[int]) -> None:
        self.initializer = initializer
        self.name = name
        self.left = left

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> NDArray[np.float32]:
        draw_seed(self.initializer)
        self.left[0] -= math.prod(shape)
        if self.left[0] < 0:
            raise ValueError(f"Weight {self.name} of shape {tuple(shape)} has more values than the file.")
        return new_table(shape)


def _check_table_dtype(dtype: Any, layer_name: str) -> None:
    try:
        fits = dtype is None or np.dtype(dtype) == np.float32
    except TypeError:  # no dtype at all
        fits = False
    if not fits:
        raise ValueError(f'The dtype of layer "{layer_name}" must be float32: tables are float32. Received: {dtype!r}.')
