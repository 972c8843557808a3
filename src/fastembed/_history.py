"""What the steps of an optimizer were, for rows that still owe some of them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._native.kernels import SERIES_TERMS

# Steps after which all debts are paid and the clock starts anew: what a history costs stays below 6 MB.
LIMIT = 1 << 16

# A series must be as good as this, a quarter of what float32 rounds by; else debts are paid step by step.
_SERIES_ERROR = 1.5e-8


class Debt(NamedTuple):
    """What a step without a gradient does to a row: decay of its state, and a move that state gives.

    kind: "none"; "decay", of the state alone; "momentum", which also adds the velocity; "series", moves of average /
        (size + epsilon), each factor of which decays.
    """

    kind: str
    first: float = 1.0  # what a step multiplies the state's first row with
    second: float = 1.0  # and the second
    push: float = 0.0  # "momentum": how much of the new velocity a step adds to the table
    size: float = 1.0  # "series": what a step multiplies the size in the denominator with
    steady: float = 0.0  # "series": b for which the denominators hold once b ** t is next to nothing; 0: always

    @property
    def moves(self) -> bool:
        """Whether rows move."""
        return self.kind in ("momentum", "series")


class Coming(NamedTuple):
    """A step that is about to be taken."""

    clock: int
    series_from: int  # `History.series_from` after it
    sums: NDArray[np.float64] | None  # the part of the series that it adds to
    gains: NDArray[np.float64] | None  # and what


class History:
    """The numbers of each step since the clock started, and the sums over them that debts are paid with.

    The clock starts at 1, so that a row whose last visit is at 0 was never visited.
    """

    def __init__(self, debt: Debt) -> None:
        self.debt = debt
        self.clock = 1
        self.capacity = 64
        self.numbers: NDArray[np.float32] = np.zeros((self.capacity, 8), np.float32)
        self.powers: NDArray[np.float64] | None = None
        self.series: NDArray[np.float64] | None = None
        self.series_from = 0
        self.cutoff = LIMIT
        self._terms: NDArray[np.float64] = np.zeros((0, SERIES_TERMS))
        if debt.kind != "none":
            self.powers = self._make_powers(self.capacity)
        if debt.kind == "series":
            self._set_up_series()

    def prepare(self, numbers: Any, rate: float, t: int) -> Coming:
        """Make room for a step; it counts once `take` is called.

        Args:
            numbers: of the step.
            rate: what average / size is multiplied with in it.
            t: its number, 1 for the first.
        """
        clock, series_from, sums, gains = self.clock + 1, self.series_from, None, None
        if clock >= self.capacity:
            self._grow()
        self.numbers[clock] = numbers
        if self.series is not None:
            count = min(len(self._terms), clock - 1)
            sums, gains = self.series[clock - count : clock], rate * self._terms[len(self._terms) - count :]
            # until the denominators hold, debts are paid step by step
            if self.debt.steady and self.debt.steady**t > 2 * _SERIES_ERROR:
                series_from = clock + 1
        return Coming(clock, series_from, sums, gains)

    def take(self, coming: Coming) -> None:
        """Count a step that was taken, after its gains were added to the sums."""
        self.clock, self.series_from = coming.clock, coming.series_from

    def restart(self) -> None:
        """Start the clock again; only when nothing is owed."""
        waits = self.series_from > self.clock
        self.clock = 1
        self.series_from = 2 if waits else 0
        if self.series is not None:
            self.series[:] = 0

    def _make_powers(self, capacity: int) -> NDArray[np.float64]:
        owed = np.arange(capacity, dtype=np.float64)
        powers = np.empty((capacity, 3))
        powers[:, 0] = self.debt.first**owed
        powers[:, 1] = self.debt.second**owed
        powers[:, 2] = self.debt.push * (np.cumsum(powers[:, 0]) - 1.0)
        return powers

    def _grow(self) -> None:
        capacity = 2 * self.capacity
        numbers = np.concatenate([self.numbers, np.zeros_like(self.numbers)])
        series = None if self.series is None else np.concatenate([self.series, np.zeros_like(self.series)])
        powers = None if self.powers is None else self._make_powers(capacity)
        # all at once: there may be no memory for one of them
        self.capacity, self.numbers, self.series, self.powers = capacity, numbers, series, powers

    def _set_up_series(self) -> None:
        """Find out whether the series is good enough for these decays, and after how many steps a row stands still."""
        falls = self.debt.first / self.debt.size if self.debt.size > 0 else math.inf
        if falls >= 1:
            return
        # moves fall at least this fast; what is left out is 1e-9 of the first
        count = 1 if falls == 0 else min(math.ceil(math.log(1e-9 * (1 - falls)) / math.log(falls)), LIMIT)
        self.cutoff = count
        j = np.arange(1, count + 1, dtype=np.float64)
        x = 1.0 - self.debt.size**j
        weights = self.debt.first**j
        exact = float(np.sum(weights / (1.0 - x)))
        missing = float(np.sum(weights * x**SERIES_TERMS / (1.0 - x)))
        if missing <= _SERIES_ERROR * exact:
            # row count - j: what a step adds to the sums of rows that then owe j steps
            self._terms = np.ascontiguousarray((weights[:, None] * x[:, None] ** np.arange(SERIES_TERMS))[::-1])
            self.series = np.zeros((self.capacity, SERIES_TERMS))
