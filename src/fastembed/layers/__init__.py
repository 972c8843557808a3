"""Layers, and the way from a layer to its config and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _registry
from .core import Activation, Dense, Dropout, Flatten, SpatialDropout1D
from .embedding import Embedding
from .input_layer import InputLayer
from .input_spec import InputSpec
from .layer import Layer
from .pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from .step import Step
from .weights import Weight

__all__ = [
    "Activation",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "InputLayer",
    "InputSpec",
    "Layer",
    "SpatialDropout1D",
    "Step",
    "Weight",
    "deserialize",
    "serialize",
]

_NAMES: _registry.Names = {
    layer.__name__: layer
    for layer in [
        *(Activation, Dense, Dropout, Embedding, Flatten, GlobalAveragePooling1D, GlobalMaxPooling1D),
        *(InputLayer, Layer, SpatialDropout1D),
    ]
}


def serialize(layer: Layer) -> dict[str, Any]:
    """Give the config of a layer: ``{"class_name": ..., "config": ...}``."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: _registry.Names | None = None) -> Any:
    """Make a layer from its config.

    Args:
        config: what `serialize` gave here or in Keras 2.2.4, or a layer's part of a later Keras version's model.
        custom_objects: your own layer classes by name; they win over ours.

    Raises:
        ValueError: if the config has another form, or its class name is unknown.
        TypeError: if the layer does not know an argument.
    """
    return _registry.deserialize(config, _NAMES, "layer", custom_objects)
