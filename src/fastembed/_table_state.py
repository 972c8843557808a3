"""What an optimizer keeps of one weight, in plain NumPy until the compiled row updates are here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ops import IndexedSlices

STATES = {"sgd": 1, "rmsprop": 1, "adagrad": 1, "adadelta": 2, "adam": 2, "amsgrad": 3, "adamax": 2, "nadam": 2}


class TableState:
    """An optimizer's arrays for one weight, and the update."""

    def __init__(self, weight: Any, rule: str) -> None:
        self.weight = weight
        self.rule = rule
        self.state = [np.zeros(weight.shape, np.float32) for _ in range(STATES[rule])]

    def arrays(self) -> list[NDArray[np.float32]]:
        return [array.copy() for array in self.state]

    def set_arrays(self, arrays: Any) -> None:
        for own, given in zip(self.state, arrays, strict=True):
            own[...] = given

    def settle(self, ids: Any = None) -> None:
        pass

    def step(self, gradient: Any, numbers: tuple[float, ...], scale: float, clip: float | None) -> None:
        p = self.weight.value
        g = gradient.to_dense() if isinstance(gradient, IndexedSlices) else np.asarray(gradient, np.float32)
        regularizer = self.weight.regularizer
        if regularizer is not None:
            g = g + regularizer.l1 * np.sign(p) + np.float32(2) * regularizer.l2 * p
        if scale != 1:
            g = g * np.float32(scale)
        if clip is not None:
            g = np.clip(g, np.float32(-clip), np.float32(clip))
        rate, b1, c1, b2, c2, eps, more, cv = (np.float32(x) for x in numbers)
        s = self.state
        if self.rule == "sgd":
            s[0][...] = b1 * s[0] - rate * g
            p += b1 * s[0] - rate * g if more else s[0]
        elif self.rule == "rmsprop":
            s[0][...] = b1 * s[0] + c1 * g * g
            p -= rate * g / (np.sqrt(s[0]) + eps)
        elif self.rule == "adagrad":
            s[0] += g * g
            p -= rate * g / (np.sqrt(s[0]) + eps)
        elif self.rule == "adadelta":
            s[0][...] = b1 * s[0] + c1 * g * g
            u = g * np.sqrt(s[1] + eps) / np.sqrt(s[0] + eps)
            p -= rate * u
            s[1][...] = b1 * s[1] + c1 * u * u
        else:
            s[0][...] = b1 * s[0] + c1 * g
            s[1][...] = np.maximum(b2 * s[1], np.abs(g)) if self.rule == "adamax" else b2 * s[1] + c2 * g * g
            if self.rule == "adam":
                p -= rate * s[0] / (np.sqrt(s[1]) + eps)
            elif self.rule == "amsgrad":
                np.maximum(s[1], s[2], out=s[2])
                p -= rate * s[0] / (np.sqrt(s[2]) + eps)
            elif self.rule == "adamax":
                p -= rate * s[0] / (s[1] + eps)
            else:
                p -= (rate * g + more * s[0]) / (np.sqrt(s[1] * cv) + eps)
        if self.weight.constraint is not None:
            p[...] = self.weight.constraint(p)
