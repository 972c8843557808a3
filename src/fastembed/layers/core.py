"""`Dense`, `Activation`, `Dropout`, `SpatialDropout1D` and `Flatten`, as in Keras 2.2.4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import activations, constraints, initializers, regularizers
from ._legacy import legacy_dense_arguments, legacy_dropout_arguments, legacy_spatial_dropout_arguments
from .input_spec import InputSpec
from .layer import Layer
from .step import Step

Array = NDArray[np.float32]


class Dense(Layer):
    """Multiply by a matrix, add a vector, apply an activation: ``activation(inputs @ kernel + bias)``.

    Args:
        units: int, the size of the output's last axis.
        activation: name or function; default None, none.
        use_bias: whether there is a bias; default True.
        kernel_initializer: name, config or callable; default ``"glorot_uniform"``.
        bias_initializer: the same for the bias; default ``"zeros"``.
        kernel_regularizer, bias_regularizer: their penalty in training; default None.
        activity_regularizer: the outputs' penalty in training; default None.
        kernel_constraint, bias_constraint: what training makes of new values; default None.
        kwargs: as for `Layer`; ``input_dim=n`` is short for ``input_shape=(n,)``. Keras 1's names warn.

    Input shape:
        (batch, ..., n), two dimensions at least.

    Output shape:
        (batch, ..., units), float32.
    """

    kernel: Array  # (n, units)
    bias: Array | None  # (units,)

    @legacy_dense_arguments
    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: Any = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs and "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        super().__init__(**kwargs)
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the kernel and the bias; the input's last axis must have a size."""
        size = input_shape[-1]
        self.kernel = self.add_weight(
            "kernel",
            (size, self.units),
            None,
            self.kernel_initializer,
            self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.units,),
                None,
                self.bias_initializer,
                self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        self.built = True

    def call(self, inputs: Any, step: Step | None = None) -> Any:
        """Return ``activation(inputs @ kernel + bias)``."""
        sums = np.asarray(inputs, np.float32) @ self.kernel
        if self.bias is not None:
            sums += self.bias
        if step is not None:
            step.saved = sums
        return self.activation(sums)

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient with respect to the inputs; hand over the kernel's and the bias's."""
        gradient = activations.gradient_of(self.activation)(step.saved, step.outputs, output_gradient)
        flat = gradient.reshape(-1, self.units)
        if step.wants(self.kernel):
            inputs = np.asarray(step.inputs, np.float32).reshape(-1, len(self.kernel))
            step.add_gradient(self.kernel, inputs.T @ flat)
        if self.bias is not None and step.wants(self.bias):
            step.add_gradient(self.bias, flat.sum(axis=0))
        return gradient @ self.kernel.T if step.needs_input_gradient else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape with `units` in the place of its last axis."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, without its weights."""
        return super().get_config() | {
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class Activation(Layer):
    """Apply an activation to the inputs; a mask passes through.

    Args:
        activation: name or function.
        kwargs: as for `Layer`.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        """Return ``activation(inputs)``."""
        return self.activation(inputs)

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient with respect to the inputs."""
        return activations.gradient_of(self.activation)(step.inputs, step.outputs, output_gradient)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return super().get_config() | {"activation": activations.serialize(self.activation)}


class Dropout(Layer):
    """In training, set a random part of the inputs to 0 and scale the others up; else pass inputs on.

    Args:
        rate: float, the part that becomes 0; below 0 is 0, above 1 is 1. Nothing happens for 0 and 1.
        noise_shape: sequence of int, the shape of the random choice, which is broadcast; None in it takes the input's
            size. Default None, the input's shape.
        seed: int that makes the sequence of choices, from the layer's first training pass on; default None: a seed
            drawn from ``np.random`` then.
        kwargs: as for `Layer`. Keras 1's ``p`` warns.
    """

    @legacy_dropout_arguments
    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = min(1.0, max(0.0, rate))
        self.noise_shape = noise_shape
        self.seed = seed
        self.supports_masking = True
        self._generator: np.random.Generator | None = None

    def call(self, inputs: Any, training: Any = None, step: Step | None = None) -> Any:
        """Return the inputs, with some of them dropped if `training`."""
        if not training or not 0.0 < self.rate < 1.0:
            return inputs
        if self._generator is None:
            self._generator = np.random.default_rng(np.random.randint(10**7) if self.seed is None else self.seed)
        kept = self._generator.random(self._noise_shape(np.shape(inputs)), dtype=np.float32) >= np.float32(self.rate)
        noise = kept * np.float32(1 / (1 - self.rate))
        if step is not None:
            step.saved = noise
        return inputs * noise

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient with respect to the inputs."""
        return output_gradient if step.saved is None else output_gradient * step.saved

    def _noise_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        return tuple(shape[axis] if size is None else size for axis, size in enumerate(self.noise_shape))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return super().get_config() | {"rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}


class SpatialDropout1D(Dropout):
    """`Dropout` of whole columns: what is set to 0 in a sample is so at all its places.

    Args:
        rate: float, the part of the columns that becomes 0.
        kwargs: as for `Dropout`.

    Input shape:
        (batch, length, columns).
    """

    @legacy_spatial_dropout_arguments
    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def _noise_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[0], 1, shape[2]


class Flatten(Layer):
    """Make each sample a vector.

    Args:
        data_format: ``"channels_last"`` (the default, also for None) or ``"channels_first"``: the second axis is moved
            to the end first.
        kwargs: as for `Layer`.

    Input shape:
        (batch, ...), three dimensions at least, sizes known but for the batch.

    Output shape:
        (batch, product of the others).

    Raises:
        ValueError: if `data_format` is neither.
        TypeError: if there is a mask: it would have no place in the outputs.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_spec = InputSpec(min_ndim=3)
        self.data_format = check_data_format(data_format)

    def call(self, inputs: Any) -> Any:
        """Return the inputs with all axes but the first made one."""
        if self.data_format == "channels_first":
            inputs = np.moveaxis(inputs, 1, -1)
        return inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient with respect to the inputs."""
        if self.data_format == "channels_last":
            return output_gradient.reshape(step.inputs.shape)
        return np.moveaxis(output_gradient.reshape(np.moveaxis(step.inputs, 1, -1).shape), -1, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the batch axis and the product of the others.

        Raises:
            ValueError: if a size is not known.
        """
        if not all(input_shape[1:]):
            raise ValueError(
                f'The shape of the input to "Flatten" is not fully defined (got {tuple(input_shape[1:])}. '
                'Make sure to pass a complete "input_shape" or "batch_input_shape" argument to the first layer in '
                "your model."
            )
        return input_shape[0], math.prod(input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return super().get_config() | {"data_format": self.data_format}


def check_data_format(value: str | None) -> str:
    """Return a data format in lower case, ``"channels_last"`` for None.

    Raises:
        ValueError: if it is none.
    """
    data_format = "channels_last" if value is None else value.lower()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            f'The `data_format` argument must be one of "channels_first", "channels_last". Received: {value}'
        )
    return data_format
