"""Keras files to models and layers: `load_model`, `Sequential.load_weights` and `Embedding.from_keras_file`."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from . import _later_keras, _stored_weights, layers
from ._stack import Stack
from .io import FormatError
from .io._error import shown
from .io.atomic import Path
from .io.keras_tables import KerasFile, Table, choose, embeddings
from .layers.weights import empty_weights

_NOT_COMPILED = "No training configuration found in save file: the model was *not* compiled. Compile it manually."
# Sequentials inside Sequentials, of which Keras's own examples have two: each level looks at all that are inside it.
_MAX_NESTING = 16
# What an `Embedding` takes over from its config in a file; what else there is, is not about its table.
_PLAIN = ("name", "trainable", "mask_zero", "input_length")
_OBJECTS = ("embeddings_initializer", "embeddings_regularizer", "activity_regularizer", "embeddings_constraint")


def load_model(path: Path, make: Any, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """Make the model of a file; `make` makes one from its config. See `models.load_model`."""
    objects = dict(custom_objects or {})
    with KerasFile(path) as file:
        found = file.config()
        if found is None:
            raise FormatError(
                f"{file.name}: No model found in config. The file has weights alone: make the model, then call its "
                "`load_weights`."
            )
        config, place = found
        stored = _stored_weights.stored_layers(file)
        num_values = sum(dataset.num_bytes // dataset.type.size for layer in stored for _, dataset in layer.weights)
        with _naming(file, place):
            _check_sequential(config)
            with empty_weights(num_values):
                model = make(config, objects)
        with _naming(file, "weights"):
            _stored_weights.fill(_stored_weights.pairs_in_order(file, model, ""))
        if compile:
            training = (config.get("compile_config"), place) if file.archive is not None else file.training_config()
            if training is None or not training[0]:
                warnings.warn(_NOT_COMPILED, stacklevel=3)
            else:
                with _naming(file, training[1]):
                    _compile(file, model, training[0], objects)
    return model


def _check_sequential(config: Any) -> None:
    kind = config.get("class_name") if isinstance(config, Mapping) else None
    if kind in ("Model", "Functional"):
        raise ValueError(
            f"the model is a {kind}, not a Sequential. `Embedding.from_keras_file` and `load_table` read its tables."
        )
    if kind != "Sequential" or "config" not in config:
        raise ValueError(f"the config must be that of a Sequential. Received: class {kind!r}.")
    level, models = 0, [config]
    while models:
        level += 1
        if level > _MAX_NESTING:
            raise ValueError(f"at most {_MAX_NESTING} models may lie inside each other.")
        models = [each for model in models for each in _layer_configs(model) if _is_sequential(each)]


def _layer_configs(model: Mapping[str, Any]) -> list[Any]:
    own = model.get("config")
    found = own.get("layers") if isinstance(own, Mapping) else own
    return found if isinstance(found, list) else []


def _is_sequential(config: Any) -> bool:
    return isinstance(config, Mapping) and config.get("class_name") == "Sequential"


def _compile(file: KerasFile, model: Any, config: Any, objects: Mapping[str, Any]) -> None:
    optimizer_config = config["optimizer_config"] if "optimizer_config" in config else config.get("optimizer")
    if not optimizer_config:
        warnings.warn(_NOT_COMPILED, stacklevel=4)
        return
    try:
        arguments = {
            "optimizer": _later_keras.read_optimizer(optimizer_config, objects),
            "loss": _later_keras.read_functions(config.get("loss"), objects),
            "metrics": _later_keras.read_functions(config.get("metrics"), objects),
            "weighted_metrics": _later_keras.read_functions(config.get("weighted_metrics"), objects),
            "loss_weights": config.get("loss_weights"),
            "sample_weight_mode": config.get("sample_weight_mode"),
        }
    except _later_keras.NotTheSame as error:
        warnings.warn(
            f"The model was *not* compiled: its file has {error}, which Keras 2.2.4 has not. Compile it manually.",
            stacklevel=4,
        )
        return
    model.compile(**_flat(arguments))
    is_config = isinstance(optimizer_config, Mapping)
    # Keras 2 and the optimizers of its time, which alone have a decay, put one kind of array after the other
    grouped = is_config and ("decay" in optimizer_config["config"] or "lr" in optimizer_config["config"])
    start = 0.0
    if type(model.optimizer).__name__ == "Adagrad":
        start = _later_keras.initial_accumulator(optimizer_config)
    _stored_weights.restore_optimizer(file, model, grouped and not file.is_later(), start)


def _flat(arguments: dict[str, Any]) -> dict[str, Any]:
    """Metrics in a list for each output, as tf_keras has them, in one list: there is one output."""
    for key in ("metrics", "weighted_metrics"):
        value = arguments[key]
        if isinstance(value, list) and value and all(isinstance(each, list) for each in value):
            arguments[key] = [metric for each in value for metric in each]
    return arguments


@contextlib.contextmanager
def _naming(file: KerasFile, place: str) -> Iterator[None]:
    """Within, whatever a file's content makes fail is a FormatError that names the file and the place."""
    try:
        yield
    # warnings that a user's filter makes errors stay what they are; memory and disks are no fault of the file
    except (FormatError, Warning, MemoryError, OSError):
        raise
    except Exception as error:
        text = " ".join(map(str, error.args)) or type(error).__name__
        kind = "" if isinstance(error, (ValueError, TypeError)) else f"{type(error).__name__}: "
        raise FormatError(f"{file.name}: {place}: {shown(kind + text)}") from error


def load_weights(model: Stack, path: Path, by_name: bool, skip_mismatch: bool) -> None:
    """Copy a file's weights into a model. See `Sequential.load_weights`."""
    with KerasFile(path) as file:
        _stored_weights.stored_layers(file)  # checks that all are there
        if by_name:
            pairs = _stored_weights.pairs_by_name(file, model, skip_mismatch)
        else:
            pairs = _stored_weights.pairs_in_order(file, model, ".")
        _stored_weights.replace(pairs)


# ── one layer of a model ─────────────────────────────────────────────────────────────────────────


def load_embedding(kind: Any, path: Path, name: str | None) -> Any:
    """Make an `Embedding` of class `kind` from a file. See `Embedding.from_keras_file`."""
    with KerasFile(path) as file:
        tables = file.tables()
        found = file.config()
        configs = [] if found is None else list(_embedding_configs(found[0]))
        candidates = embeddings(tables) or _by_config(tables, configs)
        place = choose(file.name, tables, candidates, name)
        table, layer_name = tables[place]
        table.check()
        with _naming(file, place), empty_weights(table.num_bytes // table.type.size):
            config = _config_of(configs, place, layer_name, table.shape)
            layer = _make_embedding(kind, config or {"name": layer_name}, table.shape)
            layer.build(None)
        table.read(out=layer.embeddings)
    return layer


def _embedding_configs(config: Any) -> Iterator[Mapping[str, Any]]:
    """The configs of all Embeddings in a model's config, wherever they are."""
    todo = [config]
    while todo:
        each = todo.pop()
        if isinstance(each, list):
            todo += reversed(each)
        elif isinstance(each, Mapping):
            own = each.get("config")
            if each.get("class_name") == "Embedding" and isinstance(own, Mapping):
                yield own
            todo += reversed(list(each.values()))


def _shape(config: Mapping[str, Any]) -> tuple[Any, Any]:
    return config.get("input_dim"), config.get("output_dim")


def _by_config(tables: Mapping[str, Table], configs: list[Mapping[str, Any]]) -> list[str]:
    """The tables that have the shape of an Embedding in the config, where each such shape is there once."""
    counts = Counter(table.dataset.shape for table in tables.values())
    wanted = {_shape(config) for config in configs if all(isinstance(size, int | float) for size in _shape(config))}
    return [place for place, table in tables.items() if (shape := table.dataset.shape) in wanted and counts[shape] == 1]


def _config_of(
    configs: list[Mapping[str, Any]], place: str, layer_name: str, shape: tuple[int, ...]
) -> Mapping[str, Any]:
    """The config of the Embedding that has a table: of its name, else the only one of its shape; else an empty one."""
    fitting = [config for config in configs if _shape(config) == shape]
    named = [config for config in fitting if config.get("name") in (layer_name, *place.split("/"))]
    chosen = named if len(named) == 1 else fitting
    return chosen[0] if len(chosen) == 1 else {}


def _make_embedding(kind: Any, config: Mapping[str, Any], shape: tuple[int, ...]) -> layers.Embedding:
    plain = {key: config[key] for key in _PLAIN if key in config} | {"input_dim": shape[0], "output_dim": shape[1]}
    objects = {key: config[key] for key in _OBJECTS if config.get(key) is not None}
    try:
        made = kind.from_config(plain | objects)
    except (ValueError, TypeError) as error:
        if not objects:
            raise
        made = kind.from_config(plain)
        warnings.warn(f"The layer was made without its {', '.join(objects)}: {error}", stacklevel=4)
    layer: layers.Embedding = made
    return layer
