"""Optimizers by name and config, their state in and out, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastembed import Sequential, ops, optimizers
from fastembed.layers import Embedding, GlobalAveragePooling1D
from fastembed.layers.weights import Weight
from fastembed.ops import IndexedSlices
from tests.ops.helpers import bad_id_text

LR = {0.01: 0.009999999776482582, 0.001: 0.0010000000474974513, 0.002: 0.0020000000949949026}
BETAS = {"beta_1": 0.8999999761581421, "beta_2": 0.9990000128746033}
CONFIGS: dict[str, list[tuple[str, Any]]] = {
    "SGD": [("lr", LR[0.01]), ("momentum", 0.0), ("decay", 0.0), ("nesterov", False)],
    "RMSprop": [("lr", LR[0.001]), ("rho", 0.8999999761581421), ("decay", 0.0), ("epsilon", 1e-7)],
    "Adagrad": [("lr", LR[0.01]), ("decay", 0.0), ("epsilon", 1e-7)],
    "RowwiseAdagrad": [("lr", LR[0.01]), ("decay", 0.0), ("epsilon", 1e-7)],
    "Adadelta": [("lr", 1.0), ("rho", 0.95), ("decay", 0.0), ("epsilon", 1e-7)],
    "Adam": [("lr", LR[0.001]), *BETAS.items(), ("decay", 0.0), ("epsilon", 1e-7), ("amsgrad", False)],
    "Adamax": [("lr", LR[0.002]), *BETAS.items(), ("decay", 0.0), ("epsilon", 1e-7)],
    "Nadam": [("lr", LR[0.002]), *BETAS.items(), ("epsilon", 1e-7), ("schedule_decay", 0.004)],
}


def weight(num_rows: int = 6, dim: int = 3, seed: int = 0, **kwargs: Any) -> Weight:
    table = np.random.default_rng(seed).standard_normal((num_rows, dim)).astype(np.float32)
    return Weight("emb/embeddings:0", table, **kwargs)


def slices(ids: Any, dim: int = 3, num_rows: int = 6, seed: int = 0) -> IndexedSlices:
    grads = np.random.default_rng(seed).standard_normal((len(ids), dim)).astype(np.float32)
    return ops.embedding_grad(ids, grads, num_rows)


@pytest.mark.parametrize("name", CONFIGS)
def test_config_has_kerass_keys_in_kerass_order(name: str) -> None:
    optimizer = optimizers.get(name.upper())
    assert type(optimizer).__name__ == name
    assert list(optimizer.get_config().items()) == CONFIGS[name]
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()


def test_config_has_the_clips_first() -> None:
    optimizer = optimizers.SGD(lr=0.5, clipvalue=0.25, clipnorm=2.0, lazy=True)
    assert list(optimizer.get_config()) == ["clipnorm", "clipvalue", "lazy", "lr", "momentum", "decay", "nesterov"]
    assert optimizers.SGD.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


def test_from_config_reads_learning_rate() -> None:
    optimizer = optimizers.Adam.from_config({"learning_rate": 0.5, "beta_1": 0.5})
    assert (optimizer.lr, optimizer.beta_1) == (0.5, 0.5)


def test_constructor_refuses_learning_rate() -> None:
    with pytest.raises(TypeError) as error:
        optimizers.SGD(learning_rate=0.1)
    assert str(error.value) == "Unexpected keyword argument passed to optimizer: learning_rate"


def test_get_returns_an_optimizer_as_it_is_and_refuses_others() -> None:
    optimizer = optimizers.SGD()
    assert optimizers.get(optimizer) is optimizer
    with pytest.raises(ValueError, match=r"^Unknown optimizer: foo$"):
        optimizers.get("foo")
    with pytest.raises(ValueError, match=r"^Could not interpret optimizer identifier: 5$"):
        optimizers.get(5)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("sgd", [(), (6, 3), (4,)]),
        ("rmsprop", [(6, 3), (4,)]),
        ("adagrad", [(6, 3), (4,)]),
        ("rowwiseadagrad", [(6,), (1,)]),
        ("adadelta", [(6, 3), (4,), (6, 3), (4,)]),
        ("adam", [(), (6, 3), (4,), (6, 3), (4,), (1,), (1,)]),
        ("adamax", [(), (6, 3), (4,), (6, 3), (4,)]),
        ("nadam", [(), (6, 3), (4,), (6, 3), (4,)]),
    ],
)
def test_weights_are_in_kerass_order_and_go_back(name: str, shapes: list[tuple[int, ...]]) -> None:
    def train(optimizer: Any, weights: list[Weight], steps: range) -> None:
        for t in steps:
            bias = np.full(4, t - 2.0, np.float32)
            optimizer.apply_gradients([(slices([1, 2, t], seed=t), weights[0]), (bias, weights[1])])

    def fresh() -> list[Weight]:
        return [weight(), Weight("d/bias:0", np.zeros(4, np.float32))]

    through = fresh()
    optimizer = optimizers.get(name)
    assert optimizer.get_weights() == []
    optimizer.build(through)
    assert [array.shape for array in optimizer.get_weights()] == shapes
    train(optimizer, through, range(3))
    saved = optimizer.get_weights()
    other = fresh()
    for one, another in zip(through, other, strict=True):
        one.settle()
        another.value[...] = one.value
    resumed = optimizers.get(name)
    resumed.build(other)
    resumed.set_weights(saved)
    for given, kept in zip(saved, resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(given, kept)
    resumed.iterations = optimizer.iterations   # some do not store it, as in Keras
    if name == "nadam":
        resumed.m_schedule = optimizer.m_schedule
    train(optimizer, through, range(3, 6))
    train(resumed, other, range(3, 6))
    for one, another in zip(through, other, strict=True):
        one.settle()
        another.settle()
        # a saved row has paid its debt in two parts, not in one
        np.testing.assert_allclose(one.value, another.value, rtol=1e-6, atol=1e-7)


def test_set_weights_refuses_in_kerass_words() -> None:
    optimizer = optimizers.Adam()
    optimizer.build([weight()])
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole text is compared)
        optimizer.set_weights([])
    assert str(error.value) == (
        "Length of the specified weight list (0) does not match the number of weights of the optimizer (4)"
    )
    with pytest.raises(ValueError) as error:  # noqa: PT011
        optimizer.set_weights([1, np.zeros((3, 6)), np.zeros((6, 3)), np.zeros(1)])
    assert str(error.value) == "Optimizer weight shape (6, 3) not compatible with provided weight shape (3, 6)"
    assert optimizer.iterations == 0


def test_set_weights_changes_nothing_when_one_is_not_of_numbers() -> None:
    optimizer = optimizers.Adam()
    optimizer.apply_gradients([(slices([1, 2]), weight()), (slices([3]), weight())])
    before = optimizer.get_weights()
    with pytest.raises(ValueError, match="could not convert string to float"):
        optimizer.set_weights([99, *(np.ones((6, 3)) for _ in range(3)), np.full((6, 3), "x"), [0], [0]])
    for one, another in zip(before, optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


def test_build_makes_fresh_state_and_keeps_iterations() -> None:
    table = weight()
    optimizer = optimizers.Adam()
    optimizer.apply_gradients([(slices([1, 2]), table)])
    optimizer.build([table])
    iterations, *arrays = optimizer.get_weights()
    assert iterations == 1
    assert not any(array.any() for array in arrays)


def test_apply_gradients_takes_a_layer() -> None:
    layer = Embedding(6, 3)
    layer.build(None)
    before = layer.embeddings.copy()
    gradient = slices([4, 4])
    optimizers.SGD(lr=0.5).apply_gradients([(gradient, layer)])
    before[4] -= np.float32(0.5) * gradient.values[0]
    np.testing.assert_array_equal(layer.embeddings, before)


def test_apply_gradients_adds_up_repeated_indices() -> None:
    one, another = weight(), weight()
    values = np.ones((3, 3), np.float32)
    optimizers.Adagrad().apply_gradients([(IndexedSlices(values, np.array([4, 1, 4]), (6, 3)), one)])
    optimizers.Adagrad().apply_gradients([(ops.embedding_grad([4, 1, 4], values, 6), another)])
    np.testing.assert_array_equal(one.value, another.value)


@pytest.mark.parametrize("name", [name.lower() for name in CONFIGS])
def test_apply_gradients_changes_all_or_nothing(name: str) -> None:
    good, bad = weight(), weight(seed=1)
    before = good.value.copy(), bad.value.copy()
    optimizer = optimizers.get(name)
    ones = np.ones((2, 3), np.float32)
    for gradient, kind, text in [
        (IndexedSlices(ones, np.array([1, 6]), (6, 3)), IndexError, bad_id_text((1,), 6, 6, "")),
        (IndexedSlices(ones, np.array([-1, 2]), (6, 3)), IndexError, bad_id_text((0,), -1, 6, "")),
        (
            np.ones((6, 2), np.float32),
            ValueError,
            "The gradient of emb/embeddings:0 must have shape (6, 3). Received: shape (6, 2).",
        ),
        (
            IndexedSlices(ones, np.array([1, 2, 3]), (6, 3)),
            ValueError,
            "The gradient of emb/embeddings:0 must have a row of values for each index. Received: values of shape "
            "(2, 3), indices of shape (3,).",
        ),
    ]:
        with pytest.raises(kind) as error:
            optimizer.apply_gradients([(slices([1, 2]), good), (gradient, bad)])
        assert str(error.value) == text
    np.testing.assert_array_equal(good.value, before[0])
    np.testing.assert_array_equal(bad.value, before[1])
    assert optimizer.iterations == 0


@pytest.mark.parametrize("clips", [{}, {"clipnorm": 1e9}])
def test_gradients_may_be_weights_that_the_step_moves(clips: dict[str, float]) -> None:
    one, another = weight(seed=1), weight(seed=2)
    expected = [one.value - 0.5 * another.value, another.value - 0.5 * one.value]
    optimizers.SGD(lr=0.5, **clips).apply_gradients([(another.value, one), (one.value, another)])
    np.testing.assert_allclose([one.value, another.value], expected, rtol=1e-5, atol=1e-6)
    rows = IndexedSlices(one.value[:3], np.array([1, 2, 3]), (6, 3))
    expected = one.value - 0.5 * rows.to_dense()
    optimizers.SGD(lr=0.5, **clips).apply_gradients([(rows, one)])
    np.testing.assert_allclose(one.value, expected, rtol=1e-5, atol=1e-6)


def test_gradients_may_be_unaligned() -> None:
    one = weight()
    gradient = np.zeros(6 * 3 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(6, 3)
    gradient[...] = one.value
    optimizers.SGD(lr=1.0).apply_gradients([(gradient, one)])
    assert not one.value.any()


def test_apply_gradients_needs_a_weight() -> None:
    with pytest.raises(ValueError, match=r"^A gradient needs a weight, or a built layer that has one\. Received: 5\.$"):
        optimizers.SGD().apply_gradients([(np.zeros(3), 5)])


def test_clipnorm_is_over_all_weights() -> None:
    table, bias = weight(), Weight("d/bias:0", np.zeros(2, np.float32))
    before = table.value.copy()
    gradient = IndexedSlices(np.array([[3, 0, 0]], np.float32), np.array([2]), (6, 3))
    optimizers.SGD(lr=1.0, clipnorm=0.5).apply_gradients([(gradient, table), (np.array([0, 4], np.float32), bias)])
    np.testing.assert_allclose(before[2] - table.value[2], [0.3, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(bias.value, [0, -0.4], rtol=1e-6)


def test_clipnorm_leaves_small_gradients_alone() -> None:
    table = weight()
    before = table.value.copy()
    gradient = IndexedSlices(np.array([[3, 0, 0]], np.float32), np.array([2]), (6, 3))
    optimizers.SGD(lr=1.0, clipnorm=3.5).apply_gradients([(gradient, table)])
    assert table.value[2, 0] == before[2, 0] - np.float32(3)


def test_clipvalue_cuts_summed_gradients() -> None:
    table = weight()
    before = table.value.copy()
    gradient = ops.embedding_grad([2, 2], np.array([[0.4, 0.1, -2.0], [0.4, 0.1, 0.5]], np.float32), 6)
    optimizers.SGD(lr=1.0, clipvalue=0.5).apply_gradients([(gradient, table)])
    np.testing.assert_array_equal(table.value[2], before[2] - np.array([0.5, 0.2, -0.5], np.float32))


def test_plain_sgd_keeps_no_velocity_of_the_tables_size() -> None:
    table = weight()
    optimizer = optimizers.SGD(lr=0.5)
    gradient = slices([1, 2])
    optimizer.apply_gradients([(gradient, table)])
    velocity = np.zeros((6, 3), np.float32)
    velocity[gradient.indices] = np.float32(-0.5) * gradient.values
    np.testing.assert_array_equal(optimizer.get_weights()[1], velocity)
    assert optimizer._states[0]._state is None


@pytest.mark.parametrize("ids", [[1, 2], [2, 1]])
def test_the_velocity_is_the_last_move_whatever_becomes_of_the_gradient(ids: list[int]) -> None:
    optimizer = optimizers.SGD(lr=0.5)
    values = np.ones((2, 3), np.float32)
    optimizer.apply_gradients([(IndexedSlices(values, np.array(ids), (6, 3)), weight())])
    values[:] = 100
    assert optimizer.get_weights()[1][:, 0].tolist() == [0, -0.5, -0.5, 0, 0, 0]


def test_momentum_set_later_starts_from_the_last_move() -> None:
    def train(dense: bool) -> NDArray[np.float32]:
        table = weight()
        optimizer = optimizers.SGD(lr=0.5)
        for t in range(4):
            optimizer.momentum = 0.9 if t else 0.0
            gradient = slices([t, 2], seed=t)
            optimizer.apply_gradients([(gradient.to_dense() if dense else gradient, table)])
        table.settle()
        return table.value

    np.testing.assert_allclose(train(False), train(True), rtol=1e-6, atol=1e-6)


# ── what a model hands over ──────────────────────────────────────────────────────────────────────


class _Seen(optimizers.SGD):
    """One that looks at the gradients."""

    def apply_gradients(self, grads_and_weights: Any) -> None:
        """Keep them, and take the step."""
        pairs = list(grads_and_weights)
        self.seen = [gradient for gradient, _ in pairs]
        super().apply_gradients(pairs)


class _OwnGradient(Embedding):
    """One written before a gradient could be deferred."""

    def gradient(self, ids: Any, output_gradient: Any) -> Any:  # type: ignore[override]
        """As the layer's own, twice."""
        slices = super().gradient(ids, output_gradient)
        return slices._replace(values=2 * slices.values)


def _trained(layers: Any, optimizer: Any) -> Any:
    model = Sequential(layers)
    model.compile(optimizer, "mse")
    ids = np.array([[1, 2, 1], [0, 5, 5]])
    targets = np.ones((2, *model.output_shape[1:]), np.float32)
    model.train_on_batch(ids, targets)
    return model


def _embedding(kind: Any = Embedding) -> Any:
    return kind(6, 2, input_length=3, weights=[np.zeros((6, 2), np.float32)])


@pytest.mark.parametrize("more", [[], [GlobalAveragePooling1D()]])
def test_an_optimizer_of_ones_own_gets_slices(more: Any) -> None:
    optimizer = _Seen(lr=1.0)
    model = _trained([_embedding(), *more], optimizer)
    (slices,) = optimizer.seen
    assert isinstance(slices, IndexedSlices)
    assert slices.indices.tolist() == [0, 1, 2, 5]
    other = _trained([_embedding(), *more], optimizers.SGD(lr=1.0))
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


def test_a_function_in_the_place_of_apply_gradients_gets_slices() -> None:
    optimizer, seen = optimizers.SGD(), []
    optimizer.apply_gradients = seen.extend  # type: ignore[method-assign]
    _trained([_embedding()], optimizer)
    assert isinstance(seen[0][0], IndexedSlices)


def test_a_gradient_of_a_layers_own_is_used() -> None:
    once, twice = (_trained([_embedding(kind)], optimizers.SGD(lr=0.5)) for kind in (Embedding, _OwnGradient))
    np.testing.assert_array_equal(twice.get_weights()[0], 2 * once.get_weights()[0])


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize(
    "gradient",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 0], [1, 1]], bool),
        np.array([[1, 2], [3, 4]], object),
        np.ma.array([[1, 2], [3, 4]]),
    ],
)
def test_the_gradient_of_rows_may_be_of_any_numbers(gradient: Any, deferred: bool) -> None:
    layer = _embedding()
    layer.build(None)
    optimizers.SGD(lr=1.0).apply_gradients([(layer.gradient([4, 1], gradient, deferred=deferred), layer)])
    np.testing.assert_array_equal(layer.embeddings[[4, 1]], -np.asarray(gradient, np.float32))


def test_the_gradient_of_rows_may_be_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    layer = _embedding()
    layer.build(None)
    slices = layer.gradient([4, 1], np.full((2, 2), 1.5, ml_dtypes.bfloat16))
    assert slices.values.tolist() == [[1.5, 1.5], [1.5, 1.5]]
