"""From words and weights to the direction that `KeyedVectors.most_similar` looks for."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._native.kernels import check_whole
from ._similarity import unit
from .ops import _check

if TYPE_CHECKING:
    from .vectors import KeyedVectors


def mean_of(vectors: KeyedVectors, positive: Any, negative: Any) -> tuple[NDArray[np.float64], set[int]]:
    """The weighted mean of words' unit vectors and of given vectors, of length 1, and the rows of those words.

    Raises:
        KeyError: a key is missing. ValueError: nothing is given, or a vector of another length.
        TypeError: an item is none of a key, a vector and a pair.
    """
    items = [(item, 1.0) for item in _as_list(positive)] + [(item, -1.0) for item in _as_list(negative)]
    if not items:
        raise ValueError("cannot compute mean with no input")
    total = np.zeros(vectors.vector_size)
    rows = set()
    for item, sign in items:
        is_plain = isinstance(item, (str, numbers.Integral, np.ndarray))
        what, weight = (item, sign) if is_plain else _pair(item)
        if isinstance(what, np.ndarray):
            if what.shape != total.shape:
                raise ValueError(f"a vector must have shape {total.shape}. Received: {what.shape}.")
            total += weight * what.astype(np.float64)
            continue
        row = vectors.get_index(what, -1)
        if row < 0:
            raise KeyError(f"Key '{what}' not present in vocabulary")
        rows.add(row)
        vector = vectors.vectors[row]
        total += weight * unit(vector.astype(np.float64))
        check_whole(vector)
    return unit(total), rows


def _as_list(given: Any) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, (str, numbers.Integral)) or (isinstance(given, np.ndarray) and given.ndim == 1):
        return [given]
    return list(given)


def _pair(item: Any) -> tuple[Any, float]:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise TypeError(f"a query must be made of keys, vectors and pairs (key or vector, weight). Received: {item!r}.")
    return item[0], _check.number("weight", item[1])
