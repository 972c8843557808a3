"""`Stack`: layers one after the other, what a model is before anything is asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from . import _fused, regularizers
from .layers import Embedding, InputLayer, Layer, Step, Weight
from .layers.input_spec import Shape
from .layers.layer import building, parameters
from .layers.weights import note_change

# A layer's output shape, and a mask of that shape or None
Output = tuple[Shape, Any]


class Stack(Layer):
    """Layers one after the other, themselves a layer: the half of `Sequential` that holds and runs them.

    A stack is built when its input's shape is known: at once if the first layer has one, else by `build`.
    """

    def __init__(self, layers: Sequence[Layer] | None = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._layers: list[Layer] = []
        self._input: InputLayer | None = None  # None: not built
        self._outputs: list[Output] = []  # of each layer, once built
        self._build_input_shape: Any = None
        for layer in layers or ():
            self.add(layer)

    # ── layers ───────────────────────────────────────────────────────────────────────────────────

    def add(self, layer: Layer) -> None:
        """Put a layer behind the others, and build it if the model is built.

        Raises:
            TypeError: if it is no layer, or does not support the mask of the one before it.
            ValueError: if it does not fit the one before it, has the name of another one, or is an empty model.
        """
        self._add(layer, None)

    def _add(self, layer: Layer, names: set[str] | None) -> None:
        """As `add`. `names`, if given, are those in the model: all are looked at only for a name among them."""
        if not isinstance(layer, Layer):
            raise TypeError(f"The added layer must be an instance of class Layer. Found: {layer}")
        if isinstance(layer, Stack) and not layer.layers:
            raise ValueError("Cannot add an empty model to a `Sequential` model.")
        if self._input is None and not self._layers:
            if isinstance(layer, InputLayer):
                self._begin(layer, [])
                return
            shape = _input_shape(layer)
            if shape is not None:
                self._begin(InputLayer(batch_input_shape=shape, dtype=layer.dtype, name=f"{layer.name}_input"), [layer])
                return
        if self._input is not None:
            if names is None or layer.name in names:
                _check_names([self._input, *self._layers, layer])
            self._outputs.append(layer._join(*self._last_output()))
        self._layers.append(layer)
        note_change()

    def pop(self) -> None:
        """Take the last layer away; a model without layers is not built.

        Raises:
            TypeError: if there is none.
        """
        if not self._layers:
            raise TypeError("There are no layers in the model.")
        self._layers.pop()
        note_change()
        del self._outputs[len(self._layers) :]
        if not self._layers:
            self._input = self._build_input_shape = None
            self.built = False

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of a shape, batch axis included; nothing happens if that is known already."""
        with building():
            if input_shape is not None and self._input is None and self._layers:
                self._begin(InputLayer(batch_input_shape=input_shape, name=f"{self.name}_input"), self._layers)
                self._build_input_shape = input_shape

    @property
    def layers(self) -> list[Layer]:
        """The layers in their order, each once, without the `InputLayer`; a new list."""
        return list(dict.fromkeys(self._layers))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or by index; the index wins.

        Raises:
            ValueError: if there is none, or neither is given.
        """
        if index is not None:
            if index >= len(self.layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has {len(self.layers)} layers."
                )
            return self.layers[index]
        if not name:
            raise ValueError("Provide either a layer name or layer index.")
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}")

    def _begin(self, first: InputLayer, behind: Sequence[Layer]) -> None:
        """Build the model from its input on; it stays as it was if a layer does not fit."""
        _check_names([first, *behind])
        outputs: list[Output] = []
        before: Output = (first.batch_input_shape, None)
        for layer in behind:
            before = layer._join(*before)
            outputs.append(before)
        self._input, self._layers, self._outputs = first, list(behind), outputs
        note_change()
        self.built = True

    def _last_output(self) -> Output:
        if self._input is None:
            raise AttributeError("The layer has never been called and thus has no defined output shape.")
        return self._outputs[-1] if self._outputs else (self._input.batch_input_shape, None)

    # ── shapes and masks ─────────────────────────────────────────────────────────────────────────

    @property
    def input_shape(self) -> Shape:
        """The input's shape, None for any size. Raises AttributeError while the model is not built."""
        if self._input is None:
            raise AttributeError("The layer has never been called and thus has no defined input shape.")
        return self._input.batch_input_shape

    @property
    def output_shape(self) -> Shape:
        """The output's shape, None for any size. Raises AttributeError while the model is not built."""
        return self._last_output()[0]

    @property
    def input_names(self) -> list[str]:
        """The input's name, ``embedding_1_input`` say, in a list; an empty one while the model is not built."""
        return [] if self._input is None else [self._input.name]

    @property
    def output_names(self) -> list[str]:
        """The last layer's name in a list; an empty one while there is no layer."""
        return [layer.name for layer in self._layers[-1:]]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output's shape for an input's shape."""
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the output's mask; this runs the model where there is one."""
        if mask is None and self.built and self._last_output()[1] is None:
            return None
        return self._run(inputs, mask, True)[1]

    def _mask_for(self, input_shape: Shape, mask: Any) -> Any:
        return self._through(input_shape, mask)[1]

    def _through(self, input_shape: Shape, mask: Any) -> Output:
        """The output of this shape and mask; each layer is asked once, however deep models lie inside each other."""
        for layer in self._layers:
            if isinstance(layer, Stack):
                input_shape, mask = layer._through(input_shape, mask)
            else:
                mask = layer._mask_for(input_shape, mask)
                input_shape = layer.compute_output_shape(input_shape)
        return input_shape, mask

    # ── running ──────────────────────────────────────────────────────────────────────────────────

    def call(self, inputs: Any, mask: Any = None, step: Step | None = None) -> Any:
        """Return the outputs for an array, in one pass."""
        return self._run(inputs, mask, False, step)[0]

    def backward(self, output_gradient: Any, step: Step) -> Any:
        """Return the gradient with respect to the inputs; hand over those of all layers' weights."""
        for layer, own in reversed(step.saved):
            if not own.needs_input_gradient and not _has_wanted(layer, own):
                return None
            if layer.activity_regularizer is not None:
                output_gradient = output_gradient + regularizers.gradient_of(layer.activity_regularizer, own.outputs)
            output_gradient = layer.backward(output_gradient, own)
            step.gradients += own.gradients
        return output_gradient

    def _run(self, inputs: Any, mask: Any, with_mask: bool, step: Step | None = None) -> tuple[Any, Any]:
        """Return the outputs and, if wanted, their mask; with a step, keep in it what `backward` needs."""
        runs: list[tuple[Any, Step]] = []
        last = None if with_mask or not self._layers else self._layers[-1]
        for layer in _fused.pairs(self._layers):
            output_mask = None if layer is last else layer.compute_mask(inputs, mask)
            arguments: dict[str, Any] = {} if mask is None else {"mask": mask}
            if step is not None:
                own = Step(step.training, step.wanted, step.deferred)
                own.needs_input_gradient = step.needs_input_gradient or any(_has_wanted(*run) for run in runs)
                own.inputs, own.mask = inputs, mask
                takes = parameters(type(layer).call)
                arguments |= {"step": own} if "step" in takes else {}
                arguments |= {"training": step.training} if "training" in takes else {}
                runs.append((layer, own))
            inputs = layer(inputs, **arguments)
            if step is not None:
                own.outputs = inputs
                if layer.activity_regularizer is not None:
                    step.penalty += float(layer.activity_regularizer(inputs))
                step.penalty += own.penalty
            mask = output_mask
        if step is not None:
            step.saved = runs
        return inputs, mask

    # ── weights ──────────────────────────────────────────────────────────────────────────────────

    @property
    def trainable_weights(self) -> list[Weight]:
        """The layers' trainable weights; none while the model is not trainable, whatever its layers are."""
        return [weight for layer in self.layers for weight in layer.trainable_weights] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The other weights of all layers."""
        frozen = [] if self.trainable else [weight for layer in self.layers for weight in layer.trainable_weights]
        return frozen + [weight for layer in self.layers for weight in layer.non_trainable_weights]

    @property
    def losses(self) -> list[Any]:
        """The penalty of each weight that has a regularizer, computed now."""
        return [loss for layer in self.layers for loss in layer.losses]

    def count_params(self) -> int:
        """Return the number of values in all weights; 0 while the model is not built."""
        return sum(weight.value.size for weight in set(self.weights))

    def _weights_in_order(self) -> list[Weight]:
        """Layer by layer: what `get_weights` and `set_weights` go by. `weights` puts trainable ones first."""
        return [weight for layer in self.layers for weight in layer._weights_in_order()]


def _input_shape(layer: Layer) -> Shape | None:
    """The shape that a first layer wants of its input, batch axis included, or None if it does not say."""
    if not isinstance(layer, Stack):
        return getattr(layer, "batch_input_shape", None)
    return layer.input_shape if layer.built else None


def takes_ids(layer: Layer) -> bool:
    """Whether a layer's input is ids for an `Embedding`."""
    if isinstance(layer, Stack):
        return bool(layer.layers) and takes_ids(layer.layers[0])
    return isinstance(layer, Embedding)


def _has_wanted(layer: Any, step: Step) -> bool:
    """Whether a layer has a weight that is trained."""
    return any(step.wants(weight.value) for weight in layer._weights_in_order())


def _check_names(layers: Sequence[Layer]) -> None:
    for name, count in Counter(layer.name for layer in dict.fromkeys(layers)).items():
        if count > 1:
            raise ValueError(f'The name "{name}" is used {count} times in the model. All layer names should be unique.')
