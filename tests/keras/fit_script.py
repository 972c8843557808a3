"""A script that trains in every way and prints what it sees, independent of any implementation."""

import itertools
import os
import sys
import tempfile
import time
import warnings

import numpy as np

W = (np.arange(24).reshape(8, 3) / 24).astype("float32")
X = np.arange(20).reshape(10, 2) % 8
Y = (np.arange(10) % 2).reshape(10, 1).astype("float32")
STEPWISE = {"steps_per_epoch": 3, "validation_data": (X, Y), "validation_steps": 2}


class Terminal:
    """A stdout that calls itself a terminal."""

    def __init__(self, out):
        self.out = out

    def write(self, text):
        # the controls of a line that is rewritten, made visible
        self.out.write(text.replace("\b", "<").replace("\r", "^"))

    def flush(self):
        self.out.flush()

    def isatty(self):
        return True


def attempt(call):
    """Print what a call gives, or its error."""
    try:
        result = call()
    except (Exception, StopIteration) as error:
        print(type(error).__name__, *error.args)
    else:
        print("result", getattr(result, "history", result))


def plain(value):
    """A value that prints alike in every version of NumPy."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return f"{value.dtype} {float(value):.4g}" if getattr(value, "ndim", None) == 0 else value


def model(k, lr=0.0, **kwargs):
    """A model that stays as it is, at rate 0."""
    m = k.Sequential()
    m.add(k.L.Embedding(8, 3, weights=[W], input_length=2))
    m.add(k.L.Flatten())
    m.add(k.L.Dense(1, weights=[np.full((6, 1), 0.1, "float32"), np.zeros(1, "float32")], name="d"))
    m.compile(k.O.SGD(lr=lr), "mse", metrics=["mae"], **kwargs)
    return m


def endless(*batch):
    return itertools.repeat(batch)


class Recorder:
    """Prints when it is called and with what."""

    def __init__(self, base):
        class Callback(base):
            pass

        for moment in ("train_begin", "epoch_begin", "batch_begin", "batch_end", "epoch_end", "train_end"):
            setattr(Callback, "on_" + moment, self.method(moment))
        self.callback = Callback()

    @staticmethod
    def method(moment):
        return lambda self, *arguments: print(moment, *map(plain, arguments))


def print_lines(k):
    m = model(k)
    for verbose in (0, 1, 2):
        print("## verbose", verbose)
        m.fit(X, Y, epochs=2, batch_size=4, verbose=verbose, shuffle=False)
        m.fit(X, Y, batch_size=4, verbose=verbose, validation_split=0.3, shuffle=False)
        m.fit(X, Y, verbose=verbose, **STEPWISE)
        m.fit_generator(
            endless(X[:5], Y[:5]), steps_per_epoch=3, epochs=3, initial_epoch=1, verbose=verbose, validation_data=(X, Y)
        )
        print(plain(m.evaluate(X, Y, verbose=verbose)), plain(m.evaluate(X, Y, steps=2, verbose=verbose)))
        print(plain(m.evaluate_generator(endless(X, Y), steps=3, verbose=verbose)))
        print(m.predict(X, verbose=verbose).shape, m.predict_generator(endless(X, Y), 3, verbose=verbose).shape)


def print_results(k):
    m = model(k, weighted_metrics=["mae"])
    print(m.metrics_names, plain(m.train_on_batch(X, Y)), plain(m.test_on_batch(X, Y)))
    for call in (
        lambda: m.fit(X, Y, epochs=2, batch_size=4, verbose=0, validation_data=(X, Y, Y[:, 0]), shuffle=False),
        lambda: m.fit(X, Y, verbose=0, **STEPWISE),
        lambda: m.fit_generator(endless(X, Y), 2, verbose=0),
        lambda: m.fit_generator(
            endless(X, Y), 2, verbose=0, validation_data=endless(X[:3], Y[:3], Y[:3, 0]), validation_steps=2
        ),
    ):
        history = call()
        print(history.epoch, plain(history.history), history.params)
    print(plain(m.evaluate(X, Y, 4, 0, Y[:, 0])), plain(m.evaluate(X, Y, verbose=0, steps=3)))
    print(plain(m.evaluate_generator(iter([(X[:1], Y[:1]), (X[:3], Y[:3], Y[:3, 0])]), 2)))
    m.compile("sgd", "mse")
    print(plain(m.train_on_batch(X, Y)), plain(m.test_on_batch(X, Y)), plain(m.evaluate(X, Y, verbose=0)))


def print_moments(k):
    m = model(k)
    recorder = Recorder(k.B.Callback).callback
    m.fit(X, Y, 6, epochs=3, initial_epoch=1, verbose=0, callbacks=[recorder], validation_data=(X, Y), shuffle=False)
    m.fit_generator(endless(X, Y), 2, verbose=0, callbacks=[recorder], validation_data=(X, Y))


def print_callbacks(k):
    m = model(k, lr=0.5)
    losses = iter([3.0, 2.0, 2.5, 2.4, 2.3, 1.0, 1.5, 1.4, 1.3, 1.2] * 9)

    def put(epoch, logs):
        logs["val_loss"] = next(losses)

    told = {"epochs": 12, "batch_size": 10, "verbose": 0, "shuffle": False}
    fake = k.B.LambdaCallback(on_epoch_end=put)
    for callback in (
        k.B.EarlyStopping(patience=2, verbose=1),
        k.B.EarlyStopping(patience=1, min_delta=0.6, verbose=1, restore_best_weights=True),
        k.B.EarlyStopping(monitor="loss", mode="max", baseline=0.1, verbose=1),
        k.B.EarlyStopping(monitor="acc"),
        k.B.ReduceLROnPlateau(patience=1, factor=0.5, verbose=1, min_lr=0.1, cooldown=1),
        k.B.ReduceLROnPlateau(monitor="mean_absolute_error", patience=0, mode="max", verbose=1, min_delta=100),
        k.B.ReduceLROnPlateau(monitor="acc"),
        k.B.LearningRateScheduler(lambda epoch: 0.25 / (epoch + 1), verbose=1),
        k.B.LearningRateScheduler(lambda epoch, lr: lr * 0.5),
    ):
        m.set_weights(model(k).get_weights())
        history = m.fit(X, Y, callbacks=[fake, callback], **told)
        print(history.epoch, plain(history.history.get("lr", [])))
    attempt(lambda: m.fit(X, Y, callbacks=[k.B.LearningRateScheduler(lambda epoch: 1)], **told))
    attempt(lambda: k.B.ReduceLROnPlateau(factor=1.5))
    k.B.ReduceLROnPlateau(epsilon=0.5)
    k.B.ReduceLROnPlateau(mode="foo")
    k.B.EarlyStopping(mode="foo")
    bad = m.fit(X, Y * np.nan, 5, verbose=0, callbacks=[k.B.TerminateOnNaN()], validation_data=(X, Y))
    print(bad.epoch, list(bad.history))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log.csv")
        m = model(k)
        m.fit(X, Y, 10, epochs=2, verbose=0, callbacks=[k.B.CSVLogger(path)])
        m.fit(X, Y, 10, verbose=0, callbacks=[k.B.CSVLogger(path, append=True)])
        with open(path) as file:
            print([[cell[:6] for cell in line.split(",")] for line in file.read().splitlines()])
        m.fit(X, Y, 10, verbose=0, callbacks=[k.B.CSVLogger(path, separator=";"), fake])
        with open(path) as file:
            print([[cell[:6] for cell in line.split(";")] for line in file.read().splitlines()])


def print_errors(k):
    m = model(k)
    for kwargs in (
        {"steps_per_epoch": 2, "validation_data": (X, Y)},
        {"steps_per_epoch": 2, "batch_size": 2},
        {"validation_data": (X,)},
        {"foo": 2},
        {"nb_epoch": 0},
        {"sample_weight": np.ones((10, 2))},
        {"sample_weight": np.ones(9)},
        {"class_weight": {0: 1.0}},
        {"epochs": 0},
        {"epochs": 0, "sample_weight": Y[:, 0], "class_weight": {0: 1.0}},
    ):
        attempt(lambda: m.fit(X, Y, verbose=0, **kwargs))  # noqa: B023
    for arguments in (
        (X, Y[:5]),
        (X[:5], Y),
        (X, np.ones((10, 2))),
        (X, np.ones((10, 1, 1))),
        (X, [[1.0]] * 10),
        (X, [Y, Y]),
        (X, {"foo": Y}),
    ):
        attempt(lambda: m.train_on_batch(*arguments))  # noqa: B023
        attempt(lambda: m.evaluate(*arguments))  # noqa: B023
    attempt(lambda: m.evaluate())
    attempt(lambda: m.fit())
    attempt(lambda: m.evaluate(X, Y, 4, steps=2))
    for batches in (iter([1]), iter([(X,)]), iter([(X, Y, Y[:, 0], Y)])):
        attempt(lambda: m.fit_generator(batches, 3, verbose=0))  # noqa: B023
    attempt(lambda: m.fit_generator(iter([(X, Y)])))
    attempt(lambda: m.fit_generator(iter([(X, Y)]), 1, validation_data=iter([(X, Y)])))
    attempt(lambda: m.fit_generator(iter([(X, Y)]), 1, validation_data=(X,)))
    attempt(lambda: m.evaluate_generator(iter([(X, Y)])))
    attempt(lambda: m.predict_generator(iter([X])))
    new = k.Sequential([k.L.Embedding(8, 3, name="e")])
    attempt(lambda: new.fit(X, Y))
    attempt(lambda: new.evaluate(X, Y))
    attempt(lambda: new.train_on_batch(X, Y))
    attempt(lambda: new.test_on_batch(X, Y))
    attempt(lambda: new.fit_generator(iter([]), 3))
    attempt(lambda: new.evaluate_generator(iter([]), 3))
    for mode, weights in ((None, np.ones((10, 2))), ("temporal", np.ones(10)), ("temporal", np.ones((10, 3)))):
        new.compile("sgd", "mse", sample_weight_mode=mode)
        attempt(lambda: new.train_on_batch(X, np.ones((10, 2, 3)), weights))  # noqa: B023
    m.compile("sgd", "mse", sample_weight_mode="temporal")
    attempt(lambda: m.train_on_batch(X, Y))
    new.compile("sgd", "categorical_crossentropy")
    attempt(lambda: new.train_on_batch(X, np.ones((10, 2, 1))))
    attempt(lambda: new.train_on_batch(X, np.ones((10, 2, 3)), class_weight={1: 2.0}))
    k.Sequential([k.L.Embedding(8, 3, name="f", trainable=False)]).compile("sgd", "mse")
    m = model(k)
    m.layers[0].trainable = False
    m.train_on_batch(X, Y)


def run(k):
    """Print it all: warnings too, at a clock that stands still."""
    real_time, stdout = time.time, sys.stdout
    time.time = lambda: 1e9
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, category, *_: (
                print(category.__name__, message) if category in (UserWarning, RuntimeWarning) else None
            )
            print_lines(k)
            sys.stdout = Terminal(stdout)
            print_lines(k)
            sys.stdout = stdout
            print_results(k)
            print_moments(k)
            print_callbacks(k)
            print_errors(k)
    finally:
        time.time, sys.stdout = real_time, stdout
