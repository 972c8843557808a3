"""`ModelCheckpoint`: the model in a file after epochs, as in Keras 2.2.4."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from ._callbacks import Callback, known_mode


class ModelCheckpoint(Callback):
    """Save the model after epochs. A file is replaced when the new one is whole: a crash leaves the old or the new one.

    Args:
        filepath: of the file, with the number of the epoch, from 1, and its logs filled in:
            ``"weights.{epoch:02d}-{val_loss:.2f}.h5"``.
        monitor: the value's name in the epoch's logs; default ``"val_loss"``.
        verbose: 1 says so; default 0.
        save_best_only: whether the model is saved only when the value is the best so far; default False.
        save_weights_only: whether ``model.save_weights`` is called, not ``model.save``; default False.
        mode: ``"min"``, ``"max"`` or ``"auto"`` (the default), which is max for names with "acc" in them or that begin
            with "fmeasure".
        period: int, how many epochs lie between two files; default 1.

    Raises:
        KeyError: in training, if `filepath` has a name that the logs lack.
        OSError: in training, if the file cannot be written; the old one is then as it was.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        period: int = 1,
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self.verbose = verbose
        self.filepath = os.fspath(filepath)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.period = period
        self.epochs_since_last_save = 0
        mode = known_mode(mode, "ModelCheckpoint mode")
        rises = mode == "max" or (mode == "auto" and ("acc" in monitor or monitor.startswith("fmeasure")))
        self.monitor_op: Any = np.greater if rises else np.less
        self.best: Any = -np.inf if rises else np.inf

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save the model, if it is time to."""
        logs = logs or {}
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save < self.period:
            return
        self.epochs_since_last_save = 0
        path = self.filepath.format(epoch=epoch + 1, **logs)
        told = f"\nEpoch {epoch + 1:05d}:"
        if not self.save_best_only:
            self._say(f"{told} saving model to {path}")
            self._save(path)
            return
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Can save best model only with {self.monitor} available, skipping.", RuntimeWarning, stacklevel=2
            )
        elif self.monitor_op(current, self.best):
            self._say(f"{told} {self.monitor} improved from {self.best:0.5f} to {current:0.5f}, saving model to {path}")
            self.best = current
            self._save(path)
        else:
            self._say(f"{told} {self.monitor} did not improve from {self.best:0.5f}")

    def _say(self, text: str) -> None:
        if self.verbose > 0:
            print(text)

    def _save(self, path: str) -> None:
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
