"""`Objective`: the loss that training makes small, its gradient, and the metrics.

Keras 2.2.4's rules: a score a sample (or a place of one); a mask sets scores to 0 and scales the others up by the part
of them that counts; then places are averaged, samples weighted, and divided by the part of the weights that is not 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import losses
from ._native import kernels

Array = NDArray[np.float32]

# Outputs that are dealt with together where there are many: 256 KiB, so that what is computed of them stays in a core's
# cache. Half or twice as many gain nothing.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Metric:
    """A metric under its name, and whether sample weights apply to it."""

    name: str
    function: Callable[..., Any]
    weighted: bool


class Objective:
    """A loss and metrics.

    Args:
        loss: function of targets and outputs.
        metrics: besides the loss.
        loss_weight: factor of the loss.
        sample_weight_mode: ``"temporal"`` if each place of a sample has a weight, else None.
    """

    def __init__(
        self, loss: Callable[..., Any], metrics: Sequence[Metric], loss_weight: float, sample_weight_mode: str | None
    ) -> None:
        self.loss = loss
        self.metrics = metrics
        self.loss_weight = np.float32(loss_weight)
        self.sample_weight_mode = sample_weight_mode
        self.names = ["loss", *(metric.name for metric in metrics)]

    def values(self, y_true: Any, y_pred: Array, weights: Array, mask: Any, penalty: float) -> list[np.float32]:
        """Return the loss, penalties included, and each metric.

        Args:
            y_true: targets, of any dtype.
            y_pred: outputs.
            weights: of samples, or of their places.
            mask: of places, or None.
            penalty: added to the loss.
        """
        return self._both(y_true, y_pred, weights, mask, penalty, False)[0]

    def values_and_gradient(
        self, y_true: Any, y_pred: Array, weights: Array, mask: Any, penalty: float
    ) -> tuple[list[np.float32], Array]:
        """Return what `values` does, and the derivative of the loss, without penalties, by each output.

        Raises:
            ValueError: if the loss has no gradient.
        """
        values, gradient = self._both(y_true, y_pred, weights, mask, penalty, True)
        assert gradient is not None
        return values, gradient

    def _both(
        self, y_true: Any, y_pred: Array, weights: Array, mask: Any, penalty: float, with_gradient: bool
    ) -> tuple[list[np.float32], Array | None]:
        with np.errstate(all="ignore"):
            scores, gradient = self._scores(y_true, y_pred, _shares(y_pred, weights, mask) if with_gradient else None)
            loss = self.loss_weight * _mean(scores, weights, mask)
            results = [np.float32(float(loss) + penalty) if penalty else np.float32(loss)]
            if self.metrics:
                y_true = np.asarray(y_true, np.float32)
            for metric in self.metrics:
                scores = metric.function(y_true, y_pred)
                results.append(np.float32(_mean(scores, weights if metric.weighted else None, mask)))
        return results, gradient

    def _scores(self, y_true: Any, y_pred: Array, shares: Array | None) -> tuple[Any, Array | None]:
        """The scores and, given each score's share in the loss, the gradient."""
        slope = None if shares is None else losses.gradient_of(self.loss)
        if shares is not None:
            shares = shares * self.loss_weight
            if self.loss is losses.mean_squared_error:
                found = kernels.squared_error(y_true, y_pred, shares)
                if found is not None:
                    return found
        if y_pred.size < 2 * _BLOCK or y_pred.ndim < 2 or self.loss not in losses.OF_SINGLE_SAMPLES:
            y_true = np.asarray(y_true, np.float32)
            gradient = None if slope is None else np.asarray(slope(y_true, y_pred) * shares, np.float32)
            return self.loss(y_true, y_pred), gradient
        scores = np.empty(y_pred.shape[:-1], np.float32)
        gradient = None if slope is None else np.empty_like(y_pred)
        samples = max(_BLOCK * len(y_pred) // y_pred.size, 1)
        for start in range(0, len(y_pred), samples):
            block = slice(start, start + samples)
            targets, outputs = np.asarray(y_true[block], np.float32), y_pred[block]
            scores[block] = self.loss(targets, outputs)
            if slope is not None and gradient is not None and shares is not None:
                np.multiply(slope(targets, outputs), shares[block] if len(shares) > 1 else shares, out=gradient[block])
        return scores, gradient


def _shares(y_pred: Array, weights: Array, mask: Any) -> Array:
    """The derivative of the mean score by each score, of a shape that broadcasts to the outputs'."""
    scores_ndim = max(y_pred.ndim - 1, 1)
    shares = weights.reshape(weights.shape + (1,) * (scores_ndim - weights.ndim))
    if mask is not None:
        counts = np.asarray(mask, np.float32)
        shares = shares * (counts / counts.mean())
    count = y_pred.size // max(y_pred.shape[-1], 1)
    shares = shares / (_counting(weights) * np.float32(count))
    return shares[..., None] if y_pred.ndim > 1 else shares


def _counting(weights: Array) -> np.float32:
    """The part of the weights that is not 0."""
    return np.float32(np.count_nonzero(weights) / weights.size) if weights.size else np.float32(np.nan)


def _mean(scores: Any, weights: Array | None, mask: Any) -> Any:
    scores = np.asarray(scores, np.float32)
    if mask is not None:
        counts = np.asarray(mask, np.float32)
        scores = scores * counts / counts.mean()
    if weights is not None:
        scores = scores.mean(axis=tuple(range(weights.ndim, scores.ndim)))
        scores = scores * weights / _counting(weights)
    return scores.mean()
