"""A progress bar on stderr for a person to watch; nothing at all where stderr is not a terminal."""

from __future__ import annotations

import importlib
import sys
import time
from types import TracebackType
from typing import Any

# Seconds between two drawings of the plain line: smooth to the eye, nothing to the clock.
_INTERVAL = 0.1


class Progress:
    """Counts up to `total` while a `with` block runs: tqdm's bar if tqdm is installed, a plain line otherwise.

    `visible` says whether to draw; by default it is drawn where stderr is a terminal.
    """

    def __init__(self, total: int, unit: str, visible: bool | None = None) -> None:
        self._total, self._unit = total, unit
        self._done, self._drawn_at, self._width = 0, -_INTERVAL, 0
        self._visible = sys.stderr is not None and (sys.stderr.isatty() if visible is None else visible)
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._visible:
            try:
                tqdm: Any = importlib.import_module("tqdm").tqdm
            except ImportError:
                return self
            self._bar = tqdm(total=self._total, unit=f" {self._unit}", unit_scale=True, leave=False, file=sys.stderr)
        return self

    def advance(self, count: int) -> None:
        """Note that `count` more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._visible and time.monotonic() - self._drawn_at >= _INTERVAL:
            self._drawn_at = time.monotonic()
            share = self._done / self._total if self._total else 1.0
            self._draw(f"{share:4.0%}  {self._done:,} of {self._total:,} {self._unit}")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._width:
            self._draw("")

    def _draw(self, line: str) -> None:
        # blanks rather than an escape sequence wipe what a longer line left: every terminal knows them
        print(f"\r{line:{self._width}}", end="\r" if not line else "", file=sys.stderr, flush=True)
        self._width = len(line)
