"""What training a table costs: the gradient and a step, against np.add.at and torch; and how exact sparse steps are.

    python -m benchmarks.training speed     # W4: a table of 1,000,000 x 64, batches of 4096 x 26 ids
    python -m benchmarks.training batch     # a table of 793,471 x 512, batches of 128 x 20 ids, mse, sgd
    python -m benchmarks.training exact     # 2,000 steps of each optimizer, largest and RMS error over dense float32's
    python -m benchmarks.training batch --keras PYTHON    # beside the Keras that this Python has; speed: RMSprop too

Results are checked before they are timed. Figures are medians of interleaved repetitions, on two threads; torch is
left out where it is not installed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastembed import optimizers
from fastembed.layers import Embedding
from fastembed.models import Sequential
from fastembed.ops import embedding_grad, set_num_threads

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

V, D, SHAPE = 1_000_000, 64, (4096, 26)
RUNS = 15


class Keras:
    """Keras in a process of its own, another Python's: a call is a step there."""

    def __init__(self, python: str, what: str) -> None:
        command = [python, str(Path(__file__).with_name("keras_peer.py")), what]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = self._line()

    def __call__(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the process of Keras ended")
        return line.strip()


def race(contestants: dict[str, Callable[[], Any]], runs: int = RUNS) -> dict[str, float]:
    """Median milliseconds of each, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in range(runs + 2):
        for name, work in contestants.items():
            start = time.perf_counter()
            work()
            if run >= 2:
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def show(title: str, figures: dict[str, float]) -> None:
    ours = next(iter(figures.values()))
    print(title, ", ".join(f"{name} {ms:.1f} ms ({ms / ours:.1f}x)" for name, ms in figures.items()), flush=True)


def zipf(rng: np.random.Generator) -> np.ndarray:
    ranks = np.arange(1, V + 1, dtype=np.float64)
    chances = np.cumsum(1 / ranks)
    ids = np.searchsorted(chances, rng.random(SHAPE) * chances[-1])
    return rng.permutation(V)[np.minimum(ids, V - 1)]


def speed(keras: str | None) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((*SHAPE, D)).astype(np.float32)
    for name, draw in (("W4u", lambda: rng.integers(0, V, SHAPE)), ("W4z", lambda: zipf(rng))):
        ids = draw()
        dense = np.zeros((V, D), np.float32)
        np.add.at(dense, ids, rows)
        assert np.array_equal(embedding_grad(ids, rows, V).to_dense(), dense)
        contestants: dict[str, Callable[[], Any]] = {"gradient": lambda ids=ids: embedding_grad(ids, rows, V)}
        contestants["np.add.at"] = lambda ids=ids, dense=dense: np.add.at(dense, ids, rows)
        if torch is not None:
            table = torch.zeros((V, D), requires_grad=True)
            torch_ids, torch_rows = torch.from_numpy(ids), torch.from_numpy(rows)
            out = torch.nn.functional.embedding(torch_ids, table, sparse=True)

            def backward(out: Any = out, table: Any = table, torch_rows: Any = torch_rows) -> None:
                table.grad = None
                out.backward(torch_rows, retain_graph=True)
                table.grad.coalesce()

            contestants["torch backward + coalesce"] = backward
        show(f"{name} gradient:", race(contestants, 7))
        del dense
        for optimizer_name in ("sgd", "adagrad", "adam", "rmsprop"):
            peer = Keras(keras, "rmsprop") if keras and (name, optimizer_name) == ("W4u", "rmsprop") else None
            steps(name, optimizer_name, [draw() for _ in range(4)], rows, peer)


def steps(name: str, optimizer_name: str, batches: list[np.ndarray], rows: np.ndarray, keras: Keras | None) -> None:
    """The table's part of a training step: what rows owe paid, gradient in, update. The gather is left out of both."""
    layer = Embedding.holding(np.full((V, D), 0.01, np.float32))
    weight = layer.weights[0]
    optimizer = optimizers.get(optimizer_name)
    turn = {"ours": 0, "torch": 0}

    def ours() -> None:
        ids = batches[turn["ours"] % len(batches)]
        turn["ours"] += 1
        weight.settle(ids)
        optimizer.apply_gradients([(layer.gradient(ids, rows, deferred=True), layer)])

    contestants = {"fastembed": ours}
    if torch is not None and optimizer_name != "rmsprop":
        table = torch.full((V, D), 0.01, requires_grad=True)
        kinds = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad, "adam": torch.optim.SparseAdam}
        torch_optimizer = kinds[optimizer_name]([table], lr=0.01)
        torch_rows = torch.from_numpy(rows)
        torch_batches = [torch.from_numpy(ids) for ids in batches]
        outs = [torch.nn.functional.embedding(ids, table, sparse=True) for ids in torch_batches]
        seen = [ids.clone() for ids in torch_batches]

        def theirs() -> None:
            ids = seen[turn["torch"] % len(seen)]
            turn["torch"] += 1
            # the gradient that backward makes, without the forward pass that it would need again
            table.grad = torch.sparse_coo_tensor(ids.reshape(1, -1), torch_rows.reshape(-1, D), (V, D))
            torch_optimizer.step()

        del outs
        contestants["torch sparse"] = theirs
    elif torch is not None:
        table = torch.full((V, D), 0.01, requires_grad=True)
        torch_optimizer = torch.optim.RMSprop([table], lr=0.001, alpha=0.9)
        torch_rows = torch.from_numpy(rows).reshape(-1, D)
        flat = [torch.from_numpy(ids).reshape(-1) for ids in batches]

        def theirs() -> None:
            ids = flat[turn["torch"] % len(flat)]
            turn["torch"] += 1
            table.grad = torch.zeros((V, D)).index_add_(0, ids, torch_rows)
            torch_optimizer.step()

        contestants["torch dense"] = theirs
    if keras is not None:
        contestants[keras.name] = keras
    show(f"{name} {optimizer_name} step:", race(contestants, 5 if optimizer_name == "rmsprop" else 10))


def batch(keras: str | None) -> None:
    """A model of one large table: the targets are float64 rows, the loss is their mean squared distance."""
    num_rows, dim, shape = 793_471, 512, (128, 20)
    rng = np.random.default_rng(0)
    model = Sequential([Embedding(num_rows, dim, input_length=shape[1])])
    model.compile("sgd", "mse")
    targets = rng.random((*shape, dim))
    batches = [rng.integers(0, num_rows, shape) for _ in range(8)]
    turn = iter(range(10**6))

    def ours() -> float:
        return float(model.train_on_batch(batches[next(turn) % len(batches)], targets))

    contestants: dict[str, Callable[[], Any]] = {"fastembed": ours}
    ids = batches[0]
    before = model.layers[0].embeddings[ids]
    expected = float(np.mean(np.square(before - targets)))
    assert abs(ours() / expected - 1) < 1e-5
    moved = before - np.float32(0.01 * 2 / targets.size) * (before - targets)
    once = np.bincount(ids.reshape(-1))[ids] == 1
    assert np.allclose(model.layers[0].embeddings[ids][once], moved[once], rtol=1e-6, atol=1e-7)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"table {num_rows * dim * 4 / 2**20:.0f} MB, peak memory {peak:.0f} MB")
    if torch is not None:
        module = torch.nn.Embedding(num_rows, dim, sparse=True)
        torch_optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        torch_batches = [torch.from_numpy(ids) for ids in batches]
        torch_targets = torch.from_numpy(targets)

        def theirs() -> float:
            torch_optimizer.zero_grad()
            out = module(torch_batches[next(turn) % len(batches)])
            loss = torch.nn.functional.mse_loss(out, torch_targets.float())
            loss.backward()
            torch_optimizer.step()
            return loss.item()

        contestants["torch sparse"] = theirs
    if keras is not None:
        peer = Keras(keras, "batch")
        loss = float(peer())
        expected = float(np.mean(np.square(np.float32(0.01) - np.random.default_rng(0).random((*shape, dim)))))
        assert abs(loss / expected - 1) < 1e-5, (loss, expected)
        contestants[peer.name] = peer
    show("batch of 128 x 20, 793,471 x 512, mse, sgd:", race(contestants))


def exact() -> None:
    from tests.keras.test_table_updates import NAMES, RULES, errors

    for label, (name, kwargs) in zip(NAMES, RULES, strict=True):
        own, dense = errors(name, kwargs, 2000, 2000, 8)
        largest = np.abs(own).max() / np.abs(dense).max()
        mean = np.sqrt(np.mean(own**2) / np.mean(dense**2))
        print(f"{label:30} {kwargs} largest error {largest:.3f}, RMS {mean:.3f} of dense float32's", flush=True)


if __name__ == "__main__":
    timed = {"speed": speed, "batch": batch}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*timed, "exact"])
    parser.add_argument("--keras", metavar="PYTHON", help="a Python that has Keras and TensorFlow")
    arguments = parser.parse_args()
    if arguments.keras and arguments.what == "exact":
        parser.error("--keras is for speed and batch")
    set_num_threads(2)
    if torch is not None:
        torch.set_num_threads(2)
    if arguments.what == "exact":
        exact()
    else:
        timed[arguments.what](arguments.keras)
