"""`Step`: what a layer's forward pass in training leaves for its backward pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Step:
    """One pass through one layer, of a model that is trained or evaluated.

    The model fills in what goes into the layer and what comes out of it, and hands the object to the layer's
    `backward`; `call` receives it too, if it has a parameter `step`, and may keep in `saved` what `backward` will need.

    Args:
        training: whether a backward pass will follow. `call` receives this too, if it has a parameter `training`.
        wanted: ids (as `id` gives them) of the arrays of weights that are trained.
        deferred: whether a table's gradient may be handed over before it is summed, for an optimizer that takes that:
            what ``Embedding.gradient(..., deferred=True)`` gives.
    """

    def __init__(self, training: bool = False, wanted: Collection[int] = (), deferred: bool = False) -> None:
        self.training = training
        self.wanted = wanted
        self.deferred = deferred
        self.inputs: Any = None
        self.mask: Any = None  # the inputs'
        self.outputs: Any = None
        self.saved: Any = None
        self.needs_input_gradient = False  # whether `backward` must return a gradient
        self.penalty = 0.0  # the sum of the activity regularizers'
        self.gradients: list[tuple[NDArray[np.float32], Any]] = []

    def add_gradient(self, weight: NDArray[np.float32], gradient: Any) -> None:
        """Hand over the gradient of the loss with respect to a weight.

        Args:
            weight: the array that `add_weight` returned, itself.
            gradient: array of its shape, or `IndexedSlices`.
        """
        self.gradients.append((weight, gradient))

    def wants(self, weight: NDArray[np.float32] | None) -> bool:
        """Whether a weight (the array that `add_weight` returned) is trained; no other's gradient is used."""
        return id(weight) in self.wanted
