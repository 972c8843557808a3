"""Activations: functions of an array, element by element (`softmax`: vector by vector), as in Keras 2.2.4.

Each takes a float array and returns a new float32 one. To be trained through, a function needs a gradient; one of your
own gets it with `with_gradient`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _registry

Array = NDArray[np.float32]
# (inputs, outputs, gradient with respect to the outputs) -> gradient with respect to the inputs
Gradient = Callable[[Any, Any, Any], Any]
Function = TypeVar("Function", bound=Callable[..., Any])

_SELU_ALPHA = np.float32(1.6732632423543772848170429916717)
_SELU_SCALE = np.float32(1.0507009873554804934193349852946)
_ONE = np.float32(1)


def with_gradient(gradient: Gradient) -> Callable[[Function], Function]:
    """Give a function of your own its gradient, so that a model can be trained through it::

        @with_gradient(lambda inputs, outputs, output_gradient: 2 * inputs * output_gradient)
        def square(x):
            return x * x

    Args:
        gradient: takes the inputs, the outputs, and the gradient of the loss with respect to the outputs; returns that
            with respect to the inputs. All have one shape.
    """

    def attach(function: Function) -> Function:
        function.gradient = gradient  # type: ignore[attr-defined]
        return function

    return attach


def gradient_of(activation: Callable[..., Any]) -> Gradient:
    """Return the gradient of an activation.

    Raises:
        ValueError: if it has none.
    """
    gradient = getattr(activation, "gradient", None)
    if gradient is None:
        name = getattr(activation, "__name__", repr(activation))
        raise ValueError(
            f"Activation function {name} must have a gradient to be trained through: give it one with "
            "`fastembed.activations.with_gradient`."
        )
    found: Gradient = gradient
    return found


def _times_slope(slope: Callable[[Array, Array], Any]) -> Gradient:
    return lambda inputs, outputs, gradient: gradient * slope(inputs, outputs)


@with_gradient(
    lambda inputs, outputs, gradient: outputs * (gradient - (gradient * outputs).sum(axis=-1, keepdims=True))
)
def softmax(x: ArrayLike, axis: int = -1) -> Array:
    """Return ``exp(x) / sum(exp(x))`` along an axis; training goes through the last axis only.

    Raises:
        ValueError: if the array has one dimension.
    """
    x = np.asarray(x, np.float32)
    if x.ndim < 2:
        raise ValueError("Cannot apply softmax to a tensor that is 1D")
    result: Array = np.exp(x - x.max(axis=axis, keepdims=True))
    result /= result.sum(axis=axis, keepdims=True)
    return result


@with_gradient(_times_slope(lambda x, y: np.where(x > 0, _ONE, y + _ONE)))
def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """Return `x` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere; training goes through ``alpha=1`` only."""
    x = np.asarray(x, np.float32)
    return np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0)))


@with_gradient(_times_slope(lambda x, y: np.where(x > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)))
def selu(x: ArrayLike) -> Array:
    """Return ``1.0507 * elu(x, 1.6733)``, with more digits (Klambauer et al., "Self-Normalizing Neural Networks")."""
    return _SELU_SCALE * elu(x, float(_SELU_ALPHA))


@with_gradient(_times_slope(lambda x, y: _logistic(x)))
def softplus(x: ArrayLike) -> Array:
    """Return ``log(exp(x) + 1)``."""
    x = np.asarray(x, np.float32)
    result: Array = np.logaddexp(x, np.float32(0))
    return result


@with_gradient(_times_slope(lambda x, y: _ONE / np.square(_ONE + np.abs(x))))
def softsign(x: ArrayLike) -> Array:
    """Return ``x / (abs(x) + 1)``."""
    x = np.asarray(x, np.float32)
    result: Array = x / (_ONE + np.abs(x))
    return result


@with_gradient(_times_slope(lambda x, y: x > 0))
def relu(x: ArrayLike, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """Return `max_value` where `x` is above it, `x` above `threshold`, ``alpha * (x - threshold)`` elsewhere.

    Training goes through the default ``max(x, 0)`` only.
    """
    x = np.asarray(x, np.float32)
    result: Array = np.maximum(x, np.float32(0)) if threshold == 0.0 else x * (x > threshold)
    if max_value is not None:
        result = np.clip(result, np.float32(0), np.float32(max_value))
    if alpha != 0.0:
        result -= np.float32(alpha) * np.maximum(np.float32(threshold) - x, np.float32(0))
    return result


@with_gradient(_times_slope(lambda x, y: _ONE - np.square(y)))
def tanh(x: ArrayLike) -> Array:
    """Return the hyperbolic tangent."""
    return np.tanh(np.asarray(x, np.float32))


@with_gradient(_times_slope(lambda x, y: y * (_ONE - y)))
def sigmoid(x: ArrayLike) -> Array:
    """Return ``1 / (1 + exp(-x))``."""
    return _logistic(np.asarray(x, np.float32))


@with_gradient(_times_slope(lambda x, y: np.where((x >= -2.5) & (x <= 2.5), np.float32(0.2), np.float32(0))))
def hard_sigmoid(x: ArrayLike) -> Array:
    """Return ``0.2 * x + 0.5``, cut off at 0 and 1."""
    x = np.asarray(x, np.float32)
    result: Array = np.clip(np.float32(0.2) * x + np.float32(0.5), np.float32(0), _ONE)
    return result


@with_gradient(_times_slope(lambda x, y: y))
def exponential(x: ArrayLike) -> Array:
    """Return ``exp(x)``."""
    return np.exp(np.asarray(x, np.float32))


@with_gradient(lambda inputs, outputs, gradient: gradient)
def linear(x: Any) -> Any:
    """Return `x`."""
    return x


def _logistic(x: Array) -> Array:
    # exp of something negative only: no overflow, whatever the sign
    small = np.exp(-np.abs(x))
    top: Array = np.where(x >= 0, _ONE, small)
    top /= _ONE + small
    return top


_NAMES: _registry.Names = {
    function.__name__: function
    for function in [
        *(softmax, elu, selu, softplus, softsign, relu),
        *(tanh, sigmoid, hard_sigmoid, exponential, linear),
    ]
}


def serialize(activation: Any) -> str:
    """Give the name of an activation."""
    return str(activation.__name__)


def deserialize(name: Any, custom_objects: _registry.Names | None = None) -> Any:
    """Give the activation of a name; names in `custom_objects` win over ours."""
    return _registry.deserialize(name, _NAMES, "activation function", custom_objects)


def get(identifier: Any) -> Any:
    """Turn a name or a function into a function; None is `linear`.

    Raises:
        ValueError: if the name is unknown, or `identifier` is none of these.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError("Could not interpret activation function identifier:", identifier)
