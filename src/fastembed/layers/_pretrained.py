"""The table of an `Embedding.from_pretrained`: from an array, from word vectors or from a file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._word_rows import copy_rows
from ..io.mapping import mapping_of
from ..ops._tables import new_table


def pretrained_table(pretrained: Any, tensor: str | None) -> NDArray[np.float32]:
    """A float32 table (V, D) that nobody else holds; the arguments and errors are those of `from_pretrained`."""
    is_path = isinstance(pretrained, (str, bytes, os.PathLike))
    array: NDArray[Any]
    if is_path:
        from ..tables import load_table

        try:
            array = load_table(pretrained, name=tensor, mmap=True)
        except ValueError as error:
            # a layer's `name` is its own
            error.args = tuple(str(each).replace("`name`", "`tensor`") for each in error.args)
            raise
    else:
        if tensor is not None:
            raise ValueError("`tensor` names a table of a file: `pretrained` must then be a path.")
        if isinstance(pretrained, np.ma.MaskedArray):
            raise TypeError("`pretrained` must be a plain array. Received: a masked array; fill it, with .filled().")
        array = np.asarray(getattr(pretrained, "vectors", pretrained))
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"`pretrained` must be numbers (V, D), word vectors or a path. Received: {type(pretrained).__name__} of "
            f"dtype {array.dtype}."
        )
    if array.ndim != 2:
        raise ValueError(f"`pretrained` must have 2 dimensions (V, D). Received: shape {array.shape}.")
    is_ours = is_path and mapping_of(array) is None and array.flags.carray and array.dtype == np.float32
    if is_ours:  # read for this call alone
        return array
    table = new_table(array.shape)
    copy_rows(table, array)
    return table
