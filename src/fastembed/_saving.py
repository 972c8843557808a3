"""Models to Keras files: `Sequential.save` and `Sequential.save_weights`."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _later_keras
from ._stack import Stack
from .io.atomic import Path, check_path
from .io.hdf5_writing import Array, Branch, require_h5py, write_archive, write_hdf5
from .io.keras_archive import CONFIG, METADATA, WEIGHTS
from .layers.weights import reading

_VERSIONS: dict[str, Any] = {"keras_version": b"2.2.4", "backend": b"tensorflow"}
_LATER_VERSION = "3.15.1"


def save_model(
    model: Any, path: Path, overwrite: bool, include_optimizer: bool, json_value: Callable[..., Any]
) -> None:
    """Write a model to a file; `json_value` gives what JSON has no word for. See `Sequential.save`."""
    name = _name_to_write(model, path, overwrite)
    if name is not None:
        with _one_version(model):
            _write_model(model, name, include_optimizer, json_value)


def _write_model(model: Any, name: str, include_optimizer: bool, json_value: Callable[..., Any]) -> None:
    if name.endswith(".keras"):
        config = _later_keras.write_model(model)
        has_optimizer = include_optimizer and model.optimizer is not None
        if has_optimizer:
            has_optimizer = _add_compile_config(config, model)
        texts = {
            METADATA: {"keras_version": _LATER_VERSION, "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")},
            CONFIG: config,
        }
        encoded = {key: json.dumps(value, default=json_value).encode() for key, value in texts.items()}
        write_archive(name, encoded, WEIGHTS, _later_weights(model, has_optimizer))
        return
    root = Branch(dict(_VERSIONS), {"model_weights": _weights(model)})
    root.attributes["model_config"] = json.dumps(_config(model), default=json_value).encode()
    if include_optimizer and model.optimizer is not None:
        root.attributes["training_config"] = json.dumps(_training_config(model), default=json_value).encode()
        arrays = _optimizer_arrays(model)
        if arrays:
            names: list[bytes] = [key.encode() for key in arrays]
            root.members["optimizer_weights"] = Branch({"weight_names": names}, dict(arrays))
    write_hdf5(name, root)


def save_weights(model: Any, path: Path, overwrite: bool) -> None:
    """Write a model's weights to a file. See `Sequential.save_weights`."""
    name = _name_to_write(model, path, overwrite)
    if name is not None:
        later = name.endswith(".weights.h5")
        with _one_version(model):
            write_hdf5(name, _later_weights(model, model.optimizer is not None) if later else _weights(model))


def _one_version(model: Any) -> AbstractContextManager[None]:
    """Within, nobody changes weights or the optimizer's state: they are written from where they are, not copied."""
    states = [] if model.optimizer is None else model.optimizer._states
    return reading([*model._weights_in_order(), *(state.weight for state in states)])


def _name_to_write(model: Any, path: Path, overwrite: bool) -> str | None:
    """The path as a str, or None if the user does not want its file to be replaced."""
    require_h5py()
    name = check_path(path)
    if not model.built:
        raise ValueError(
            "The model must be built before it is saved: its first layer needs an `input_shape` or `input_length`, or "
            "the model a call of `build` or `fit`."
        )
    if not overwrite and os.path.isfile(name):
        answer = input(f"[WARNING] {name} already exists - overwrite? [y/n]").strip().lower()
        while answer not in ("y", "n"):
            answer = input('Enter "y" (overwrite) or "n" (cancel).').strip().lower()
        if answer == "n":
            return None
        print("[TIP] Next time specify overwrite=True!")
    return name


# ── Keras 2.2.4's layout ─────────────────────────────────────────────────────────────────────────


def _config(model: Any) -> dict[str, Any]:
    """The config, in which the first layer says what the model's input is, also where an `InputLayer` said so."""
    config = model.get_config()
    if model.layers and not isinstance(model.layers[0], Stack) and "build_input_shape" not in config:
        first = config["layers"][0]
        entrance = {"batch_input_shape": model.input_shape, "dtype": first["config"].get("dtype", "float32")}
        config["layers"][0] = first | {"config": first["config"] | entrance}
    return {"class_name": "Sequential", "config": config}


def _weights(model: Stack) -> Branch:
    names: list[bytes] = [layer.name.encode() for layer in model.layers]
    group = Branch({"layer_names": names, **_VERSIONS})
    for layer in model.layers:
        arrays: dict[str, Array] = {}
        for weight in layer.weights:
            weight.settle()
            name, number = weight.name, 1
            while name in arrays:
                name, number = f"{weight.name}_{number}", number + 1
            arrays[name] = weight.value
        weight_names: list[bytes] = [name.encode() for name in arrays]
        group.members[layer.name] = Branch({"weight_names": weight_names}, dict(arrays))
    return group


def _training_config(model: Any) -> dict[str, Any]:
    optimizer = model.optimizer
    config = {
        "optimizer_config": {"class_name": type(optimizer).__name__, "config": optimizer.get_config()},
        "loss": model.loss,
        "metrics": model.metrics,
        "sample_weight_mode": model.sample_weight_mode,
        "loss_weights": model.loss_weights,
    }
    return config | ({"weighted_metrics": model.weighted_metrics} if model.weighted_metrics else {})


def _optimizer_arrays(model: Any) -> dict[str, Array]:
    """The optimizer's arrays under Keras 2.2.4's names; none before the first step."""
    optimizer = model.optimizer
    if model._is_new or not optimizer._states:
        return {}
    name = type(optimizer).__name__
    arrays: dict[str, Array] = {}
    if optimizer._stores_iterations:
        arrays[f"{name}/iterations:0"] = np.array(optimizer.iterations, np.int64)
    slots = [_slot(state, kind) for kind in range(len(optimizer._states[0].shapes)) for state in optimizer._states]
    if name == "Adam" and not optimizer.amsgrad:
        slots += [np.zeros(1, np.float32) for _ in optimizer._states]
    for number, slot in enumerate(slots):
        arrays[f"training/{name}/Variable{f'_{number}' if number else ''}:0"] = slot
    return arrays


def _slot(state: Any, kind: int) -> Array:
    def copy() -> NDArray[Any]:
        array: NDArray[Any] = state.arrays()[kind]
        return array

    return copy


# ── Keras 3's layout ─────────────────────────────────────────────────────────────────────────────


def _later_weights(model: Any, has_optimizer: bool) -> Branch:
    root = _place(model)
    if has_optimizer and not model._is_new:
        optimizer = model.optimizer
        arrays: list[Array] = [np.array(optimizer.iterations, np.int64), np.array(optimizer.lr, np.float32)]
        kinds = len(optimizer._states[0].shapes) if optimizer._states else 0
        if type(optimizer).__name__ == "SGD" and not optimizer.momentum:
            kinds = 0
        arrays += [_slot(state, kind) for state in optimizer._states for kind in range(min(kinds, 2))]
        arrays += [_slot(state, kind) for kind in range(2, kinds) for state in optimizer._states]
        if hasattr(optimizer, "m_schedule"):
            arrays.append(np.array(optimizer.m_schedule, np.float32))
        root.members["optimizer"] = _variables(_later_keras.snake_case(type(optimizer).__name__), arrays)
    return root


def _place(layer: Any) -> Branch:
    """A layer's, or a model's, place in the file."""
    if not isinstance(layer, Stack):
        own = layer._trainable_weights + layer._non_trainable_weights
        for weight in own:
            weight.settle()
        return _variables(layer.name, [weight.value for weight in own])
    branch = _variables(layer.name, [])
    branch.members["layers"] = Branch(members={name: _place(each) for each, name in _later_keras.places(layer.layers)})
    return branch


def _variables(name: str, arrays: list[Array]) -> Branch:
    members: dict[str, Any] = {str(number): array for number, array in enumerate(arrays)}
    return Branch(members={"vars": Branch({"name": name.encode()}, members)})


def _add_compile_config(config: dict[str, Any], model: Any) -> bool:
    """Say in a config how the model is compiled; warn, and return False, if Keras 3 cannot be told."""
    try:
        optimizer = _later_keras.write_optimizer(model.optimizer)
    except _later_keras.NotTheSame as error:
        warnings.warn(
            f"The model is saved without its optimizer: Keras 3 has no {error}. A file whose name ends in .h5 keeps "
            "it.",
            stacklevel=5,
        )
        return False
    config["compile_config"] = {
        "optimizer": optimizer,
        "loss": _later_keras.write_functions(model.loss),
        "loss_weights": model.loss_weights,
        "metrics": _later_keras.write_functions(model.metrics) or None,
        "weighted_metrics": _later_keras.write_functions(model.weighted_metrics) or None,
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": "auto",
    }
    return True
