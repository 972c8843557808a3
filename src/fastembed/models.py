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
from ._native.kernels import check_whole
from ._progress import ProgressBar
from .io.atomic import Path
from .layers import Embedding
from .training import check_batch_size

__all__ = ["Sequential", "load_model", "model_from_config", "model_from_json", "save_model"]


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
        check_whole(x)
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
        check_whole(x)
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
        names: set[str] = set()
        for layer_config in config["layers"]:
            layer = _make(layer_config, custom_objects)
            model._add(layer, names)
            names |= {layer.name, *model.input_names}
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

    def save(self, filepath: Path, overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write the model to a file: config, weights, how it is compiled and, once trained, the optimizer's state.

        Keras 2.2.4 and tf_keras read it, whatever its name; if the name ends in ``.keras``, Keras 3 does. An existing
        file is replaced when the new one is whole. All in it is of one version: other threads that set weights or train
        wait until it is written. Needs h5py (the extra ``keras``).

        Args:
            filepath: of the file.
            overwrite: whether an existing file is replaced without asking; else `input` asks.
            include_optimizer: whether how it is compiled, and the optimizer's state, are written.

        Raises:
            ImportError: if there is no h5py.
            ValueError: if the model is not built, or Keras 3 has no such layer.
            OSError: if the file cannot be written; an existing one is then as it was.
        """
        from . import _saving  # here and in what follows: needed by few

        _saving.save_model(self, filepath, overwrite, include_optimizer, _json_value)

    def save_weights(self, filepath: Path, overwrite: bool = True) -> None:
        """Write the weights to a file, in Keras 2.2.4's layout or, if its name ends in ``.weights.h5``, in Keras 3's.

        Every Keras reads the former. Arguments and errors are those of `save`.
        """
        from . import _saving

        _saving.save_weights(self, filepath, overwrite)

    def load_weights(
        self, filepath: Path, by_name: bool = False, skip_mismatch: bool = False, reshape: bool = False
    ) -> None:
        """Copy the weights of a file of any Keras version, of weights alone or of a whole model, into the layers.

        Args:
            filepath: of a .h5, .weights.h5 or .keras file.
            by_name: whether layers of the same name receive weights, and others none; default False: layers with
                weights receive them in their order, whatever their names are (in files of Keras 3's layout: by class
                and order).
            skip_mismatch: with `by_name`, whether weights that do not fit are left out with a warning.
            reshape: kept for Keras, where convolutions alone use it.

        Raises:
            ValueError: if the weights do not fit; none has changed then.
            FormatError: if the file is damaged or of another kind; none has changed then.
            OSError: if it is not to be read.
        """
        from . import _loading

        _loading.load_weights(self, filepath, by_name, skip_mismatch)


def save_model(model: Sequential, filepath: Path, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a model to a file: ``model.save(filepath, overwrite, include_optimizer)``."""
    model.save(filepath, overwrite, include_optimizer)


def load_model(filepath: Path, custom_objects: _registry.Names | None = None, compile: bool = True) -> Any:
    """Make the `Sequential` that a file of any Keras version holds, compiled and with the optimizer's state.

    Nothing in the file is executed, no other file is opened, and what it claims of sizes is checked against it first.

    Args:
        filepath: of a .h5 or .keras file of a whole model, of Keras 2.2.4, tf_keras, Keras 3 or fastembed.
        custom_objects: your own layers, losses, metrics and optimizers by name; they win over ours.
        compile: whether the model is compiled if the file says how; if it does not, or says what Keras 2.2.4 cannot
            do, that is a warning.

    Raises:
        FormatError: if the file is damaged or of another kind, has weights alone, or a layer or an argument that is
            unknown; the text names the file and the place.
        OSError: if it is not to be read.
    """
    from . import _loading

    return _loading.load_model(filepath, _make, custom_objects, compile)


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
