"""A layer made, set, read, trained, saved, pickled and forked in any order, against plain NumPy."""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from fastembed import Embedding, IndexedSlices, embedding_bag, embedding_grad, gather, optimizers, scatter_add
from fastembed.io.npy import open_npy
from tests.ops.helpers import SCALE, random_table, same_bits

from .cases import SAVES
from .helpers import scaled

SEEDS = st.integers(0, 2**32 - 1)


class LayerMachine(RuleBasedStateMachine):
    """`table` is what the layer's table must be."""

    layer: Embedding
    table: NDArray[np.float32]

    @initialize(rows=st.integers(1, 40), dim=st.sampled_from([1, 2, 3, 4, 8, 17, 64]), seed=SEEDS)
    def make(self, rows: int, dim: int, seed: int) -> None:
        self.table = np.random.default_rng(seed).integers(-8, 9, (rows, dim)).astype(np.float32)
        self.layer = Embedding(rows, dim, weights=[self.table])
        self.layer.build(None)
        self.optimizer = optimizers.SGD(lr=0.5)

    def some_ids(self, seed: int) -> NDArray[np.int64]:
        rng = np.random.default_rng(seed)
        return rng.integers(0, len(self.table), (int(rng.integers(0, 5)), int(rng.integers(0, 6))))

    @rule(seed=SEEDS)
    def set_weights(self, seed: int) -> None:
        self.table = np.random.default_rng(seed).integers(-8, 9, self.table.shape).astype(np.float32)
        self.layer.set_weights([self.table.astype(np.float64)])

    @rule(seed=SEEDS)
    def look_up(self, seed: int) -> None:
        ids = self.some_ids(seed)
        np.testing.assert_array_equal(self.layer(ids), self.table[ids])
        np.testing.assert_array_equal(gather(self.layer.embeddings, ids), self.table[ids])

    @rule(seed=SEEDS, bad=st.sampled_from([-1, 40, 2**40, -(2**63)]))
    def refuse(self, seed: int, bad: int) -> None:
        ids = np.append(self.some_ids(seed).reshape(-1), bad)
        with pytest.raises(IndexError, match=rf"indices\[{len(ids) - 1}\] = {bad} is not in"):
            self.layer(ids)
        with pytest.raises(IndexError, match="is not in"):
            scatter_add(self.layer.embeddings, ids, np.ones((len(ids), self.table.shape[1]), np.float32))

    @rule(seed=SEEDS)
    def pool(self, seed: int) -> None:
        ids = self.some_ids(seed)
        np.testing.assert_array_equal(embedding_bag(self.layer.embeddings, ids, reduce="sum"), self.table[ids].sum(1))

    @rule(seed=SEEDS)
    def train(self, seed: int) -> None:
        ids = self.some_ids(seed)
        grad = np.random.default_rng(seed).integers(-4, 5, (*ids.shape, self.table.shape[1])).astype(np.float32)
        self.optimizer.apply_gradients([(self.layer.gradient(ids, grad), self.layer)])
        np.subtract.at(self.table, ids, np.float32(0.5) * grad)

    @rule(seed=SEEDS)
    def add(self, seed: int) -> None:
        ids = self.some_ids(seed)
        scatter_add(self.layer.embeddings, ids, np.ones((*ids.shape, self.table.shape[1]), np.float32), 2)
        np.add.at(self.table, ids, np.float32(2))

    @rule(way=st.sampled_from(["pickle", "deepcopy", "config"]))
    def copy(self, way: str) -> None:
        if way == "config":
            weights = self.layer.get_weights()
            self.layer = Embedding.from_config(self.layer.get_config() | {"weights": weights})
            self.layer.build(None)
            self.optimizer = optimizers.SGD(lr=0.5)
        else:
            again = copy.deepcopy if way == "deepcopy" else lambda thing: pickle.loads(pickle.dumps(thing))
            self.layer, self.optimizer = again((self.layer, self.optimizer))

    @rule(name=st.sampled_from(sorted(SAVES)))
    def save_a_file(self, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"file{SAVES[name].suffix}"
            SAVES[name].save(path)
            SAVES[name].load(path)

    @rule()
    def save_and_load(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/table.npy", self.layer.get_weights()[0])
            self.layer.set_weights([open_npy(f"{folder}/table.npy")])

    @rule(seed=SEEDS)
    def fork(self, seed: int) -> None:
        if not hasattr(os, "fork"):
            return
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(self.layer(self.some_ids(seed)), self.table[self.some_ids(seed)]) else 1)
        assert os.waitpid(child, 0)[1] == 0

    @invariant()
    def table_is_right(self) -> None:
        if hasattr(self, "layer"):
            np.testing.assert_array_equal(self.layer.get_weights()[0], self.table)


LayerMachine.TestCase.settings = settings(
    max_examples=15 * SCALE, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLayerMachine = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")(LayerMachine.TestCase)


def test_same_bits_for_any_number_of_threads() -> None:
    table = random_table(2000, 33)
    ids = np.random.default_rng(0).integers(0, 2000, 30_000)
    grads = np.random.default_rng(1).standard_normal((30_000, 33)).astype(np.float32)
    calls: list[Any] = [
        lambda n: gather(table, ids, num_threads=n),
        lambda n: embedding_bag(table, ids.reshape(30, -1), reduce="sum", num_threads=n),
        lambda n: embedding_grad(ids, grads, 2000, num_threads=n).values,
    ]
    expected = [call(1) for call in calls]
    for _ in range(scaled(1)):
        for threads in range(1, 17):
            for call, one in zip(calls, expected, strict=True):
                assert same_bits(call(threads), one)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam"])
def test_nan_gradient_changes_its_row_alone(name: str) -> None:
    for value in (np.nan, np.inf, -np.inf):
        layer, clean = (Embedding(9, 5, weights=[np.ones((9, 5))]) for _ in range(2))
        for one, number in ((layer, value), (clean, 1.0)):
            one.build(None)
            values = np.ones((2, 5), np.float32)
            values[0, 2] = number
            optimizer = optimizers.get(name)
            for _ in range(3):
                optimizer.apply_gradients([(IndexedSlices(values, np.array([3, 6]), (9, 5)), one)])
        different = layer.get_weights()[0] != clean.get_weights()[0]
        assert np.argwhere(different).tolist() in ([[3, 2]], [])
