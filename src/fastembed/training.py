"""`Trainer`: a model that is trained and evaluated on arrays, epoch by epoch, as in Keras 2.2.4."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._batches import Batch, BatchTrainer, one_or_list
from ._callbacks import BaseLogger, Callback, CallbackList, History, Logs, ProgbarLogger
from ._native.kernels import check_whole
from ._progress import ProgressBar


class Trainer(BatchTrainer):
    """The part of `Sequential` that is trained and evaluated on arrays."""

    history: History  # of the last training
    stop_training = False  # callbacks set it: training then ends after the batch

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        **kwargs: Any,
    ) -> History:
        """Train the model on arrays.

        Args:
            x: inputs, as for `predict`.
            y: targets: an array, a list of one, or a dict by output name.
            batch_size: int, samples a step; default 32.
            epochs: int, the number of the last epoch.
            verbose: 1 prints a bar, 2 a line an epoch, 0 nothing.
            callbacks: list of `callbacks.Callback`.
            validation_split: float in [0, 1), the part of the samples, from the end, that the model is evaluated on
                after each epoch and not trained on.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate on instead.
            shuffle: whether ``np.random`` shuffles the samples before each epoch; ``"batch"`` shuffles batches.
            class_weight: dict of weights by class.
            sample_weight: array of the samples' weights; with ``sample_weight_mode="temporal"`` of their places'.
            initial_epoch: int, the number of the first epoch, from 0.
            steps_per_epoch: int; each step is then all samples, and `batch_size` must be None.
            validation_steps: int, the same for the validation.

        Returns:
            `History`: the means of each epoch.

        Raises:
            RuntimeError: if the model is not compiled.
            ValueError: if an argument does not fit another.
            TypeError: if a keyword is unknown.
        """
        if batch_size is None and steps_per_epoch is None:
            batch_size = 32
        if "nb_epoch" in kwargs:
            warnings.warn("The `nb_epoch` argument in `fit` has been renamed `epochs`.", stacklevel=2)
            epochs = kwargs.pop("nb_epoch")
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        if x is None and y is None and steps_per_epoch is None:
            raise ValueError("If fitting from data tensors, you should specify the `steps_per_epoch` argument.")
        data = _as_float32(self._batch(x, y, sample_weight, class_weight))
        validation = self._validation(validation_data)
        if validation is None and validation_split and 0.0 < validation_split < 1.0:
            split_at = int(len(data[0]) * (1.0 - validation_split))
            data, validation = _part(data, slice(0, split_at)), _part(data, slice(split_at, None))
        self._ready()
        if validation is not None and verbose:
            print(f"Train on {len(data[0])} samples, validate on {len(validation[0])} samples")
        _check_steps(validation is not None, batch_size, steps_per_epoch, validation_steps)

        names = self.metrics_names
        running = self._begin_training(
            callbacks,
            verbose,
            "samples" if steps_per_epoch is None else "steps",
            {
                "batch_size": batch_size,
                "epochs": epochs,
                "steps": steps_per_epoch,
                "samples": len(data[0]),
                "verbose": verbose,
                "do_validation": validation is not None,
                "metrics": names if validation is None else names + [f"val_{name}" for name in names],
            },
            [] if validation is None else list(validation),
        )
        indices = np.arange(len(data[0]))
        for epoch in range(initial_epoch, epochs):
            running.on_epoch_begin(epoch)
            if steps_per_epoch is None:
                assert batch_size is not None
                indices = _shuffled(indices, shuffle, batch_size)
                batches = _batches_of(data, indices if shuffle else None, batch_size)
            else:
                batches = ((data, 1) for _ in range(steps_per_epoch))
            for number, (batch, size) in enumerate(batches):
                self._step(running, number, size, batch)
                if self.stop_training:
                    break
            logs: Logs = {}
            # A batch that ended training ends the epoch without validation.
            if validation is not None and not (self.stop_training and steps_per_epoch is None) and len(data[0]):
                values = self._evaluate(validation, batch_size, validation_steps)
                logs = {f"val_{name}": value for name, value in zip(names, values, strict=False)}
            running.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        running.on_train_end()
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int = 1,
        sample_weight: Any = None,
        steps: int | None = None,
    ) -> Any:
        """Return the mean loss, penalties included, and metrics over samples.

        Args:
            x: inputs, as for `predict`.
            y: targets, as for `fit`.
            batch_size: int, how many samples go through the layers at a time; default 32.
            verbose: 1 prints a bar.
            sample_weight: as for `fit`.
            steps: int; all samples go through the layers this many times, and `batch_size` must be None.

        Returns:
            np.float64, the loss; with metrics a list: the loss and each metric, as `metrics_names` says. ``[]`` for no
            samples.

        Raises:
            RuntimeError: if the model is not compiled.
            ValueError: if an argument does not fit another.
        """
        if batch_size is None and steps is None:
            batch_size = 32
        if x is None and y is None and steps is None:
            raise ValueError("If evaluating from data tensors, you should specify the `steps` argument.")
        data = _as_float32(self._batch(x, y, sample_weight))
        check_batch_size(batch_size, steps, "steps")
        progress = ProgressBar(len(data[0]) if steps is None else steps) if verbose == 1 else None
        return one_or_list(self._evaluate(data, batch_size, steps, progress))

    def _validation(self, validation_data: Any) -> Batch | None:
        if not validation_data:
            return None
        if len(validation_data) not in (2, 3):
            raise ValueError(
                "When passing validation_data, it must contain 2 (x_val, y_val) or 3 (x_val, y_val, "
                f"val_sample_weights) items, however it contains {len(validation_data)} items"
            )
        return _as_float32(self._batch(*validation_data))

    def _begin_training(
        self,
        callbacks: Sequence[Callback] | None,
        verbose: int,
        count_mode: str,
        params: dict[str, Any],
        validation: list[Any],
    ) -> CallbackList:
        """Begin training: all callbacks, Keras's own among them, told what they are told."""
        self.history = History()
        bar = [ProgbarLogger(count_mode)] if verbose else []
        running = CallbackList([BaseLogger(), *bar, *(callbacks or ()), self.history])
        running.set_model(self)
        running.set_params(params)
        for callback in running:
            callback.validation_data = validation
        running.on_train_begin()
        self.stop_training = False
        return running

    def _step(self, running: CallbackList, number: int, size: int, batch: Batch) -> None:
        logs: Logs = {"batch": number, "size": size}
        running.on_batch_begin(number, logs)
        logs |= zip(self.metrics_names, self._train(batch), strict=True)
        running.on_batch_end(number, logs)

    def _evaluate(
        self, data: Batch, batch_size: int | None, steps: int | None, progress: ProgressBar | None = None
    ) -> list[np.float64]:
        """The means over samples, or over steps of all samples."""
        with self._reading():
            return self._means(data, batch_size, steps, progress)

    def _means(
        self, data: Batch, batch_size: int | None, steps: int | None, progress: ProgressBar | None
    ) -> list[np.float64]:
        count = len(data[0]) if steps is None else steps
        batches = _batches_of(data, None, batch_size or 0) if steps is None else ((data, 1) for _ in range(steps))
        penalty = self._penalty()  # once: weights stay as they are
        totals: list[np.float64] = []
        seen = 0
        for batch, size in batches:
            values = self._test(batch, penalty)
            totals = totals or [np.float64(0)] * len(values)
            totals = [total + np.float64(value) * size for total, value in zip(totals, values, strict=True)]
            seen += size
            if progress is not None:
                progress.update(seen)
        return [total / count for total in totals]


def _as_float32(data: Batch) -> Batch:
    """Data whose targets will be needed again and again."""
    x, y, weights = data
    values = np.asarray(y, np.float32)
    check_whole(y)
    return x, values, weights


def _part(data: Batch, samples: slice | NDArray[np.intp]) -> Batch:
    x, y, weights = data
    part = x[samples], y[samples], weights[samples]
    check_whole(x, y)
    return part


def _batches_of(data: Batch, indices: NDArray[np.intp] | None, batch_size: int) -> Iterator[tuple[Batch, int]]:
    """Batches and their sizes, of the samples in the order of `indices`, or as they are."""
    if batch_size == 0:
        raise ZeroDivisionError("integer division or modulo by zero")
    count = len(data[0])
    for start in range(0, count, batch_size) if batch_size > 0 else ():
        samples = slice(start, min(start + batch_size, count))
        yield _part(data, samples if indices is None else indices[samples]), samples.stop - start


def _shuffled(indices: NDArray[np.intp], shuffle: Any, batch_size: int) -> NDArray[np.intp]:
    """The samples in a new order, drawn as Keras draws it."""
    if shuffle == "batch":
        whole = len(indices) // batch_size * batch_size
        batches = indices[:whole].reshape(-1, batch_size)
        np.random.shuffle(batches)
        return np.append(batches.reshape(-1), indices[whole:])
    if shuffle:
        np.random.shuffle(indices)
    return indices


def _check_steps(
    validates: bool, batch_size: int | None, steps_per_epoch: int | None, validation_steps: int | None
) -> None:
    if validation_steps:
        if steps_per_epoch is None:
            raise ValueError(
                "Can only use `validation_steps` when doing step-wise training, i.e. `steps_per_epoch` must be set."
            )
        if not validates:
            raise ValueError("`validation_steps` needs `validation_data` or `validation_split` to validate on.")
    elif validates and steps_per_epoch:
        raise ValueError("Must specify `validation_steps` to perform validation when doing step-wise training.")
    check_batch_size(batch_size, steps_per_epoch, "steps_per_epoch")


def check_batch_size(batch_size: int | None, steps: int | None, name: str) -> None:
    """Refuse a batch size beside a number of steps."""
    if steps is not None and batch_size is not None:
        raise ValueError(f"If {name} is set, the `batch_size` must be None.")
