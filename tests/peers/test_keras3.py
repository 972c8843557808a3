"""Lookups, masks, outputs and configs against the real Keras 3 on its NumPy backend, for ids in range.

Runs where `pip install keras jax` was done; jax is what that backend imports. Out of range, Keras 3 gives other rows.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "numpy")

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastembed.layers import Activation, Dense, Embedding, Flatten, GlobalAveragePooling1D, GlobalMaxPooling1D
from fastembed.models import Sequential
from tests.ops.helpers import SCALE

try:
    import keras
except ImportError as error:  # its backend too
    pytest.skip(f"Keras 3: {error}", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's variables
SEEDS = st.integers(0, 2**32 - 1)
DTYPES = st.sampled_from(["int8", "uint8", "int16", "int32", "int64", "uint32"])


def pair(rows: int, dim: int, generator: np.random.Generator, **options: Any) -> tuple[Embedding, Any]:
    """Our layer and theirs, with one table."""
    table = generator.standard_normal((rows, dim)).astype(np.float32)
    ours = Embedding(rows, dim, weights=[table], **options)
    theirs = keras.layers.Embedding(rows, dim, **options)
    theirs.build(None)
    theirs.set_weights([table])
    return ours, theirs


@settings(max_examples=200 * SCALE, deadline=None)
@given(SEEDS, DTYPES, st.booleans(), st.lists(st.integers(0, 5), max_size=3))
def test_rows_and_mask_are_kerass(seed: int, dtype: str, mask_zero: bool, shape: list[int]) -> None:
    generator = np.random.default_rng(seed)
    rows, dim = int(generator.integers(1, 100)), int(generator.integers(1, 70))
    ours, theirs = pair(rows, dim, generator, mask_zero=mask_zero)
    ids = generator.integers(0, rows, (2, *shape)).astype(dtype)
    expected = np.asarray(theirs(ids))
    found = ours(ids)
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    mask = theirs.compute_mask(ids)
    assert (mask is None) == (ours.compute_mask(ids) is None) == (not mask_zero)
    if mask_zero:
        np.testing.assert_array_equal(ours.compute_mask(ids), np.asarray(mask))
    assert ours.compute_output_shape(ids.shape) == theirs.compute_output_shape(ids.shape)


POOLINGS = {"mean": "GlobalAveragePooling1D", "max": "GlobalMaxPooling1D", "flat": "Flatten"}
OURS = {"mean": GlobalAveragePooling1D, "max": GlobalMaxPooling1D, "flat": Flatten}


@settings(max_examples=50 * SCALE, deadline=None)
@given(SEEDS, st.sampled_from(list(POOLINGS)), st.booleans(), st.sampled_from(["tanh", "sigmoid", "relu", "softmax"]))
def test_models_predictions_are_kerass(seed: int, pooling: str, mask_zero: bool, activation: str) -> None:
    generator = np.random.default_rng(seed)
    rows, dim, length = 30, int(generator.integers(1, 9)), int(generator.integers(1, 6))
    mask_zero = mask_zero and pooling == "mean"  # Keras 2.2.4 has no mask for the others
    ids = generator.integers(0, rows, (7, length))
    ids[:, 0] = np.maximum(ids[:, 0], 1)  # the mean of no rows at all
    top = Dense(3, activation=activation)
    ours = Sequential([Embedding(rows, dim, mask_zero=mask_zero, input_length=length), OURS[pooling](), top])
    ours.add(Activation("linear"))
    parts = [keras.layers.Embedding(rows, dim, mask_zero=mask_zero), getattr(keras.layers, POOLINGS[pooling])()]
    theirs = keras.Sequential([keras.layers.Input((length,), dtype="int32"), *parts])
    theirs.add(keras.layers.Dense(3, activation=activation))
    weights = [generator.standard_normal(weight.shape).astype(np.float32) for weight in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    # sums of up to 45 products, in orders of their own
    np.testing.assert_allclose(ours.predict(ids), theirs.predict(ids, verbose=0), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask_zero": True, "trainable": False, "name": "words"},
        {"embeddings_initializer": "zeros", "embeddings_regularizer": "l2", "embeddings_constraint": "non_neg"},
        {"embeddings_initializer": {"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.1, "seed": 3}}},
    ],
)
def test_config_of_ours_makes_the_same_layer_of_kerass(options: dict[str, Any]) -> None:
    ours = Embedding(9, 4, **options)
    config = ours.get_config()
    for ours_alone in ("batch_input_shape", "input_length", "activity_regularizer"):
        config.pop(ours_alone, None)
    theirs = keras.layers.Embedding.from_config(config)
    assert (theirs.input_dim, theirs.output_dim, theirs.mask_zero) == (9, 4, ours.mask_zero)
    assert (theirs.trainable, theirs.name) == (ours.trainable, ours.name)
    for part in ("initializer", "regularizer", "constraint"):
        one, other = (getattr(layer, f"embeddings_{part}") for layer in (ours, theirs))
        assert type(one).__name__ == type(other).__name__
        if one is not None:
            same = one.get_config().items() & other.get_config().items()
            assert same == {pair for pair in one.get_config().items() if pair[0] in other.get_config()}
