"""regularizers: penalties of arrays of any form, without a copy of them, and configs of later Keras versions."""

import tracemalloc

import numpy as np
import pytest

from fastembed import regularizers

X = np.random.default_rng(0).normal(size=(301, 500)).astype(np.float32)


def exact(x, l1, l2):
    x = np.asarray(x, np.float64)
    return np.float32(l1).item() * np.abs(x).sum() + np.float32(l2).item() * np.square(x).sum()


@pytest.mark.parametrize(("l1", "l2"), [(0.1, 0.0), (0.0, 0.2), (0.1, 0.2), (-0.1, 0.2)])
@pytest.mark.parametrize(
    "x",
    [X, X.T, X[::3, 1::2], X[:, ::-1], X[0], X[:0], X[0, 0], X.astype(np.float64), X.reshape(7, 43, 500)],
    ids=["plain", "transposed", "strided", "reversed", "row", "empty", "0-d", "float64", "3-d"],
)
def test_penalty_is_the_weighted_sums(x, l1, l2):
    before = x.copy()
    penalty = regularizers.L1L2(l1, l2)(x)
    assert type(penalty) is float
    # The order of summation differs.
    assert penalty == pytest.approx(exact(x, l1, l2), rel=1e-12)
    assert np.array_equal(x, before)


def test_penalty_takes_lists_and_read_only_arrays():
    x = np.array([1.0, -2.0], np.float32)
    x.flags.writeable = False
    assert regularizers.L1L2(1, 2)(x) == regularizers.L1L2(1, 2)([1, -2]) == 3 + 2 * 5


def test_penalty_needs_no_second_table():
    x = np.ones((1_000_000, 8), np.float32)
    tracemalloc.start()
    try:
        regularizers.L1L2(1, 1)(x)
        regularizers.L1L2(1, 1)(x.T)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20 < x.nbytes


def test_penalty_leaves_out_a_term_whose_factor_is_zero():
    assert regularizers.l2(1)([1e30, -np.inf]) == np.inf
    assert regularizers.L1L2()([np.inf, np.nan]) == 0.0


@pytest.mark.parametrize("name", ["L1", "L2"])
def test_configs_of_later_versions_are_read(name):
    read = regularizers.get({"class_name": name, "config": {name.lower(): 0.5}})
    expected = {"l1": 0.0, "l2": 0.0, name.lower(): 0.5}
    assert regularizers.serialize(read) == {"class_name": "L1L2", "config": expected}


def test_factors_are_float32():
    assert regularizers.l1_l2(0.1, 0.2).get_config() == {"l1": 0.10000000149011612, "l2": 0.20000000298023224}
    assert regularizers.l1_l2(0.1, 0.2).l1.dtype == np.float32


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_factor_keyword_is_l(name):
    make = getattr(regularizers, name)
    assert make(l=0.5).get_config() == make(0.5).get_config()
    with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected keyword argument '{name}'"):
        make(**{name: 0.5})
