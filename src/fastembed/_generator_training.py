"""`GeneratorTrainer`: a model that is trained and evaluated on batches that a generator gives, as in Keras 2.2.4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _generators
from ._batches import one_or_list
from ._callbacks import Callback, History, Logs
from ._progress import ProgressBar
from .training import Trainer


class GeneratorTrainer(Trainer):
    """The part of `Sequential` that is trained and evaluated on a generator's batches.

    A generator here is any iterable of batches. One with a length, a ``keras.utils.Sequence`` or a list say, is begun
    anew when it ends. Batches are taken in the calling thread, when they are needed: `max_queue_size`, `workers` and
    `use_multiprocessing` are Keras's and change nothing.
    """

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Sequence[Callback] | None = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> History:
        """Train the model on a generator's batches.

        Args:
            generator: gives ``(x, y)`` or ``(x, y, sample_weight)``.
            steps_per_epoch: int, batches an epoch; default the generator's length.
            epochs: int, the number of the last epoch.
            verbose: 1 prints a bar, 2 a line an epoch, 0 nothing.
            callbacks: list of `callbacks.Callback`.
            validation_data: what to evaluate on after each epoch: arrays ``(x, y)`` or ``(x, y, sample_weight)``, or a
                generator of such.
            validation_steps: int, batches of that generator; default its length.
            class_weight: dict of weights by class.
            max_queue_size: not used.
            workers: not used, but that 0 leaves a sequence's batches in their order.
            use_multiprocessing: not used.
            shuffle: whether a sequence's batches are shuffled, by Python's ``random``, before each round.
            initial_epoch: int, the number of the first epoch, from 0.

        Returns:
            `History`: the means of each epoch.

        Raises:
            RuntimeError: if the model is not compiled.
            ValueError: if a number of steps is not known, or a batch is no tuple of two or three.
            StopIteration: if the generator ends early.
        """
        self._check_compiled()
        steps = _steps(generator, steps_per_epoch, "steps_per_epoch")
        validates = validation_data is not None and bool(
            _generators.is_generator(validation_data) or len(validation_data)
        )
        validation: Any = None
        if validates and _generators.is_generator(validation_data):
            validation_steps = _steps(validation_data, validation_steps, "validation_steps")
            validation = _generators.batches(validation_data)
        elif validates:
            if len(validation_data) not in (2, 3):
                raise ValueError(
                    "`validation_data` should be a tuple `(val_x, val_y, val_sample_weight)` or `(val_x, val_y)`. "
                    f"Found: {validation_data}"
                )
            validation = self._batch(*validation_data)
        source = _generators.batches(generator, shuffle and workers > 0)
        self._ready()
        names = self.metrics_names
        running = self._begin_training(
            callbacks,
            verbose,
            "steps",
            {
                "epochs": epochs,
                "steps": steps,
                "verbose": verbose,
                "do_validation": validates,
                "metrics": names + [f"val_{name}" for name in names],
            },
            list(validation) if isinstance(validation, tuple) else [],
        )
        logs: Logs = {}
        for epoch in range(initial_epoch, epochs):
            running.on_epoch_begin(epoch)
            last_size = 0
            for number in range(steps):
                x, y, sample_weight = _generators.split(_generators.next_batch(source, number, steps))
                last_size = _generators.size(x)
                self._step(running, number, last_size, self._batch(x, y, sample_weight, class_weight))
                if self.stop_training and number < steps - 1:
                    break
            else:
                if validates:
                    values = self._validate(validation, last_size, validation_steps)
                    logs |= {f"val_{name}": value for name, value in zip(names, values, strict=True)}
            running.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        running.on_train_end()
        return self.history

    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> Any:
        """Return the mean loss and metrics of a generator's batches, each counted by its size.

        Args:
            generator: as for `fit_generator`.
            steps: int, how many batches; default the generator's length.
            max_queue_size, workers, use_multiprocessing: not used.
            verbose: 1 prints a bar.

        Returns:
            np.float64, the loss; with metrics a list: the loss and each metric.

        Raises:
            RuntimeError: if the model is not compiled.
            ValueError: if the number of steps is not known, a batch is no tuple of two or three, or it is empty.
            StopIteration: if the generator ends early.
        """
        self._check_compiled()
        steps = _steps(generator, steps, "steps")
        progress = ProgressBar(steps) if verbose == 1 else None
        return one_or_list(self._evaluate_batches(_generators.batches(generator), steps, progress))

    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> NDArray[np.float32]:
        """Return the outputs for a generator's batches, one after the other.

        Args:
            generator: gives inputs, or tuples as for `fit_generator`, of which only the inputs count.
            steps: int, how many batches; default the generator's length.
            max_queue_size, workers, use_multiprocessing: not used.
            verbose: 1 prints a bar.

        Returns:
            float32, samples first.

        Raises:
            ValueError: if the number of steps is not known, or a tuple has another length.
            StopIteration: if the generator ends early.
        """
        steps = _steps(generator, steps, "steps")
        source = _generators.batches(generator)
        progress = ProgressBar(steps) if verbose == 1 else None
        outputs = []
        for number in range(steps):
            batch = _generators.next_batch(source, number, steps)
            outputs.append(self.predict_on_batch(_generators.split(batch)[0] if isinstance(batch, tuple) else batch))
            if progress is not None:
                progress.update(number + 1)
        return np.concatenate(outputs)

    def _validate(self, validation: Any, batch_size: int, steps: int | None) -> list[np.float64]:
        """The means over arrays, or over a generator's next batches."""
        if isinstance(validation, tuple):
            return self._evaluate(validation, batch_size, None)
        assert steps is not None
        return self._evaluate_batches(validation, steps, None)

    def _evaluate_batches(self, source: Any, steps: int, progress: ProgressBar | None) -> list[np.float64]:
        penalty = self._penalty()  # once: weights stay as they are
        values, sizes = [], []
        for number in range(steps):
            x, y, sample_weight = _generators.split(_generators.next_batch(source, number, steps))
            size = _generators.size(x)
            if size == 0:
                raise ValueError("Received an empty batch. Batches should contain at least one item.")
            values.append(self._test(self._batch(x, y, sample_weight), penalty))
            sizes.append(size)
            if progress is not None:
                progress.update(number + 1)
        means = np.average(np.asarray(values, np.float64), axis=0, weights=sizes)
        return list(means)

    def _check_compiled(self) -> None:
        if self._objective is None:
            raise RuntimeError("You must compile your model before using it.")


def _steps(source: Any, steps: int | None, name: str) -> int:
    """The number of batches, asked for or a length.

    Raises:
        ValueError: if neither is there.
    """
    found = steps or _generators.num_batches(source)
    if found is None:
        raise ValueError(
            f"`{name}=None` is only valid for a generator based on the `keras.utils.Sequence` class. Please specify "
            f"`{name}` or use the `keras.utils.Sequence` class."
        )
    return found
