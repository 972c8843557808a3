"""initializers: the right distribution, repeatable as Keras's are, into one float32 array and no more."""

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastembed import _fill, initializers, ops

from .family_probes import DISTRIBUTIONS, SHAPES, moments

RECORDED = json.loads((Path(__file__).parent / "data" / "families_k224.json").read_text())["distributions"]
RANDOM = ["uniform", "normal", "truncated_normal", "VarianceScaling", "glorot_uniform", "he_normal", "orthogonal"]
BLOCK = _fill._BLOCK


def phi(z):
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])


def normal_cdf(mean, stddev):
    return lambda x: phi((x - mean) / stddev)


def truncated_cdf(mean, stddev):
    low, high = phi([-2.0, 2.0])
    return lambda x: (phi((x - mean) / stddev) - low) / (high - low)


def uniform_cdf(low, high):
    return lambda x: (x - low) / (high - low)


CDFS = {
    "RandomUniform(seed=2)": uniform_cdf(-0.05, 0.05),
    "RandomUniform(1, 4, 2)": uniform_cdf(1, 4),
    "RandomNormal(seed=2)": normal_cdf(0, 0.05),
    "RandomNormal(3, 2, 2)": normal_cdf(3, 2),
    "TruncatedNormal(seed=2)": truncated_cdf(0, 0.05),
    "TruncatedNormal(3, 2, 2)": truncated_cdf(3, 2),
    "VarianceScaling(seed=2)": truncated_cdf(0, math.sqrt(1 / 1000) / 0.87962566103423978),
    "VarianceScaling(3, 'fan_out', seed=2)": truncated_cdf(0, math.sqrt(3 / 200) / 0.87962566103423978),
    "VarianceScaling(3, 'fan_avg', 'uniform', 2)": uniform_cdf(-math.sqrt(9 / 600), math.sqrt(9 / 600)),
    "he_uniform(2)": uniform_cdf(-math.sqrt(6 / 1000), math.sqrt(6 / 1000)),
    "lecun_uniform(2)": uniform_cdf(-math.sqrt(3 / 1000), math.sqrt(3 / 1000)),
}


@pytest.fixture(params=[1, 4])
def threads(request, monkeypatch):
    monkeypatch.setattr(ops, "get_num_threads", lambda: request.param)
    return request.param


@pytest.mark.parametrize("probe", DISTRIBUTIONS)
def test_random_moments_are_those_of_keras(probe):
    for shape, theirs in zip(SHAPES, RECORDED[probe], strict=True):
        values = eval(probe)(shape)
        assert values.shape == shape
        assert values.dtype == np.float32
        ours = moments(values)
        stddev = theirs[1]
        # Five standard errors of the difference of two samples of 200,000 values.
        assert ours[0] == pytest.approx(theirs[0], abs=0.016 * stddev)
        assert ours[1] == pytest.approx(stddev, rel=0.012)
        assert ours[2] == pytest.approx(theirs[2], abs=0.08)
        if "RandomNormal" not in probe:  # bounded: the extremes lie next to the bounds
            assert ours[3:] == pytest.approx(theirs[3:], abs=1e-3 * stddev)


@pytest.mark.parametrize("maker", CDFS)
def test_random_values_follow_the_distribution(maker):
    values = eval("initializers." + maker)((1000, 200)).ravel().astype(np.float64)
    values.sort()
    expected = CDFS[maker](values)
    steps = np.arange(values.size + 1) / values.size
    distance = max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))
    # Kolmogorov and Smirnov: a right sample is this far off once in 10,000 times; the seed is fixed.
    assert distance * math.sqrt(values.size) < 2.23


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal"])
def test_random_blocks_are_independent(name):
    values = type(initializers.get(name))(seed=5)((24, BLOCK)).astype(np.float64)
    correlations = np.corrcoef(values) - np.eye(24)
    assert np.abs(correlations).max() < 6 / math.sqrt(BLOCK)
    neighbours = np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(values.size)


@pytest.mark.parametrize("name", RANDOM)
def test_random_seeded_repeats_at_every_call(name):
    config = initializers.serialize(initializers.get(name))
    config["config"]["seed"] = 7
    made = initializers.get(config)
    state = np.random.get_state()
    first = made((30, 20))
    assert np.array_equal(made((30, 20)), first)
    assert np.array_equal(initializers.get(config)((30, 20)), first)
    config["config"]["seed"] = 8
    assert not np.array_equal(initializers.get(config)((30, 20)), first)
    after = np.random.get_state()
    assert np.array_equal(after[1], state[1])
    assert after[2:] == state[2:]


@pytest.mark.parametrize("name", RANDOM)
def test_random_unseeded_follows_np_random_seed(name):
    made = initializers.get(name)
    np.random.seed(3)
    first, second = made((30, 20)), made((30, 20))
    np.random.seed(3)
    assert np.array_equal(made((30, 20)), first)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("np_seed", range(4))
@pytest.mark.parametrize("name", RANDOM)
def test_random_unseeded_draws_one_integer_as_keras(name, np_seed):
    np.random.seed(np_seed)
    drawn = np.random.randint(10e6)
    follows = np.random.rand()
    np.random.seed(np_seed)
    values = initializers.get(name)((30, 20))
    assert np.random.rand() == follows
    config = initializers.serialize(initializers.get(name))
    config["config"]["seed"] = int(drawn)
    assert np.array_equal(initializers.get(config)((30, 20)), values)


@pytest.mark.parametrize("name", ["RandomUniform", "RandomNormal", "TruncatedNormal"])
def test_random_values_do_not_depend_on_threads(name, threads, monkeypatch):
    shape = (3, BLOCK + 17)
    values = getattr(initializers, name)(seed=1)(shape)
    monkeypatch.setattr(ops, "get_num_threads", lambda: 1)
    assert np.array_equal(values, getattr(initializers, name)(seed=1)(shape))


@pytest.mark.parametrize("seed", [0, -1, 2**63, np.int64(5), np.uint8(5)])
def test_random_takes_any_integer_seed(seed):
    made = initializers.RandomUniform(seed=seed)
    assert np.array_equal(made((5,)), made((5,)))


def test_random_refuses_a_fractional_seed():
    with pytest.raises(TypeError, match="integer") as raised:
        initializers.RandomUniform(seed=1.5)((5,))
    assert str(raised.value) == "'float' object cannot be interpreted as an integer"


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3, 4, 5, 6, 7), [4, 3]])
@pytest.mark.parametrize("name", ["zeros", "ones", "constant", *RANDOM[:-1]])
def test_initializer_fills_any_shape(name, shape):
    values = initializers.get(name)(shape)
    assert values.shape == tuple(shape)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    assert values.flags.writeable
    assert values.flags.owndata


@pytest.mark.parametrize("name", ["zeros", "ones", "constant", "identity", *RANDOM[:-1]])
def test_initializer_needs_no_second_table(name, threads):
    made = initializers.get(name)
    made((10, 10))  # loads what is loaded once
    tracemalloc.start()
    try:
        table = made((1_000_000, 8))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table.nbytes <= peak < table.nbytes + threads * 16 * BLOCK + (1 << 20)


@pytest.mark.parametrize("name", ["zeros", "ones", "constant", "identity", *RANDOM])
def test_initializer_refuses_another_dtype(name):
    made = initializers.get(name)
    assert np.array_equal(made((2, 2), np.float32).shape, (2, 2))
    assert made((2, 2), dtype="float32").dtype == np.float32
    with pytest.raises(ValueError, match="dtype") as raised:
        made((2, 2), "float64")
    assert str(raised.value) == "dtype must be None or float32: tables are float32. Received: float64"


@pytest.mark.parametrize(
    ("low", "high"),
    [(-0.05, 0.05), (0.0, 0.1), (1.0, 1.0 + 2**-22), (16777214.0, 16777217.0), (-1e-40, 1e-40), (0.1, 0.3)],
)
def test_uniform_stays_inside_its_bounds(low, high):
    values = initializers.RandomUniform(low, high, seed=1)((300_000,)).astype(np.float64)
    assert values.min() >= low
    assert values.max() < high


class Stub:
    """A generator that always gives the same number."""

    def __init__(self, value):
        self.value = value

    def random(self, dtype, out):
        out[:] = self.value


@given(
    st.floats(-1e30, 1e30, width=64),
    st.floats(-1e30, 1e30, width=64),
    st.sampled_from([0.0, 0.5, 1 - 2.0**-24]),
)
def test_uniform_rounds_inwards(low, high, value):
    block = np.empty(1, np.float32)
    _fill.uniform(low, high)(Stub(value), block)
    low, high = min(low, high), max(low, high)
    up = np.nextafter(np.float32(low), np.float32(np.inf))
    if float(np.float32(low)) >= low:
        up = np.float32(low)
    if float(up) < high:
        assert low <= float(block[0]) < high
    else:  # no float32 lies between the bounds
        assert block[0] == np.float32(low)


def test_truncated_normal_stays_within_two_deviations():
    values = initializers.TruncatedNormal(seed=1)((1_000_000,))
    assert np.abs(values).max() < np.float32(0.1)
    assert np.abs(values).max() > 0.0999


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (20, 20), (3, 5, 4), (2, 2, 9)])
def test_orthogonal_is_orthonormal(shape):
    matrix = initializers.Orthogonal(seed=1)(shape).reshape(-1, shape[-1]).astype(np.float64)
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    # Rounded to float32.
    np.testing.assert_allclose(product, np.eye(min(matrix.shape)), atol=1e-6)
    assert np.array_equal(initializers.Orthogonal(2.0, 1)(shape), 2 * initializers.Orthogonal(1.0, 1)(shape))


def test_orthogonal_of_no_columns_is_empty():
    assert initializers.Orthogonal(seed=1)((6, 0)).shape == (6, 0)
    assert initializers.Orthogonal(seed=1)((0, 6)).shape == (0, 6)


def test_orthogonal_refuses_a_vector():
    with pytest.raises(ValueError, match="two axes") as raised:
        initializers.Orthogonal()((5,))
    assert str(raised.value) == (
        "Orthogonal must be given a shape of two axes or more. Received: (5,). Use RandomNormal for a vector."
    )


def test_identity_of_no_columns_is_empty():
    assert initializers.Identity()((6, 0)).shape == (6, 0)
    assert initializers.Identity()((0, 0)).shape == (0, 0)


def test_constant_broadcasts_an_array():
    assert initializers.Constant([1, 2])((3, 2)).tolist() == [[1, 2]] * 3
    assert initializers.Constant(np.array([[1], [2]]))((2, 3)).tolist() == [[1] * 3, [2] * 3]


def test_constant_refuses_an_array_that_does_not_fit():
    with pytest.raises(ValueError, match="broadcast") as raised:
        initializers.Constant([1, 2, 3])((3, 2))
    assert str(raised.value) == (
        "`value` must be a number or broadcast to the shape asked for, (3, 2). "
        "Received: an array of shape (3,). Reshape it, or pass a single number."
    )


def test_constant_refuses_a_word():
    with pytest.raises(ValueError, match="could not convert string to float: 'a'"):
        initializers.Constant("a")((2,))


LATER = {
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "normal"),
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "normal"),
}


@pytest.mark.parametrize("name", LATER)
def test_class_names_of_later_versions_are_read(name):
    later = {"module": "keras.initializers", "class_name": name, "config": {"seed": 3}, "registered_name": None}
    scale, mode, distribution = LATER[name]
    expected = {"scale": scale, "mode": mode, "distribution": distribution, "seed": 3}
    assert initializers.serialize(initializers.get(later)) == {"class_name": "VarianceScaling", "config": expected}
    assert initializers.serialize(initializers.deserialize(later))["config"] == expected


def test_distribution_names_of_later_versions_are_read():
    config = {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal", "seed": 3}
    read = initializers.get({"class_name": "VarianceScaling", "config": config})
    assert read.get_config() == {**config, "distribution": "normal"}
    assert config["distribution"] == "truncated_normal"
    assert np.array_equal(read((9, 5)), initializers.VarianceScaling(2.0, "fan_out", "normal", 3)((9, 5)))


def test_untruncated_normal_is_a_whole_normal():
    config = {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal", "seed": 3}
    read = initializers.get({"class_name": "VarianceScaling", "config": config})
    assert read.get_config() == config
    values = read((1000, 200)).ravel().astype(np.float64)
    assert np.array_equal(values, initializers.RandomNormal(0.0, math.sqrt(2 / 200), 3)((200_000,)))
    assert np.abs(values).max() > 3 * 0.1


def test_fill_passes_on_what_a_draw_raises(threads):
    def draw(generator, block):
        if len(block) < BLOCK:
            raise RuntimeError("the last block")

    with pytest.raises(RuntimeError, match="the last block"):
        _fill.fill(np.empty(3 * BLOCK + 1, np.float32), draw, 1)
