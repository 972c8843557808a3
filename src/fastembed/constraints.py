"""Constraints: what a table is made to obey after every training step, as in Keras 2.2.4.

A constraint is called with an array and returns a new float32 one; it never modifies its argument. Norms are taken
along `axis`: the default 0 is one norm per column, over all rows; pass ``axis=1`` for a norm per row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _registry

_EPSILON = np.float32(1e-7)

Axis = int | list[int] | tuple[int, ...] | None


class Constraint:
    """Base of all constraints; by itself it changes nothing."""

    def __call__(self, w: ArrayLike) -> NDArray[np.float32]:
        """Return the constrained array, float32, of the shape of `w`."""
        return np.array(w, np.float32)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {}


class MaxNorm(Constraint):
    """Scale down vectors whose norm exceeds `max_value`.

    Args:
        max_value: float, the largest norm allowed; default 2. None: no limit.
        axis: int or list of int along which norms are taken, None for one norm of everything; default 0.
    """

    def __init__(self, max_value: float | None = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: ArrayLike) -> NDArray[np.float32]:
        """Return ``w * clip(norm, 0, max_value) / (1e-7 + norm)``."""
        w = np.asarray(w, np.float32)
        norms = _norms(w, self.axis)
        result: NDArray[np.float32] = w * (_clip(norms, 0.0, self.max_value) / (_EPSILON + norms))
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Replace negative values by zero."""

    def __call__(self, w: ArrayLike) -> NDArray[np.float32]:
        """Return `w` with zeros where it is negative."""
        return np.maximum(np.asarray(w, np.float32), np.float32(0))


class UnitNorm(Constraint):
    """Scale vectors to norm 1.

    Args:
        axis: int or list of int along which norms are taken, None for one norm of everything; default 0.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: ArrayLike) -> NDArray[np.float32]:
        """Return ``w / (1e-7 + norm)``; a vector of zeros stays one."""
        w = np.asarray(w, np.float32)
        result: NDArray[np.float32] = w / (_EPSILON + _norms(w, self.axis))
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Bring norms into ``[min_value, max_value]``, or part of the way there.

    Args:
        min_value: float, the smallest norm wanted; default 0.0.
        max_value: float, the largest norm wanted; default 1.0. None: no limit.
        rate: float, how far to go: 1.0 (the default) all the way, 0.0 not at all.
        axis: int or list of int along which norms are taken, None for one norm of everything; default 0.
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float | None = 1.0, rate: float = 1.0, axis: Axis = 0
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: ArrayLike) -> NDArray[np.float32]:
        """Return ``w * (rate * clip(norm, min_value, max_value) + (1 - rate) * norm) / (1e-7 + norm)``."""
        w = np.asarray(w, np.float32)
        norms = _norms(w, self.axis)
        wanted = self.rate * _clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        result: NDArray[np.float32] = w * (wanted / (_EPSILON + norms))
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


max_norm = maxnorm = MaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm
min_max_norm = MinMaxNorm

_NAMES: _registry.Names = {
    "Constraint": Constraint,
    **dict.fromkeys(["MaxNorm", "max_norm", "maxnorm"], MaxNorm),
    **dict.fromkeys(["NonNeg", "non_neg", "nonneg"], NonNeg),
    **dict.fromkeys(["UnitNorm", "unit_norm", "unitnorm"], UnitNorm),
    **dict.fromkeys(["MinMaxNorm", "min_max_norm"], MinMaxNorm),
}


def _norms(w: NDArray[np.float32], axis: Axis) -> NDArray[np.float32]:
    along = tuple(axis) if isinstance(axis, list) else axis
    # Summed in float64: in float32 a column of millions of small squares stops growing.
    total: NDArray[np.float64] = np.sum(np.square(w), axis=along, dtype=np.float64, keepdims=True)
    return np.sqrt(total).astype(np.float32)


def _clip(norms: NDArray[np.float32], low: float, high: float | None) -> NDArray[np.float32]:
    return np.clip(norms, np.float32(low), np.float32(np.inf if high is None else max(low, high)))


def serialize(constraint: Any) -> _registry.Config | str | None:
    """Give the config of a constraint: ``{"class_name": ..., "config": ...}``, or None for None."""
    return _registry.serialize(constraint)


def deserialize(config: Any, custom_objects: _registry.Names | None = None) -> Any:
    """Make a constraint from its config; names in `custom_objects` win over ours."""
    return _registry.deserialize(config, _NAMES, "constraint", custom_objects)


def get(identifier: Any) -> Any:
    """Turn a name, a config, a callable or None into a constraint (or None).

    Raises:
        ValueError: if the name is unknown or `identifier` is none of these.
    """
    return None if identifier is None else _registry.get(identifier, _NAMES, "constraint")
