"""One version of the weights a call: whatever other threads set, load or train meanwhile."""

from __future__ import annotations

import copy
import io
import itertools
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastembed import Embedding, IndexedSlices, Sequential, optimizers
from fastembed._native import kernels
from fastembed.layers import Dense, Flatten, GlobalAveragePooling1D, Layer
from fastembed.models import load_model
from tests.ops.helpers import assert_clean, run_python

from .helpers import at_once, scaled

ROWS, DIM = 20_000, 16  # a table that takes longer to write than a switch between threads
IDS = np.random.default_rng(0).integers(0, ROWS, (40, 50))
FEW = np.array([[0, ROWS - 1, ROWS // 2]])
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


def constant(layer: Layer) -> Callable[[], None]:
    """Sets all weights of a layer to one number, another each time."""
    tables = [[np.full(weight.shape, k, np.float32) for weight in layer.weights] for k in range(1, 5)]
    turn = itertools.cycle(tables)
    return lambda: layer.set_weights(next(turn))


def one_number(*arrays: Any) -> None:
    numbers = {float(number) for array in arrays for number in (array.min(), array.max())}
    assert len(numbers) == 1, f"several versions in one call: {numbers}"


def embedding(**kwargs: Any) -> Embedding:
    layer = Embedding(ROWS, DIM, weights=[np.ones((ROWS, DIM), np.float32)], **kwargs)
    layer.build(None)
    return layer


def pickled(thing: Any) -> Any:
    file = io.BytesIO()
    pickle.dump(thing, file, protocol=5)
    return pickle.loads(file.getvalue())


def test_every_reader_of_a_layer_sees_one_version() -> None:
    layer = embedding()
    at_once(
        2,
        constant(layer),
        lambda: one_number(layer(IDS)),
        lambda: one_number(layer(FEW)),
        lambda: one_number(layer(IDS.tolist())),
        lambda: one_number(*layer.get_weights()),
        lambda: one_number(pickled(layer).embeddings),
        lambda: one_number(copy.deepcopy(layer).embeddings),
    )


def test_every_call_of_a_model_sees_one_version_of_all_weights() -> None:
    # each output is table * kernel * 16 * 50 + bias, all of one number k: 800 k**2 + k
    model = Sequential([embedding(input_length=50), Flatten(), Dense(3)])
    model.set_weights([np.ones(weight.shape, np.float32) for weight in model.weights])
    allowed = {800.0 * k * k + k for k in range(1, 5)}

    def check(outputs: NDArray[np.float32]) -> None:
        one_number(outputs)
        assert float(outputs[0, 0]) in allowed

    at_once(
        2,
        constant(model),
        lambda: check(model.predict(IDS, batch_size=8)),
        lambda: check(model.predict_on_batch(IDS)),
        lambda: check(model(IDS)),
        lambda: check(model.predict(IDS, steps=2)),
        lambda: one_number(*model.get_weights()),
        lambda: one_number(*pickled(model).get_weights()),
    )


def test_pooled_models_see_one_version() -> None:
    model = Sequential([embedding(input_length=50), GlobalAveragePooling1D()])
    at_once(1, constant(model), lambda: one_number(model.predict(IDS)), lambda: one_number(model.predict(IDS[:1])))


def test_dense_steps_are_seen_whole() -> None:
    layer = embedding()
    optimizer = optimizers.SGD(lr=0.5)
    moves = itertools.cycle([np.full((ROWS, DIM), sign, np.float32) for sign in (1, -1)])
    at_once(
        1,
        lambda: optimizer.apply_gradients([(next(moves), layer)]),
        lambda: one_number(layer(IDS)),
        lambda: one_number(*layer.get_weights()),
        lambda: one_number(pickled(layer).embeddings),
    )


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_steps_that_leave_debts_are_seen_whole(name: str) -> None:
    # every step moves all rows alike, those without a gradient as what they owe: each version is one number
    def made() -> tuple[Embedding, optimizers.Optimizer, list[IndexedSlices]]:
        layer = embedding()
        optimizer: optimizers.Optimizer = optimizers.Adam(lr=0.5) if name == "adam" else optimizers.SGD(0.5, 0.9)
        some = np.arange(0, ROWS, 3)
        return (
            layer,
            optimizer,
            [
                IndexedSlices(np.ones((ROWS, DIM), np.float32), np.arange(ROWS), (ROWS, DIM)),
                IndexedSlices(np.zeros((len(some), DIM), np.float32), some, (ROWS, DIM)),
            ],
        )

    layer, optimizer, slices = made()
    versions = [1.0]
    turns = [0, 1, 1, 1, 0, 1, 1, 1, 1] * 4
    for turn in turns:
        optimizer.apply_gradients([(slices[turn], layer)])
        versions.append(float(layer.get_weights()[0][0, 0]))
    assert np.abs(np.diff(versions)).min() > 1e-3

    def near_one(rows: NDArray[np.float32]) -> None:
        assert rows.max() - rows.min() < 1e-4, "several versions in one call"
        assert np.abs(np.array(versions) - float(rows.reshape(-1)[0])).min() < 1e-4

    state: list[Any] = []

    def train() -> None:
        layer, optimizer, slices = made()
        state[:] = [layer]
        for turn in turns:
            optimizer.apply_gradients([(slices[turn], layer)])
            time.sleep(0.0005)

    state[:] = [made()[0]]
    at_once(1, train, lambda: near_one(state[0](IDS)), lambda: near_one(state[0](FEW)),
            lambda: near_one(state[0].get_weights()[0]), lambda: near_one(pickled(state[0]).embeddings))  # fmt: skip


def test_fit_and_set_weights_and_predict_at_once() -> None:
    model = Sequential([embedding(input_length=50), Flatten(), Dense(1)])
    model.set_weights([np.ones(weight.shape, np.float32) for weight in model.weights])
    model.compile(optimizers.SGD(lr=1e-9), "mse")
    targets = np.zeros((40, 1), np.float32)
    at_once(
        1,
        lambda: model.fit(IDS, targets, epochs=1, batch_size=10, verbose=0),
        constant(model),
        lambda: model.predict(IDS),
        lambda: model.evaluate(IDS, targets, verbose=0),
        lambda: model.layers[0](IDS),
    )
    model.set_weights([np.ones(weight.shape, np.float32) for weight in model.weights])
    one_number(model.predict(IDS))


def test_neither_readers_nor_writers_starve() -> None:
    model = Sequential([embedding(input_length=50), Flatten(), Dense(3)])
    set_one, set_other = constant(model), constant(model)
    counts = at_once(
        1.5, set_one, set_other, *[lambda: model.predict(IDS, batch_size=4)] * 3, lambda: model.layers[0](IDS[:1])
    )
    assert min(counts) >= 5, counts


def filled(model: Sequential, path: Any, k: float) -> None:
    """A file of weights that are all one number."""
    model.set_weights([np.full(weight.shape, k, np.float32) for weight in model.weights])
    model.save_weights(path)


def test_weights_of_a_file_are_one_version(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    model = Sequential([embedding(input_length=50), Flatten(), Dense(3)])
    paths = [tmp_path / f"{k}.h5" for k in range(1, 5)]
    for k, path in enumerate(paths, 1):
        filled(model, path, k)
    turn = itertools.cycle(paths)
    at_once(
        1,
        lambda: model.load_weights(next(turn)),
        lambda: one_number(*model.get_weights()),
        lambda: one_number(model.layers[0](IDS)),
    )


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.weights.h5"])
def test_saved_weights_are_one_version(name: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    model = Sequential([embedding(input_length=50), Flatten(), Dense(3)])
    model.compile(optimizers.SGD(0.5, 0.9), "mse")
    model.train_on_batch(IDS, np.zeros((40, 3)))
    states = [[np.full(array.shape, k) for array in model.optimizer.get_weights()] for k in range(1, 5)]
    turn = itertools.cycle(states)
    model.set_weights([np.ones(weight.shape, np.float32) for weight in model.weights])
    model.optimizer.set_weights(states[0])

    def save() -> None:
        (model.save_weights if ".weights" in name else model.save)(tmp_path / name)
        other = Sequential([embedding(input_length=50), Flatten(), Dense(3)])
        other.load_weights(tmp_path / name)
        one_number(*other.get_weights())
        if ".weights" not in name:
            one_number(*load_model(tmp_path / name).optimizer.get_weights())

    at_once(1, constant(model), lambda: model.optimizer.set_weights(next(turn)), save)


class Calling(Layer):
    """Calls a model that is no layer of its own model."""

    def __init__(self, inner: Sequential, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.inner.compute_output_shape(input_shape)


def test_what_a_layer_calls_sees_one_version_too() -> None:
    # of layers with kernels k and 1 / k, as many products of 1 whatever k is
    inner = Sequential([Dense(2048, use_bias=False, input_shape=(4,)), Dense(1, use_bias=False)])
    versions = [[np.full((4, 2048), k, np.float32), np.full((2048, 1), 1 / k, np.float32)] for k in (1, 2, 4)]
    turn = itertools.cycle(versions)
    inner.set_weights(next(turn))
    model = Sequential([Calling(inner, input_shape=(4,))])
    ones = np.ones((64, 4), np.float32)

    def check(outputs: NDArray[np.float32]) -> None:
        one_number(outputs)
        assert outputs[0, 0] == 4 * 2048

    at_once(
        1,
        lambda: inner.set_weights(next(turn)),
        lambda: check(model(ones)),
        lambda: check(model.layers[0](ones)),
        lambda: check(model.predict(ones, batch_size=64)),
    )
    guard = kernels.Guard()
    with kernels.reading([guard]):
        assert kernels.holds((guard,))
        assert not kernels.holds((guard, inner.weights[0].guard))


# ── the guards themselves ────────────────────────────────────────────────────────────────────────


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What the work returns, in a thread; it must be done in time."""
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    return result[0]


def entered(context: Any) -> bool:
    with context:
        return True


def test_contexts_nest_in_every_order() -> None:
    guards = [kernels.Guard(), kernels.Guard()]
    kinds = (kernels.reading, kernels.settling, kernels.writing)

    def nest() -> bool:
        for one, two, three in itertools.product(kinds, kinds, kinds):
            with one(guards), two(guards[::-1]), three(guards[:1]):
                assert kernels.holds_any()
        return not kernels.holds_any()

    assert within(20, nest)
    assert within(20, lambda: entered(kernels.writing(guards)))


def test_readers_share_and_writers_do_not() -> None:
    guard = kernels.Guard()
    with kernels.reading([guard]):
        assert within(20, lambda: entered(kernels.reading([guard])))
        assert within(20, lambda: entered(kernels.settling([guard])))
        late: list[bool] = []
        writer = threading.Thread(target=lambda: late.append(entered(kernels.writing([guard]))))
        writer.start()
        time.sleep(0.1)
        assert late == []
        # who reads already goes on, past the writer that waits
        with kernels.reading([guard]), kernels.settling([guard]):
            pass
    writer.join(20)
    assert late == [True]
    with kernels.settling([guard]):
        other = threading.Thread(target=lambda: late.append(entered(kernels.settling([guard]))))
        other.start()
        time.sleep(0.05)
        assert late == [True]
    other.join(20)
    assert late == [True, True]


def test_two_who_read_may_both_write() -> None:
    guard = kernels.Guard()
    both = threading.Barrier(2)

    def upgrade() -> bool:
        with kernels.reading([guard]):
            both.wait(20)
            with kernels.writing([guard]):
                pass
        return True

    threads = [threading.Thread(target=upgrade, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert within(20, lambda: entered(kernels.writing([guard])))


def test_guards_taken_together_never_wait_for_each_other() -> None:
    guards = [kernels.Guard() for _ in range(4)]
    rng = np.random.default_rng(0)
    kinds = (kernels.reading, kernels.settling, kernels.writing)

    def work() -> None:
        chosen = [guards[k] for k in rng.permutation(4)[: rng.integers(1, 5)]]
        with kinds[rng.integers(3)](chosen):
            time.sleep(0)

    at_once(1, *[work] * 6)
    assert within(20, lambda: entered(kernels.writing(guards)))


def test_errors_inside_let_go() -> None:
    guard = kernels.Guard()
    for kind in (kernels.reading, kernels.settling, kernels.writing):
        with pytest.raises(ZeroDivisionError), kind([guard]):
            raise ZeroDivisionError
    layer = embedding()
    with pytest.raises(IndexError):
        layer(np.array([ROWS]))
    with pytest.raises(ValueError, match="not compatible"):
        layer.set_weights([np.ones((1, 1))])
    assert within(20, lambda: entered(kernels.writing([guard, layer._guard])))


def test_guards_are_checked_and_copies_are_fresh() -> None:
    with pytest.raises(TypeError) as error:
        kernels.reading([None])  # type: ignore[list-item]
    assert str(error.value) == "`guards` must be of Guard. Received: None."
    guard = kernels.Guard()
    with kernels.writing([guard]):
        for other in (copy.deepcopy(guard), pickle.loads(pickle.dumps(guard))):
            assert other is not guard
            assert within(20, lambda other=other: entered(kernels.writing([other])))


class Counting(Layer):
    """Counts its calls in a weight of its own, which it sets while a model predicts."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight("count", (1,), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        self.set_weights([self.get_weights()[0] + 1])
        return inputs


def test_layers_may_set_weights_while_a_model_predicts() -> None:
    model = Sequential([embedding(input_length=50), Counting()])
    at_once(1, *[lambda: model.predict(IDS)] * 2, constant(model.layers[0]))


def test_predict_in_a_callback_of_fit_does_not_hang() -> None:
    from fastembed.callbacks import LambdaCallback

    model = Sequential([embedding(input_length=50), Flatten(), Dense(1)])
    model.compile("adam", "mse")
    callback = LambdaCallback(on_batch_end=lambda batch, logs: model.predict(IDS[:2]))
    fit = lambda: model.fit(IDS, np.zeros((40, 1)), batch_size=10, verbose=0, callbacks=[callback])  # noqa: E731
    within(60, fit)
    at_once(0.5, fit, lambda: model.predict(IDS))


def test_pickles_keep_each_array_once_and_linked() -> None:
    model = Sequential([embedding(input_length=50), Flatten(), Dense(3)])
    for other in (pickled(model), copy.deepcopy(model)):
        table, dense = other.layers[0], other.layers[2]
        assert table.embeddings is table.weights[0].value
        assert (dense.kernel is dense.weights[0].value, dense.bias is dense.weights[1].value) == (True, True)
        other.set_weights([weight * 2 for weight in model.get_weights()])
        np.testing.assert_array_equal(other.predict(IDS[:2]), 4 * model.predict(IDS[:2]))
    layer, weight = pickled((model.layers[0], model.layers[0].weights[0]))
    assert layer.embeddings is weight.value
    assert len(pickle.dumps(model.layers[0])) < 1.1 * ROWS * DIM * 4


def test_pickles_and_copies_are_of_now_whatever_is_left_of_earlier_ones() -> None:
    model = Sequential([embedding(input_length=50), Flatten(), Dense(3)])
    set_next = constant(model)

    def check(*parts: Any) -> None:
        set_next()
        for part in parts or (model.layers[2], model.layers[2].weights[0], model):
            now = [weight.value for weight in getattr(part, "weights", [part])]
            for other in (pickled(part), copy.deepcopy(part)):
                one_number(*now, *[weight.value for weight in getattr(other, "weights", [other])])

    kept: list[Any] = [model.__getstate__()]
    check()
    model.layers[0].lock = threading.Lock()  # type: ignore[attr-defined]
    for fail in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="pickle") as error:
            fail(model)
        kept.append(error)
    failed = pickle.Pickler(io.BytesIO())
    with pytest.raises(TypeError, match="pickle"):
        failed.dump(model)
    del model.layers[0].lock  # type: ignore[attr-defined]
    check(model)
    del failed
    check()
    pickler = pickle.Pickler(io.BytesIO())
    pickler.dump(model)
    check()
    assert kept
    assert pickler


def test_pickles_of_a_model_that_holds_a_foreign_one_are_of_one_version() -> None:
    inner = Sequential([Dense(3, input_shape=(2,))])
    layers = [Calling(inner, input_shape=(2,)), Dense(500), Dense(500), Dense(500)]
    model = Sequential(layers)
    set_next = constant(model)
    set_next()
    at_once(1, set_next, lambda: one_number(*pickled(model).get_weights()))


# ── first calls ──────────────────────────────────────────────────────────────────────────────────


def slow(shape: Any, dtype: Any = None) -> NDArray[np.float32]:
    """An initializer that lets other threads run, with other values each time."""
    time.sleep(0.05)
    return np.random.default_rng().random(shape, np.float32)


class EarlyBuilt(Layer):
    """Says that it is built before it has all its weights."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.one = self.add_weight("one", (3,), initializer=slow)
        self.other = self.add_weight("other", (3,), initializer=slow)

    def call(self, inputs: Any) -> Any:
        return inputs * self.one + self.other


@pytest.mark.parametrize("name", ["embedding", "built", "given", "dense", "early", "model", "predict"])
def test_first_calls_of_several_threads_build_a_layer_once(name: str) -> None:
    inputs: Any = np.ones((2, 3), np.int64 if name in ("embedding", "built", "given") else np.float32)
    layer: Any
    if name == "given":
        layer = Embedding(4, 3, weights=[np.ones((4, 3), np.float32)], embeddings_initializer=slow)
    elif name in ("embedding", "built"):
        layer = Embedding(4, 3, embeddings_initializer=slow)
    elif name == "early":
        layer = EarlyBuilt()
    elif name == "dense":
        layer = Dense(3, kernel_initializer=slow, weights=[np.ones((3, 3), np.float32), np.ones(3, np.float32)])
    else:
        layer = Sequential([Dense(3, kernel_initializer=slow), EarlyBuilt()])
    ready = threading.Barrier(4)
    results: list[Any] = []

    def call() -> None:
        ready.wait(20)
        if name == "built":
            layer.build(None)
        results.append(layer.predict(inputs) if name == "predict" else layer(inputs))

    threads = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == 4
    assert len(layer.weights) == {"dense": 2, "early": 2, "model": 4, "predict": 4}.get(name, 1)
    for result in results:
        np.testing.assert_array_equal(result, layer(inputs))


def test_who_builds_reads_before_writers_that_wait_for_one_who_waits_to_build() -> None:
    guard = kernels.Guard()
    begun, go_on = threading.Event(), threading.Event()

    def read(shape: Any, dtype: Any = None) -> NDArray[np.float32]:
        begun.set()
        go_on.wait(20)
        with kernels.reading([guard]):
            return np.ones(shape, np.float32)

    def read_and_build() -> None:
        begun.wait(20)
        with kernels.reading([guard]):
            threads[2].start()
            time.sleep(0.2)
            go_on.set()
            Embedding(4, 3)([1])

    threads = [
        threading.Thread(target=lambda: Embedding(4, 3, embeddings_initializer=read)([1]), daemon=True),
        threading.Thread(target=read_and_build, daemon=True),
        threading.Thread(target=lambda: entered(kernels.writing([guard])), daemon=True),
    ]
    for thread in threads[:2]:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "it hangs"


@posix
def test_forked_child_builds_while_a_thread_of_its_parent_does() -> None:
    code = """
inside = threading.Event()
def slow(shape, dtype=None):
    inside.set()
    time.sleep(1)
    return np.ones(shape)
thread = threading.Thread(target=Embedding(4, 3, embeddings_initializer=slow).build, args=(None,))
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(Embedding(4, 3)([1]).shape != (1, 3))
print(os.waitpid(child, 0)[1])
thread.join()
"""
    assert_clean(run_python(PRELUDE + code, options=("-W", "ignore::DeprecationWarning")), "0\n")


# ── signals and forks ────────────────────────────────────────────────────────────────────────────

PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
from fastembed import Embedding
from fastembed._native import kernels
layer = Embedding(200_000, 16, weights=[np.ones((200_000, 16), np.float32)])
layer.build(None)
ids = np.arange(0, 200_000, 7)
def right(): return len(np.unique(layer(ids))) == 1
right()  # np.unique imports a module the first time: a child forked in the middle of that would wait for it for ever
"""


@posix
def test_interrupt_of_who_waits_leaves_the_guard_usable() -> None:
    code = """
guard = layer._guard
inside, over = threading.Event(), threading.Event()
def hold(kind):
    with kind([guard]):
        inside.set()
        over.wait(30)
late = []
for held, wanted in ((kernels.writing, kernels.reading), (kernels.reading, kernels.writing)) * 2:
    inside.clear(); over.clear()
    thread = threading.Thread(target=hold, args=(held,))
    thread.start()
    inside.wait()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        with wanted([guard]): print("not interrupted")
    except KeyboardInterrupt:
        late.append(1)
    over.set()
    thread.join()
    with kernels.writing([guard]): pass
print(len(late), right(), kernels.holds_any())
"""
    assert_clean(run_python(PRELUDE + code), "4 True False\n")


@posix
def test_signal_handler_may_set_weights_during_a_lookup() -> None:
    code = """
def handle(number, frame):
    layer.set_weights([np.full((200_000, 16), 2, np.float32)])
    seen.append(right())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
seen = []
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.05)
many = np.zeros(30_000_000, np.uint8)
while len(seen) < 3:
    layer(many)
signal.setitimer(signal.ITIMER_REAL, 0)
print(all(seen), right(), kernels.holds_any())
"""
    assert_clean(run_python(PRELUDE + code), "True True False\n")


WAITING = """
def hold(kind, seconds):
    inside = threading.Event()
    def work():
        with kind([layer._guard]):
            inside.set()
            time.sleep(seconds)
            order.append("held")
    threading.Thread(target=work, daemon=True).start()
    inside.wait()
def at(seconds, work):
    signal.signal(signal.SIGALRM, lambda number, frame: (work(), order.append("handled")))
    signal.setitimer(signal.ITIMER_REAL, seconds)
order = []
def two(): layer.set_weights([np.full((200_000, 16), 2, np.float32)])
"""


@posix
def test_signal_handler_may_use_what_its_thread_waits_for() -> None:
    code = """
for work in (two, right, lambda: at(0.1, two) or time.sleep(0.3)):
    hold(kernels.writing, 0.4); at(0.1, work); print(right())
hold(kernels.writing, 0.4); at(0.1, two); two()
hold(kernels.reading, 0.4); at(0.1, two); two()
print(order.count("handled"), right(), kernels.holds_any())
with kernels.writing([layer._guard]): print("free")
"""
    assert_clean(run_python(PRELUDE + WAITING + code, timeout=60), "True\nTrue\nTrue\n6 True False\nfree\n")


@posix
def test_signal_handler_waits_for_readers_while_its_thread_waits_to_write_what_it_reads() -> None:
    code = """
with kernels.reading([layer._guard]):
    hold(kernels.reading, 0.4); at(0.1, two)
    with kernels.writing([layer._guard]): order.append("written")
print(order, right(), kernels.holds_any())
with kernels.writing([layer._guard]): print("free")
"""
    expected = "['held', 'handled', 'written'] True False\nfree\n"
    assert_clean(run_python(PRELUDE + WAITING + code, timeout=60), expected)


@posix
def test_fork_in_a_signal_handler_while_its_thread_waits() -> None:
    code = """
child = None
def fork():
    global child
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)
hold(kernels.writing, 0.4); at(0.1, fork)
seen = right()
with kernels.writing([layer._guard]): pass
if child == 0: os._exit(not seen or kernels.holds_any())
print(os.waitpid(child, 0)[1], seen)
"""
    done = run_python(PRELUDE + WAITING + code, options=("-W", "ignore::DeprecationWarning"), timeout=60)
    assert_clean(done, "0 True\n")


@posix
def test_forked_child_of_a_busy_process_has_one_version_and_free_guards() -> None:
    code = """
stop = threading.Event()
def write():
    k = 0
    while not stop.is_set():
        k += 1
        layer.set_weights([np.full((200_000, 16), k % 7, np.float32)])
def read():
    while not stop.is_set(): assert right()
threads = [threading.Thread(target=work) for work in (write, write, read)]
for thread in threads: thread.start()
ends = []
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        torn = 1 - right() or 2 * (len(np.unique(layer.get_weights()[0])) > 1)
        layer.set_weights([np.zeros((200_000, 16))])
        os._exit(torn + 4 * (not right()) + 8 * kernels.holds_any())
    ends.append(os.waitpid(child, 0)[1])
stop.set()
for thread in threads: thread.join()
print(sorted(set(ends)), len(ends))
"""
    forks = scaled(30)
    done = run_python(PRELUDE + code, str(forks), options=("-W", "ignore::DeprecationWarning"), timeout=220 + forks)
    assert_clean(done, f"[0] {forks}\n")


@posix
def test_fork_inside_a_context_keeps_what_the_thread_holds() -> None:
    code = """
results = []
for kind in (kernels.reading, kernels.settling, kernels.writing):
    with kernels.reading([layer._guard]), kind([layer._guard]):
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            held = kernels.holds_any()
    if child == 0:
        with kernels.writing([layer._guard]): pass
        os._exit(0 if held and right() and not kernels.holds_any() else 1)
    results.append(os.waitpid(child, 0)[1])
print(results, right())
"""
    assert_clean(run_python(PRELUDE + code), "[0, 0, 0] True\n")


def test_the_ids_that_are_paid_for_are_the_ids_that_are_looked_up() -> None:
    ids = np.array([1, 3])

    class Debtor:
        def settle(self, paid: Any) -> None:
            assert paid.tolist() == [1, 3]
            ids[:] = 2  # as another thread might

    guard = kernels.Guard()
    guard.debtor = Debtor()
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert guard.gather(table, ids).tolist() == [[2, 3], [6, 7]]
