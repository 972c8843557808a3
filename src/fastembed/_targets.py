"""Targets and their weights, checked and brought to the form that training needs, with Keras 2.2.4's errors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _inputs, losses
from ._objective import Objective
from .layers.input_spec import Shape


def targets(data: Any, output_name: str, output_shape: Shape, loss: Any) -> NDArray[Any]:
    """Return targets as one array that fits an output; its dtype stays, for `class_weight` to look classes up.

    Args:
        data: an array, a list of one array, a list of numbers, or a dict with an array at the output's name.
        output_name: the output's name.
        output_shape: its shape, which the targets must have; with a loss of classes, but for the last axis; with a loss
            of the user's own, they may have any.
        loss: the function.

    Raises:
        ValueError: if they do not fit.
    """
    array = _inputs.one_array(data, output_name, "target")
    if loss is losses.sparse_categorical_crossentropy:
        _inputs.check_shape(array, output_name, (*output_shape[:-1], 1), "target")
    elif losses._NAMES.get(getattr(loss, "__name__", "")) is not None:
        _inputs.check_shape(array, output_name, output_shape, "target")
    return array


def check_loss_fits(y: NDArray[Any], loss: Any) -> None:
    """Refuse classes as numbers where the loss wants them one-hot.

    Raises:
        ValueError: if the last axis of the targets is 1 with ``categorical_crossentropy``.
    """
    if loss is losses.categorical_crossentropy and y.shape[-1] == 1:
        raise ValueError(
            f"You are passing a target array of shape {y.shape} while using as loss `categorical_crossentropy`. "
            "`categorical_crossentropy` expects targets to be binary matrices (1s and 0s) of shape (samples, classes). "
            "If your targets are integer classes, you can convert them to the expected format via:\n"
            "```\nfrom keras.utils import to_categorical\ny_binary = to_categorical(y_int)\n```\n\n"
            "Alternatively, you can use the loss function `sparse_categorical_crossentropy` instead, which does expect "
            "integer targets."
        )


def weights(
    y: NDArray[Any], sample_weight: Any, class_weight: Any, output_name: str, objective: Objective, given_mode: Any
) -> NDArray[np.float32]:
    """Return the weight of each sample, or of each place of each sample; ones where none are given.

    Args:
        y: targets.
        sample_weight: array, or a list of one, or a dict with one at the output's name.
        class_weight: dict of weights by class, or a list of one, or a dict with one at the output's name.
        output_name: the output's name.
        objective: says whether places have weights.
        given_mode: `sample_weight_mode` as it was given.

    Raises:
        ValueError: if the weights do not fit the targets.
    """
    sample_weight = _only(sample_weight, output_name)
    class_weight = _only(class_weight, output_name)
    if sample_weight is not None and not hasattr(sample_weight, "shape"):
        sample_weight = np.asarray(sample_weight)
    _check_mode(y, sample_weight, objective.sample_weight_mode, given_mode)
    if sample_weight is not None and class_weight is not None:
        warnings.warn(
            "Found both `sample_weight` and `class_weight`: `class_weight` argument will be ignored.", stacklevel=4
        )
    if sample_weight is not None:
        _check_shape(y, sample_weight)
        return np.asarray(sample_weight, np.float32)
    if isinstance(class_weight, Mapping):
        return _by_class(y, class_weight)
    return np.ones(y.shape[:1] if objective.sample_weight_mode is None else y.shape[:2], np.float32)


def check_lengths(x: NDArray[Any], y: NDArray[Any], sample_weights: NDArray[Any]) -> None:
    """Check that there are as many samples as targets and weights.

    Raises:
        ValueError: if not.
    """
    if len(x) != len(y):
        raise ValueError(
            "Input arrays should have the same number of samples as target arrays. "
            f"Found {len(x)} input samples and {len(y)} target samples."
        )
    if len(sample_weights) != len(y):
        raise ValueError(
            "Sample_weight arrays should have the same number of samples as target arrays. "
            f"Got {len(y)} input samples and {len(sample_weights)} target samples."
        )


def _only(given: Any, output_name: str) -> Any:
    """The one output's weights."""
    if given is None or len(given) == 0:
        return None
    if isinstance(given, list) and len(given) == 1:
        return given[0]
    if isinstance(given, dict) and output_name in given:
        return given[output_name]
    return given


def _check_mode(y: NDArray[Any], sample_weight: Any, mode: str | None, given_mode: Any) -> None:
    if mode is None:
        if sample_weight is not None and sample_weight.ndim != 1:
            raise ValueError(
                f"Found a sample_weight array with shape {sample_weight.shape}. In order to use timestep-wise sample "
                'weights, you should specify sample_weight_mode="temporal" in compile(). If you just mean to use '
                "sample-wise weights, make sure your sample_weight array is 1D."
            )
        return
    if y.ndim < 3:
        raise ValueError(
            f"Found a sample_weight array for an input with shape {y.shape}. Timestep-wise sample weighting (use of "
            'sample_weight_mode="temporal") is restricted to outputs that are at least 3D, i.e. that have a time '
            "dimension."
        )
    if sample_weight is not None and sample_weight.ndim != 2:
        raise ValueError(
            f"Found a sample_weight array with shape {sample_weight.shape}. In order to use timestep-wise sample "
            "weighting, you should pass a 2D sample_weight array."
        )


def _check_shape(y: NDArray[Any], sample_weight: NDArray[Any]) -> None:
    if sample_weight.ndim > y.ndim:
        raise ValueError(
            f"Found a sample_weight with shape{sample_weight.shape}.Expected sample_weight with rank less than or "
            f"equal to {y.ndim}"
        )
    if y.shape[: sample_weight.ndim] != sample_weight.shape:
        raise ValueError(
            f"Found a sample_weight array with shape {sample_weight.shape} for an input with shape {y.shape}. "
            "sample_weight cannot be broadcast."
        )


def _by_class(y: NDArray[Any], class_weight: Mapping[Any, float]) -> NDArray[np.float32]:
    if y.ndim > 2:
        raise ValueError("`class_weight` not supported for 3+ dimensional targets.")
    classes = np.argmax(y, axis=1) if y.shape[1] > 1 else y.reshape(len(y))
    missing = {one for one in classes.tolist() if one not in class_weight}
    if missing:
        raise ValueError(
            "`class_weight` must contain all classes in the data. "
            f"The classes {missing} exist in the data but not in `class_weight`."
        )
    return np.asarray([class_weight[one] for one in classes.tolist()], np.float32)
