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

Array = NDArray[np.float32]


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

    def values(self, y_true: Array, y_pred: Array, weights: Array, mask: Any, penalty: float) -> list[np.float32]:
        """Return the loss, penalties included, and each metric.

        Args:
            y_true: targets.
            y_pred: outputs.
            weights: of samples, or of their places.
            mask: of places, or None.
            penalty: added to the loss.
        """
        with np.errstate(all="ignore"):
            loss = self.loss_weight * _mean(self.loss(y_true, y_pred), weights, mask)
            results = [np.float32(float(loss) + penalty) if penalty else np.float32(loss)]
            for metric in self.metrics:
                scores = metric.function(y_true, y_pred)
                results.append(np.float32(_mean(scores, weights if metric.weighted else None, mask)))
        return results

    def gradient(self, y_true: Array, y_pred: Array, weights: Array, mask: Any) -> Array:
        """Return the derivative of the loss, without penalties, by each output.

        Raises:
            ValueError: if the loss has no gradient.
        """
        with np.errstate(all="ignore"):
            gradient = np.asarray(losses.gradient_of(self.loss)(y_true, y_pred), np.float32)
            scores_ndim = max(y_pred.ndim - 1, 1)
            shares = np.ones((1,) * scores_ndim, np.float32)
            if mask is not None:
                shares = np.asarray(mask, np.float32)
                shares = shares / shares.mean()
            shares = shares * np.expand_dims(weights, tuple(range(weights.ndim, scores_ndim)))
            count = y_pred.size // max(y_pred.shape[-1], 1)
            shares = shares * (self.loss_weight / (_counting(weights) * np.float32(count)))
            gradient = gradient * (np.expand_dims(shares, -1) if y_pred.ndim > 1 else shares)
        return gradient


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
