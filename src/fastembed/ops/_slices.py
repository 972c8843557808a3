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
        """Return the whole array, zeros included.

        Raises:
            IndexError: if an index is outside the array.
        """
        indices = np.asarray(self.indices)
        outside = (indices < 0) | (indices >= self.dense_shape[0])
        if outside.any():
            from ._check import bad_id_at

            place = np.unravel_index(int(outside.argmax()), indices.shape)
            raise bad_id_at([int(i) for i in place], int(indices[place]), self.dense_shape[0], "")
        dense = np.zeros(self.dense_shape, np.float32)
        np.add.at(dense, self.indices, self.values)
        return dense
