"""The progress lines that `verbose` prints, as Keras 2.2.4's."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import numpy as np

_WIDTH = 30
_INTERVAL = 0.05  # seconds between two lines, the first and the last excepted


class ProgressBar:
    """A bar of the samples done so far: rewritten in place on a terminal, a new line each time elsewhere.

    Args:
        target: int, the number of samples in all, or of steps.
        verbose: 1 for the bar; 2 for one line without it at the end.
    """

    def __init__(self, target: int, verbose: int = 1) -> None:
        self.target = target
        self.verbose = verbose
        self._start = time.time()
        self._last_update = 0.0
        self._last_length = 0
        self._seen = 0
        self._sums: dict[str, tuple[float, int]] = {}

    def update(self, current: int, values: Iterable[tuple[str, float]] = ()) -> None:
        """Say that `current` samples are done.

        Args:
            current: int.
            values: names and values of the samples since the last call; the line shows the mean of all so far.
        """
        for name, value in values:
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value * (current - self._seen), count + current - self._seen
        self._seen = current
        now = time.time()
        if self.verbose == 1:
            self._draw(current, now)
        elif self.verbose == 2 and current >= self.target:
            sys.stdout.write(f" - {now - self._start:.0f}s{self._shown(signed=False)}\n")
            sys.stdout.flush()

    def _draw(self, current: int, now: float) -> None:
        done = current >= self.target
        if not done and now - self._last_update < _INTERVAL:
            return
        filled = int(_WIDTH * current / self.target) if self.target else _WIDTH
        arrow = "=" * (filled - 1) + ("=" if done else ">") if filled > 0 else ""
        line = f"{current:{len(str(self.target))}d}/{self.target} [{arrow}{'.' * (_WIDTH - filled)}]"
        elapsed = now - self._start
        each = elapsed / current if current else 0.0
        line += f" - {elapsed:.0f}s {_per_step(each)}" if done else f" - ETA: {_eta(each * (self.target - current))}"
        line += self._shown(signed=True)
        on_terminal = sys.stdout.isatty() or "ipykernel" in sys.modules
        begin = "\b" * self._last_length + "\r" if on_terminal else "\n"
        sys.stdout.write(begin + line.ljust(self._last_length) + ("\n" if done else ""))
        sys.stdout.flush()
        self._last_update, self._last_length = now, len(line)

    def _shown(self, signed: bool) -> str:
        shown = ""
        for name, (total, count) in self._sums.items():
            mean = float(np.float64(total) / max(1, count))
            # a bar looks at the size of a value; the one line of verbose=2 does not, as in Keras
            shown += f" - {name}: {mean:.4f}" if (abs(mean) if signed else mean) > 1e-3 else f" - {name}: {mean:.4e}"
        return shown


def _per_step(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def _eta(seconds: float) -> str:
    eta = int(seconds)
    if eta > 3600:
        return f"{eta // 3600}:{eta % 3600 // 60:02d}:{eta % 60:02d}"
    return f"{eta // 60}:{eta % 60:02d}" if eta > 60 else f"{eta}s"
