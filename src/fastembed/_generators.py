"""Batches that a generator, or any other iterable, gives: what `fit_generator` and its kin are fed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def is_generator(source: Any) -> bool:
    """Whether batches come from it one after the other, and it is not ``(x, y)`` or ``(x, y, sample_weight)``."""
    return not isinstance(source, (tuple, list)) and (hasattr(source, "__next__") or hasattr(source, "__iter__"))


def num_batches(source: Any) -> int | None:
    """Return how many batches it has: its length; None if it has none."""
    return len(source) if hasattr(source, "__len__") else None


def batches(source: Any, shuffle: bool = False) -> Iterator[Any]:
    """Give batches: of an iterator until it ends; of anything else again and again.

    Args:
        source: an iterator; a sequence of batches, ``keras.utils.Sequence`` say, whose `on_epoch_end` is called after
            each round; or an iterable that can be begun anew.
        shuffle: whether Python's ``random`` shuffles the order of a sequence's batches before each round.

    Raises:
        TypeError: if it is none of these.
    """
    if hasattr(source, "__next__"):
        yield from source
        return
    while True:
        empty = True
        for batch in _round(source, shuffle):
            empty = False
            yield batch
        if empty:
            return
        if hasattr(source, "on_epoch_end"):
            source.on_epoch_end()


def _round(source: Any, shuffle: bool) -> Iterator[Any]:
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
        yield from source
        return
    order = list(range(len(source)))
    if shuffle:
        import random  # here and not at the top: it takes a good part of the time that importing all of this does

        random.shuffle(order)
    for index in order:
        yield source[index]


def next_batch(source: Iterator[Any], done: int, wanted: int) -> Any:
    """Return the next batch.

    Raises:
        StopIteration: if there is none.
    """
    for batch in source:
        return batch
    raise StopIteration(
        f"The generator ended after {done} batches; {wanted} are needed. Let it go on, or ask for fewer."
    )


def split(batch: Any) -> tuple[Any, Any, Any]:
    """Return a batch's inputs, targets and weights, None for those it lacks.

    Raises:
        ValueError: if it is no tuple of two or three.
    """
    if not hasattr(batch, "__len__") or len(batch) not in (2, 3):
        raise ValueError(f"Output of generator should be a tuple `(x, y, sample_weight)` or `(x, y)`. Found: {batch}")
    x, y, *weights = batch
    return x, y, weights[0] if weights else None


def size(x: Any) -> int:
    """Return how many samples inputs hold."""
    if isinstance(x, list):
        x = x[0]
    elif isinstance(x, dict):
        x = next(iter(x.values()))
    return int(np.shape(x)[0])
