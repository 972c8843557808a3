"""The Keras 1 spelling of `Embedding`'s arguments, taken with Keras 2.2.4's warnings."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

Init = TypeVar("Init", bound=Callable[..., None])

_POSITIONAL = ("input_dim", "output_dim")
_NEW_NAMES = {
    "init": "embeddings_initializer",
    "W_regularizer": "embeddings_regularizer",
    "W_constraint": "embeddings_constraint",
}


def legacy_embedding_arguments(init: Init) -> Init:
    """Let `Embedding.__init__` take Keras 1's names, and no more than two positional arguments.

    The order of the others differs between versions of Keras, so a third one is refused rather than guessed.
    """

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        if "dropout" in kwargs:
            del kwargs["dropout"]
            warnings.warn(
                "The `dropout` argument is no longer support in `Embedding`. You can apply a "
                "`keras.layers.SpatialDropout1D` layer right after the `Embedding` layer to get the same behavior.",
                stacklevel=2,
            )
        if len(args) > len(_POSITIONAL):
            raise TypeError(
                f"`Embedding` can accept only {len(_POSITIONAL)} positional arguments {_POSITIONAL}, but you passed "
                f"the following positional arguments: {list(args)}"
            )
        converted = [old for old in _NEW_NAMES if old in kwargs]
        for old in converted:
            new = _NEW_NAMES[old]
            if new in kwargs:
                raise TypeError(
                    f"For the `{new}` argument, the layer received both the legacy keyword argument `{old}` and the "
                    f"Keras 2 keyword argument `{new}`. Stick to the latter!"
                )
            kwargs[new] = kwargs.pop(old)
        if converted:
            name = type(self).__name__
            warnings.warn(
                f"Update your `{name}` call to the Keras 2 API: `{_call_text(name, args, kwargs)}`", stacklevel=2
            )
        init(self, *args, **kwargs)

    return cast(Init, wrapper)


def _call_text(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    given = [_value_text(value) for value in args] + [f"{key}={_value_text(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(given)})"


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, np.ndarray):
        return "array"
    text = str(value)
    return text if len(text) <= 10 else text[:10] + "..."
