"""What `Sequential.compile` makes of its arguments: functions, with Keras 2.2.4's names and errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import losses, metrics, optimizers
from ._objective import Metric, Objective


def find_optimizer(optimizer: Any) -> optimizers.Optimizer:
    """Return the optimizer that a name, in any case, a config or an optimizer means.

    Raises:
        ValueError: if it is none of these.
        KeyError: if it is a dict without a ``"class_name"``, as in Keras.
    """
    if isinstance(optimizer, Mapping):
        _ = optimizer["class_name"]
    found: optimizers.Optimizer = optimizers.get(optimizer)
    return found


def find_loss(loss: Any, output_name: str) -> Callable[..., Any]:
    """Return the function that a loss means: a name, a function, a list of one of these, or a dict by output name.

    Raises:
        ValueError: if it is none of these, or there is none.
    """
    if isinstance(loss, Mapping):
        _check_keys(loss, "loss", output_name)
        if output_name not in loss:
            warnings.warn(
                f'Output "{output_name}" missing from loss dictionary. We assume this was done on purpose, and we will '
                f'not be expecting any data to be passed to "{output_name}" during training.',
                stacklevel=3,
            )
        loss = loss.get(output_name)
    elif isinstance(loss, list):
        if len(loss) != 1:
            raise ValueError(
                "When passing a list as loss, it should have one entry per model outputs. "
                f"The model has 1 outputs, but you passed loss={loss}"
            )
        loss = loss[0]
    if loss is None:
        raise ValueError("The model cannot be compiled because it has no loss to optimize.")
    function: Callable[..., Any] = losses.get(loss)
    return function


def find_loss_weight(loss_weights: Any, output_name: str) -> float:
    """Return the weight of the loss, from None, a list of one, or a dict by output name.

    Raises:
        ValueError: if the length or a name is wrong.
        TypeError: if it is none of these.
    """
    if isinstance(loss_weights, Mapping):
        _check_keys(loss_weights, "loss_weights", output_name)
        return float(loss_weights.get(output_name, 1.0))
    if isinstance(loss_weights, list):
        _check_length(loss_weights, "loss_weights")
        return float(loss_weights[0])
    if loss_weights is not None:
        raise TypeError(f"Could not interpret loss_weights argument: {loss_weights} - expected a list of dicts.")
    return 1.0


def find_sample_weight_mode(mode: Any, output_name: str) -> str | None:
    """Return how samples are weighted, ``"temporal"`` or None, from one mode, a list of one, or a dict by output name.

    Raises:
        ValueError: if the length or a name is wrong.
    """
    if isinstance(mode, Mapping):
        _check_keys(mode, "sample_weight_mode", output_name)
        if output_name not in mode:
            raise ValueError(f'Output "{output_name}" missing from sample_weight_modes dictionary')
        mode = mode[output_name]
    elif isinstance(mode, list):
        _check_length(mode, "sample_weight_mode")
        mode = mode[0]
    return "temporal" if mode == "temporal" else None


def find_metrics(
    groups: Sequence[Any], output_name: str, loss: Callable[..., Any], num_outputs: int | None
) -> list[Metric]:
    """Return the metrics of two groups, the second weighted; each a list of names and functions, or a dict of such.

    Args:
        groups: the metrics and the weighted metrics.
        output_name: the key of a dict that counts.
        loss: what ``"accuracy"`` and ``"crossentropy"`` go by, with
        num_outputs: int, the size of the output's last axis.

    Raises:
        TypeError: if a group is neither a list nor a dict.
        ValueError: if a name is unknown.
    """
    for group in groups:
        if group and not isinstance(group, (list, Mapping)):
            raise TypeError(f"Type of `metrics` argument not understood. Expected a list or dictionary, found: {group}")
    found: list[Metric] = []
    for group, prefix in zip(groups, ("", "weighted_"), strict=True):
        for metric in _metrics_in(group, output_name):
            function, name = _find_metric(metric, loss, num_outputs)
            name = _new_name(prefix + name, ["loss", *(other.name for other in found)])
            found.append(Metric(name, function, weighted=bool(prefix)))
    return found


def make_objective(
    loss: Any,
    metric_groups: Sequence[Any],
    loss_weights: Any,
    sample_weight_mode: Any,
    output_name: str,
    num_outputs: int | None,
) -> Objective:
    """Return what `compile` is asked to make small, and what else to tell; arguments and errors as above."""
    function = find_loss(loss, output_name)
    weight = find_loss_weight(loss_weights, output_name)
    mode = find_sample_weight_mode(sample_weight_mode, output_name)
    return Objective(function, find_metrics(metric_groups, output_name, function, num_outputs), weight, mode)


def _metrics_in(group: Any, output_name: str) -> Iterator[Any]:
    if isinstance(group, Mapping):
        group = group.get(output_name, [])
    yield from group if isinstance(group, list) else [group] if group else []


def _find_metric(metric: Any, loss: Callable[..., Any], num_outputs: int | None) -> tuple[Callable[..., Any], str]:
    """The function of a metric and its name in `metrics_names`."""
    if not isinstance(metric, str) or metric not in ("accuracy", "acc", "crossentropy", "ce"):
        function = metrics.get(metric)
        return function, getattr(function, "name", None) or function.__name__
    binary = num_outputs == 1 or loss is losses.binary_crossentropy
    sparse = loss is losses.sparse_categorical_crossentropy
    if metric in ("accuracy", "acc"):
        if binary:
            return metrics.binary_accuracy, "acc"
        return (metrics.sparse_categorical_accuracy if sparse else metrics.categorical_accuracy), "acc"
    if binary:
        return metrics.binary_crossentropy, "ce"
    return (metrics.sparse_categorical_crossentropy if sparse else metrics.categorical_crossentropy), "ce"


def _new_name(name: str, taken: Sequence[str]) -> str:
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _check_keys(given: Mapping[str, Any], what: str, output_name: str) -> None:
    for name in given:
        if name != output_name:
            raise ValueError(
                f'Unknown entry in {what} dictionary: "{name}". Only expected the following keys: {[output_name]}'
            )


def _check_length(given: list[Any], what: str) -> None:
    if len(given) != 1:
        raise ValueError(
            f"When passing a list as {what}, it should have one entry per model output. "
            f"The model has 1 outputs, but you passed {what}={given}"
        )
