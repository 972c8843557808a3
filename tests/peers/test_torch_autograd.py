"""Gradients against torch's autograd. Runs where torch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastembed.layers import Activation, Dense, Embedding, Flatten, GlobalAveragePooling1D, GlobalMaxPooling1D
from fastembed.models import Sequential
from fastembed.ops import embedding_bag_grad, embedding_grad
from fastembed.optimizers import SGD

torch = pytest.importorskip("torch")

SEEDS = st.integers(0, 2**32 - 1)
# Both add float32 numbers, in orders of their own.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def random_rows(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return generator.standard_normal(shape).astype(np.float32)


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.integers(1, 40), st.integers(1, 20), st.integers(0, 60), st.sampled_from([None, 0]))
def test_grad_is_autograds(seed: int, num_rows: int, dim: int, count: int, padding_id: int | None) -> None:
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, num_rows, (count, 2))
    output_grad = random_rows(generator, count, 2, dim)
    table = torch.zeros((num_rows, dim), requires_grad=True)
    torch.nn.functional.embedding(torch.from_numpy(ids), table, padding_idx=padding_id).backward(
        torch.from_numpy(output_grad)
    )
    found = embedding_grad(ids, output_grad, num_rows, padding_id=padding_id)
    np.testing.assert_allclose(found.to_dense(), table.grad.numpy(), **CLOSE)


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.sampled_from(["sum", "mean", "max"]), st.booleans(), st.sampled_from([None, 0]))
def test_bag_grad_is_autograds(seed: int, reduce: Any, weighted: bool, padding_id: int | None) -> None:
    generator = np.random.default_rng(seed)
    num_rows, dim = int(generator.integers(1, 40)), int(generator.integers(1, 20))
    lengths = generator.integers(0, 9, int(generator.integers(1, 12)))
    if reduce == "max":
        # torch gives a maximum's gradient to one of several equal rows: here no row is twice in a bag
        bags = [generator.permutation(num_rows)[:length] for length in lengths]
    else:
        bags = [generator.integers(0, num_rows, length) for length in lengths]
    ids = np.concatenate(bags)
    offsets = np.cumsum([0, *map(len, bags[:-1])])
    output_grad = random_rows(generator, len(bags), dim)
    weights = random_rows(generator, len(ids)) if weighted and reduce == "sum" else None  # torch has no others
    values = random_rows(generator, num_rows, dim)
    table = torch.from_numpy(values.copy()).requires_grad_()
    torch.nn.functional.embedding_bag(
        torch.from_numpy(ids),
        table,
        torch.from_numpy(offsets),
        mode=reduce,
        padding_idx=padding_id,
        per_sample_weights=None if weights is None else torch.from_numpy(weights),
    ).backward(torch.from_numpy(output_grad))
    found = embedding_bag_grad(
        ids, output_grad, num_rows, reduce=reduce, offsets=offsets, weights=weights, padding_id=padding_id, table=values
    )
    np.testing.assert_allclose(found.to_dense(), table.grad.numpy(), **CLOSE)


POOLINGS = {"mean": GlobalAveragePooling1D, "max": GlobalMaxPooling1D, "flat": Flatten}


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.sampled_from(list(POOLINGS)), st.sampled_from(["tanh", "sigmoid", "relu"]))
def test_models_gradients_are_autograds(seed: int, pooling: str, activation: str) -> None:
    generator = np.random.default_rng(seed)
    num_rows, dim, length = 30, int(generator.integers(1, 9)), int(generator.integers(1, 6))
    ids = np.stack([generator.permutation(num_rows)[:length] for _ in range(7)])
    labels = generator.integers(0, 3, 7)
    width = dim * length if pooling == "flat" else dim
    # small, so that no probability comes near the 1e-7 at which Keras's crossentropy cuts it
    shapes = ((num_rows, dim), (width, 8), (8,), (8, 3), (3,))
    weights = [np.float32(0.3) * random_rows(generator, *shape) for shape in shapes]
    model = Sequential([Embedding(num_rows, dim, input_length=length), POOLINGS[pooling]()])
    model.add(Dense(8, activation=activation))
    model.add(Dense(3))
    model.add(Activation("softmax"))
    model.set_weights(weights)
    model.compile(SGD(1.0), "sparse_categorical_crossentropy")
    loss = model.train_on_batch(ids, labels[:, None])

    table, first, first_bias, second, second_bias = [torch.from_numpy(one.copy()).requires_grad_() for one in weights]
    rows = torch.nn.functional.embedding(torch.from_numpy(ids), table)
    pooled = {"mean": rows.mean(1), "max": rows.max(1).values, "flat": rows.reshape(len(ids), -1)}[pooling]
    hidden = getattr(torch, activation)(pooled @ first + first_bias)
    expected = torch.nn.functional.cross_entropy(hidden @ second + second_bias, torch.from_numpy(labels))
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-5)
    for before, after, theirs in zip(
        weights, model.get_weights(), (table, first, first_bias, second, second_bias), strict=True
    ):
        # what the step moved is rounded at the weights' size
        np.testing.assert_allclose(before - after, theirs.grad.numpy(), rtol=1e-4, atol=2e-6)
