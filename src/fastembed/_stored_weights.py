"""Weights of layers and of optimizers between a model and a Keras file of any version: which array goes where."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _later_keras
from ._stack import Stack
from ._table_state import TableState
from .io._source import LIMIT, expands_too_much
from .io.hdf5 import Dataset
from .io.keras_tables import KerasFile, StoredLayer
from .layers import Layer, Weight
from .layers.weights import renew

Pair = tuple[Weight, Dataset]
_NOT_RESTORED = (
    "Error in loading the saved optimizer state. As a result, your model is starting with a freshly initialized "
    "optimizer."
)


def stored_layers(file: KerasFile) -> list[StoredLayer]:
    """All weights of a file's layers, checked to be there and to lie in bytes of their own."""
    if not file.is_later():
        layers = file.layers()
    else:
        paths = (node.path.removesuffix("/vars") for node in file.root.walk() if node.path.endswith("/vars"))
        layers = [found for path in paths if not path.startswith("/optimizer") and (found := file.variables(path))]
    check_bytes(file, [dataset for layer in layers for _, dataset in layer.weights])
    return layers


def check_bytes(file: KerasFile, datasets: Sequence[Dataset]) -> None:
    """Check that all values of arrays are there, that no bytes serve for several, and that they unpack to no bomb.

    Raises:
        FormatError: if not.
    """
    stored = values = 0
    for dataset in datasets:
        stored += dataset.num_stored
        values += dataset.num_bytes
        size = dataset.file.source.size
        if stored > size:
            raise dataset.error("arrays share their bytes: together they take more than the file.")
        if expands_too_much(values, size):
            raise dataset.error(f"{values} bytes of values up to here, in a file of {size}, are more than {LIMIT}.")


# ── layers ───────────────────────────────────────────────────────────────────────────────────────


def pairs_in_order(file: KerasFile, model: Stack, end: str) -> list[Pair]:
    """Pair a model's weights with a file's, as Keras does by default: by layers' order, or in its later files by place.

    Args:
        file: the file.
        model: the model, built.
        end: what follows the text of an error about the number of layers, which differs in Keras.

    Raises:
        ValueError: if the layers or their weights do not fit.
    """
    if file.is_later():
        return list(_pairs_by_place(file, model, ""))
    stored, own = file.layers(), [layer for layer in model.layers if layer.weights]
    if len(stored) != len(own):
        raise ValueError(
            f"You are trying to load a weight file containing {len(stored)} layers into a model with {len(own)} "
            f"layers{end}"
        )
    pairs: list[Pair] = []
    for number, (layer, found) in enumerate(zip(own, stored, strict=True)):
        if len(found.weights) != len(layer.weights):
            raise ValueError(
                f'Layer #{number} (named "{layer.name}" in the current model) was found to correspond to layer '
                f"{found.name} in the save file. However the new layer {layer.name} expects {len(layer.weights)} "
                f"weights, but the saved weights have {len(found.weights)} elements."
            )
        pairs += _pairs_of(number, layer, layer.weights, found)
    return pairs


def _pairs_by_place(file: KerasFile, model: Stack, prefix: str) -> Iterator[Pair]:
    folder = "layers" if file.root.get(f"{prefix}/layers") is not None else "_layer_checkpoint_dependencies"
    for number, (layer, name) in enumerate(_later_keras.places(model.layers)):
        place = f"{prefix}/{folder}/{name}"
        if isinstance(layer, Stack):
            yield from _pairs_by_place(file, layer, place)
            continue
        own = layer._trainable_weights + layer._non_trainable_weights
        found = file.variables(place) or StoredLayer(layer.name, [])
        if len(found.weights) != len(own):
            raise ValueError(
                f"Layer '{layer.name}' expected {len(own)} variables, but received {len(found.weights)} variables "
                f"during loading. Expected: {[weight.name for weight in own]}"
            )
        yield from _pairs_of(number, layer, own, found)


def pairs_by_name(file: KerasFile, model: Stack, skip_mismatch: bool) -> list[Pair]:
    """Pair the weights of layers that have the name of a layer in the file.

    Raises:
        ValueError: if the weights of such a layer do not fit and `skip_mismatch` is false; if it is true, that is a
            warning.
    """
    pairs: list[Pair] = []
    for number, found in enumerate(stored_layers(file)):
        for layer in model.layers:
            if layer.name != found.name:
                continue
            if len(found.weights) == len(layer.weights):
                pairs += _pairs_of(number, layer, layer.weights, found, skip_mismatch)
            elif skip_mismatch:
                warnings.warn(
                    f"Skipping loading of weights for layer {layer.name} due to mismatch in number of weights "
                    f"({len(layer.weights)} vs {len(found.weights)}).",
                    stacklevel=3,
                )
            else:
                raise ValueError(
                    f'Layer #{number} (named "{layer.name}") expects {len(layer.weights)} weight(s), but the saved '
                    f"weights have {len(found.weights)} element(s)."
                )
    return pairs


def _pairs_of(
    number: int, layer: Layer, own: Sequence[Weight], found: StoredLayer, skip_mismatch: bool = False
) -> list[Pair]:
    pairs = []
    for weight, (_, dataset) in zip(own, found.weights, strict=True):
        if weight.shape == dataset.shape:
            pairs.append((weight, dataset))
        elif skip_mismatch:
            warnings.warn(
                f"Skipping loading of weights for layer {layer.name} due to mismatch in shape ({weight.shape} vs "
                f"{dataset.shape}).",
                stacklevel=4,
            )
        else:
            raise ValueError(
                f'Layer #{number} (named "{layer.name}"), weight {weight.name} has shape {weight.shape}, but the saved '
                f"weight has shape {dataset.shape}."
            )
    return pairs


def fill(pairs: Sequence[Pair]) -> None:
    """Read a file's arrays into weights that nobody else has yet."""
    for weight, dataset in pairs:
        dataset.read(out=weight.value)


def replace(pairs: Sequence[Pair]) -> None:
    """Read a file's arrays, all of them, then copy them into weights."""
    arrays = [dataset.read(dtype=weight.value.dtype) for weight, dataset in pairs]
    renew([weight for weight, _ in pairs], arrays)


# ── optimizers ───────────────────────────────────────────────────────────────────────────────────


def optimizer_datasets(file: KerasFile) -> list[Dataset]:
    """An optimizer's arrays in a file, in the file's order."""
    if file.is_later():
        found = file.variables("optimizer")
        return [] if found is None else [dataset for _, dataset in found.weights]
    if "optimizer_weights" not in file.root.links:
        return []
    group = file.root.group("optimizer_weights")
    return [group.dataset(name) for name in group.strings("weight_names")]


def restore_optimizer(file: KerasFile, model: Any, grouped: bool, start: float) -> None:
    """Give the optimizer of a compiled model its state from a file; a state that does not fit is Keras's warning.

    Args:
        file: the file.
        model: the model, compiled and not trained since.
        grouped: whether the file has one kind of array after the other, as in Keras 2.2.4; else one weight's after the
            other's.
        start: what the arrays begin with where the file has none of them.
    """
    datasets = optimizer_datasets(file)
    if not datasets:
        return
    check_bytes(file, datasets)
    optimizer = model.optimizer
    optimizer.build(model._compiled_trainable)
    states: list[TableState] = optimizer._states
    numbers = [dataset for dataset in datasets if not dataset.shape]
    slots = [dataset for dataset in datasets if dataset.shape]
    by_state = _by_state(slots, states, grouped)
    if by_state is None:
        optimizer.build(model._compiled_trainable)
        if slots:
            warnings.warn(_NOT_RESTORED, stacklevel=4)
            return
        by_state = [[] for _ in states]
    model._is_new = False
    for state, arrays in zip(states, by_state, strict=True):
        if arrays or start:
            begun = [np.full(shape, start) for shape in state.shapes]
            state.set_arrays([dataset.read() for dataset in arrays] or begun)
    product = None
    for dataset in numbers:
        value = dataset.read()
        if value.dtype.kind in "iu":
            optimizer.iterations = int(value)
        elif slots and dataset is datasets[-1] and hasattr(optimizer, "m_schedule"):
            product = float(value)
        else:
            optimizer.lr = float(value)
    if hasattr(optimizer, "m_schedule"):
        optimizer.m_schedule = optimizer.product_of_momenta() if product is None else product


def _by_state(slots: list[Dataset], states: Sequence[TableState], grouped: bool) -> list[list[Dataset]] | None:
    """The arrays of each state, or None if they do not fit."""
    count = len(states)
    kinds = len(states[0].shapes) if states else 0
    rest = slots[kinds * count :]
    # Keras 2's Adam without amsgrad has arrays of one value in the place of the third kind
    if len(slots) < kinds * count or (rest and [each.shape for each in rest] != [(1,)] * count):
        return None
    together = 1 if grouped else min(kinds, 2)  # kinds that alternate; the third, amsgrad's, never does
    found = [
        [slots[i * together + kind] for kind in range(together)]
        + [slots[kind * count + i] for kind in range(together, kinds)]
        for i in range(count)
    ]
    for state, arrays in zip(states, found, strict=True):
        if [dataset.shape for dataset in arrays] != state.shapes:
            return None
    return found
