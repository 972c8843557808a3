"""`Sequential`: a model of layers one after the other, as in Keras 2.2.4."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _registry, _summary, layers
from ._generator_training import GeneratorTrainer
from ._progress import ProgressBar
from .layers import Embedding
from .training import check_batch_size

__all__ = ["Sequential", "model_from_config", "model_from_json"]


class Sequential(GeneratorTrainer):
    """A model: layers one after the other::

        model = Sequential([Embedding(6, 2, input_length=3)])
        model.predict(np.array([[1, 2, 3], [2, 1, 0]]))  # rows, shape (2, 3, 2)

    The model is built when its input's shape is known: at once if the first layer has one (an `Embedding` always
    does), else by `build` or the first `predict`. ``model.trainable = False`` counts all weights as not trainable
    and leaves the layers' own `trainable` alone.

    Args:
        layers: layers to `add`; default none.
        name: str; default ``sequential_1`` and so on.

    Raises:
        TypeError: if one is no layer.
        ValueError: if a layer does not fit the one before it, or two have the same name.
    """

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
    ) -> None:
        """Print a table of the layers, their output shapes and numbers of weights.

        Args:
            line_length: int, length of the lines between rows; default 65.
            positions: the columns' ends, relative to `line_length` if the last is at most 1, else absolute; default
                ``[.45, .85, 1.]``.
            print_fn: called with each line; default `print`.

        Raises:
            ValueError: if the model is not built.
        """
        if not self.built:
            raise ValueError(
                "This model has not yet been built. Build the model first by calling build() or calling fit() with "
                "some data. Or specify input_shape or batch_input_shape in the first layer for automatic build. "
            )
        self._check_trainable(2)
        trainable = self.trainable_weights if self._compiled_trainable is None else self._compiled_trainable
        _summary.print_summary(
            self.layers, trainable, self.non_trainable_weights, line_length, positions, print_fn or print
        )

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: int = 0, steps: int | None = None
    ) -> NDArray[np.float32]:
        """Return the outputs for samples; a model that is one `Embedding` gathers them all at once.

        Args:
            x: array, samples first. A 1-D array, or a list of numbers, is n samples of one value. Also a list of one
                array, or a dict with an array at the input's name. Integer ids for an `Embedding` stay as they are.
            batch_size: int, how many samples go through the layers at a time; default 32; none do if it is negative.
            verbose: 1 prints a progress bar; default 0.
            steps: int; all samples go through the layers this many times, and `batch_size` must be None; default None.

        Returns:
            float32, samples first; of 0 samples an empty array of the right shape. All of one version of the weights,
            whatever other threads set or train meanwhile.

        Raises:
            ValueError: if `x` does not fit the model's input.
            AttributeError: if `x` is no array.
            ZeroDivisionError: if `batch_size` is 0.
            IndexError: if an `Embedding` receives an id outside its table.
        """
        if not self._layers:
            raise ValueError("There are no layers in the model: add() one before predict().")
        x = self._standardize(x)
        if steps is not None:
            with self._reading():
                return self._predict_in_steps(x, batch_size, verbose, steps)
        if batch_size == 0:
            raise ZeroDivisionError("integer division or modulo by zero")
        size = 32 if batch_size is None else batch_size
        if size < 0:
            x, size = x[:0], 1
        if type(self._layers[0]) is Embedding and len(self._layers) == 1 and verbose != 1:
            rows: NDArray[np.float32] = self._layers[0](x)
            return rows
        with self._reading():
            return self._predict_in_batches(x, size, ProgressBar(len(x)) if verbose == 1 else None)

    def _predict_in_steps(
        self, x: NDArray[Any], batch_size: int | None, verbose: int, steps: int
    ) -> NDArray[np.float32]:
        check_batch_size(batch_size, steps, "steps")
        progress = ProgressBar(steps) if verbose == 1 else None
        outputs = []
        for step in range(steps):
            outputs.append(self.call(x))
            if progress is not None:
                progress.update(step + 1)
        return np.concatenate(outputs)

    def _predict_in_batches(self, x: NDArray[Any], size: int, progress: ProgressBar | None) -> NDArray[np.float32]:
        if not len(x):
            return np.empty(self.compute_output_shape(x.shape), np.float32)
        outputs: NDArray[np.float32] = np.empty(0, np.float32)
        for start in range(0, len(x), size):
            stop = min(start + size, len(x))
            rows = self.call(x[start:stop])
            if start == 0:
                outputs = np.empty((len(x), *rows.shape[1:]), np.float32)
            outputs[start:stop] = rows
            if progress is not None:
                progress.update(stop)
        return outputs

    def predict_proba(self, x: Any, batch_size: int | None = 32, verbose: int = 0) -> NDArray[np.float32]:
        """Return ``predict(...)``, and warn if it is no probabilities: if a value is below 0 or above 1."""
        outputs = self.predict(x, batch_size, verbose)
        if outputs.size and (outputs.min() < 0.0 or outputs.max() > 1.0):
            warnings.warn(
                "Network returning invalid probability values. The last layer might not normalize predictions into "
                "probabilities (like softmax or sigmoid would).",
                stacklevel=2,
            )
        return outputs

    def predict_classes(self, x: Any, batch_size: int | None = 32, verbose: int = 0) -> NDArray[np.integer]:
        """Return the index of the largest output of each sample; of a single output, whether it is above 0.5."""
        outputs = self.predict(x, batch_size, verbose)
        return outputs.argmax(axis=-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype(np.int32)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the layers' configs: what makes this model again, without its weights."""
        config = {"name": self.name, "layers": [layers.serialize(layer) for layer in self.layers]}
        if self._build_input_shape is not None:
            config["build_input_shape"] = self._build_input_shape
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: _registry.Names | None = None) -> Any:
        """Make a model from what `get_config` gave, here, in Keras 2.2.4, in tf_keras or in Keras 3.

        Args:
            config: a dict with ``"layers"``, or that list itself.
            custom_objects: your own layer classes by name.

        Raises:
            ValueError: if a layer's class name is unknown.
            TypeError: if a layer does not know an argument.
        """
        if isinstance(config, list):
            config = {"layers": config}
        model = cls(name=config.get("name"))
        for layer_config in config["layers"]:
            model.add(_make(layer_config, custom_objects))
        if config.get("build_input_shape") is not None:
            model.build(tuple(config["build_input_shape"]))
        model.trainable = config.get("trainable", True)
        return model

    def to_json(self, **kwargs: Any) -> str:
        """Return the config as JSON that Keras 2.2.4 reads; `kwargs` go to ``json.dumps``."""
        config = {
            "class_name": type(self).__name__,
            "config": self.get_config(),
            "keras_version": "2.2.4",
            "backend": "tensorflow",
        }
        return json.dumps(config, default=_json_value, **kwargs)


def model_from_json(json_string: str, custom_objects: _registry.Names | None = None) -> Any:
    """Make a model, without its weights, from what `to_json` gave, here, in Keras 2.2.4, in tf_keras or in Keras 3.

    Args:
        json_string: the JSON.
        custom_objects: your own layer classes by name.

    Raises:
        ValueError: if it is no JSON or no config, or a layer's class name is unknown.
        TypeError: if a layer does not know an argument.
    """
    return _make(json.loads(json_string), custom_objects)


def model_from_config(config: Mapping[str, Any], custom_objects: _registry.Names | None = None) -> Any:
    """Make a model, without its weights, from its config: ``{"class_name": ..., "config": ...}``.

    Raises:
        ValueError: if it is no config, or a layer's class name is unknown.
        TypeError: if it is a list, or a layer does not know an argument.
    """
    if isinstance(config, list):
        raise TypeError(
            "`model_from_config` expects a dictionary, not a list. "
            "Maybe you meant to use `Sequential.from_config(config)`?"
        )
    return _make(config, custom_objects)


def _make(config: Any, custom_objects: _registry.Names | None) -> Any:
    """Make a layer or a model from its config."""
    if isinstance(config, Mapping) and config.get("class_name") == "Sequential" and "config" in config:
        return Sequential.from_config(config["config"], custom_objects)
    return layers.deserialize(config, custom_objects)


def _json_value(value: Any) -> Any:
    """What JSON has no word for, as Keras writes it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if callable(value):
        return value.__name__
    raise TypeError("Not JSON Serializable:", value)
