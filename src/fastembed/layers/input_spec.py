"""What a layer asks of its input's shape, and the check of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Shape = tuple[int | None, ...]


def as_shape(dims: Iterable[Any]) -> Shape:
    """Return the dims as a tuple, NumPy integers among them as int: they print differently."""
    return tuple(int(dim) if isinstance(dim, np.integer) else dim for dim in dims)


class InputSpec:
    """What a layer asks of its input; set it as the layer's ``input_spec``.

    Args:
        dtype: kept, not checked: inputs are converted, not refused, for their dtype.
        shape: the shape, batch axis included; None fits any size.
        ndim: the number of dimensions.
        max_ndim: the largest number of dimensions.
        min_ndim: the smallest number of dimensions.
        axes: sizes of single axes, ``{-1: 300}`` say.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = axes or {}

    def __repr__(self) -> str:
        """Return the arguments that are set."""
        names = ["dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes"]
        given = [(name, getattr(self, name)) for name in names]
        return f"InputSpec({', '.join(f'{name}={value}' for name, value in given if value)})"

    def check(self, shape: Shape, layer_name: str) -> None:
        """Check the shape of an input.

        Raises:
            ValueError: if it does not fit, in Keras's words.
        """

        def refuse(expected: str, found: str) -> ValueError:
            return ValueError(f"Input 0 is incompatible with layer {layer_name}: expected {expected}, found {found}")

        ndim = len(shape)
        if self.ndim is not None and ndim != self.ndim:
            raise refuse(f"ndim={self.ndim}", f"ndim={ndim}")
        if self.max_ndim is not None and ndim > self.max_ndim:
            raise refuse(f"max_ndim={self.max_ndim}", f"ndim={ndim}")
        if self.min_ndim is not None and ndim < self.min_ndim:
            raise refuse(f"min_ndim={self.min_ndim}", f"ndim={ndim}")
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                raise ValueError(
                    f"Input 0 is incompatible with layer {layer_name}: expected axis {axis} of input shape to have "
                    f"value {size} but got shape {shape}"
                )
        if self.shape is not None:
            for wanted, size in zip(self.shape, shape, strict=True):
                if wanted is not None and size is not None and wanted != size:
                    raise refuse(f"shape={self.shape}", f"shape={shape}")
