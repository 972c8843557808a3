"""One shared way from a name or a config to an object and back, for initializers, regularizers, constraints and layers.

The rules and words are Keras 2.2.4's; names are case-sensitive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Config = dict[str, Any]
Names = Mapping[str, Callable[..., Any]]


def get(identifier: Any, names: Names, kind: str) -> Any:
    """Turn a name, a ``{"class_name", "config"}`` dict or a callable into an object.

    Args:
        identifier: a name in `names` (called without arguments), a config, or any callable (returned as it is).
        names: what each name stands for: a class or a function that returns an object.
        kind: what error texts call such an object, ``"initializer"`` say.

    Raises:
        ValueError: if the name is unknown, or `identifier` is none of these.
    """
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}}, names, kind)
    if isinstance(identifier, dict):
        return deserialize(identifier, names, kind)
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret {kind} identifier: {identifier}")


def deserialize(config: Any, names: Names, kind: str, custom_objects: Names | None = None) -> Any:
    """Make the object that a config describes; a bare name gives what it stands for, not called.

    Args:
        config: ``{"class_name": name, "config": arguments}`` (other keys are ignored) or a name. It is not modified.
        names: what each name stands for.
        kind: what error texts call such an object.
        custom_objects: more names, which win over `names`.

    Raises:
        ValueError: if the config has another form, or its name is unknown.
        TypeError: if the arguments do not fit.
    """
    known = {**names, **(custom_objects or {})}
    if isinstance(config, str):
        if config not in known:
            raise ValueError(f"Unknown {kind}:{config}")
        return known[config]
    if not isinstance(config, dict):
        raise ValueError(f"Could not interpret serialized {kind}: {config}")
    if "class_name" not in config or "config" not in config:
        raise ValueError(f"Improper config format: {config}")
    name, arguments = config["class_name"], config["config"]
    if name not in known:
        raise ValueError(f"Unknown {kind}: {name}")
    make = known[name]
    from_config = getattr(make, "from_config", None)
    return make(**arguments) if from_config is None else from_config(arguments)


def serialize(instance: Any) -> Config | str | None:
    """Give the config of an object, the name of a function, or None for None.

    Raises:
        ValueError: if the object has neither a ``get_config`` nor a ``__name__``.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": type(instance).__name__, "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return str(instance.__name__)
    raise ValueError("Cannot serialize", instance)
