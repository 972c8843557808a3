"""Metrics: how good outputs are, a number a sample, as in Keras 2.2.4; all losses but two are metrics too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _registry, losses
from .losses import (
    MAE,
    MAPE,
    MSE,
    MSLE,
    binary_crossentropy,
    categorical_crossentropy,
    cosine,
    cosine_proximity,
    hinge,
    kullback_leibler_divergence,
    logcosh,
    mae,
    mape,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)

__all__ = [
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "cosine",
    "cosine_proximity",
    "deserialize",
    "get",
    "hinge",
    "kullback_leibler_divergence",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

Array = NDArray[np.float32]


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the part of the outputs that, rounded, are their targets."""
    result: Array = np.equal(y_true, np.round(np.asarray(y_pred))).mean(axis=-1, dtype=np.float32)
    return result


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return 1.0 where the largest output is the largest target's, else 0.0."""
    result: Array = np.equal(np.argmax(y_true, axis=-1), np.argmax(y_pred, axis=-1)).astype(np.float32)
    return result


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return 1.0 where the largest output is that of the class that the target names, else 0.0."""
    best = np.argmax(y_pred, axis=-1)
    result: Array = np.equal(np.asarray(y_true).reshape(best.shape), best).astype(np.float32)
    return result


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> np.float32:
    """Return the part of the samples for which the largest target's output is among the `k` largest."""
    return _in_top_k(np.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> np.float32:
    """Return the part of the samples whose target names a class with one of the `k` largest outputs."""
    return _in_top_k(np.asarray(y_true).astype(np.int64).reshape(-1), y_pred, k)


def _in_top_k(classes: Any, y_pred: ArrayLike, k: int) -> np.float32:
    outputs = np.asarray(y_pred)
    chosen = np.take_along_axis(outputs, classes[:, None], axis=-1)
    # An output is in if fewer than k are larger; where one is not finite, nothing is.
    found = (outputs > chosen).sum(axis=-1) < k
    found &= np.isfinite(chosen[:, 0])
    return np.float32(found.mean())


_OWN: list[Any] = [
    *(binary_accuracy, categorical_accuracy, sparse_categorical_accuracy),
    *(top_k_categorical_accuracy, sparse_top_k_categorical_accuracy),
]
_NAMES: _registry.Names = {
    **{name: loss for name, loss in losses._NAMES.items() if name not in ("categorical_hinge", "kld", "KLD")},
    **{metric.__name__: metric for metric in _OWN},
}


def serialize(metric: Any) -> _registry.Config | str | None:
    """Give the name of a metric."""
    return _registry.serialize(metric)


def deserialize(name: Any, custom_objects: _registry.Names | None = None) -> Any:
    """Give the metric of a name; names in `custom_objects` win over ours."""
    return _registry.deserialize(name, _NAMES, "metric function", custom_objects)


def get(identifier: Any) -> Any:
    """Turn a name or a function into a function.

    Raises:
        ValueError: if the name is unknown, or `identifier` is none of these.
    """
    if isinstance(identifier, dict):
        return deserialize({"class_name": str(identifier), "config": {}})
    if isinstance(identifier, str):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError("Could not interpret metric function identifier:", identifier)
