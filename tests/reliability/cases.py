"""Public calls that allocate, and everything that saves: what the failing allocations and writes are walked over.

A new public function goes into `CALLS`, a new way to save into `SAVES`: that is all.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastembed
from fastembed import Embedding, IndexedSlices, Sequential, optimizers
from fastembed.io.atomic import replacing
from fastembed.io.npy import open_npy
from fastembed.layers import Dense, Flatten


class Call(NamedTuple):
    """A call, and what of its arguments and objects must not change when it fails."""

    run: Callable[[], Any]
    state: Callable[[], Any] = lambda: None
    # what it changes when it succeeds, put back: a call that changes nothing needs none
    reset: Callable[[], Any] = lambda: None


ROWS, DIM = 300, 24
TABLE = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
IDS = np.random.default_rng(1).integers(0, ROWS, (20, 9))
MANY = np.random.default_rng(2).integers(0, ROWS, 12_000)  # an output of the recycler
LISTS = [[1, 2, 3], [4], [], [5, 6]]
GRADS = np.random.default_rng(3).standard_normal((*IDS.shape, DIM)).astype(np.float32)
BAG_GRADS = GRADS[:, 0].copy()


def _ops() -> dict[str, Callable[[], Call]]:
    f = fastembed
    weights = np.linspace(0.1, 1, IDS.size, dtype=np.float32).reshape(IDS.shape)
    calls: dict[str, Callable[[], Any]] = {
        "gather": lambda: f.gather(TABLE, IDS),
        "gather, much": lambda: f.gather(TABLE, MANY, num_threads=3),
        "gather, lists": lambda: f.gather(TABLE, IDS.tolist(), mode="clip"),
        "gather, objects": lambda: f.gather(TABLE, [2**70, -1, 3], mode="wrap"),
        "gather, strided": lambda: f.gather(TABLE, IDS.T),
        "gather_with_mask": lambda: f.gather_with_mask(TABLE, IDS, padding_id=3),
        "mask": lambda: f.mask(IDS, 3),
        "embedding_bag": lambda: f.embedding_bag(TABLE, IDS),
        "embedding_bag, much": lambda: f.embedding_bag(TABLE, np.tile(MANY, 3)[None], reduce="sum", num_threads=3),
        "embedding_bag, weights": lambda: f.embedding_bag(TABLE, IDS, weights=weights, reduce="sqrtn"),
        "embedding_bag, offsets": lambda: f.embedding_bag(TABLE, MANY, offsets=[0, 5, 5, 4000], reduce="max"),
        "embedding_bag, lists": lambda: f.embedding_bag(TABLE, LISTS, padding_id=2),
        "embedding_grad": lambda: f.embedding_grad(IDS, GRADS, ROWS),
        "embedding_bag_grad": lambda: f.embedding_bag_grad(IDS, BAG_GRADS, ROWS, padding_id=2),
        "embedding_bag_grad, max": lambda: f.embedding_bag_grad(IDS, BAG_GRADS, ROWS, reduce="max", table=TABLE),
    }
    made = {name: lambda run=run: Call(run) for name, run in calls.items()}
    made["scatter_add"] = _scatter_add
    return made  # type: ignore[return-value]


def _scatter_add() -> Call:
    table = TABLE.copy()
    return Call(lambda: fastembed.scatter_add(table, IDS, GRADS, 0.5), table.copy, lambda: np.copyto(table, TABLE))


def _layer() -> Embedding:
    layer = Embedding(ROWS, DIM, weights=[TABLE], name="embedding")
    layer.build(None)
    return layer


def _model() -> Sequential:
    # not for predicting and training: NumPy's matmul ends the process where its own allocations fail
    model = Sequential([Embedding(ROWS, DIM, weights=[TABLE], input_length=9), Flatten(), Dense(2)])
    model.layers[2].set_weights([np.full((9 * DIM, 2), 0.01), np.zeros(2)])
    return model


def _embedding_call() -> Call:
    layer = _layer()
    return Call(lambda: layer(IDS), layer.get_weights)


def _build() -> Call:
    holder: list[Any] = [None]

    def build() -> Any:
        layer = Embedding(ROWS, DIM, weights=[TABLE], name="embedding")
        holder[0] = layer
        return layer(IDS)

    return Call(build)


def _set_weights() -> Call:
    model = _model()
    new = [weight * 2 for weight in model.get_weights()]
    before = model.get_weights()
    return Call(lambda: model.set_weights(new), model.get_weights, lambda: model.set_weights(before))


def _read_weights(read: Callable[[Any], Any]) -> Callable[[], Call]:
    def made() -> Call:
        model = _model()
        return Call(lambda: read(model), model.get_weights)

    return made


def _predict() -> Call:
    # without Dense: see _model
    model = Sequential([Embedding(ROWS, DIM, weights=[TABLE], input_length=9), Flatten()])
    return Call(lambda: model.predict(IDS, batch_size=8), model.get_weights)


def _step(name: str, sparse: bool, **options: Any) -> Callable[[], Call]:
    def made() -> Call:
        layer = _layer()
        optimizer = optimizers.get({"class_name": name, "config": options})
        some = np.arange(0, ROWS, 3)
        dense = np.ones((ROWS, DIM), np.float32)
        slices = IndexedSlices(dense[some], some, (ROWS, DIM))
        optimizer.apply_gradients([(dense, layer)])
        optimizer.apply_gradients([(slices, layer)])
        saved = pickle.dumps((layer, optimizer))

        def run() -> None:
            optimizer.apply_gradients([(slices if sparse else dense, layer)])

        def state() -> Any:
            return [*layer.get_weights(), *optimizer.get_weights(), np.array(optimizer.iterations)]

        def reset() -> None:
            nonlocal layer, optimizer
            layer, optimizer = pickle.loads(saved)

        return Call(run, state, reset)

    return made


def _freeze() -> Call:
    layer = _layer()
    return Call(lambda: layer.freeze_rows([1, 2]), lambda: [layer._weight.frozen], lambda: layer.unfreeze_rows())


CALLS: dict[str, Callable[[], Call]] = {
    **_ops(),
    "Embedding.__call__": _embedding_call,
    "Embedding.build": _build,
    "set_weights": _set_weights,
    "get_weights": _read_weights(lambda model: model.get_weights()),
    "pickle": _read_weights(lambda model: pickle.loads(pickle.dumps(model)).get_weights()),
    "deepcopy": _read_weights(lambda model: copy.deepcopy(model).get_weights()),
    "predict": _predict,
    "freeze_rows": _freeze,
    **{
        f"apply_gradients, {name} {options or ''}, {'rows' if sparse else 'all'}": _step(name, sparse, **options)
        for name, options in [
            ("SGD", {}),
            ("SGD", {"momentum": 0.9}),
            ("RMSprop", {}),
            ("Adagrad", {}),
            ("Adadelta", {}),
            ("Adam", {}),
            ("Adam", {"amsgrad": True}),
            ("Adamax", {}),
            ("Nadam", {}),
            ("RowwiseAdagrad", {}),
        ]
        for sparse in (True, False)
    },
}


def _save_table(path: Path) -> None:
    fastembed.save_table(path, TABLE)


def _gather_to_file(path: Path) -> None:
    from fastembed._cli.gather import gather_to_files
    from fastembed._meter import Progress

    with replacing(path) as files, Progress(IDS.size, "rows") as progress:
        gather_to_files(TABLE, IDS, files, progress, "raise", None)


class Save(NamedTuple):
    """A way to save to a path, and to read what was saved."""

    save: Callable[[Path], Any]
    load: Callable[[Path], Any]
    suffix: str


SAVES: dict[str, Save] = {
    "npy": Save(_save_table, fastembed.load_table, ".npy"),
    "safetensors": Save(_save_table, fastembed.load_table, ".safetensors"),
    "fastembed gather": Save(_gather_to_file, open_npy, ".npy"),
}
