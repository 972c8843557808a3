"""What `fit` itself hangs into training: the base of callbacks, their list, and the loggers, as in Keras 2.2.4."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ._progress import ProgressBar

Logs = dict[str, Any]


def known_mode(mode: str, kind: str) -> str:
    """Return a mode that callbacks know, ``"auto"`` with a warning for another one."""
    if mode in ("auto", "min", "max"):
        return mode
    warnings.warn(f"{kind} {mode} is unknown, fallback to auto mode.", RuntimeWarning, stacklevel=3)
    return "auto"


class Callback:
    """Base of all callbacks: override what is to happen at a moment of training.

    `logs` holds ``batch`` and ``size`` at a batch's beginning, the loss and metrics too at its end; at an epoch's end
    the epoch's means, and those of the validation as ``val_loss`` and so on. It may be added to.

    Attributes:
        model: the model that is being trained; ``model.stop_training = True`` ends that after the batch.
        params: dict of ``epochs``, ``verbose``, ``metrics`` and what else `fit` was asked for.
        validation_data: list of the validation's inputs, targets and weights.
    """

    validation_data: Any = None
    model: Any = None
    params: dict[str, Any]

    def __init__(self) -> None:
        self.params = {}

    def set_params(self, params: dict[str, Any]) -> None:
        """Take what `fit` was asked for."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self.model = model

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called before each epoch; they are counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after each epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before each batch; they are counted from 0 in each epoch."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after each batch."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Any = None) -> None:
        """Called after the last epoch."""


class CallbackList:
    """Callbacks that are called one after the other; warns of such as take longer than the training.

    Args:
        callbacks: in their order.
        queue_length: int, how many of the last batches count for the warning.
    """

    def __init__(self, callbacks: Iterable[Callback] | None = None, queue_length: int = 10) -> None:
        self.callbacks = list(callbacks or ())
        self._batch_seconds = 0.0
        self._batch_began = time.time()
        self._begin_seconds: deque[float] = deque(maxlen=queue_length)
        self._end_seconds: deque[float] = deque(maxlen=queue_length)

    def append(self, callback: Callback) -> None:
        """Add a callback."""
        self.callbacks.append(callback)

    def __iter__(self) -> Iterator[Callback]:
        """Give the callbacks."""
        return iter(self.callbacks)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all callbacks what `fit` was asked for."""
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Tell all callbacks the model."""
        for callback in self.callbacks:
            callback.set_model(model)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Call all callbacks before the first epoch."""
        for callback in self.callbacks:
            callback.on_train_begin({} if logs is None else logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Call all callbacks after the last epoch."""
        for callback in self.callbacks:
            callback.on_train_end({} if logs is None else logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Call all callbacks before an epoch, and count the time they take anew."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)
        self._batch_seconds = 0.0
        self._begin_seconds.clear()
        self._end_seconds.clear()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Call all callbacks after an epoch; all see what one adds to the logs."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call all callbacks before a batch."""
        logs = {} if logs is None else logs
        began = time.time()
        for callback in self.callbacks:
            callback.on_batch_begin(batch, logs)
        self._batch_began = time.time()
        self._note("on_batch_begin", self._begin_seconds, self._batch_began - began)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call all callbacks after a batch."""
        logs = {} if logs is None else logs
        began = time.time()
        self._batch_seconds = began - self._batch_began
        for callback in self.callbacks:
            callback.on_batch_end(batch, logs)
        self._note("on_batch_end", self._end_seconds, time.time() - began)

    def _note(self, moment: str, seconds: deque[float], now: float) -> None:
        seconds.append(now)
        if now <= 0.01 or self._batch_seconds <= 0.0:  # the common case, without a median
            return
        median = float(np.median(seconds))
        if median > 0.95 * self._batch_seconds and median > 0.1:
            warnings.warn(
                f"Method {moment}() is slow compared to the batch update ({median:f}). Check your callbacks.",
                stacklevel=3,
            )


class BaseLogger(Callback):
    """Take the mean of an epoch's losses and metrics, weighted by the batches' sizes, into the epoch's logs."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin anew."""
        self.seen = 0
        self.totals: dict[str, np.float64] = {}

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Add up what a batch gave."""
        size = logs.get("size", 0)
        self.seen += size
        for name, value in logs.items():
            if name in self.params["metrics"]:
                self.totals[name] = self.totals.get(name, np.float64(0)) + np.float64(value) * size

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the means into the logs."""
        for name in self.params["metrics"]:
            if name in self.totals:
                logs[name] = self.totals[name] / self.seen


class ProgbarLogger(Callback):
    """Print what `verbose` asks for.

    Args:
        count_mode: ``"samples"`` or ``"steps"``, what the bar counts.

    Raises:
        ValueError: if it is neither.
    """

    def __init__(self, count_mode: str = "samples") -> None:
        super().__init__()
        if count_mode not in ("samples", "steps"):
            raise ValueError(f"Unknown `count_mode`: {count_mode}")
        self.use_steps = count_mode == "steps"

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Print the epoch's number."""
        self.seen = 0
        self.target: int = self.params["steps" if self.use_steps else "samples"]
        self._values: list[tuple[str, float]] = []
        if self.params["verbose"]:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")
            self._bar = ProgressBar(self.target, self.params["verbose"])

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Begin a batch."""
        if self.seen < self.target:
            self._values = []

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar on; an epoch's last batch is left to the epoch's end."""
        self.seen += 1 if self.use_steps else logs.get("size", 0)
        self._take(logs)
        if self.params["verbose"] and self.seen < self.target:
            self._bar.update(self.seen, self._values)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Print the epoch's last line."""
        self._take(logs)
        if self.params["verbose"]:
            self._bar.update(self.seen, self._values)

    def _take(self, logs: Logs) -> None:
        self._values += [(name, logs[name]) for name in self.params["metrics"] if name in logs]


class History(Callback):
    """What `fit` returns: the means of each epoch.

    Attributes:
        history: dict of lists, a value an epoch: ``val_loss`` and so on first, then ``loss`` and the metrics.
        epoch: list of the epochs' numbers, from 0.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin anew."""
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note an epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def plot(self, names: Iterable[str] | None = None, path: Any = None) -> Any:
        """Draw the history with matplotlib (the extra ``plot``): a panel each for the loss and every metric.

        Args:
            names: which of ``loss`` and the metrics; default all. Those of the validation are drawn beside them.
            path: file to save the figure in; default None, none.

        Returns:
            The figure.

        Raises:
            ImportError: if there is no matplotlib.
            ValueError: if a name is not in the history, or it is empty.
        """
        from ._plot import plot_history  # here and not at the top: it brings matplotlib along

        return plot_history(self.history, self.epoch, names, path)
