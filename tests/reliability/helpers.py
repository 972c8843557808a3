"""Threads that work at once for a while, and a scale for how long."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

# How many times as long as in the suite: `python -m tests.reliability --soak` sets it for each figure.
SCALE = float(os.environ.get("FASTEMBED_RELIABILITY_SCALE", "1"))


def scaled(count: float) -> int:
    """A number of calls, children or seconds, at this scale."""
    return max(1, round(count * SCALE))


def at_once(seconds: float, *works: Callable[[], Any]) -> list[int]:
    """Run each work again and again in a thread of its own; how often each ran. An error in one is raised."""
    counts = [0] * len(works)
    failed: list[BaseException] = []
    end = time.monotonic() + seconds * SCALE
    latest = time.monotonic() + 60 + 2 * seconds * SCALE

    def repeat(number: int) -> None:
        try:
            while not failed and (time.monotonic() < end or not all(counts)) and time.monotonic() < latest:
                works[number]()
                counts[number] += 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(latest + 30 - time.monotonic())
        assert not thread.is_alive(), "a thread hangs"
    if failed:
        raise failed[0]
    assert all(counts), counts
    return counts
