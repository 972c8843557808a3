"""Initializers: how a new table is filled, as in Keras 2.2.4.

An initializer is called with a shape and returns a new float32 array. Random ones take a `seed`: the same seed gives
the same values at every call and for any number of threads. With ``seed=None`` each call draws one integer from
``np.random`` to seed itself with, so ``np.random.seed`` makes a program repeatable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _fill, _registry
from .ops._tables import new_table

# The standard deviation of a standard normal variable that is cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base of all initializers."""

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array.

        Args:
            shape: of the array.
            dtype: None or float32.

        Raises:
            ValueError: if `dtype` is another one.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an initializer from what `get_config` gave; later Keras versions' ``dtype`` is ignored."""
        return cls(**{key: value for key, value in config.items() if key != "dtype"})


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array of zeros."""
        _check_dtype(dtype)
        return np.zeros(shape, np.float32)


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array of ones."""
        _check_dtype(dtype)
        return np.ones(shape, np.float32)


class Constant(Initializer):
    """One value everywhere.

    Args:
        value: float, or an array that broadcasts to the shape asked for; default 0.
    """

    def __init__(self, value: ArrayLike = 0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array with the value everywhere.

        Raises:
            ValueError: if the value does not broadcast to `shape`.
        """
        table = _empty(shape, dtype)
        value = np.asarray(self.value, np.float32)
        try:
            table[...] = value
        except ValueError:
            raise ValueError(
                f"`value` must be a number or broadcast to the shape asked for, {tuple(shape)}. "
                f"Received: an array of shape {value.shape}. Reshape it, or pass a single number."
            ) from None
        return table

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"value": self.value}


class RandomNormal(Initializer):
    """Normally distributed values.

    Args:
        mean: float, default 0.0.
        stddev: float, the standard deviation; default 0.05.
        seed: int, or None (the default).
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array of random values."""
        return _fill.fill(_empty(shape, dtype), _fill.normal(self.mean, self.stddev), self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class RandomUniform(Initializer):
    """Values drawn evenly from ``[minval, maxval)``.

    Args:
        minval: float, the smallest value; default -0.05.
        maxval: float, above all values; default 0.05.
        seed: int, or None (the default).
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array of random values."""
        return _fill.fill(_empty(shape, dtype), _fill.uniform(self.minval, self.maxval), self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normally distributed values, drawn again where they are two standard deviations or more from the mean.

    Args:
        mean: float, default 0.0.
        stddev: float, the standard deviation before the cut; default 0.05.
        seed: int, or None (the default).
    """

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array of random values."""
        return _fill.fill(_empty(shape, dtype), _fill.truncated_normal(self.mean, self.stddev), self.seed)


class VarianceScaling(Initializer):
    """Values whose variance is ``scale / n``, with n taken from the shape.

    Args:
        scale: float above 0; default 1.0.
        mode: what n is: "fan_in" (the default; a table's number of rows), "fan_out" (of columns) or "fan_avg".
        distribution: "normal" (the default; truncated at two standard deviations) or "uniform".
        seed: int, or None (the default).

    Raises:
        ValueError: if `scale` is not positive, or `mode` or `distribution` is not one of these.
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "normal", seed: int | None = None
    ) -> None:
        if scale <= 0.0:
            raise ValueError("`scale` must be a positive float. Got:", scale)
        mode = mode.lower()
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError('Invalid `mode` argument: expected on of {"fan_in", "fan_out", "fan_avg"} but got', mode)
        distribution = distribution.lower()
        if distribution not in ("normal", "uniform"):
            raise ValueError(
                'Invalid `distribution` argument: expected one of {"normal", "uniform"} but got', distribution
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array of random values."""
        fan_in, fan_out = _fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "normal":
            draw = _fill.truncated_normal(0.0, math.sqrt(variance) / _TRUNCATED_STDDEV)
        elif self.distribution == "untruncated_normal":
            draw = _fill.normal(0.0, math.sqrt(variance))
        else:
            limit = math.sqrt(3.0 * variance)
            draw = _fill.uniform(-limit, limit)
        return _fill.fill(_empty(shape, dtype), draw, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an initializer from what `get_config` gave.

        The distribution names of later Keras versions are read too: "truncated_normal" is what is "normal" here,
        and "untruncated_normal" stays as it is.
        """
        later = config.get("distribution")
        if later not in ("truncated_normal", "untruncated_normal"):
            return super().from_config(config)
        initializer = super().from_config({**config, "distribution": "normal"})
        if later == "untruncated_normal":
            initializer.distribution = later
        return initializer


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    A shape of more than two axes is a matrix with one column for each index of its last axis.

    Args:
        gain: float, default 1.0.
        seed: int, or None (the default).

    Note:
        The matrix is computed in float64 and costs several times the memory of the result.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = gain
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 array of random values.

        Raises:
            ValueError: if `shape` has fewer than two axes.
        """
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal must be given a shape of two axes or more. Received: {tuple(shape)}. "
                "Use RandomNormal for a vector."
            )
        table = _fill.fill(_empty(shape, dtype), _fill.normal(0.0, 1.0), self.seed)
        matrix = table.reshape(math.prod(shape[:-1]), shape[-1])
        left, _, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
        matrix[...] = self.gain * (left if left.shape == matrix.shape else right)
        return table

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"gain": self.gain, "seed": self.seed}


class Identity(Initializer):
    """The identity matrix times `gain`, repeated along the longer side of a matrix that is not square.

    Args:
        gain: float, default 1.0.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[np.float32]:
        """Return a new float32 matrix.

        Raises:
            ValueError: if `shape` does not have two sides, or the longer is not a multiple of the shorter.
        """
        if len(shape) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        short = min(shape)
        if short and max(shape) % short:
            raise ValueError("Long side should be multiple of short side.")
        _check_dtype(dtype)
        table = np.zeros(shape, np.float32)
        for i in range(short):
            table[i::short, i::short] = self.gain
        return table

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"gain": self.gain}


def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Return ``VarianceScaling(1.0, "fan_in", "uniform", seed)``."""
    return VarianceScaling(scale=1.0, mode="fan_in", distribution="uniform", seed=seed)


def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Return ``VarianceScaling(1.0, "fan_in", "normal", seed)``."""
    return VarianceScaling(scale=1.0, mode="fan_in", distribution="normal", seed=seed)


def glorot_uniform(seed: int | None = None) -> VarianceScaling:
    """Return ``VarianceScaling(1.0, "fan_avg", "uniform", seed)``."""
    return VarianceScaling(scale=1.0, mode="fan_avg", distribution="uniform", seed=seed)


def glorot_normal(seed: int | None = None) -> VarianceScaling:
    """Return ``VarianceScaling(1.0, "fan_avg", "normal", seed)``."""
    return VarianceScaling(scale=1.0, mode="fan_avg", distribution="normal", seed=seed)


def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Return ``VarianceScaling(2.0, "fan_in", "uniform", seed)``."""
    return VarianceScaling(scale=2.0, mode="fan_in", distribution="uniform", seed=seed)


def he_normal(seed: int | None = None) -> VarianceScaling:
    """Return ``VarianceScaling(2.0, "fan_in", "normal", seed)``."""
    return VarianceScaling(scale=2.0, mode="fan_in", distribution="normal", seed=seed)


zero = zeros = Zeros
one = ones = Ones
constant = Constant
uniform = random_uniform = RandomUniform
normal = random_normal = RandomNormal
truncated_normal = TruncatedNormal
identity = Identity
orthogonal = Orthogonal

_NAMES: _registry.Names = {
    "Initializer": Initializer,
    **dict.fromkeys(["Zeros", "zeros", "zero"], Zeros),
    **dict.fromkeys(["Ones", "ones", "one"], Ones),
    **dict.fromkeys(["Constant", "constant"], Constant),
    **dict.fromkeys(["RandomUniform", "random_uniform", "uniform"], RandomUniform),
    **dict.fromkeys(["RandomNormal", "random_normal", "normal"], RandomNormal),
    **dict.fromkeys(["TruncatedNormal", "truncated_normal"], TruncatedNormal),
    "VarianceScaling": VarianceScaling,
    **dict.fromkeys(["Orthogonal", "orthogonal"], Orthogonal),
    **dict.fromkeys(["Identity", "identity"], Identity),
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
}
# Class names of later Keras versions' configs: read, never written.
_LATER_NAMES: _registry.Names = {
    "LecunUniform": lecun_uniform,
    "LecunNormal": lecun_normal,
    "GlorotUniform": glorot_uniform,
    "GlorotNormal": glorot_normal,
    "HeUniform": he_uniform,
    "HeNormal": he_normal,
}


def _check_dtype(dtype: DTypeLike | None) -> None:
    if dtype is not None and np.dtype(dtype) != np.float32:
        raise ValueError(f"dtype must be None or float32: tables are float32. Received: {np.dtype(dtype).name}")


def _empty(shape: Sequence[int], dtype: DTypeLike | None) -> NDArray[np.float32]:
    _check_dtype(dtype)
    return new_table(shape)


def _fans(shape: Sequence[int]) -> tuple[float, float]:
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) in (3, 4, 5):
        receptive = math.prod(shape[:-2])
        return shape[-2] * receptive, shape[-1] * receptive
    return math.sqrt(math.prod(shape)), math.sqrt(math.prod(shape))


def serialize(initializer: Any) -> _registry.Config | str | None:
    """Give the config of an initializer: ``{"class_name": ..., "config": ...}``."""
    return _registry.serialize(initializer)


def deserialize(config: Any, custom_objects: _registry.Names | None = None) -> Any:
    """Make an initializer from its config, later Keras versions' included; names in `custom_objects` win over ours."""
    names = {**_LATER_NAMES, **_NAMES} if isinstance(config, dict) else _NAMES
    if isinstance(config, dict) and isinstance(config.get("config"), dict):
        # later versions' words for which axes count, which say nothing while they are None
        silent = [key for key in ("input_axes", "output_axes") if config["config"].get(key, 0) is None]
        config = config | {"config": {k: v for k, v in config["config"].items() if k not in silent}}
    return _registry.deserialize(config, names, "initializer", custom_objects)


def get(identifier: Any) -> Any:
    """Turn a name, a config or a callable into an initializer.

    Raises:
        ValueError: if the name is unknown or `identifier` is none of these; None is none of these.
    """
    return deserialize(identifier) if isinstance(identifier, dict) else _registry.get(identifier, _NAMES, "initializer")
