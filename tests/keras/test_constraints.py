"""constraints: formulas along each axis, on arrays of any form, without touching their argument."""

import math

import numpy as np
import pytest

from fastembed import constraints

X = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
X[:, 3] = 0
X[5] = 0

ARRAYS = ["plain", "transposed", "strided", "float64", "empty"]

FORMULAS = {
    constraints.MaxNorm: lambda w, n: w * np.clip(n, 0, 2) / (1e-7 + n),
    constraints.UnitNorm: lambda w, n: w / (1e-7 + n),
    constraints.MinMaxNorm: lambda w, n: w * np.clip(n, 0, 1) / (1e-7 + n),
}


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), [0, 1], None])
@pytest.mark.parametrize("make", FORMULAS)
def test_norms_are_constrained_along_the_axis(make, axis):
    along = tuple(axis) if isinstance(axis, list) else axis
    w = X.astype(np.float64)
    expected = FORMULAS[make](w, np.sqrt(np.square(w).sum(along, keepdims=True)))
    constrained = make(axis=axis)(X)
    assert constrained.dtype == np.float32
    # float64 is the other system.
    np.testing.assert_allclose(constrained, expected, rtol=1e-6)


@pytest.mark.parametrize(("axis", "long"), [(0, 1), (1, 0)])
def test_max_norm_default_axis_is_per_column(axis, long):
    norms = np.linalg.norm(constraints.MaxNorm(1, axis)(X), axis=axis)
    assert norms.shape == (X.shape[long],)
    assert norms.max() <= 1 + 1e-6
    assert np.array_equal(constraints.MaxNorm(1)(X), constraints.MaxNorm(1, 0)(X))


def test_min_max_norm_goes_rate_of_the_way():
    w = [[3.0, 4.0]]
    towards = constraints.MinMaxNorm(0.0, 1.0, rate=0.25, axis=1)(w)
    np.testing.assert_allclose(np.linalg.norm(towards), 0.25 * 1 + 0.75 * 5, rtol=1e-6)
    np.testing.assert_allclose(constraints.MinMaxNorm(rate=0, axis=1)(w), w, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(constraints.MinMaxNorm(7, None, axis=1)(w)), 7, rtol=1e-6)


def test_non_neg_replaces_negative_values_only():
    w = np.array([[-1.0, 0.0, 2.0], [-np.inf, np.inf, np.nan]], np.float32)
    np.testing.assert_array_equal(constraints.NonNeg()(w), np.float32([[0, 0, 2], [0, np.inf, np.nan]]))


@pytest.mark.parametrize("name", ["constraint", "max_norm", "non_neg", "unit_norm", "min_max_norm"])
@pytest.mark.parametrize("w", [X, X.T, X[::2, 1::3], X.astype(np.float64), X[:0]], ids=ARRAYS)
def test_constraint_returns_a_new_float32_array(name, w):
    made = constraints.get("Constraint" if name == "constraint" else name)
    before = w.copy()
    w = w.view()
    w.flags.writeable = False
    constrained = made(w)
    assert constrained.dtype == np.float32
    assert constrained.shape == w.shape
    assert not np.shares_memory(constrained, w)
    assert np.array_equal(w, before)


def test_constraint_norm_of_a_long_column_is_exact():
    # A float32 running sum stays at 4096 ** 2, as adding 1 to it is lost.
    w = np.ones((1 << 20, 2), np.float32)
    w[0] = 4096
    assert constraints.UnitNorm()(w)[0, 0] == np.float32(4096) / np.float32(math.sqrt(4096**2 + (1 << 20) - 1))


def test_constraint_takes_lists():
    assert constraints.UnitNorm(1)([[3, 4]]).tolist() == [[np.float32(0.6), np.float32(0.8)]]
