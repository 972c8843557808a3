"""`GlobalAveragePooling1D` and `GlobalMaxPooling1D`, as in Keras 2.2.4."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import check_data_format
from .input_spec import InputSpec
from .layer import Layer
from .step import Step


class _GlobalPooling1D(Layer):
    """What the two have in common."""

    def __init__(self, data_format: str | None = "channels_last", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_spec = InputSpec(ndim=3)
        self.data_format = check_data_format(data_format)

    @property
    def _axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape without the axis that is pooled."""
        return input_shape[0], input_shape[3 - self._axis]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return super().get_config() | {"data_format": self.data_format}


class GlobalAveragePooling1D(_GlobalPooling1D):
    """Take the mean over a sample's places; with a mask, over those that count.

    Behind an `Embedding`, a model makes the means straight from the table, without the array of rows in between.

    Args:
        data_format: ``"channels_last"`` (the default): places are the second axis; or ``"channels_first"``: the third.
        kwargs: as for `Layer`.

    Input shape:
        (batch, length, columns), or (batch, columns, length).

    Output shape:
        (batch, columns). The mean of no places is NaN.
    """

    def __init__(self, data_format: str | None = "channels_last", **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the means."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if mask is None:
                return inputs.sum(axis=self._axis) / np.float32(inputs.shape[self._axis])
            mask, counts = self._counted(inputs, mask)
            return (inputs * mask).sum(axis=self._axis) / counts

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient with respect to the inputs."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if step.mask is None:
                each = output_gradient / np.float32(step.inputs.shape[self._axis])
                return np.broadcast_to(np.expand_dims(each, self._axis), step.inputs.shape)
            mask, counts = self._counted(step.inputs, step.mask)
            return np.expand_dims(output_gradient / counts, self._axis) * mask

    def _counted(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        mask = np.asarray(mask, np.float32).reshape(len(inputs), inputs.shape[self._axis], 1)
        return (mask if self._axis == 1 else mask.swapaxes(1, 2)), mask.sum(axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return None: the places are gone."""
        return None


class GlobalMaxPooling1D(_GlobalPooling1D):
    """Take the largest value over a sample's places.

    Behind an `Embedding`, a model takes them straight from the table, without the array of rows in between.

    Args:
        data_format: ``"channels_last"`` (the default): places are the second axis; or ``"channels_first"``: the third.
        kwargs: as for `Layer`.

    Input shape:
        (batch, length, columns), or (batch, columns, length).

    Output shape:
        (batch, columns).

    Raises:
        TypeError: if there is a mask, which Keras does not support here.
    """

    def call(self, inputs: Any) -> Any:
        """Return the largest values."""
        return inputs.max(axis=self._axis)

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient with respect to the inputs: places that share the largest value share its gradient."""
        chosen = step.inputs == np.expand_dims(step.outputs, self._axis)
        shared = output_gradient / chosen.sum(axis=self._axis, dtype=np.float32)
        return chosen * np.expand_dims(shared, self._axis)
