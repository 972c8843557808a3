"""The progress bar that `verbose=1` prints, as Keras 2.2.4's."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_INTERVAL = 0.05  # seconds between two lines, the first and the last excepted


class ProgressBar:
    """A bar of the samples done so far: rewritten in place on a terminal, a new line each time elsewhere.

    Args:
        target: int, the number of samples in all.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._start = time.time()
        self._last_update = 0.0
        self._last_length = 0

    def update(self, current: int) -> None:
        """Say that `current` samples are done."""
        now = time.time()
        done = current >= self.target
        if not done and now - self._last_update < _INTERVAL:
            return
        filled = int(_WIDTH * current / self.target)
        arrow = "=" * (filled - 1) + ("=" if done else ">") if filled > 0 else ""
        line = f"{current:{len(str(self.target))}d}/{self.target} [{arrow}{'.' * (_WIDTH - filled)}]"
        elapsed = now - self._start
        each = elapsed / current
        line += f" - {elapsed:.0f}s {_per_step(each)}" if done else f" - ETA: {_eta(each * (self.target - current))}"
        on_terminal = sys.stdout.isatty()
        begin = "\b" * self._last_length + "\r" if on_terminal else "\n"
        sys.stdout.write(begin + line.ljust(self._last_length) + ("\n" if done else ""))
        sys.stdout.flush()
        self._last_update, self._last_length = now, len(line)


def _per_step(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def _eta(seconds: float) -> str:
    eta = int(seconds)
    if eta > 3600:
        return f"{eta // 3600}:{eta % 3600 // 60:02d}:{eta % 60:02d}"
    return f"{eta // 60}:{eta % 60:02d}" if eta > 60 else f"{eta}s"
