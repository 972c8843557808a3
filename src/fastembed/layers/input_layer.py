"""`InputLayer`: the shape and dtype that a model's input has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import backend
from .layer import Layer


class InputLayer(Layer):
    """Say, as the first layer of a `Sequential`, what one sample looks like. It passes inputs on unchanged.

    Args:
        input_shape: shape of one sample, None for any size.
        batch_size: int, the batch axis that `input_shape` lacks; default None, any size.
        batch_input_shape: the shape with the batch axis, instead of `input_shape`.
        dtype: of the input; default float32. Ids for an `Embedding` keep their integer dtype whatever this says.
        sparse: kept for configs; must be false.
        name: str; default ``input_1`` and so on.

    Raises:
        ValueError: if both or none of the shapes are given, or `sparse` is true.
    """

    def __init__(
        self,
        input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: Any = None,
        *,
        sparse: bool = False,
        name: str | None = None,
    ) -> None:
        if input_shape and batch_input_shape:
            raise ValueError(
                "Only provide the input_shape OR batch_input_shape argument to InputLayer, not both at the same time."
            )
        if batch_input_shape is None:
            if input_shape is None:
                raise ValueError("An Input layer should be passed either a `batch_input_shape` or an `input_shape`.")
            batch_input_shape = (batch_size, *input_shape)
        if sparse:
            raise ValueError(f"`sparse` must be False: inputs are dense arrays. Received: {sparse!r}.")
        super().__init__(
            batch_input_shape=batch_input_shape, dtype=dtype, name=name or f"input_{backend.get_uid('input')}"
        )
        self.trainable = False
        self.built = True
        self.sparse = sparse
        self._places.add(self.batch_input_shape, self.batch_input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            "batch_input_shape": self.batch_input_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }
