"""ModelCheckpoint does and says what Keras 2.2.4's does; no kill leaves half a file."""

import os
import random
import signal
import time
import warnings

import numpy as np
import pytest

from fastembed.callbacks import LambdaCallback, ModelCheckpoint
from fastembed.layers import Embedding
from fastembed.models import Sequential, load_model

h5py = pytest.importorskip("h5py")
KILLS = int(os.environ.get("FASTEMBED_KILLS", "4"))


class Recorder:
    """A model that notes how it is saved."""

    def __init__(self):
        self.calls = []

    def save(self, path, overwrite):
        self.calls.append(("save", path, overwrite))

    def save_weights(self, path, overwrite):
        self.calls.append(("save_weights", path, overwrite))


def run(epochs, **kwargs):
    """Give a callback the logs of epochs; return the calls of the model."""
    callback = ModelCheckpoint("m-{epoch:02d}.h5", **kwargs)
    callback.set_model(Recorder())
    for epoch, logs in enumerate(epochs):
        callback.on_epoch_end(epoch, logs)
    return callback.model.calls


def test_checkpoint_has_keras_arguments():
    callback = ModelCheckpoint("x")
    assert vars(callback) | {"params": None} == {
        "params": None,
        "monitor": "val_loss",
        "verbose": 0,
        "filepath": "x",
        "save_best_only": False,
        "save_weights_only": False,
        "period": 1,
        "epochs_since_last_save": 0,
        "monitor_op": np.less,
        "best": np.inf,
    }


@pytest.mark.parametrize("save_weights_only", [False, True])
def test_checkpoint_saves_after_each_period(save_weights_only, capsys):
    calls = run([{}] * 5, save_weights_only=save_weights_only, period=2, verbose=1)
    name = "save_weights" if save_weights_only else "save"
    assert calls == [(name, "m-02.h5", True), (name, "m-04.h5", True)]
    assert capsys.readouterr().out == (
        "\nEpoch 00002: saving model to m-02.h5\n\nEpoch 00004: saving model to m-04.h5\n"
    )


def test_checkpoint_saves_best_only(capsys):
    logs = [{"val_loss": value} for value in (2.0, 2.5, 1.0)]
    assert run(logs, save_best_only=True, verbose=1) == [("save", "m-01.h5", True), ("save", "m-03.h5", True)]
    assert capsys.readouterr().out == (
        "\nEpoch 00001: val_loss improved from inf to 2.00000, saving model to m-01.h5\n"
        "\nEpoch 00002: val_loss did not improve from 2.00000\n"
        "\nEpoch 00003: val_loss improved from 2.00000 to 1.00000, saving model to m-03.h5\n"
    )


@pytest.mark.parametrize(
    ("monitor", "mode", "rises"),
    [
        ("val_loss", "auto", False),
        ("val_acc", "auto", True),
        ("fmeasure_x", "auto", True),
        ("x_fmeasure", "auto", False),
        ("val_acc", "min", False),
        ("loss", "max", True),
    ],
)
def test_checkpoint_knows_what_is_better(monitor, mode, rises):
    calls = run([{monitor: 1.0}, {monitor: 2.0}, {monitor: 0.5}], monitor=monitor, mode=mode, save_best_only=True)
    assert [path for _, path, _ in calls] == ["m-01.h5", "m-02.h5" if rises else "m-03.h5"]


def test_checkpoint_warns_in_keras_words():
    with pytest.warns(RuntimeWarning, match="unknown") as caught:
        ModelCheckpoint("x", mode="most")
    assert str(caught[0].message) == "ModelCheckpoint mode most is unknown, fallback to auto mode."
    with pytest.warns(RuntimeWarning, match="skipping") as caught:
        assert run([{"loss": 1.0}], save_best_only=True) == []
    assert str(caught[0].message) == "Can save best model only with val_loss available, skipping."


def test_checkpoint_fills_logs_into_path(tmp_path):
    model = Sequential([Embedding(6, 2, input_length=3)])
    model.compile("adam", "mse")
    path = str(tmp_path / "w.{epoch:02d}-{loss:.2f}.h5")
    ids, targets = np.zeros((4, 3), int), np.zeros((4, 3, 2))
    model.fit(ids, targets, epochs=2, verbose=0, callbacks=[ModelCheckpoint(path, save_weights_only=True)])
    assert [name[:5] for name in sorted(os.listdir(tmp_path))] == ["w.01-", "w.02-"]
    with pytest.raises(KeyError, match="val_loss"):
        model.fit(ids, targets, verbose=0, callbacks=[ModelCheckpoint("{val_loss}")])


def test_checkpoint_is_loaded_and_trained_on(tmp_path):
    model = Sequential([Embedding(6, 2, input_length=3)])
    model.compile("adam", "mse")
    ids, targets = np.arange(6).reshape(2, 3), np.ones((2, 3, 2))
    model.fit(ids, targets, epochs=3, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "m.h5")])
    loaded = load_model(tmp_path / "m.h5")
    assert loaded.train_on_batch(ids, targets) == model.train_on_batch(ids, targets)


# ── kill -9 ──────────────────────────────────────────────────────────────────────────────────────


def save_for_ever(path, how, ready):
    model = Sequential([Embedding(2000, 100, input_length=3)])
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((1, 3), int), np.zeros((1, 3, 100)))
    os.write(ready, b"!")
    value = 1.0
    while True:
        value += 1
        model.set_weights([np.full((2000, 100), value)])
        getattr(model, how)(path)


def train_for_ever(path, how, ready):
    model = Sequential([Embedding(2000, 100, input_length=3)])
    model.compile("adam", "mse")
    begin = LambdaCallback(on_train_begin=lambda logs: os.write(ready, b"!"))
    ids = np.arange(1998).reshape(-1, 3)
    model.fit(ids, np.ones((len(ids), 3, 100)), epochs=10**6, verbose=0, callbacks=[begin, ModelCheckpoint(path)])


def start(function, *arguments):
    """Run a function in a process of its own, and return its number once it says that it is ready."""
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        process = os.fork()
    if process == 0:
        try:
            function(*arguments, writes)
        finally:
            os._exit(1)
    os.close(writes)
    assert os.read(reads, 1) == b"!"
    os.close(reads)
    return process


def load(path):
    """The weights of a whole file, and whether it is the old one."""
    if path.name.startswith("w"):
        model = Sequential([Embedding(2000, 100, input_length=3)])
        model.load_weights(path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load_model(path)
    return model.get_weights()[0]


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(
    ("name", "function", "how"),
    [
        ("m.h5", save_for_ever, "save"),
        ("m.keras", save_for_ever, "save"),
        ("w.h5", save_for_ever, "save_weights"),
        ("w.weights.h5", save_for_ever, "save_weights"),
        ("m.h5", train_for_ever, None),
    ],
    ids=["h5", "keras", "weights", "later weights", "checkpoint"],
)
def test_kill_leaves_a_whole_file(tmp_path, name, function, how):
    path = tmp_path / name
    model = Sequential([Embedding(2000, 100, input_length=3, weights=[np.ones((2000, 100))])])
    (model.save if name.startswith("m") else model.save_weights)(path)
    chosen = random.Random(name)
    changed = 0
    for _ in range(KILLS):
        process = start(function, str(path), how)
        time.sleep(chosen.uniform(0.0, 0.1))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        table = load(path)
        assert table.shape == (2000, 100)
        if how:
            assert (table == table[0, 0]).all()
        changed += bool((table != 1).any())
        for left in tmp_path.iterdir():  # what a killed process was writing under another name
            if left != path:
                left.unlink()
    assert changed or KILLS < 20
