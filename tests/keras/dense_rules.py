"""Keras 2.2.4's optimizers in plain NumPy, every row at every step, in any precision: what training means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Dense:
    """One optimizer on one table.

    Args:
        name: of the optimizer, lower case.
        table: where it starts; copied.
        dtype: of all arithmetic.
        kwargs: the optimizer's.
    """

    def __init__(self, name: str, table: NDArray[Any], dtype: Any = np.float64, **kwargs: Any) -> None:
        defaults: dict[str, dict[str, Any]] = {
            "sgd": {"lr": 0.01, "momentum": 0.0, "nesterov": False},
            "rmsprop": {"lr": 0.001, "rho": 0.9},
            "adagrad": {"lr": 0.01},
            "adadelta": {"lr": 1.0, "rho": 0.95},
            "adam": {"lr": 0.001, "beta_1": 0.9, "beta_2": 0.999, "amsgrad": False},
            "adamax": {"lr": 0.002, "beta_1": 0.9, "beta_2": 0.999},
            "nadam": {"lr": 0.002, "beta_1": 0.9, "beta_2": 0.999, "schedule_decay": 0.004},
        }
        self.name = name
        self.dtype = dtype
        options = {"decay": 0.0, "epsilon": 1e-7, **defaults[name], **kwargs}
        kept = ("epsilon", "nesterov", "amsgrad", "schedule_decay") + (("rho",) if name == "adadelta" else ())
        self.options = {k: v if k in kept else float(np.float32(v)) for k, v in options.items()}
        self.table = table.astype(dtype)
        self.state = [np.zeros_like(self.table) for _ in range(3)]
        self.t = 0
        self.product = 1.0

    def step(self, g: NDArray[Any]) -> None:
        self.t += 1
        with np.errstate(under="ignore"):
            self._step(g.astype(self.dtype))

    def _step(self, g: NDArray[Any]) -> None:
        o, t, p, (s0, s1, s2), f = self.options, self.t, self.table, self.state, self.dtype
        lr = o["lr"] / (1 + o["decay"] * (t - 1))
        eps = f(o["epsilon"])
        if self.name == "sgd":
            s0[...] = f(o["momentum"]) * s0 - f(lr) * g
            p += f(o["momentum"]) * s0 - f(lr) * g if o["nesterov"] else s0
        elif self.name == "adagrad":
            s0 += g * g
            p -= f(lr) * g / (np.sqrt(s0) + eps)
        elif self.name in ("rmsprop", "adadelta"):
            rho, rest = f(o["rho"]), f(1 - o["rho"])
            s0[...] = rho * s0 + rest * (g * g)
            if self.name == "rmsprop":
                p -= f(lr) * g / (np.sqrt(s0) + eps)
            else:
                u = g * np.sqrt(s1 + eps) / np.sqrt(s0 + eps)
                p -= f(lr) * u
                s1[...] = rho * s1 + rest * (u * u)
        else:
            b1, b2 = o["beta_1"], o["beta_2"]
            s0[...] = f(b1) * s0 + f(1 - b1) * g
            if self.name == "adamax":
                s1[...] = np.maximum(f(b2) * s1, np.abs(g))
                p -= f(lr / (1 - b1**t)) * s0 / (s1 + eps)
                return
            s1[...] = f(b2) * s1 + f(1 - b2) * (g * g)
            if self.name == "adam":
                rate = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
                np.maximum(s1, s2, out=s2)
                p -= f(rate) * s0 / (np.sqrt(s2 if o["amsgrad"] else s1) + eps)
                return
            now, soon = (b1 * (1 - 0.5 * 0.96 ** (k * o["schedule_decay"])) for k in (t, t + 1))
            self.product *= now
            ahead = (1 - now) / (1 - self.product) * g + soon / (1 - self.product * soon) * s0
            p -= (lr * ahead / (np.sqrt(s1 / (1 - b2**t)) + eps)).astype(f)
