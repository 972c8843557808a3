"""The base of all layers: names, weights, shapes, masks and configs, as in Keras 2.2.4."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import backend
from .._native.kernels import holds, reading
from ._configs import in_old_words
from ._places import INPUT, OUTPUT, Places
from .input_spec import InputSpec, Shape, as_shape
from .step import Step
from .weights import WeightOwner

_ALLOWED_KWARGS = frozenset(
    ["input_shape", "batch_input_shape", "batch_size", "dtype", "name", "trainable", "weights", "input_dtype"]
)

_building = threading.RLock()


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Within, no other thread builds layers: each would make weights of its own.

    What a layer reads to be built it reads before writers that wait: they may wait for one who waits for this.
    """
    with _building, reading(()):
        yield


def _renew_lock() -> None:
    global _building
    _building = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class Layer(WeightOwner):
    """Base of all layers. A layer of your own overrides some of `build`, `call` and `compute_output_shape`::

        class Scale(Layer):
            def build(self, input_shape):
                self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")
                super().build(input_shape)

            def call(self, inputs):
                return inputs * self.scale

            def backward(self, output_gradient, step):
                step.add_gradient(self.scale, (output_gradient * step.inputs).reshape(-1, len(self.scale)).sum(axis=0))
                return output_gradient * self.scale

    Only what is trained through needs a `backward`.

    Args:
        input_shape: shape of one sample; makes the layer fit to begin a `Sequential` with.
        batch_input_shape: the same with the batch axis first; wins over `input_shape`.
        batch_size: int, the batch axis that `input_shape` lacks; default None, any size.
        dtype: of the layer's table, kept as given; tables are float32, and building another one is an error.
        name: str; default: the class name in snake_case and a number, ``embedding_1``.
        trainable: whether training may change the weights; kept as given, tested for truth.
        weights: list of arrays that the layer starts with.
        input_dtype: of the inputs, where `dtype` is not given.

    Raises:
        TypeError: if another keyword is given; its arguments are Keras's text and the first such keyword.
    """

    _is_being_built = False  # also where `build` says early that it is over

    def __init__(self, **kwargs: Any) -> None:
        for keyword in kwargs:
            if keyword not in _ALLOWED_KWARGS:
                raise TypeError("Keyword argument not understood:", keyword)
        super().__init__(kwargs.get("weights"))
        class_name = type(self).__name__
        self.name: str = kwargs.get("name") or f"{_snake_case(class_name)}_{backend.get_uid(class_name)}"
        self.trainable: Any = kwargs.get("trainable", True)
        self.input_spec: InputSpec | Sequence[InputSpec] | None = None
        self.supports_masking: Any = False
        self.stateful = False
        self.built = False

        if "batch_input_shape" in kwargs:
            self.batch_input_shape: Shape = as_shape(kwargs["batch_input_shape"])
        elif "input_shape" in kwargs:
            self.batch_input_shape = as_shape((kwargs.get("batch_size"), *tuple(kwargs["input_shape"])))
        # An input's dtype must not become the table's: Keras then fails to build.
        self._table_dtype = backend.floatx() if kwargs.get("dtype") is None else kwargs["dtype"]
        given = kwargs.get("dtype") if kwargs.get("dtype") is not None else kwargs.get("input_dtype")
        self.dtype: Any = backend.floatx() if given is None else given

        self._places = Places()
        self.activity_regularizer: Any = None

    # ── what subclasses override ─────────────────────────────────────────────────────────────────

    def build(self, input_shape: Any) -> None:
        """Make the weights. Called once, before the first `call`, with the input's shape (None: any size)."""
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs for an array. Parameters that it may have receive: `mask` the input's mask, `training`
        whether the model is being trained, `step` (a `Step`) what is kept for `backward`; each may be None.
        """
        return inputs

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient of the loss with respect to the inputs, and hand over those of the weights.

        Args:
            output_gradient: that with respect to the outputs, of their shape; not to be modified.
            step: what the forward pass left: ``step.inputs``, ``step.outputs``, ``step.mask`` and what `call` kept in
                ``step.saved``. ``step.add_gradient(self.kernel, gradient)`` hands over a weight's.

        Returns:
            array of the inputs' shape; None where ``step.needs_input_gradient`` is false.

        Raises:
            NotImplementedError: if the layer has a `call` of its own and no `backward`.
        """
        if type(self).call is not Layer.call:
            raise NotImplementedError(
                f"Layer {self.name} cannot be trained through: its class {type(self).__name__} must have a method "
                "`backward(output_gradient, step)`."
            )
        return output_gradient

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output's shape for an input's shape."""
        return input_shape

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the output's mask: the input's, for a layer that supports masking.

        Raises:
            TypeError: if there is a mask and the layer does not support masking.
        """
        if self.supports_masking:
            return mask
        if any(m is not None for m in mask) if isinstance(mask, list) else mask is not None:
            raise TypeError(f"Layer {self.name} does not support masking, but was passed an input_mask: {mask}")
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, without its weights."""
        config = {"name": self.name, "trainable": self.trainable}
        if hasattr(self, "batch_input_shape"):
            config |= {"batch_input_shape": self.batch_input_shape, "dtype": self._table_dtype}
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make a layer from what `get_config` gave, here, in Keras 2.2.4, in tf_keras or in Keras 3."""
        return cls(**in_old_words(config))

    # ── calling ──────────────────────────────────────────────────────────────────────────────────

    def __call__(self, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        """Build the layer on its first call, then return ``call(inputs)``.

        Args:
            inputs: array, or what makes one.
            mask: bool array, True where an input counts; handed to `call` if that has a parameter `mask`.
            kwargs: handed to `call`.

        Raises:
            ValueError: if the input does not fit `input_spec`, or ``weights=`` does not fit the layer.
            TypeError: if there is a mask and the layer does not support masking.
        """
        if not isinstance(inputs, np.ndarray):
            inputs = np.asarray(inputs)
        self._check_input(inputs.shape)
        if not self.built or self._initial_weights is not None or self._is_being_built:
            self._get_ready(inputs.shape)
        if not self._places.called:
            self._places.note_call(inputs.shape, self.compute_output_shape(inputs.shape))
        if mask is not None:
            if type(self).compute_mask is Layer.compute_mask:
                self.compute_mask(inputs, mask)  # refuses it
            if "mask" in parameters(type(self).call):
                kwargs["mask"] = mask
        guards = self._own_guards()
        if holds(guards):  # inside a call of the layer's own model, say
            return self.call(inputs, **kwargs)
        with reading(guards):
            return self.call(inputs, **kwargs)

    def _join(self, input_shape: Shape, mask: Any) -> tuple[Shape, Any]:
        """Take a place in a model behind an output of this shape and mask; return the layer's own shape and mask."""
        self._check_input(input_shape)
        self._get_ready(input_shape)
        output_mask = self._mask_for(input_shape, mask)
        output_shape = self.compute_output_shape(input_shape)
        self._places.add(input_shape, output_shape)
        return output_shape, output_mask

    def _mask_for(self, input_shape: Shape, mask: Any) -> Any:
        """Try the mask out on an input of this shape that takes no memory, so that a model refuses it when built."""
        return self.compute_mask(np.broadcast_to(np.float32(0), [size or 1 for size in input_shape]), mask)

    def _check_input(self, shape: Shape) -> None:
        if self.input_spec is None:
            return
        specs = [self.input_spec] if isinstance(self.input_spec, InputSpec) else self.input_spec
        if len(specs) != 1:
            raise ValueError(
                f"Layer {self.name} expects {len(specs)} inputs, but it received 1 input tensors. Input received: "
                f"one of shape {shape}"
            )
        specs[0].check(shape, self.name)

    def _get_ready(self, input_shape: Shape) -> None:
        with building():
            if not self.built:
                self._is_being_built = True
                try:
                    self.build(input_shape)
                finally:
                    self._is_being_built = False  # through __dict__ every later look at an attribute takes longer
                self.built = True
            if self._initial_weights is not None:
                self.set_weights(self._initial_weights)

    # ── shapes ───────────────────────────────────────────────────────────────────────────────────

    @property
    def input_shape(self) -> Shape:
        """The input's shape in its model, None for any size; outside a model, of the first call.

        Raises:
            AttributeError: if the layer was never called, or has places of different shapes.
        """
        return self._places.only(INPUT, self.name)

    @property
    def output_shape(self) -> Shape:
        """The output's shape in its model, None for any size; outside a model, of the first call.

        Raises:
            AttributeError: if the layer was never called, or has places of different shapes.
        """
        return self._places.only(OUTPUT, self.name)

    def get_input_shape_at(self, node_index: int) -> Shape:
        """Return the input's shape at the layer's n-th place in models.

        Raises:
            RuntimeError: if the layer was never called.
            ValueError: if it has fewer places.
        """
        return self._places.at(INPUT, node_index)

    def get_output_shape_at(self, node_index: int) -> Shape:
        """Return the output's shape at the layer's n-th place in models.

        Raises:
            RuntimeError: if the layer was never called.
            ValueError: if it has fewer places.
        """
        return self._places.at(OUTPUT, node_index)


def _snake_case(class_name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", class_name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return f"private{name}" if name.startswith("_") else name


@functools.cache
def parameters(call: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters."""
    return frozenset(inspect.signature(call).parameters)
