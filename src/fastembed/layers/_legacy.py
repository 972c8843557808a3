"""The Keras 1 spelling of layers' arguments, taken with Keras 2.2.4's warnings."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

Init = TypeVar("Init", bound=Callable[..., None])

_EMBEDDING = {
    "init": "embeddings_initializer",
    "W_regularizer": "embeddings_regularizer",
    "W_constraint": "embeddings_constraint",
}
_DENSE = {
    "output_dim": "units",
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}


def _legacy_arguments(
    positional: tuple[str, ...], new_names: Mapping[str, str], drops_dropout: bool = False
) -> Callable[[Init], Init]:
    """Let a layer's ``__init__`` take Keras 1's names, and no more than these positional arguments.

    The order of the others differs between versions of Keras, so one more is refused rather than guessed.
    """

    def decorate(init: Init) -> Init:
        @functools.wraps(init)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            name = type(self).__name__
            if drops_dropout and "dropout" in kwargs:
                del kwargs["dropout"]
                warnings.warn(
                    "The `dropout` argument is no longer support in `Embedding`. You can apply a "
                    "`keras.layers.SpatialDropout1D` layer right after the `Embedding` layer to get the same behavior.",
                    stacklevel=2,
                )
            if len(args) > len(positional):
                raise TypeError(
                    f"`{name}` can accept only {len(positional)} positional arguments {positional}, but you passed "
                    f"the following positional arguments: {list(args)}"
                )
            converted = [old for old in new_names if old in kwargs]
            for old in converted:
                new = new_names[old]
                if new in kwargs:
                    raise TypeError(
                        f"For the `{new}` argument, the layer received both the legacy keyword argument `{old}` and "
                        f"the Keras 2 keyword argument `{new}`. Stick to the latter!"
                    )
                kwargs[new] = kwargs.pop(old)
            if converted:
                warnings.warn(
                    f"Update your `{name}` call to the Keras 2 API: `{_call_text(name, args, kwargs)}`", stacklevel=2
                )
            init(self, *args, **kwargs)

        return cast(Init, wrapper)

    return decorate


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


legacy_embedding_arguments = _legacy_arguments(("input_dim", "output_dim"), _EMBEDDING, drops_dropout=True)
legacy_dense_arguments = _legacy_arguments(("units",), _DENSE)
legacy_dropout_arguments = _legacy_arguments(("rate", "noise_shape", "seed"), {"p": "rate"})
legacy_spatial_dropout_arguments = _legacy_arguments(("rate",), {"p": "rate"})
