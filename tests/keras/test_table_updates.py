"""Steps at the cost of the touched rows end where steps on every row end."""

from __future__ import annotations

import copy
import pickle
import re
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastembed import _table_state, constraints, ops, optimizers, regularizers
from fastembed._native import kernels
from fastembed.layers.weights import Weight
from tests.keras.dense_rules import Dense
from tests.ops.helpers import PATHS, SCALE, bad_id_text, on_path

RULES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.5, "nesterov": True, "decay": 0.01}),
    ("rmsprop", {"decay": 0.01}),
    ("adagrad", {}),
    ("adadelta", {}),
    ("adam", {}),
    ("adam", {"decay": 0.01}),
    ("adam", {"amsgrad": True}),
    ("adam", {"beta_1": 0.8, "beta_2": 0.9}),  # the series does not converge: debts are paid step by step
    ("adam", {"beta_1": 0.95, "beta_2": 0.9}),  # averages of squares fall faster: all steps count
    ("adam", {"beta_1": 0.0}),
    ("adamax", {}),
    ("adamax", {"beta_2": 0.9}),
    ("nadam", {}),
    ("nadam", {"beta_2": 0.9, "beta_1": 0.3}),  # no series: it would not be good enough
]
NAMES = [f"{name}-{'-'.join(map(str, kwargs.values()))}" for name, kwargs in RULES]
ALL_RULES = pytest.mark.parametrize(("name", "kwargs"), RULES, ids=NAMES)


def start(num_rows: int, dim: int) -> NDArray[np.float32]:
    return np.random.default_rng(7).uniform(-0.05, 0.05, (num_rows, dim)).astype(np.float32)


def make(name: str, kwargs: dict[str, Any]) -> Any:
    return optimizers.deserialize({"class_name": name, "config": kwargs})


def gradient(rng: np.random.Generator, ids: NDArray[np.int64], num_rows: int, dim: int) -> ops.IndexedSlices:
    sizes = 10.0 ** rng.integers(-4, 1, (len(ids), 1))
    return ops.embedding_grad(ids, (rng.standard_normal((len(ids), dim)) * sizes).astype(np.float32), num_rows)


def errors(name: str, kwargs: dict[str, Any], steps: int, num_rows: int, dim: int) -> tuple[Any, ...]:
    """Of the sparse and of the dense float32 steps against dense float64 ones; Zipf ids, rows long untouched."""
    rng = np.random.default_rng(1)
    table = start(num_rows, dim)
    weight = Weight("w", table.copy())
    optimizer = make(name, kwargs)
    exact, dense = Dense(name, table, np.float64, **kwargs), Dense(name, table, np.float32, **kwargs)
    for t in range(steps):
        ids = np.minimum(rng.zipf(1.1, num_rows // 20) - 1, num_rows - 1)
        if t >= steps // 2:
            ids %= num_rows // 2    # the other half is untouched until the end
        slices = gradient(rng, ids, num_rows, dim)
        if t % 3:
            weight.settle(ids)  # as a forward pass does
        optimizer.apply_gradients([(slices, weight)])
        exact.step(slices.to_dense())
        dense.step(slices.to_dense())
    weight.settle()
    state = optimizer.get_weights()[1 if optimizer._stores_iterations else 0 :]
    for own, expected in zip(state, exact.state, strict=False):
        if own.shape == expected.shape:
            np.testing.assert_allclose(own, expected, rtol=1e-4, atol=2e-6 * np.abs(expected).max())
    return weight.value - exact.table, dense.table - exact.table


@ALL_RULES
def test_sparse_steps_are_as_exact_as_dense_ones(name: str, kwargs: dict[str, Any]) -> None:
    own, dense = errors(name, kwargs, 240 * SCALE, 600, 8)
    # roundings are a random walk, and 600 rows a small sample of it; benchmarks/training.py takes more
    assert np.abs(own).max() <= 1.5 * np.abs(dense).max()
    assert np.sqrt(np.mean(own**2)) <= 1.15 * np.sqrt(np.mean(dense**2))


def test_long_debts_of_a_small_table_are_paid_to_the_end() -> None:
    """A run too short for the pool, in which nobody could ask whether to stop, whatever it pays."""
    table = start(12, 100)
    weight = Weight("w", table.copy())
    kwargs = {"beta_1": 0.99}
    optimizer, exact = make("adam", kwargs), Dense("adam", table, **kwargs)
    for t in range(600):
        ids = np.arange(12) if t == 0 else np.array([0])
        slices = ops.embedding_grad(ids, np.ones((len(ids), 100), np.float32), 12)
        optimizer.apply_gradients([(slices, weight)])
        exact.step(slices.to_dense())
    weight.settle()
    np.testing.assert_allclose(weight.value, exact.table, rtol=2e-5, atol=1e-6)


@ALL_RULES
@pytest.mark.parametrize("every_row", [False, True])
def test_a_settled_weight_is_exact_at_every_step(name: str, kwargs: dict[str, Any], every_row: bool) -> None:
    rng = np.random.default_rng(2)
    table = start(30, 5)
    weight = Weight("w", table.copy())
    optimizer, exact = make(name, kwargs), Dense(name, table, **kwargs)
    for t in range(40):
        slices = gradient(rng, rng.integers(0, 30, 4), 30, 5)
        whole = every_row and t % 5 == 4      # arrays and slices may take turns
        optimizer.apply_gradients([(slices.to_dense() if whole else slices, weight)])
        exact.step(slices.to_dense())
        if t % 7 == 0:
            weight.settle()
            assert weight.debtor is None
            np.testing.assert_allclose(weight.value, exact.table, rtol=2e-5, atol=1e-6)
    weight.settle()
    np.testing.assert_allclose(weight.value, exact.table, rtol=2e-5, atol=1e-6)


def test_nadam_pays_by_the_series_once_its_denominators_hold() -> None:
    kwargs = {"beta_1": 0.5, "beta_2": 0.99}    # they hold after 1724 steps
    rng = np.random.default_rng(3)
    table = start(8, 3)
    weight = Weight("w", table.copy())
    optimizer, exact = make("nadam", kwargs), Dense("nadam", table, **kwargs)
    for t in range(1780):
        slices = gradient(rng, np.arange(8) if t == 1740 else np.array([t % 4]), 8, 3)
        optimizer.apply_gradients([(slices, weight)])
        exact.step(slices.to_dense())
        if t == 1740:
            weight.settle()
            before = weight.value[4:].copy()
            np.testing.assert_allclose(weight.value, exact.table, rtol=1e-4, atol=1e-5)
            exact.table[...] = weight.value
    history = optimizer._states[0]._history
    assert history.series is not None
    assert history.series_from < 1742
    weight.settle()
    moved, wanted = weight.value[4:] - before, exact.table[4:] - before
    np.testing.assert_allclose(moved, wanted, rtol=2e-3, atol=1e-8)     # small differences of float32 numbers


@ALL_RULES
def test_the_clock_may_start_again(name: str, kwargs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_table_state, "LIMIT", 12)
    test_a_settled_weight_is_exact_at_every_step(name, kwargs, False)


@ALL_RULES
@pytest.mark.parametrize("dim", [1, 3, 8, 17, 64, 600])
def test_every_path_and_number_of_threads_gives_the_same_bits(name: str, kwargs: dict[str, Any], dim: int) -> None:
    def train(path: str, threads: int) -> bytes:
        rng = np.random.default_rng(3)
        weight = Weight("w", start(400, dim))
        optimizer = make(name, kwargs | {"clipvalue": 0.5})
        with on_path(path), ops.num_threads(threads):
            for _ in range(6):
                optimizer.apply_gradients([(gradient(rng, rng.integers(0, 400, 300), 400, dim), weight)])
            weight.settle()
        return weight.value.tobytes() + b"".join(array.tobytes() for array in optimizer.get_weights())

    results = {train(path, threads) for path in PATHS for threads in (1, 3)}
    assert len(results) == 1


def many_ids(num_rows: int, count: int, kind: str) -> NDArray[np.int64]:
    rng = np.random.default_rng(2)
    if kind == "one":   # its sums are shared out by columns: it must be summed before the step
        return np.full(count, 3)
    return rng.integers(0, num_rows, count) if kind == "uniform" else np.minimum(rng.zipf(1.3, count), num_rows) - 1


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("num_rows", "dim", "count", "kind"),
    [
        (30, 5, 1, "zipf"),
        (900, 70, 3000, "zipf"),
        (40, 300, 9000, "one"),
        (700, 64, 40_000, "uniform"),
        (9, 9000, 20, "zipf"),
    ],
)
@pytest.mark.parametrize(("name", "options"), [*RULES, ("rowwiseadagrad", {}), ("adam", {"lazy": True})])
def test_sums_left_to_the_step_give_the_same_bits(
    name: str, options: dict[str, Any], num_rows: int, dim: int, count: int, kind: str, threads: int
) -> None:
    ids = many_ids(num_rows, count, kind)
    rows = np.random.default_rng(3).standard_normal((count, dim)).astype(np.float32)
    weights = [Weight("w", start(num_rows, dim)) for _ in range(2)]
    both = [make(name, options) for _ in range(2)]
    with ops.num_threads(threads):
        for t in range(3):
            part = slice(t * count // 9, None)
            slices = ops.embedding_grad(ids[part], rows[part], num_rows)
            sums = kernels.embedding_row_sums(ids[part], rows[part], num_rows)
            for weight, optimizer, gradient in zip(weights, both, (slices, sums), strict=True):
                optimizer.apply_gradients([(gradient, weight)])
                weight.settle(ids[::2])
    for weight in weights:
        weight.settle()
    np.testing.assert_array_equal(*(weight.value for weight in weights))
    for one, other in zip(*(optimizer.get_weights() for optimizer in both), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "kwargs"),
    [
        ({"clipvalue": 0.5}, {}),
        ({"clipnorm": 0.5}, {}),
        ({}, {"regularizer": regularizers.l1_l2()}),
        ({}, {"constraint": constraints.NonNeg()}),
        ({}, {"constraint": constraints.MaxNorm(0.01, axis=1)}),
        ({}, {"frozen": np.arange(40) % 3 == 0}),
    ],
)
def test_sums_left_to_the_step_are_made_where_more_needs_them(options: dict[str, Any], kwargs: dict[str, Any]) -> None:
    ids = many_ids(40, 100, "zipf")
    rows = np.random.default_rng(3).standard_normal((100, 6)).astype(np.float32)
    values = []
    for gradient in (ops.embedding_grad(ids, rows, 40), kernels.embedding_row_sums(ids, rows, 40)):
        weight, optimizer = Weight("w", start(40, 6), **kwargs), make("adam", options)
        for _ in range(3):
            optimizer.apply_gradients([(gradient, weight)])
        weight.settle()
        values.append(weight.value)
    np.testing.assert_array_equal(*values)


def test_sums_left_to_the_step_go_to_no_memory() -> None:
    ids, rows = np.arange(20_000), np.ones((20_000, 64), np.float32)
    weight, optimizer = Weight("w", start(20_000, 64)), make("adagrad", {})
    optimizer.apply_gradients([(kernels.embedding_row_sums(ids, rows, 20_000), weight)])
    tracemalloc.start()
    try:
        optimizer.apply_gradients([(kernels.embedding_row_sums(ids, rows, 20_000), weight)])
        assert tracemalloc.get_traced_memory()[1] < rows.nbytes / 10
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seen", [lambda one: one, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_the_velocity_of_sums_left_to_the_step_is_the_last_move(seen: Any) -> None:
    weight, optimizer = Weight("w", np.zeros((6, 2), np.float32)), optimizers.SGD(lr=0.5)
    rows = np.ones((3, 2), np.float32)
    optimizer.apply_gradients([(kernels.embedding_row_sums([4, 1, 4], rows, 6), weight)])
    rows[:] = 100   # the caller's again, once the step is taken
    velocity = seen(optimizer).get_weights()[1]
    assert velocity[:, 0].tolist() == [0, -0.5, 0, 0, -1, 0]
    optimizer.momentum = 0.5
    optimizer.apply_gradients([(kernels.embedding_row_sums([0], np.zeros((1, 2)), 6), weight)])
    weight.settle()
    assert weight.value[:, 1].tolist() == [0, -0.75, 0, 0, -1.5, 0]


def test_sums_left_to_the_step_are_made_before_it_where_it_writes_what_they_read() -> None:
    values = []
    ids = np.arange(4000)[::-1].copy()
    for make_gradient in (ops.embedding_grad, kernels.embedding_row_sums):
        first, second = (Weight(name, start(4000, 16)) for name in "ab")
        gradients = [make_gradient(ids, weight.value, 4000) for weight in (first, first)]
        optimizers.SGD(lr=0.5).apply_gradients(list(zip(gradients, (first, second), strict=True)))
        values.append(np.stack([first.value, second.value]))
    np.testing.assert_array_equal(*values)


def test_sgd_keeps_the_sums_of_its_last_step_alone() -> None:
    weight, optimizer = Weight("w", start(10, 64)), optimizers.SGD()
    rows = np.ones((50_000, 64), np.float32)
    alive = weakref.ref(rows)
    optimizer.apply_gradients([(kernels.embedding_row_sums(np.arange(50_000) % 10, rows, 10), weight)])
    del rows
    assert alive() is None


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize(("num_rows", "dim"), [(0, 4), (4, 0), (0, 0)])
def test_tables_of_nothing_take_steps(name: str, num_rows: int, dim: int) -> None:
    ids, rows = np.arange(num_rows), np.zeros((num_rows, dim), np.float32)
    for gradient in (ops.embedding_grad(ids, rows, num_rows), kernels.embedding_row_sums(ids, rows, num_rows)):
        weight, optimizer = Weight("w", rows.copy()), make(name, {})
        optimizer.apply_gradients([(gradient, weight)])
        weight.settle()
        assert optimizer.get_weights()[1].shape == (num_rows, dim)


@pytest.mark.parametrize("kind", [np.matrix, np.ma.MaskedArray, np.memmap])
def test_a_dense_gradient_may_be_of_a_subclass(kind: Any) -> None:
    weight = Weight("w", np.zeros((6, 2), np.float32))
    optimizers.SGD(lr=1.0).apply_gradients([(np.ones((6, 2), np.float32).view(kind), weight)])
    assert (weight.value == -1).all()


def test_sums_left_to_the_step_must_fit_the_weight() -> None:
    weight = Weight("w", np.zeros((6, 2), np.float32))
    for num_rows, dim in ((5, 2), (6, 3)):
        sums = kernels.embedding_row_sums([1], np.ones((1, dim)), num_rows)
        text = f"The gradient of w must have shape (6, 2). Received: shape {(num_rows, dim)}."
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            optimizers.SGD().apply_gradients([(sums, weight)])
    assert not weight.value.any()


def test_settle_pays_rows_of_ids_alone() -> None:
    weight = Weight("w", start(50, 4))
    optimizer = optimizers.Adam(lr=0.1)
    rng = np.random.default_rng(0)
    optimizer.apply_gradients([(gradient(rng, np.arange(50), 50, 4), weight)])
    optimizer.apply_gradients([(gradient(rng, np.array([0]), 50, 4), weight)])
    before = weight.value.copy()
    weight.settle(np.array([[3, 3], [4, 3]]))
    changed = np.flatnonzero((weight.value != before).any(1))
    assert changed.tolist() == [3, 4]
    weight.settle([3, 4])
    weight.settle(np.array([], np.int32))
    assert np.flatnonzero((weight.value != before).any(1)).tolist() == [3, 4]
    with pytest.raises(IndexError) as error:
        weight.settle(np.array([[3, 50]]))
    assert str(error.value) == bad_id_text((0, 1), 50, 50)
    weight.settle()
    assert np.flatnonzero((weight.value != before).any(1)).tolist() == list(range(1, 50))


def test_readers_in_other_threads_see_paid_rows() -> None:
    expected = None
    for _ in range(5):
        weight = Weight("w", start(20_000, 16))
        optimizer = optimizers.Adam(lr=0.1)
        rng = np.random.default_rng(0)
        for ids in (np.arange(20_000), np.array([0])):
            optimizer.apply_gradients([(gradient(rng, ids, 20_000, 16), weight)])
        seen: list[NDArray[np.float32]] = []

        def read(weight: Weight = weight, seen: list[Any] = seen) -> None:
            weight.settle(np.arange(20_000))
            seen.append(weight.value.copy())

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        expected = seen[0] if expected is None else expected
        assert all(np.array_equal(values, expected) for values in seen)


def test_two_optimizers_may_take_turns() -> None:
    weight = Weight("w", start(30, 5))
    adam, sgd = optimizers.Adam(), optimizers.SGD(momentum=0.9)
    rng = np.random.default_rng(0)
    table = weight.value.copy()
    adam_moves, sgd_moves = Dense("adam", table), Dense("sgd", table, momentum=0.9)
    for t in range(12):
        own, exact, other = (adam, adam_moves, sgd_moves) if t % 4 < 2 else (sgd, sgd_moves, adam_moves)
        slices = gradient(rng, rng.integers(0, 30, 4), 30, 5)
        own.apply_gradients([(slices, weight)])
        exact.step(slices.to_dense())
        other.table[...] = exact.table
    weight.settle()
    np.testing.assert_allclose(weight.value, exact.table, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda weight: pickle.loads(pickle.dumps(weight))])
def test_copies_of_a_weight_owe_nothing(again: Any) -> None:
    weight = Weight("w", start(30, 5))
    optimizer = optimizers.Adam()
    rng = np.random.default_rng(0)
    for ids in (np.arange(30), np.array([1])):
        optimizer.apply_gradients([(gradient(rng, ids, 30, 5), weight)])
    assert weight.debtor is not None
    other = again(weight)
    assert (weight.debtor, other.debtor) == (None, None)
    np.testing.assert_array_equal(other.value, weight.value)


def test_optimizers_are_pickled_with_their_state() -> None:
    weight = Weight("w", start(30, 5))
    optimizer = optimizers.Adam()
    rng = np.random.default_rng(0)
    optimizer.apply_gradients([(gradient(rng, np.arange(30), 30, 5), weight)])
    other, other_weight = pickle.loads(pickle.dumps((optimizer, weight)))
    slices = gradient(rng, np.array([1, 2]), 30, 5)
    for one, its_weight in ((optimizer, weight), (other, other_weight)):
        one.apply_gradients([(slices, its_weight)])
        its_weight.settle()
    np.testing.assert_array_equal(other_weight.value, weight.value)


# ── penalties and constraints ────────────────────────────────────────────────────────────────────


class Cubic(regularizers.Regularizer):
    """One of a user's own."""

    def gradient(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of the sum of cubes."""
        return 3 * x * x


@pytest.mark.parametrize("clips", [{}, {"clipnorm": 0.3}, {"clipvalue": 0.02}])
@pytest.mark.parametrize("penalty", [regularizers.l1(0.01), regularizers.l2(0.02), regularizers.l1_l2(), Cubic()])
@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "nadam"])
def test_penalties_move_every_row(name: str, penalty: Any, clips: dict[str, float]) -> None:
    rng = np.random.default_rng(4)
    table = start(700, 600)     # rows wider than the part of a row that is prepared at a time
    weight = Weight("w", table.copy(), regularizer=penalty)
    optimizer, exact = make(name, clips), Dense(name, table)
    for _ in range(4):
        slices = gradient(rng, rng.integers(0, 700, 6), 700, 600)
        p = exact.table
        if isinstance(penalty, Cubic):
            g = slices.to_dense() + 3 * p * p
        else:
            g = slices.to_dense() + penalty.l1 * np.sign(p) + 2 * penalty.l2 * p
        if "clipnorm" in clips:
            g *= min(1.0, 0.3 / np.sqrt(np.sum(g * g)))
        optimizer.apply_gradients([(slices, weight)])
        exact.step(np.clip(g, -0.02, 0.02) if "clipvalue" in clips else g)
    weight.settle()
    # where a gradient is next to nothing, Adam's like take its sign
    close = np.isclose(weight.value, exact.table, rtol=1e-4, atol=2e-6)
    assert close.mean() > 0.9999


def test_a_regularizer_needs_a_gradient() -> None:
    def penalty(x: Any) -> float:
        return 0.0

    weight = Weight("w", start(3, 2), regularizer=penalty)
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole text is compared)
        optimizers.SGD().apply_gradients([(gradient(np.random.default_rng(0), np.array([1]), 3, 2), weight)])
    assert str(error.value) == (
        "The regularizer of w must have a method `gradient`, which gives the derivative of its penalty. "
        f"Received: {penalty!r}."
    )


@pytest.mark.parametrize(
    "constraint",
    [
        constraints.NonNeg(),
        constraints.MaxNorm(0.05),
        constraints.MaxNorm(0.05, axis=1),
        constraints.MaxNorm(0.5, axis=None),
        constraints.UnitNorm(),
        constraints.UnitNorm(axis=1),
        constraints.MinMaxNorm(0.5, 0.7),
        constraints.MinMaxNorm(0.05, 0.06, 0.3, axis=1),
        lambda w: w * np.float32(0.99),
    ],
    ids=lambda constraint: f"{type(constraint).__name__}-{getattr(constraint, 'axis', '')}",
)
@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "nadam"])
@pytest.mark.parametrize("dim", [3, 40])
def test_constraints_hold_every_row(name: str, constraint: Any, dim: int) -> None:
    rng = np.random.default_rng(5)
    table = start(900, dim)
    weight = Weight("w", table.copy(), constraint=constraint)
    optimizer, exact = make(name, {}), Dense(name, table)
    for _ in range(8):
        slices = gradient(rng, rng.integers(0, 900, 40), 900, dim)
        optimizer.apply_gradients([(slices, weight)])
        exact.step(slices.to_dense())
        exact.table[...] = constraint(exact.table.astype(np.float32))
    weight.settle()
    np.testing.assert_allclose(weight.value, exact.table, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("make_one", [constraints.UnitNorm, lambda axis: constraints.MaxNorm(0.05, axis=axis)])
def test_constraints_leave_rows_and_columns_of_zeros(make_one: Any, axis: int) -> None:
    table = start(30, 5)
    table[4], table[:, 2] = 0, 0
    weight = Weight("w", table, constraint=make_one(axis=axis))
    slices = ops.IndexedSlices(np.full((1, 5), 0.5, np.float32), np.array([7]), (30, 5))
    slices.values[:, 2] = 0
    make("sgd", {}).apply_gradients([(slices, weight)])
    assert not weight.value[4].any()
    assert not weight.value[:, 2].any()
    assert np.isfinite(weight.value).all()


@pytest.mark.parametrize("name", ["sgd", "adamax"])
def test_a_weight_that_is_named_twice_moves_twice(name: str) -> None:
    kwargs = {"momentum": 0.5} if name == "sgd" else {}
    one, two = Weight("w", start(8, 3)), Weight("w", start(8, 3))
    together, apart = make(name, kwargs), make(name, kwargs)
    rng = np.random.default_rng(9)
    first, *others = (gradient(rng, np.array(ids), 8, 3) for ids in ([3], [0, 1], [1, 2]))
    for optimizer, weight in ((together, one), (apart, two)):
        optimizer.apply_gradients([(first, weight)])
    together.apply_gradients([(slices, one) for slices in others])
    for slices in others:
        apart.apply_gradients([(slices, two)])
        apart.iterations = 1    # it was one step
    one.settle()
    two.settle()
    np.testing.assert_array_equal(one.value, two.value)
    assert (one.value[3] != start(8, 3)[3]).all()


def test_build_pays_what_rows_owe_to_the_state_that_goes() -> None:
    table = start(8, 3)
    weight = Weight("w", table.copy())
    optimizer, exact = make("sgd", {"momentum": 0.9}), Dense("sgd", table, momentum=0.9)
    rng = np.random.default_rng(10)
    for ids in ([3], [0], [1]):
        slices = gradient(rng, np.array(ids), 8, 3)
        optimizer.apply_gradients([(slices, weight)])
        exact.step(slices.to_dense())
    optimizer.build([weight])
    assert weight.debtor is None
    np.testing.assert_allclose(weight.value, exact.table, rtol=1e-5, atol=1e-7)


# ── frozen rows ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"regularizer": regularizers.l1_l2()},
        {"constraint": constraints.NonNeg()},
        {"constraint": constraints.UnitNorm()},
        {"constraint": constraints.MaxNorm(0.01, axis=1)},
        {"constraint": lambda w: w * 2},
    ],
)
@pytest.mark.parametrize(("name", "options"), [*RULES[:9], ("rowwiseadagrad", {}), ("nadam", {"clipnorm": 0.1})])
def test_frozen_rows_never_move_and_have_no_state(
    name: str, options: dict[str, Any], kwargs: dict[str, Any]
) -> None:
    rng = np.random.default_rng(6)
    weight = Weight("w", start(40, 5), **kwargs)
    optimizer = make(name, options)
    for _ in range(3):
        optimizer.apply_gradients([(gradient(rng, np.arange(40), 40, 5), weight)])
    weight.freeze_rows([0, 3, 3])
    weight.freeze_rows(np.arange(40) == 7)
    weight.settle()
    frozen = weight.value[[0, 3, 7]].copy()
    others = weight.value[8:].copy()
    for _ in range(5):
        optimizer.apply_gradients([(gradient(rng, rng.integers(0, 40, 30), 40, 5), weight)])
    weight.settle()
    np.testing.assert_array_equal(weight.value[[0, 3, 7]], frozen)
    assert (weight.value[8:] != others).any()
    for array in optimizer.get_weights():
        if array.shape[:1] == (40,):
            assert not array[[0, 3, 7]].any()
    weight.unfreeze_rows([3])
    optimizer.apply_gradients([(gradient(rng, np.arange(40), 40, 5), weight)])
    weight.settle()
    np.testing.assert_array_equal(weight.value[[0, 7]], frozen[[0, 2]])
    if not isinstance(kwargs.get("constraint"), constraints.NonNeg):
        assert (weight.value[3] != frozen[1]).any()
    weight.unfreeze_rows()
    assert weight.frozen is None


def test_rows_frozen_from_the_start_keep_what_a_constraint_forbids() -> None:
    table = start(40, 5)
    table[3:5] = -0.05
    weight = Weight("w", table.copy(), constraint=constraints.NonNeg())
    weight.freeze_rows([3])
    make("adam", {}).apply_gradients([(gradient(np.random.default_rng(7), np.arange(20), 40, 5), weight)])
    weight.settle()
    np.testing.assert_array_equal(weight.value[3], table[3])
    assert (np.delete(weight.value, 3, axis=0) >= 0).all()


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("dense_first", [False, True])
@pytest.mark.parametrize("constraint", [None, constraints.NonNeg()])
@pytest.mark.parametrize(("name", "options"), [("sgd", {"momentum": 0.9}), ("adam", {}), ("adam", {"lazy": True})])
def test_frozen_rows_owe_nothing_whatever_state_they_are_given(
    name: str, options: dict[str, Any], constraint: Any, dense_first: bool, restored: bool
) -> None:
    weight = Weight("w", -start(4, 2), constraint=constraint)
    optimizer = make(name, options)
    ones = np.ones((4, 2), np.float32)
    weight.freeze_rows([1])
    frozen = weight.value[1].copy()
    first = ones if dense_first else ops.embedding_grad([0], ones[:1], 4)
    optimizer.apply_gradients([(first, weight)])
    if restored:
        optimizer.set_weights([np.ones_like(array) for array in optimizer.get_weights()])
    for _ in range(3):
        optimizer.apply_gradients([(ops.embedding_grad([0], ones[:1], 4), weight)])
    weight.settle()
    np.testing.assert_array_equal(weight.value[1], frozen)
    assert not any(array[1:2].any() for array in optimizer.get_weights() if array.shape == (4, 2))


def test_state_given_before_the_next_step_is_of_the_rows_that_are_frozen_now() -> None:
    weight, optimizer = Weight("w", start(4, 2)), make("adam", {})
    step = ops.embedding_grad([0], np.ones((1, 2), np.float32), 4)
    weight.freeze_rows([1])
    optimizer.apply_gradients([(step, weight)])
    weight.unfreeze_rows()
    weight.freeze_rows([2])
    optimizer.set_weights([np.ones_like(array) for array in optimizer.get_weights()])
    assert optimizer.get_weights()[1][:, 0].tolist() == [1, 1, 0, 1]


def test_the_last_move_of_frozen_rows_is_no_velocity() -> None:
    weight, optimizer = Weight("w", start(4, 2)), optimizers.SGD(lr=1.0)
    optimizer.apply_gradients([(ops.embedding_grad([0, 1], np.ones((2, 2), np.float32), 4), weight)])
    weight.freeze_rows([1])
    optimizer.momentum = 0.5
    optimizer.apply_gradients([(ops.embedding_grad([0], np.ones((1, 2), np.float32), 4), weight)])
    assert optimizer.get_weights()[1][:, 0].tolist() == [-1.5, 0, 0, 0]


def test_rows_are_held_by_their_constraint_again_once_they_are_unfrozen() -> None:
    weight = Weight("w", np.full((4, 2), -1, np.float32), constraint=constraints.NonNeg())
    optimizer = make("adam", {})
    step = ops.embedding_grad([0], np.ones((1, 2), np.float32), 4)
    weight.freeze_rows([1])
    optimizer.apply_gradients([(step, weight)])
    assert weight.value[:, 0].tolist() == [0, -1, 0, 0]
    weight.unfreeze_rows()
    optimizer.apply_gradients([(step, weight)])
    assert not weight.value.any()


def test_frozen_rows_do_not_count_in_clipnorm() -> None:
    table = start(40, 5)
    table[3] *= 100     # the penalty there would be nearly all of the norm
    weight = Weight("w", table.copy(), regularizer=regularizers.l2(0.02))
    weight.freeze_rows([3])
    slices = gradient(np.random.default_rng(8), np.array([5, 6, 9]), 40, 5)
    make("sgd", {"clipnorm": 0.01}).apply_gradients([(slices, weight)])
    g = slices.to_dense() + 0.04 * table
    g[3] = 0
    expected = table - 0.01 * g * (0.01 / np.sqrt(np.sum(g * g)))
    np.testing.assert_allclose(weight.value, expected, rtol=1e-5, atol=1e-8)


def test_rising_rows_are_a_private_copy_or_none() -> None:
    indices = np.array([0, 3, 9])
    rows = kernels.rising_rows(indices, 10)
    assert not np.may_share_memory(rows, indices)
    np.testing.assert_array_equal(rows, indices)
    assert kernels.rising_rows(indices, 9) is None
    for other in ([3, 0], [3, 3], [-1, 3]):
        assert kernels.rising_rows(np.array(other), 10) is None


def test_freezing_refuses_in_words() -> None:
    weight = Weight("w", start(4, 2))
    for bad in (4, -1, 2**70):
        with pytest.raises(IndexError) as error:
            weight.freeze_rows([1, bad])
        assert str(error.value) == bad_id_text((1,), bad, 4, "")
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (the whole text is compared)
        weight.freeze_rows(np.zeros(3, bool))
    assert str(refused.value) == "A mask of rows must have shape (4,). Received: shape (3,)."
    assert weight.frozen is None


# ── what Keras does not have ─────────────────────────────────────────────────────────────────────


@ALL_RULES
def test_lazy_rows_stay_while_they_have_no_gradient(name: str, kwargs: dict[str, Any]) -> None:
    rng = np.random.default_rng(8)
    table = start(30, 5)
    weight = Weight("w", table.copy())
    optimizer, exact = make(name, kwargs | {"lazy": True}), Dense(name, table, **kwargs)
    for _ in range(20):
        slices = gradient(rng, rng.integers(0, 30, 4), 30, 5)
        still = np.setdiff1d(np.arange(30), slices.indices)
        kept = [array[still].copy() for array in (exact.table, *exact.state)]
        exact.step(slices.to_dense())
        for array, rows in zip((exact.table, *exact.state), kept, strict=True):
            array[still] = rows
        optimizer.apply_gradients([(slices, weight)])
        assert weight.debtor is None
    np.testing.assert_allclose(weight.value, exact.table, rtol=2e-5, atol=1e-6)


def test_rowwise_adagrad_sums_the_mean_square_of_a_row() -> None:
    rng = np.random.default_rng(9)
    table = start(30, 600).astype(np.float64)
    weight = Weight("w", table.astype(np.float32))
    optimizer = optimizers.RowwiseAdagrad(lr=0.1)
    sums = np.zeros(30)
    for _ in range(5):
        slices = gradient(rng, rng.integers(0, 30, 9), 30, 600)
        g = slices.to_dense().astype(np.float64)
        sums += np.mean(g * g, axis=1)
        table -= np.float32(0.1) * g / (np.sqrt(sums)[:, None] + 1e-7)
        optimizer.apply_gradients([(slices, weight)])
    np.testing.assert_allclose(weight.value, table, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(optimizer.get_weights()[0], sums, rtol=1e-5)


@settings(max_examples=60 * SCALE, deadline=None)
@given(st.data())
def test_any_steps_are_the_dense_ones(data: st.DataObject) -> None:
    name, kwargs = data.draw(st.sampled_from(RULES))
    num_rows, dim = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    table = start(num_rows, dim)
    weight = Weight("w", table.copy())
    optimizer, exact = make(name, kwargs), Dense(name, table, **kwargs)
    for action in data.draw(st.lists(st.sampled_from(["step", "whole", "settle", "rate", "save"]), max_size=25)):
        if action == "settle":
            weight.settle(rng.integers(0, num_rows, 3))
        elif action == "rate":
            optimizer.lr = exact.options["lr"] = float(np.float32(exact.options["lr"] * 0.7))
        elif action == "save":
            optimizer.set_weights(optimizer.get_weights())
        else:
            slices = gradient(rng, rng.integers(0, num_rows, 3), num_rows, dim)
            optimizer.apply_gradients([(slices if action == "step" else slices.to_dense(), weight)])
            exact.step(slices.to_dense())
    weight.settle()
    np.testing.assert_allclose(weight.value, exact.table, rtol=2e-5, atol=2e-6)
