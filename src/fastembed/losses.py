"""Losses: a number a sample for targets and outputs, as in Keras 2.2.4.

Each takes targets and outputs of one shape and returns float32 without their last axis. To be trained with, a loss
needs a gradient; one of your own gets it with `with_gradient`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _registry
from .backend import epsilon

Array = NDArray[np.float32]
# (targets, outputs) -> derivative of each sample's loss by the sample's outputs, of the outputs' shape
Gradient = Callable[[Any, Any], Any]
Function = TypeVar("Function", bound=Callable[..., Any])

_EPSILON = np.float32(epsilon())
_ONE = np.float32(1)


def with_gradient(gradient: Gradient) -> Callable[[Function], Function]:
    """Give a loss of your own its gradient, so that a model can be trained with it::

        @with_gradient(lambda y_true, y_pred: 4 * (y_pred - y_true) ** 3)
        def fourth_power(y_true, y_pred):
            return ((y_pred - y_true) ** 4).sum(axis=-1)

    Args:
        gradient: takes the targets and the outputs; returns, in the outputs' shape, the derivative of each sample's
            loss by each of its outputs.
    """

    def attach(function: Function) -> Function:
        function.gradient = gradient  # type: ignore[attr-defined]
        return function

    return attach


def gradient_of(loss: Callable[..., Any]) -> Gradient:
    """Return the gradient of a loss.

    Raises:
        ValueError: if it has none.
    """
    gradient = getattr(loss, "gradient", None)
    if gradient is None:
        name = getattr(loss, "__name__", repr(loss))
        raise ValueError(
            f"Loss function {name} must have a gradient to train with: give it one with "
            "`fastembed.losses.with_gradient`."
        )
    found: Gradient = gradient
    return found


def _mean(gradient: Gradient) -> Gradient:
    """The gradient of a mean over the last axis, from that of its terms."""

    def divided(y_true: Array, y_pred: Array) -> Array:
        result = gradient(y_true, y_pred)
        result *= np.float32(1 / y_pred.shape[-1]) if y_pred.shape[-1] else _ONE
        return np.asarray(result, np.float32)

    return divided


def _arrays(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    return np.asarray(y_true, np.float32), np.asarray(y_pred, np.float32)


def _twice_the_difference(y_true: Array, y_pred: Array) -> Array:
    result = np.subtract(y_pred, y_true)
    result *= np.float32(2)
    return result


@with_gradient(_mean(_twice_the_difference))
def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of the squared differences."""
    targets, outputs = _arrays(y_true, y_pred)
    difference = outputs - targets
    result: Array = np.square(difference, out=difference).mean(axis=-1)
    return result


@with_gradient(_mean(lambda y_true, y_pred: np.sign(y_pred - y_true)))
def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of the differences' absolute values."""
    targets, outputs = _arrays(y_true, y_pred)
    result: Array = np.abs(outputs - targets).mean(axis=-1)
    return result


@with_gradient(
    _mean(lambda y_true, y_pred: np.sign(y_pred - y_true) * (np.float32(100) / np.maximum(np.abs(y_true), _EPSILON)))
)
def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of the differences in percent of the targets, which count as 1e-7 at least."""
    targets, outputs = _arrays(y_true, y_pred)
    result: Array = np.float32(100) * np.abs((targets - outputs) / np.maximum(np.abs(targets), _EPSILON)).mean(axis=-1)
    return result


def _log_plus_one(values: Array) -> Array:
    return np.log(np.maximum(values, _EPSILON) + _ONE)


def _squared_logarithmic_gradient(y_true: Array, y_pred: Array) -> Array:
    slope = np.where(y_pred >= _EPSILON, _ONE / (np.maximum(y_pred, _EPSILON) + _ONE), np.float32(0))
    return np.float32(2) * (_log_plus_one(y_pred) - _log_plus_one(y_true)) * slope


@with_gradient(_mean(_squared_logarithmic_gradient))
def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of the squared differences of ``log(x + 1)``, where x counts as 1e-7 at least."""
    targets, outputs = _arrays(y_true, y_pred)
    result: Array = np.square(_log_plus_one(outputs) - _log_plus_one(targets)).mean(axis=-1)
    return result


def _margin(y_true: Array, y_pred: Array) -> Array:
    result: Array = np.maximum(_ONE - y_true * y_pred, np.float32(0))
    return result


@with_gradient(_mean(lambda y_true, y_pred: np.float32(-2) * y_true * _margin(y_true, y_pred)))
def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of ``max(1 - y_true * y_pred, 0) ** 2``; targets are -1 and 1."""
    result: Array = np.square(_margin(*_arrays(y_true, y_pred))).mean(axis=-1)
    return result


@with_gradient(_mean(lambda y_true, y_pred: np.where(y_true * y_pred <= 1, -y_true, np.float32(0))))
def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of ``max(1 - y_true * y_pred, 0)``; targets are -1 and 1."""
    result: Array = _margin(*_arrays(y_true, y_pred)).mean(axis=-1)
    return result


def _categorical_hinge_gradient(y_true: Array, y_pred: Array) -> Array:
    others = (_ONE - y_true) * y_pred
    largest = others == others.max(axis=-1, keepdims=True)
    slope = largest / largest.sum(axis=-1, keepdims=True, dtype=np.float32) * (_ONE - y_true) - y_true
    active = categorical_hinge(y_true, y_pred)[..., None] > 0
    return np.asarray(slope * active, np.float32)


@with_gradient(_categorical_hinge_gradient)
def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return ``max(0, neg - pos + 1)``: the output of the right class against the largest of the others."""
    targets, outputs = _arrays(y_true, y_pred)
    right = (targets * outputs).sum(axis=-1)
    wrong = ((_ONE - targets) * outputs).max(axis=-1)
    result: Array = np.maximum(np.float32(0), wrong - right + _ONE)
    return result


@with_gradient(_mean(lambda y_true, y_pred: np.tanh(y_pred - y_true)))
def logcosh(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of ``log(cosh(difference))``."""
    targets, outputs = _arrays(y_true, y_pred)
    difference = outputs - targets
    terms = difference + np.logaddexp(np.float32(-2) * difference, np.float32(0)) - np.log(np.float32(2))
    result: Array = terms.mean(axis=-1)
    return result


def _probabilities(outputs: Array) -> tuple[Array, Array]:
    """Outputs scaled to a sum of 1, and those kept from 0 and 1."""
    scaled = outputs / outputs.sum(axis=-1, keepdims=True)
    return scaled, np.clip(scaled, _EPSILON, _ONE - _EPSILON)


def _categorical_gradient(y_true: Array, y_pred: Array) -> Array:
    scaled, clipped = _probabilities(y_pred)
    inner = np.where(scaled == clipped, -y_true / clipped, np.float32(0))
    total = y_pred.sum(axis=-1, keepdims=True)
    return np.asarray((inner - (inner * scaled).sum(axis=-1, keepdims=True)) / total, np.float32)


@with_gradient(_categorical_gradient)
def categorical_crossentropy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return ``-sum(y_true * log(y_pred))``; outputs are scaled to a sum of 1 first and kept 1e-7 from 0 and 1."""
    targets, outputs = _arrays(y_true, y_pred)
    result: Array = -(targets * np.log(_probabilities(outputs)[1])).sum(axis=-1)
    return result


def _one_hot(y_true: Array, y_pred: Array) -> Array:
    classes = np.asarray(y_true).reshape(y_pred.shape[:-1]).astype(np.int64)
    size = y_pred.shape[-1]
    if classes.size and (classes.min() < 0 or classes.max() >= size):
        wrong = classes[(classes < 0) | (classes >= size)][0]
        raise ValueError(
            f"Targets of `sparse_categorical_crossentropy` must be classes in [0, {size}): the output has {size} "
            f"values. Received: {wrong}."
        )
    return np.asarray(classes[..., None] == np.arange(size), np.float32)


@with_gradient(lambda y_true, y_pred: _categorical_gradient(_one_hot(y_true, y_pred), y_pred))
def sparse_categorical_crossentropy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return ``-log(y_pred)`` of the class that each target names, as `categorical_crossentropy` does.

    Raises:
        ValueError: if a target is no class.
    """
    targets, outputs = _arrays(y_true, y_pred)
    return categorical_crossentropy(_one_hot(targets, outputs), outputs)


def _binary_gradient(y_true: Array, y_pred: Array) -> Array:
    clipped = np.clip(y_pred, _EPSILON, _ONE - _EPSILON)
    slope = (_ONE - y_true) / (_ONE - clipped) - y_true / clipped
    return np.where(y_pred == clipped, slope, np.float32(0))


@with_gradient(_mean(_binary_gradient))
def binary_crossentropy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of ``-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)``, outputs 1e-7 from 0 and 1."""
    targets, outputs = _arrays(y_true, y_pred)
    clipped = np.clip(outputs, _EPSILON, _ONE - _EPSILON)
    result: Array = -(targets * np.log(clipped) + (_ONE - targets) * np.log1p(-clipped)).mean(axis=-1)
    return result


def _divergence_gradient(y_true: Array, y_pred: Array) -> Array:
    inside = (y_pred >= _EPSILON) & (y_pred <= _ONE)
    slope = -np.clip(y_true, _EPSILON, _ONE) / np.clip(y_pred, _EPSILON, _ONE)
    return np.where(inside, slope, np.float32(0))


@with_gradient(_divergence_gradient)
def kullback_leibler_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return ``sum(y_true * log(y_true / y_pred))``, both kept in [1e-7, 1]."""
    targets, outputs = (np.clip(values, _EPSILON, _ONE) for values in _arrays(y_true, y_pred))
    result: Array = (targets * np.log(targets / outputs)).sum(axis=-1)
    return result


@with_gradient(_mean(lambda y_true, y_pred: _ONE - y_true / (y_pred + _EPSILON)))
def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return the mean of ``y_pred - y_true * log(y_pred + 1e-7)``."""
    targets, outputs = _arrays(y_true, y_pred)
    result: Array = (outputs - targets * np.log(outputs + _EPSILON)).mean(axis=-1)
    return result


# What TensorFlow keeps a squared norm above; Keras's other backend has 1e-7 here.
_SMALLEST_SQUARE = np.float32(1e-12)


def _norms(values: Array) -> Array:
    squares: Array = np.square(values).sum(axis=-1, keepdims=True)
    return np.sqrt(np.maximum(squares, _SMALLEST_SQUARE))


def _cosine_gradient(y_true: Array, y_pred: Array) -> Array:
    targets, norms = y_true / _norms(y_true), _norms(y_pred)
    outputs = y_pred / norms
    # along the outputs nothing changes, unless their norm is one that was raised
    along = (targets * outputs).sum(axis=-1, keepdims=True) * (np.square(norms) > _SMALLEST_SQUARE)
    return np.asarray((outputs * along - targets) / norms, np.float32)


@with_gradient(_cosine_gradient)
def cosine_proximity(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return minus the cosine of the angle between targets and outputs."""
    targets, outputs = _arrays(y_true, y_pred)
    result: Array = -(targets / _norms(targets) * (outputs / _norms(outputs))).sum(axis=-1)
    return result


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_proximity

_LOSSES: list[Callable[..., Any]] = [
    *(mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error),
    *(squared_hinge, hinge, categorical_hinge, logcosh, categorical_crossentropy, sparse_categorical_crossentropy),
    *(binary_crossentropy, kullback_leibler_divergence, poisson, cosine_proximity),
]
# Those that look at one sample at a time: all here. One of the user's own may look at a whole batch.
OF_SINGLE_SAMPLES = frozenset(_LOSSES)
_NAMES: _registry.Names = {loss.__name__: loss for loss in _LOSSES} | {
    "mse": mse,
    "MSE": mse,
    "mae": mae,
    "MAE": mae,
    "mape": mape,
    "MAPE": mape,
    "msle": msle,
    "MSLE": msle,
    "kld": kld,
    "KLD": kld,
    "cosine": cosine,
}


def serialize(loss: Any) -> _registry.Config | str | None:
    """Give the name of a loss."""
    return _registry.serialize(loss)


def deserialize(name: Any, custom_objects: _registry.Names | None = None) -> Any:
    """Give the loss of a name; names in `custom_objects` win over ours."""
    return _registry.deserialize(name, _NAMES, "loss function", custom_objects)


def get(identifier: Any) -> Any:
    """Turn a name or a function into a function; None stays None.

    Raises:
        ValueError: if the name is unknown, or `identifier` is none of these.
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError("Could not interpret loss function identifier:", identifier)
