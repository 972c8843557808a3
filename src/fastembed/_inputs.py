"""What `Sequential.predict` is given, made one array of the shape that the model expects, with Keras 2.2.4's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layers.input_spec import Shape
from .ops import _check


def one_array(data: Any, name: str | None, what: str = "input") -> NDArray[Any]:
    """Return the one array in `data`, with at least two dimensions where it has one.

    Args:
        data: an array, a list of one array, a list of numbers, or a dict with an array at the input's name.
        name: the input's name, or None while it has none.
        what: what error texts call it, ``"input"`` or ``"target"``.

    Raises:
        ValueError: if there is no data, no such name, or there are several arrays.
        AttributeError: if what there is, is no array.
    """
    if not isinstance(data, np.ndarray):
        data = _found_in(data, name, what)
    if data.ndim == 1:  # n samples of one value
        data = np.asanyarray(data)[:, None]  # a masked array stays one, which an Embedding refuses
    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    if array.base is not None:
        _check.watch(array)
    return array


def check_shape(array: NDArray[Any], name: str, shape: Shape, what: str = "input") -> None:
    """Check that an array fits an input's shape; its first axis may have any size.

    Raises:
        ValueError: if it does not.
    """
    found = array.shape
    if len(found) != len(shape):
        raise ValueError(
            f"Error when checking {what}: expected {name} to have {len(shape)} dimensions, "
            f"but got array with shape {found}"
        )
    for wanted, size in zip(shape[1:], found[1:], strict=True):
        if wanted is not None and wanted != size:
            raise ValueError(
                f"Error when checking {what}: expected {name} to have shape {shape[1:]} "
                f"but got array with shape {found[1:]}"
            )


def _found_in(data: Any, name: str | None, what: str) -> Any:
    if data is None:
        raise ValueError("If predicting from data tensors, you should specify the `steps` argument.")
    if isinstance(data, list):
        return _from_list(data, what)
    if not isinstance(data, Mapping):
        return data
    if name is None:
        raise ValueError("Please do not pass a dictionary as model inputs.")
    if name not in data:
        raise ValueError(f'No data provided for "{name}". Need data for each key in: {[name]}')
    return data[name]


def _from_list(data: list[Any], what: str) -> Any:
    if isinstance(data[0], (int, float, np.number)):
        return np.asarray(data)
    if isinstance(data[0], list):  # each list is taken for one input of the model
        data = [np.asarray(item) for item in data]
    if len(data) != 1:
        arrays = [item[:, None] if getattr(item, "ndim", 0) == 1 else item for item in data]
        raise ValueError(
            f"Error when checking model {what}: the list of Numpy arrays that you are passing to your model is not the "
            "size the model expected. Expected to see 1 array(s), but instead got the following list of "
            f"{len(data)} arrays: {str(arrays)[:200]}..."
        )
    return data[0]
