"""The checks of `Sequential.compile`: Keras 2.2.4's names of optimizers, losses and metrics, and its errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

OPTIMIZERS = frozenset(["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam"])  # in any case
_LOSSES_AND_METRICS = frozenset(
    [
        *("mean_squared_error", "mse", "MSE"),
        *("mean_absolute_error", "mae", "MAE"),
        *("mean_absolute_percentage_error", "mape", "MAPE"),
        *("mean_squared_logarithmic_error", "msle", "MSLE"),
        *("squared_hinge", "hinge", "logcosh", "poisson", "cosine_proximity", "cosine"),
        *("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"),
        "kullback_leibler_divergence",
    ]
)
LOSSES = _LOSSES_AND_METRICS | {"categorical_hinge", "kld", "KLD"}
METRICS = _LOSSES_AND_METRICS | {
    *("accuracy", "acc", "crossentropy", "ce"),
    *("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"),
    *("top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"),
}


def check_optimizer(optimizer: Any) -> None:
    """Check an optimizer's name, or the name in its config.

    Raises:
        ValueError: if it is none of Keras's.
    """
    name = optimizer["class_name"] if isinstance(optimizer, Mapping) else optimizer
    if not isinstance(name, str):
        raise ValueError(f"Could not interpret optimizer identifier: {optimizer}")
    if name.lower() not in OPTIMIZERS:
        raise ValueError(f"Unknown optimizer: {name}")


def check_loss(loss: Any, output_name: str) -> None:
    """Check a loss: a name, a function, a list of one of these, or a dict by output name.

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
    _check_function(loss, LOSSES, "loss")


def check_loss_weights(loss_weights: Any, output_name: str) -> None:
    """Check the weights of losses: None, a list of one, or a dict by output name.

    Raises:
        ValueError: if the length or a name is wrong.
        TypeError: if it is none of these.
    """
    if isinstance(loss_weights, Mapping):
        _check_keys(loss_weights, "loss_weights", output_name)
    elif isinstance(loss_weights, list):
        _check_length(loss_weights, "loss_weights")
    elif loss_weights is not None:
        raise TypeError(f"Could not interpret loss_weights argument: {loss_weights} - expected a list of dicts.")


def check_sample_weight_mode(mode: Any, output_name: str) -> None:
    """Check how samples are weighted: one mode, a list of one, or a dict by output name.

    Raises:
        ValueError: if the length or a name is wrong.
    """
    if isinstance(mode, Mapping):
        _check_keys(mode, "sample_weight_mode", output_name)
        if output_name not in mode:
            raise ValueError(f'Output "{output_name}" missing from sample_weight_modes dictionary')
    elif isinstance(mode, list):
        _check_length(mode, "sample_weight_mode")


def check_metrics(groups: Sequence[Any], output_name: str) -> None:
    """Check groups of metrics, each a list of names and functions, or a dict of such by output name.

    Raises:
        TypeError: if a group is neither a list nor a dict.
        ValueError: if a name is unknown.
    """
    for group in groups:
        if group and not isinstance(group, (list, Mapping)):
            raise TypeError(f"Type of `metrics` argument not understood. Expected a list or dictionary, found: {group}")
    for group in groups:
        for metric in _metrics_in(group, output_name):
            _check_function(metric, METRICS, "metric")


def _metrics_in(group: Any, output_name: str) -> Iterator[Any]:
    if isinstance(group, Mapping):
        group = group.get(output_name, [])
    yield from group if isinstance(group, list) else [group] if group else []


def _check_function(function: Any, names: frozenset[str], kind: str) -> None:
    if isinstance(function, str):
        if function not in names:
            raise ValueError(f"Unknown {kind} function:{function}")
    elif not callable(function):
        raise ValueError(f"Could not interpret {kind} function identifier:", function)


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
