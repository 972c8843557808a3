"""An `Embedding` and the pooling layer behind it run as one: bags of rows, without the array of rows in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._native.kernels import embedding_bag_row_sums
from .layers import Embedding, GlobalAveragePooling1D, GlobalMaxPooling1D, Layer, Step, Weight
from .layers.embedding import exact_ids
from .layers.weights import reading
from .ops import embedding_bag


def pairs(layers: Sequence[Layer]) -> Iterator[Any]:
    """Give layers in their order, `Pooled` in the place of two that can run as one."""
    position = 0
    while position < len(layers):
        two = layers[position : position + 2]
        if len(two) == 2 and _can_run_as_one(*two):
            yield Pooled(*two)
            position += 2
        else:
            yield two[0]
            position += 1


def _can_run_as_one(embedding: Layer, pooling: Layer) -> bool:
    return (
        type(embedding) is Embedding
        and type(pooling) in (GlobalAveragePooling1D, GlobalMaxPooling1D)
        and pooling.data_format == "channels_last"  # type: ignore[attr-defined]
        and embedding.activity_regularizer is None
        and pooling.activity_regularizer is None
    )


class Pooled:
    """What runs in the place of an `Embedding` and the pooling layer behind it; to a model it looks like a layer."""

    activity_regularizer = None

    def __init__(self, embedding: Any, pooling: Any) -> None:
        self.embedding: Embedding = embedding
        self.pooling: GlobalAveragePooling1D | GlobalMaxPooling1D = pooling
        self.reduce: Literal["mean", "max"] = "mean" if isinstance(pooling, GlobalAveragePooling1D) else "max"

    def __call__(self, inputs: Any, mask: Any = None) -> Any:
        return self.call(inputs)

    def call(self, inputs: Any) -> Any:
        """Return the means, or the largest values, of each sample's rows."""
        ids = exact_ids(inputs)
        if ids.ndim != 2 or (self.reduce == "max" and not ids.shape[1]):
            return self.pooling(self.embedding(ids))
        self.embedding.compute_output_shape(ids.shape)  # checks it
        weight = self.embedding._weight
        with reading([weight]):
            if weight.debtor is not None:
                ids = ids.copy()  # those that are paid for are looked up
                weight.settle(ids)
            pooled = embedding_bag(weight.value, ids, reduce=self.reduce, padding_id=self._padding_id)
        if self.reduce == "mean":
            pooled[self._empty(ids)] = np.nan  # Keras divides by a count of 0; an empty bag is zeros
        return pooled

    def backward(self, output_gradient: Any, step: Step) -> None:
        """Hand over the gradient of the rows that were read; ids have none."""
        if not step.wants(self.embedding._table):
            return
        ids = exact_ids(step.inputs)
        if self._shares(ids, step):
            step.add_gradient(self.embedding._table, self._apart(ids, output_gradient))
            return
        sums = embedding_bag_row_sums(
            ids,
            np.ascontiguousarray(output_gradient),
            self.embedding.input_dim,
            reduce=self.reduce,
            padding_id=self._padding_id,
            table=self.embedding._table if self.reduce == "max" else None,
        )
        step.add_gradient(self.embedding._table, sums if step.deferred else sums.summed())

    @property
    def _padding_id(self) -> int | None:
        return 0 if self.embedding.mask_zero else None

    def _empty(self, ids: NDArray[Any]) -> NDArray[np.bool_]:
        """Which samples have no place that counts."""
        if self._padding_id is None:
            return np.full(len(ids), ids.shape[1] == 0)
        return np.logical_not(ids.any(axis=1))

    def _shares(self, ids: NDArray[Any], step: Step) -> bool:
        """Whether the bags' gradient is not Keras's: NaN for padding, where nothing counts."""
        return self.reduce == "mean" and bool(self._empty(ids).any())

    def _apart(self, ids: NDArray[Any], output_gradient: Any) -> Any:
        """The gradient through the two layers one after the other."""
        step = Step()
        step.inputs = self.embedding(ids)
        step.mask = self.embedding.compute_mask(ids)
        return self.embedding.gradient(ids, self.pooling.backward(output_gradient, step))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: the places are gone."""
        return

    def _weights_in_order(self) -> list[Weight]:
        return self.embedding._weights_in_order()
