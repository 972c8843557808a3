"""`IndexedSlices`: the rows of a gradient that are not zero."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class IndexedSlices(NamedTuple):
    """Some rows of an array whose other rows are zeros: ``dense[indices[u]] = values[u]``.

    Fields are in TensorFlow's order. Indices that occur more than once add up.
    """

    values: NDArray[np.float32]  # (U, D)
    indices: NDArray[np.intp]  # (U,)
    dense_shape: tuple[int, ...]  # (V, D)

    def to_dense(self) -> NDArray[np.float32]:
        """Return the whole array, zeros included."""
        dense = np.zeros(self.dense_shape, np.float32)
        np.add.at(dense, self.indices, self.values)
        return dense
