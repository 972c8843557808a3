"""tf_keras's and Keras 3's words for what Keras 2.2.4 says otherwise: configs of models and how they are compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import optimizers
from ._stack import Stack, takes_ids
from .layers import Layer

# Keras 2.2.4's names of losses that Keras 3 calls otherwise.
_LOSSES = {
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "cosine_proximity": "cosine_similarity",
}
_OLD_LOSSES = {later: old for old, later in _LOSSES.items()}
# What an optimizer that is only named starts with in tf_keras.
_NAMED_RATES = {"adagrad": 0.001, "adadelta": 0.001, "adamax": 0.001, "nadam": 0.001}
# Arguments of later optimizers that say nothing about the equations, and those that say something if they are set.
_SILENT = {"name", "jit_compile", "is_legacy_optimizer", "ema_momentum", "ema_overwrite_frequency"}
_UNKNOWN = {"weight_decay", "use_ema", "loss_scale_factor", "gradient_accumulation_steps", "centered", "clipnorm"}


class NotTheSame(Exception):
    """Words for what one version has and the other has not."""


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def read_optimizer(config: Any, custom_objects: Mapping[str, Any]) -> Any:
    """Make an optimizer from any version's config, or from a name in a later version's file.

    Raises:
        NotTheSame: if it has no counterpart here.
        ValueError: if its name is unknown.
    """
    if isinstance(config, str):
        rate = _NAMED_RATES.get(config.lower())
        return optimizers.get({"class_name": config, "config": {} if rate is None else {"lr": rate}})
    name = str(config["class_name"]).rpartition(">")[2]
    arguments = dict(config["config"])
    if name in custom_objects or "learning_rate" not in arguments:
        return optimizers.deserialize({"class_name": name, "config": arguments}, dict(custom_objects))
    if isinstance(arguments["learning_rate"], Mapping):
        raise NotTheSame("a schedule as the learning rate")
    for key in _UNKNOWN | ({"momentum"} if name == "RMSprop" else set()):
        value = arguments.pop(key, None)
        if value:
            raise NotTheSame(f"{name} with {key}={value}")
    if arguments.pop("global_clipnorm", None) is not None:
        arguments["clipnorm"] = config["config"]["global_clipnorm"]
    if arguments.get("clipvalue", 0) is None:
        del arguments["clipvalue"]
    arguments.pop("initial_accumulator_value", None)
    if name == "Nadam":  # later versions let the momentum rise at once, and have no word for how fast
        arguments["schedule_decay"] = 1.0
        arguments.pop("decay", None)
    return optimizers.deserialize(
        {"class_name": name, "config": {key: value for key, value in arguments.items() if key not in _SILENT}}
    )


def initial_accumulator(config: Any) -> float:
    """What the sums of squares of a later version's Adagrad start with."""
    if isinstance(config, str):
        return 0.1 if config.lower() == "adagrad" else 0.0
    return float(config["config"].get("initial_accumulator_value") or 0.0)


def read_functions(identifier: Any, custom_objects: Mapping[str, Any]) -> Any:
    """Put the losses or metrics of any version's file, in lists and dicts, into Keras 2.2.4's names or functions."""
    if isinstance(identifier, list):
        return [read_functions(each, custom_objects) for each in identifier]
    if isinstance(identifier, Mapping) and "class_name" not in identifier:
        return {key: read_functions(each, custom_objects) for key, each in identifier.items()}
    if isinstance(identifier, Mapping):
        identifier = _function_name(identifier)
    if isinstance(identifier, str):
        return custom_objects.get(identifier, _OLD_LOSSES.get(identifier, identifier))
    return identifier


def _function_name(config: Mapping[str, Any]) -> str:
    """The function behind ``{"class_name": "MeanSquaredError", "config": ...}`` or ``{"class_name": "function"}``."""
    name, arguments = str(config["class_name"]), config["config"]
    if name == "function":
        return str(arguments)
    if name == "__lambda__":
        return name  # which is unknown, whatever its code is
    if not isinstance(arguments, Mapping):
        raise NotTheSame(f"{name} with {arguments!r}")
    if isinstance(arguments.get("fn"), (str, Mapping)):  # MeanMetricWrapper, LossFunctionWrapper
        inner = arguments["fn"]
        return inner if isinstance(inner, str) else _function_name(inner)
    for key, value in arguments.items():
        if key not in ("name", "dtype", "reduction") and value not in (None, False, 0, -1, 0.5):  # their defaults
            raise NotTheSame(f"{name} with {key}={value!r}")
    if arguments.get("reduction") not in (None, "auto", "sum_over_batch_size", "AUTO"):
        raise NotTheSame(f"{name} with reduction={arguments['reduction']!r}")
    return snake_case(name).replace("kldivergence", "kl_divergence")


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def write_model(model: Stack) -> dict[str, Any]:
    """Give a built model's config in Keras 3's words.

    Raises:
        ValueError: if Keras 3 has no such layer, or gives it another meaning.
    """
    dtype = "int32" if takes_ids(model) else "float32"
    entrance = {
        "batch_shape": model.input_shape,
        "dtype": dtype,
        "sparse": False,
        "ragged": False,
        "name": model.input_names[0],
    }
    layers = [_object("keras.layers", "InputLayer", entrance)]
    layers += [write_model(layer) if isinstance(layer, Stack) else _write_layer(layer) for layer in model.layers]
    config = {
        "name": _later_name(model.name),
        "trainable": bool(model.trainable),
        "layers": layers,
        "build_input_shape": model.input_shape,
    }
    return _object("keras", "Sequential", config) | {"build_config": {"input_shape": model.input_shape}}


def _write_layer(layer: Layer) -> dict[str, Any]:
    name = type(layer).__name__
    config: dict[str, Any] = dict(layer.get_config())
    for key in ("batch_input_shape", "dtype", "input_length"):
        config.pop(key, None)
    config["name"] = _later_name(layer.name)
    if "trainable" in config:
        config["trainable"] = bool(config["trainable"])
    if name == "SpatialDropout1D":  # whose Keras 3 has no more words
        config = {"name": config["name"], "rate": config["rate"], "seed": config["seed"]}
    if config.get("activation") == "hard_sigmoid":
        raise ValueError(
            f"Layer {layer.name} must not have the activation hard_sigmoid in a file for Keras 3, which computes "
            "another function by that name. Save it as .h5 instead."
        )
    for key, value in config.items():
        family = key.rpartition("_")[2]
        if family in ("initializer", "regularizer", "constraint") and isinstance(value, Mapping):
            config[key] = _object(f"keras.{family}s", value["class_name"], value["config"])
    known = _is_ours(type(layer))
    return _object("keras.layers", name, config) if known else _object(None, name, config) | {"registered_name": name}


def write_optimizer(optimizer: Any) -> dict[str, Any]:
    """Give an optimizer's config in Keras 3's words.

    Raises:
        NotTheSame: if Keras 3 has no such optimizer.
    """
    name, config = type(optimizer).__name__, dict(optimizer.get_config())
    if not _is_ours(type(optimizer)) or name == "RowwiseAdagrad":
        raise NotTheSame(f"optimizer {name}")
    if config.pop("lazy", False):
        raise NotTheSame(f"lazy optimizer {name}")
    clips = config.pop("clipnorm", None), config.pop("clipvalue", None)
    if None not in clips:
        raise NotTheSame("optimizer with both clipnorm and clipvalue")
    schedule_decay = config.pop("schedule_decay", 1.0)
    if schedule_decay != 1.0:
        raise NotTheSame(f"{name} with schedule_decay={schedule_decay}")
    later: dict[str, Any] = {"name": snake_case(name), "learning_rate": float(config.pop("lr"))}
    later |= {"global_clipnorm": clips[0], "clipvalue": clips[1]}
    if not config.get("decay"):
        config.pop("decay", None)
    if name == "Adagrad":
        later["initial_accumulator_value"] = 0.0
    return _object("keras.optimizers", name, later | config)


def write_functions(identifier: Any) -> Any:
    """Give losses or metrics, in lists and dicts, in Keras 3's names."""
    if isinstance(identifier, (list, tuple)):
        return [write_functions(each) for each in identifier]
    if isinstance(identifier, Mapping):
        return {key: write_functions(each) for key, each in identifier.items()}
    name = getattr(identifier, "__name__", identifier)
    return _LOSSES.get(name, name) if isinstance(name, str) else identifier


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def snake_case(class_name: str) -> str:
    """Return Keras 3's name for the place of a layer of a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def places(layers: Sequence[Layer]) -> Iterator[tuple[Layer, str]]:
    """Give each layer of a model with the name of its place in Keras 3's files: its class, counted from the second."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = snake_case(type(layer).__name__)
        counts[name] = counts.get(name, -1) + 1
        yield layer, f"{name}_{counts[name]}" if counts[name] else name


def _later_name(name: str) -> str:
    if "/" in name:
        raise ValueError(f"The name of a layer must not contain '/' in a file for Keras 3. Received: {name!r}.")
    return name


def _object(module: str | None, class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] == __package__
