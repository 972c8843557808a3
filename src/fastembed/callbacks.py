"""Callbacks: what is to happen at moments of training, as in Keras 2.2.4."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import numpy as np

from ._callbacks import BaseLogger, Callback, CallbackList, History, Logs, ProgbarLogger, known_mode
from ._checkpoint import ModelCheckpoint

__all__ = [
    "BaseLogger",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
    "TqdmLogger",
]


class TerminateOnNaN(Callback):
    """End training after a batch whose loss is NaN or infinite."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


class EarlyStopping(Callback):
    """End training when a value has not become better for some epochs.

    Args:
        monitor: the value's name in the epoch's logs; default ``"val_loss"``.
        min_delta: by how much it must become better to count; default 0.
        patience: int, how many epochs without that training may go on; default 0.
        verbose: 1 says so; default 0.
        mode: ``"min"``, ``"max"`` or ``"auto"`` (the default), which is max for names with "acc" in them.
        baseline: the value to be better than at first; default None.
        restore_best_weights: whether the weights of the best epoch come back when training ends here; default False.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.best_weights: Any = None
        self.best: Any = None
        self.wait = 0
        self.stopped_epoch = 0
        mode = known_mode(mode, "EarlyStopping mode")
        self.monitor_op: Any = np.greater if mode == "max" or (mode == "auto" and "acc" in monitor) else np.less
        self.min_delta = min_delta if self.monitor_op is np.greater else -min_delta

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin anew: the same object may be used again."""
        self.wait = 0
        self.stopped_epoch = 0
        worst = np.inf if self.monitor_op is np.less else -np.inf
        self.best = worst if self.baseline is None else self.baseline

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the value."""
        current = self.get_monitor_value(logs or {})
        if current is None:
            return
        if self.monitor_op(current - self.min_delta, self.best):
            self.best = current
            self.wait = 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.restore_best_weights and self.best_weights is not None:
                if self.verbose > 0:
                    print("Restoring model weights from the end of the best epoch")
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Any = None) -> None:
        """Say that training ended here."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1:05d}: early stopping")

    def get_monitor_value(self, logs: Logs) -> Any:
        """Return the value, or None with a warning."""
        value = logs.get(self.monitor)
        if value is None:
            _warn_missing("Early stopping", self.monitor, logs)
        return value


class LearningRateScheduler(Callback):
    """Set the optimizer's rate before each epoch.

    Args:
        schedule: function of the epoch's number, from 0, and of the rate so far (or of the number alone); returns the
            new rate, a float.
        verbose: 1 prints the rate; default 0.

    Raises:
        ValueError: in training, if it returns something else.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the rate."""
        if not hasattr(self.model.optimizer, "lr"):
            raise ValueError('Optimizer must have a "lr" attribute.')
        try:
            rate = self.schedule(epoch, float(self.model.optimizer.lr))
        except TypeError:  # of the number alone
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.float32, np.float64)):
            raise ValueError('The output of the "schedule" function should be float.')
        _set_rate(self.model, rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1:05d}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note the rate in the logs, as ``lr``."""
        if logs is not None:
            logs["lr"] = np.float32(self.model.optimizer.lr)


class ReduceLROnPlateau(Callback):
    """Lower the optimizer's rate when a value has not become better for some epochs.

    Args:
        monitor: the value's name in the epoch's logs; default ``"val_loss"``.
        factor: float below 1, what the rate is multiplied by; default 0.1.
        patience: int, how many epochs to wait; default 10.
        verbose: 1 says so; default 0.
        mode: ``"min"``, ``"max"`` or ``"auto"`` (the default), which is max for names with "acc" in them.
        min_delta: by how much the value must become better to count; default 1e-4. Once called ``epsilon``.
        cooldown: int, how many epochs after a change do not count; default 0.
        min_lr: the lowest rate; default 0.

    Raises:
        ValueError: if `factor` is 1 or more.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if factor >= 1.0:
            raise ValueError("ReduceLROnPlateau does not support a factor >= 1.0.")
        if "epsilon" in kwargs:
            min_delta = kwargs.pop("epsilon")
            warnings.warn(
                "`epsilon` argument is deprecated and will be removed, use `min_delta` instead.", stacklevel=2
            )
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_lr = min_lr
        mode = known_mode(mode, "Learning Rate Plateau Reducing mode")
        self.mode = mode
        self._rises = mode == "max" or (mode == "auto" and "acc" in monitor)
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin anew."""
        self.best: Any = -np.inf if self._rises else np.inf
        self.cooldown_counter = 0
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the value, and note the rate in the logs, as ``lr``."""
        logs = {} if logs is None else logs
        logs["lr"] = np.float32(self.model.optimizer.lr)
        current = logs.get(self.monitor)
        if current is None:
            _warn_missing("Reduce LR on plateau", self.monitor, logs)
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if current > self.best + self.min_delta if self._rises else current < self.best - self.min_delta:
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = float(self.model.optimizer.lr)
        if old > self.min_lr:
            new = max(old * self.factor, self.min_lr)
            _set_rate(self.model, new)
            if self.verbose > 0:
                print(f"\nEpoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {new}.")
            self.cooldown_counter = self.cooldown
            self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a change was so short ago that epochs do not count."""
        return self.cooldown_counter > 0


class CSVLogger(Callback):
    """Write a line an epoch into a CSV file.

    Args:
        filename: the file.
        separator: between values; default ``","``.
        append: whether lines are added to a file that is there; default False.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = filename
        self.sep = separator
        self.append = append
        self.append_header = True
        self.keys: list[str] | None = None
        self.writer: Any = None
        self.csv_file: TextIO | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the file."""
        if self.append and os.path.exists(self.filename):
            with open(self.filename) as file:
                self.append_header = not file.readline()
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="\n")  # noqa: SIM115 (closed at the end)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a line."""
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
        if self.model.stop_training:
            logs = {key: logs.get(key, "NA") for key in self.keys}
        if self.writer is None:
            assert self.csv_file is not None  # after on_train_begin
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self.append_header:
                self.writer.writeheader()
        self.writer.writerow({"epoch": epoch} | {key: _csv_value(logs[key]) for key in self.keys})
        if self.csv_file is not None:
            self.csv_file.flush()

    def on_train_end(self, logs: Any = None) -> None:
        """Close the file."""
        if self.csv_file is not None:
            self.csv_file.close()
        self.writer = None


class LambdaCallback(Callback):
    """Call functions at moments of training.

    Args:
        on_epoch_begin, on_epoch_end: functions of the epoch's number and logs.
        on_batch_begin, on_batch_end: functions of the batch's number and logs.
        on_train_begin, on_train_end: functions of logs.
        kwargs: become attributes.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_batch_begin: Callable[..., Any] | None = None,
        on_batch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.__dict__.update(kwargs)
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_batch_begin": on_batch_begin,
            "on_batch_end": on_batch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
        }
        self.__dict__.update({name: function for name, function in given.items() if function is not None})


class TqdmLogger(Callback):
    """Show training as a tqdm bar (the extra ``progress``); pass ``verbose=0`` to `fit` with it.

    Args:
        kwargs: for ``tqdm``.

    Raises:
        ImportError: if there is no tqdm.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        from tqdm.auto import tqdm  # here and not at the top: it is not needed else

        self._make = tqdm
        self._kwargs = kwargs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin an epoch's bar."""
        in_samples = self.params.get("samples") is not None and self.params.get("steps") is None
        self._unit = "samples" if in_samples else "steps"
        total = self.params.get(self._unit)
        description = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._bar = self._make(total=total, desc=description, unit=self._unit[:-1], **self._kwargs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar on."""
        self._bar.update(logs["size"] if self._unit == "samples" else 1)
        self._show(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """End an epoch's bar with the epoch's means."""
        self._show(logs)
        self._bar.close()

    def _show(self, logs: Logs) -> None:
        self._bar.set_postfix({name: f"{logs[name]:.4g}" for name in self.params["metrics"] if name in logs})


def _warn_missing(who: str, name: str, logs: Logs) -> None:
    warnings.warn(
        f"{who} conditioned on metric `{name}` which is not available. Available metrics are: {','.join(logs)}",
        RuntimeWarning,
        stacklevel=3,
    )


def _set_rate(model: Any, rate: float) -> None:
    model.optimizer.lr = float(np.float32(rate))  # a float32 in Keras


def _csv_value(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return value
    return '"[' + ", ".join(map(str, value)) + ']"'
