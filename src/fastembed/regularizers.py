"""Regularizers: a penalty on the size of an array, added to the loss, as in Keras 2.2.4."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _registry

_BLOCK = 1 << 16  # values; large enough to hide the cost of a step, small enough to stay in a core's cache


class Regularizer:
    """Base of all regularizers; by itself it costs nothing."""

    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty of an array of any shape."""
        return 0.0

    def gradient(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the derivative of the penalty by each value of a float32 array; training needs it."""
        return np.zeros_like(x)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a regularizer from what its `get_config` gave."""
        return cls(**config)


class L1L2(Regularizer):
    """The penalty ``l1 * sum(abs(x)) + l2 * sum(x ** 2)``.

    Args:
        l1: float, factor of the sum of absolute values; default 0.0.
        l2: float, factor of the sum of squares; default 0.0.

    Note:
        Factors are float32, so a config gives 0.01 back as 0.009999999776482582.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = np.float32(l1)
        self.l2 = np.float32(l2)

    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty of an array of any shape; an empty one costs 0.0. Sums are taken in float64."""
        absolute = squared = 0.0
        # Block by block: a temporary of a table's size would double the memory that a table needs.
        for block in np.nditer(
            np.asarray(x),
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_dtypes=[np.float64],
            casting="same_kind",
            buffersize=_BLOCK,
        ):
            values = np.asarray(block)
            if self.l1:
                absolute += float(np.sum(np.abs(values)))
            if self.l2:
                squared += float(np.sum(np.square(values)))
        # A factor of 0 leaves its term out, even where the sum is infinite.
        return float(self.l1) * absolute + float(self.l2) * squared

    def gradient(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``l1 * sign(x) + 2 * l2 * x``."""
        result: NDArray[np.float32] = x * (np.float32(2) * self.l2)
        if self.l1:
            result += self.l1 * np.sign(x)
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regularizer again."""
        return {"l1": float(self.l1), "l2": float(self.l2)}


def gradient_of(regularizer: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the derivative of a regularizer's penalty by each value of an array.

    Raises:
        ValueError: if it is a function without a gradient.
    """
    gradient = getattr(regularizer, "gradient", None)
    if gradient is None:
        name = getattr(regularizer, "__name__", repr(regularizer))
        raise ValueError(
            f"Regularizer {name} must have a gradient to train with: a function of the array, as its attribute "
            "`gradient`."
        )
    result: NDArray[np.float32] = gradient(x)
    return result


def l1(l: float = 0.01) -> L1L2:  # noqa: E741 (Keras's keyword)
    """Return ``L1L2(l1=l)``."""
    return L1L2(l1=l)


def l2(l: float = 0.01) -> L1L2:  # noqa: E741 (Keras's keyword)
    """Return ``L1L2(l2=l)``."""
    return L1L2(l2=l)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Return ``L1L2(l1, l2)``."""
    return L1L2(l1=l1, l2=l2)


_NAMES: _registry.Names = {"Regularizer": Regularizer, "L1L2": L1L2, "l1": l1, "l2": l2, "l1_l2": l1_l2}
# Class names of later Keras versions' configs: read, never written. Their one argument is called l1 or l2.
_LATER_NAMES: _registry.Names = {"L1": L1L2, "L2": L1L2}


def serialize(regularizer: Any) -> _registry.Config | str | None:
    """Give the config of a regularizer: ``{"class_name": ..., "config": ...}``, or None for None."""
    return _registry.serialize(regularizer)


def deserialize(config: Any, custom_objects: _registry.Names | None = None) -> Any:
    """Make a regularizer from its config, later Keras versions' included; names in `custom_objects` win over ours."""
    names = {**_LATER_NAMES, **_NAMES} if isinstance(config, dict) else _NAMES
    return _registry.deserialize(config, names, "regularizer", custom_objects)


def get(identifier: Any) -> Any:
    """Turn a name, a config, a callable or None into a regularizer (or None).

    Raises:
        ValueError: if the name is unknown or `identifier` is none of these.
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    return None if identifier is None else _registry.get(identifier, _NAMES, "regularizer")
