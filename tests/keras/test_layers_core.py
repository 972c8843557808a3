"""Layers to train through: words and shapes against a recording, gradients against finite differences."""

import contextlib
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastembed import _objective, backend, layers, losses, optimizers
from fastembed.layers import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Layer,
    SpatialDropout1D,
    Step,
)
from fastembed.models import Sequential

from . import core_script
from .helpers import raises

RECORDED = (Path(__file__).parent / "data" / "core_script_k224.txt").read_text().splitlines()
IDS = np.array([[1, 2, 2], [3, 0, 0], [5, 4, 0], [1, 1, 1]])
TABLE = np.random.RandomState(0).uniform(-1, 1, (6, 2)).astype(np.float32)


class Scale(Layer):
    """Multiplies by a weight."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs):
        return inputs * self.scale

    def backward(self, output_gradient, step):
        step.add_gradient(self.scale, (output_gradient * step.inputs).reshape(-1, len(self.scale)).sum(axis=0))
        return output_gradient * self.scale


class Apart(GlobalAveragePooling1D):
    """Its own class, so that it does not run as one with an `Embedding`."""


class ApartMax(GlobalMaxPooling1D):
    """The same."""


def test_layers_say_what_keras_layers_say():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        core_script.run(SimpleNamespace(Sequential=Sequential, L=layers, clear=backend.clear_session))
    assert printed.getvalue().splitlines() == RECORDED


def embedding(**kwargs):
    return Embedding(6, 2, weights=[TABLE], input_length=3, **kwargs)


def gradients_of(model, x, y):
    """The gradient of each weight, and the loss, without a step."""
    step = Step(training=True, wanted=frozenset(id(weight.value) for weight in model.trainable_weights))
    x, y, weights = model._batch(x, y)
    outputs, mask = model._run(x, None, True, step)
    objective = model._objective
    (loss, *_), gradient = objective.values_and_gradient(y, outputs, weights, mask, step.penalty)
    model.backward(gradient, step)
    return {
        id(array): np.asarray(grad.to_dense() if hasattr(grad, "to_dense") else grad) for array, grad in step.gradients
    }, float(loss)


MODELS = {
    "flatten": lambda: [embedding(), Flatten(), Dense(2, activation="tanh")],
    "channels_first": lambda: [embedding(), Flatten("channels_first"), Dense(2)],
    "mean": lambda: [embedding(), GlobalAveragePooling1D(), Dense(2, activation="softmax")],
    "mean_masked": lambda: [embedding(mask_zero=True), GlobalAveragePooling1D(), Dense(2, activation="sigmoid")],
    "mean_apart": lambda: [embedding(mask_zero=True), Apart(), Dense(2, activation="softsign")],
    "mean_columns": lambda: [embedding(), Apart("channels_first"), Dense(2)],
    "max": lambda: [embedding(), GlobalMaxPooling1D(), Dense(2, activation="elu")],
    "max_apart": lambda: [embedding(), ApartMax(), Dense(2, activation="selu")],
    "deep": lambda: [embedding(), Flatten(), Dense(4, activation="softplus"), Activation("tanh"), Dense(2)],
    "rows": lambda: [embedding(), Dense(3, activation="tanh"), Flatten(), Dense(2)],
    "activity": lambda: [embedding(activity_regularizer="l2"), Flatten(), Dense(2, activity_regularizer="l2")],
    "own_layer": lambda: [embedding(), Scale(), Flatten(), Dense(2)],
    "nested": lambda: [Sequential([embedding(), Scale()]), Sequential([Flatten(input_shape=(3, 2)), Dense(2)])],
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_finite_differences(name):
    np.random.seed(1)
    model = Sequential(MODELS[name]())
    model.compile("sgd", "logcosh")
    y = np.random.uniform(-1, 1, (4, 2))
    gradients, _ = gradients_of(model, IDS, y)
    for weight in model.trainable_weights:
        direction = np.random.choice([-1, 1], weight.shape).astype(np.float32)
        kept, losses_there = weight.value.copy(), []
        for sign in (1, -1):
            weight.value[...] = kept + np.float32(sign * 1e-3) * direction
            losses_there.append(gradients_of(model, IDS, y)[1])
        weight.value[...] = kept
        slope = (losses_there[0] - losses_there[1]) / 2e-3
        # float32 losses of about 1, 2e-3 apart in the weights: 1e-7 / 2e-3 is what can be told
        assert slope == pytest.approx((gradients[id(weight.value)] * direction).sum(), rel=1e-2, abs=5e-4)


@pytest.mark.parametrize(
    ("fused", "apart", "mask_zero"),
    [
        (GlobalAveragePooling1D, Apart, False),
        (GlobalAveragePooling1D, Apart, True),
        (GlobalMaxPooling1D, ApartMax, False),
    ],
)
@pytest.mark.parametrize("ids", [IDS, IDS.astype(float)], ids=["int", "float"])
def test_pooling_as_one_is_pooling_apart(fused, apart, mask_zero, ids):
    results = []
    for pooling in (fused, apart):
        np.random.seed(2)
        model = Sequential([embedding(mask_zero=mask_zero), pooling(), Dense(1)])
        model.compile(optimizers.SGD(0.1), "mse")
        values = [model.train_on_batch(ids, np.ones((4, 1))) for _ in range(3)]
        results.append([*values, *model.get_weights(), model.predict(ids)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_pooling_as_one_never_makes_the_rows(monkeypatch):
    model = Sequential([embedding(mask_zero=True), GlobalAveragePooling1D(), Dense(1)])
    model.compile("sgd", "mse")
    monkeypatch.setattr(Embedding, "__call__", None)
    monkeypatch.setattr(Embedding, "call", None)
    model.train_on_batch(IDS, np.ones((4, 1)))
    assert model.predict(IDS).shape == (4, 1)


def test_sample_without_places_has_mean_nan():
    model = Sequential([embedding(mask_zero=True), GlobalAveragePooling1D()])
    np.testing.assert_array_equal(np.isnan(model.predict(np.array([[0, 0, 0], [1, 0, 0]]))), [[True] * 2, [False] * 2])
    model.compile(optimizers.SGD(0.1), "mse")
    assert np.isnan(model.train_on_batch(np.array([[0, 0, 0], [1, 0, 0]]), np.zeros((2, 2))))
    table = model.get_weights()[0]
    assert np.isnan(table[0]).all()  # 0 / 0 times a mask of 0, as in Keras
    assert np.isfinite(table[1:]).all()


def test_max_shares_the_gradient_among_equals():
    step = Step()
    step.inputs = np.array([[[1.0], [3.0], [3.0]]], np.float32)
    step.outputs = step.inputs.max(axis=1)
    layer = GlobalMaxPooling1D()
    np.testing.assert_array_equal(layer.backward(np.array([[1.0]], np.float32), step), [[[0.0], [0.5], [0.5]]])


@pytest.mark.parametrize(
    ("layer", "noise"), [(Dropout(0.25, seed=1), (40, 50, 6)), (SpatialDropout1D(0.25, seed=1), (40, 1, 6))]
)
def test_dropout_drops_in_training_only(layer, noise):
    x = np.ones((40, 50, 6), np.float32)
    assert layer(x) is x
    step = Step(training=True)
    outputs = layer(x, training=True, step=step)
    assert step.saved.shape == noise
    assert set(np.unique(outputs)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (outputs == 0).mean() == pytest.approx(0.25, abs=0.06)
    np.testing.assert_array_equal(layer.backward(x, step), outputs)


def test_dropout_repeats_with_a_seed():
    np.random.seed(0)
    x = np.ones((5, 5), np.float32)
    first, second = (Dropout(0.5, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first(x, training=True), second(x, training=True))
    assert not np.array_equal(first(x, training=True), np.ones(5))
    drawn = []
    for _ in range(2):
        np.random.seed(3)
        drawn.append(Dropout(0.5)(x, training=True))
    np.testing.assert_array_equal(*drawn)


def test_layer_without_backward_cannot_be_trained_through():
    class Half(Layer):
        def call(self, inputs):
            return inputs / 2

    model = Sequential([embedding(), Half(name="h")])
    model.compile("sgd", "mse")
    with raises(
        NotImplementedError,
        "Layer h cannot be trained through: its class Half must have a method `backward(output_gradient, step)`.",
    ):
        model.train_on_batch(IDS, np.ones((4, 3, 2)))
    np.testing.assert_array_equal(model.get_weights()[0], TABLE)
    assert model.test_on_batch(IDS, np.ones((4, 3, 2))) > 0


def test_function_without_gradient_is_named():
    def odd(*arrays):
        return arrays[0].mean(axis=-1)

    model = Sequential([embedding(), Flatten(), Dense(2, activation=np.abs)])
    model.compile("sgd", "mse")
    with raises(
        ValueError,
        "Activation function absolute must have a gradient to be trained through: give it one with "
        "`fastembed.activations.with_gradient`.",
    ):
        model.train_on_batch(IDS, np.ones((4, 2)))
    model.compile("sgd", odd)
    with raises(
        ValueError,
        "Loss function odd must have a gradient to train with: give it one with `fastembed.losses.with_gradient`.",
    ):
        model.train_on_batch(IDS, np.ones((4, 2)))


def test_own_loss_trains():
    @losses.with_gradient(lambda y_true, y_pred: 4 * (y_pred - y_true) ** 3)
    def fourth_power(y_true, y_pred):
        return ((y_pred - y_true) ** 4).sum(axis=-1)

    model = Sequential([embedding()])
    model.compile(optimizers.SGD(0.5), fourth_power)
    first = model.train_on_batch(IDS, np.zeros((4, 3, 2)))
    assert first == pytest.approx((TABLE[IDS] ** 4).sum(axis=-1).mean())
    assert [model.train_on_batch(IDS, np.zeros((4, 3, 2))) for _ in range(20)][-1] < first / 2


def test_layer_used_twice_gets_both_gradients():
    shared = Dense(2, use_bias=False, weights=[np.eye(2) * 2])
    model = Sequential([embedding(trainable=False), shared, shared])
    model.compile(optimizers.SGD(1.0), "mse")
    rows, targets = TABLE[IDS].reshape(-1, 2), np.zeros((4, 3, 2))
    outputs_gradient = 2 * (rows * 4) / rows.size
    expected = np.eye(2) * 2 - (rows * 2).T @ outputs_gradient - rows.T @ (outputs_gradient * 2)
    model.train_on_batch(IDS, targets)
    np.testing.assert_allclose(shared.get_weights()[0], expected, rtol=1e-5)


def test_gradient_is_for_those_who_train_elsewhere():
    layer = embedding()
    layer(IDS)
    slices = layer.gradient(IDS, np.ones((4, 3, 2)))
    np.testing.assert_array_equal(slices.indices, [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(slices.values[:, 0], [3, 4, 2, 1, 1, 1])
    assert slices.dense_shape == (6, 2)
    optimizers.SGD(0.5).apply_gradients([(slices, layer)])
    np.testing.assert_array_equal(layer.embeddings, TABLE - np.float32(0.5) * slices.values)


def test_frozen_rows_stay():
    layer = embedding()
    with raises(ValueError, 'Layer "e" must be built before rows are frozen: it has no table yet.'):
        Embedding(6, 2, name="e").freeze_rows([0])
    model = Sequential([layer, Flatten(), Dense(1)])
    model.compile("adam", "mse")
    layer.freeze_rows([1, 5])
    model.fit(IDS, np.ones((4, 1)), epochs=3, verbose=0)
    moved = (model.get_weights()[0] != TABLE).any(axis=1)
    np.testing.assert_array_equal(moved, [True, False, True, True, True, False])
    layer.unfreeze_rows([5])
    model.fit(IDS, np.ones((4, 1)), verbose=0)
    assert ((model.get_weights()[0] != TABLE).any(axis=1) == [True, False, True, True, True, True]).all()


def test_embeddings_are_there_once_built():
    with raises(AttributeError, "'Embedding' object has no attribute 'embeddings'"):
        _ = Embedding(6, 2).embeddings


def test_layer_in_contributing_trains():
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    code = text.split("## Adding a layer")[1].split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 30
    names = {}
    exec(code, names)
    model = Sequential([embedding(mask_zero=True), names["Shift"](2.0, name="s"), GlobalAveragePooling1D()])
    assert Sequential.from_config(model.get_config(), names).get_config() == model.get_config()
    model.compile(optimizers.SGD(0.25), "mse")
    before = model.train_on_batch(IDS, np.ones((4, 2)))
    assert model.test_on_batch(IDS, np.ones((4, 2))) < before / 2


@pytest.mark.parametrize("loss", ["mse", "mae", "categorical_crossentropy"])
@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_outputs_in_blocks_are_those_at_once(loss, mask_zero, dtype, monkeypatch):
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 50, (40, 60))
    targets = generator.uniform(0.1, 1, (40, 60, 96)).astype(dtype)
    weights = generator.uniform(0, 2, 40)
    results = []
    for block in (1 << 12, 1 << 30):
        monkeypatch.setattr(_objective, "_BLOCK", block)
        np.random.seed(0)
        table = np.random.uniform(0.1, 1, (50, 96))
        model = Sequential([Embedding(50, 96, weights=[table], mask_zero=mask_zero)])
        model.compile(optimizers.SGD(10.0), loss)
        losses_seen = [model.train_on_batch(ids, targets, weights) for _ in range(2)]
        results.append([*losses_seen, *model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
