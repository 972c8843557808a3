"""`BatchTrainer`: a model that is compiled, and trained and evaluated on one batch at a time, as in Keras 2.2.4."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _compile, _inputs, _targets
from ._native.kernels import check_whole
from ._objective import Objective
from ._stack import Stack, takes_ids
from .layers import Step, Weight
from .optimizers import Optimizer

Batch = tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]  # inputs, targets, weights
_NOT_COMPILED = "You must compile a model before training/testing. Use `model.compile(optimizer, loss)`."


class BatchTrainer(Stack):
    """The part of `Sequential` that is compiled, and trained and evaluated on batches."""

    loss: Any
    metrics: Any
    loss_weights: Any
    sample_weight_mode: Any
    weighted_metrics: Any

    def __init__(self, layers: Any = None, name: str | None = None) -> None:
        self.optimizer: Any = None
        self._compiled_trainable: list[Weight] | None = None  # None: not compiled
        self._objective: Objective | None = None  # None: not compiled, or its input's shape is not known yet
        self._is_new = False  # whether the optimizer has not seen the weights yet
        super().__init__(layers, name)

    def compile(
        self,
        optimizer: Any,
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        sample_weight_mode: Any = None,
        weighted_metrics: Any = None,
        target_tensors: None = None,
    ) -> None:
        """Say how the model is to be trained. Which weights are trainable is noted here: compile again after a change.

        Args:
            optimizer: name (in any case), config, or an optimizer; one that was used before keeps its `iterations`.
            loss: name of one of Keras's, a function of targets and outputs (with a gradient: `losses.with_gradient`), a
                list of one of these, or a dict by output name.
            metrics: list of names and functions, or a dict of such by output name; default none.
            loss_weights: list of one number, or a dict by output name; default None.
            sample_weight_mode: ``"temporal"`` if each place of a sample has a weight; default None.
            weighted_metrics: as `metrics`; sample weights apply to them.
            target_tensors: None, as there are no tensors here.

        Raises:
            ValueError: if a name is unknown, there is no loss, or `target_tensors` is given.
            TypeError: if `metrics` or `loss_weights` is something else.
        """
        output_name = self.output_names[0] if self._layers else ""
        found = _compile.find_optimizer(optimizer)
        objective = _compile.make_objective(
            loss, [metrics, weighted_metrics], loss_weights, sample_weight_mode, output_name, self._num_outputs()
        )
        if target_tensors is not None:
            raise ValueError(f"`target_tensors` must be None: targets are arrays. Received: {target_tensors!r}.")
        self.optimizer = found
        self.loss = loss
        self.metrics = metrics or []
        self.loss_weights = loss_weights
        self.sample_weight_mode = sample_weight_mode
        self.weighted_metrics = weighted_metrics
        self._compiled_trainable = self.trainable_weights
        self._objective = objective if self.built else None
        self._is_new = True

    def _num_outputs(self) -> int | None:
        shape = self._last_output()[0] if self.built else ()
        return shape[-1] if shape else None

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` and `train_on_batch` return; none before the model is compiled."""
        if self._objective is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'metrics_names'")
        return list(self._objective.names)

    # ── batches ──────────────────────────────────────────────────────────────────────────────────

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Any:
        """Take one step of training on one batch.

        Args:
            x: inputs, as for `predict`.
            y: targets: an array, a list of one, or a dict by output name.
            sample_weight: array of the samples' weights; with ``sample_weight_mode="temporal"`` of their places'.
            class_weight: dict of weights by class.

        Returns:
            np.float32, the loss before the step; with metrics a list: the loss and each metric.

        Raises:
            RuntimeError: if the model is not compiled.
            ValueError: if an array does not fit.
            IndexError: if an `Embedding` receives an id outside its table; nothing has changed then.
        """
        return one_or_list(self._train(self._batch(x, y, sample_weight, class_weight)))

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        """Return the loss and metrics of one batch; arguments, result and errors as `train_on_batch`."""
        return one_or_list(self._test(self._batch(x, y, sample_weight), self._penalty()))

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for samples, in one batch."""
        x = self._standardize(x)
        with self._reading():
            outputs = self.call(x)
        check_whole(x)
        return outputs

    def _train(self, batch: Batch) -> list[np.float32]:
        objective = self._ready()
        x, y_true, weights = batch
        trained = self._compiled_trainable or []
        # whoever takes the gradients himself gets them summed
        deferred = getattr(self.optimizer.apply_gradients, "__func__", None) is Optimizer.apply_gradients
        step = Step(True, frozenset(id(weight.value) for weight in trained), deferred)
        with self._reading():
            y_pred, mask = self._run(x, None, True, step)
            penalty = step.penalty + self._penalty()
            values, gradient = objective.values_and_gradient(y_true, y_pred, weights, mask, penalty)
            self.backward(gradient, step)
        check_whole(x, y_true)
        self.optimizer.apply_gradients(_by_weight(step, trained))
        return values

    def _test(self, batch: Batch, penalty: float) -> list[np.float32]:
        assert self._objective is not None  # after _batch
        x, y_true, weights = batch
        step = Step()
        with self._reading():
            y_pred, mask = self._run(x, None, True, step)
        values = self._objective.values(y_true, y_pred, weights, mask, step.penalty + penalty)
        check_whole(x, y_true)
        return values

    def _penalty(self) -> float:
        """The penalty of all weights: a pass over every table that has one."""
        return float(sum(self.losses))

    def _ready(self) -> Objective:
        """Give the optimizer the weights, before the first step after `compile`."""
        assert self._objective is not None  # after _batch
        self._check_trainable(3)
        if self._is_new:
            self.optimizer.build(self._compiled_trainable)
            self._is_new = False
        return self._objective

    def _check_trainable(self, stacklevel: int) -> None:
        if self._compiled_trainable is not None and len(self.trainable_weights) != len(self._compiled_trainable):
            warnings.warn(
                "Discrepancy between trainable weights and collected trainable weights, did you set "
                "`model.trainable` without calling `model.compile` after ?",
                stacklevel=stacklevel + 1,
            )

    # ── what is given, checked ───────────────────────────────────────────────────────────────────

    def _standardize(self, x: Any) -> NDArray[Any]:
        if self._input is None:
            array = _inputs.one_array(x, None)
            self.build((None, *array.shape[1:]))
        else:
            array = _inputs.one_array(x, self._input.name)
        assert self._input is not None  # after build
        _inputs.check_shape(array, self._input.name, self._input.batch_input_shape)
        # Keras would feed ids as float32, which cannot tell those past 2**24 apart.
        if takes_ids(self):
            return array
        values = np.asarray(array, self._input.dtype)
        check_whole(array)
        return values

    def _batch(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Batch:
        """Inputs, targets and weights, checked against the model and each other."""
        if self.optimizer is None:
            raise RuntimeError(_NOT_COMPILED)
        x = self._standardize(x)
        if y is None:
            raise ValueError("`y` must be given: a model is trained and evaluated against targets.")
        if self._objective is None:
            self.compile(
                self.optimizer,
                self.loss,
                self.metrics,
                self.loss_weights,
                self.sample_weight_mode,
                self.weighted_metrics,
            )
        assert self._objective is not None  # after compile
        name, loss = self.output_names[0], self._objective.loss
        y = _targets.targets(y, name, self._last_output()[0], loss)
        weights = _targets.weights(y, sample_weight, class_weight, name, self._objective, self.sample_weight_mode)
        _targets.check_lengths(x, y, weights)
        _targets.check_loss_fits(y, loss)
        return x, y, weights


def one_or_list(values: list[Any]) -> Any:
    """Return the only value, or the list."""
    return values[0] if len(values) == 1 else values


def _by_weight(step: Step, weights: list[Weight]) -> list[tuple[Any, Weight]]:
    """Each weight with its gradient: several, from layers that are used several times, added up."""
    found: dict[int, Any] = {}
    for array, gradient in step.gradients:
        if id(array) in found:
            gradient = _dense(found[id(array)]) + _dense(gradient)
        found[id(array)] = gradient
    for weight in weights:
        if id(weight.value) not in found:
            found[id(weight.value)] = np.zeros(weight.shape, np.float32)
    return [(found[id(weight.value)], weight) for weight in weights]


def _dense(gradient: Any) -> Any:
    return gradient.to_dense() if hasattr(gradient, "to_dense") else gradient
