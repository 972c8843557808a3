"""The table that `Sequential.summary` prints, to the byte as Keras 2.2.4's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .layers import Layer, Weight


def print_summary(
    layers: Sequence[Layer],
    trainable: Sequence[Weight],
    non_trainable: Sequence[Weight],
    line_length: int | None,
    positions: Sequence[float] | None,
    print_fn: Callable[[str], Any],
) -> None:
    """Print a summary of layers line by line.

    Args:
        layers: one row each.
        trainable: the weights that count as trainable.
        non_trainable: the weights that count as not trainable.
        line_length: int, length of the lines between rows; default 65.
        positions: the columns' ends, relative to `line_length` if the last is at most 1, else absolute; default
            .45, .85 and 1.
        print_fn: called with each line.
    """
    line_length = line_length or 65
    positions = positions or [0.45, 0.85, 1.0]
    if positions[-1] <= 1:
        positions = [int(line_length * position) for position in positions]
    ends: Sequence[Any] = positions

    def print_row(fields: Iterable[str]) -> None:
        line = ""
        for column, field in enumerate(fields):
            if column > 0:
                line = line[:-1] + " "
            line = (line + field)[: ends[column]]
            line += " " * (ends[column] - len(line))
        print_fn(line)

    print_fn("_" * line_length)
    print_row(["Layer (type)", "Output Shape", "Param #"])
    print_fn("=" * line_length)
    for number, layer in enumerate(layers):
        if number > 0:
            print_fn("_" * line_length)
        print_row([f"{layer.name} ({type(layer).__name__})", _output_shape(layer), str(layer.count_params())])
    print_fn("=" * line_length)
    num_trainable, num_frozen = _count(trainable), _count(non_trainable)
    print_fn(f"Total params: {num_trainable + num_frozen:,}")
    print_fn(f"Trainable params: {num_trainable:,}")
    print_fn(f"Non-trainable params: {num_frozen:,}")
    print_fn("_" * line_length)


def _output_shape(layer: Layer) -> str:
    try:
        return str(layer.output_shape)
    except AttributeError:  # places of different shapes
        return "multiple"


def _count(weights: Iterable[Weight]) -> int:
    return sum(weight.value.size for weight in set(weights))
