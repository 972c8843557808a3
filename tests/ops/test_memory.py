"""Nothing is kept of a call: no reference to an argument, no memory, no thread, no file."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from fastembed.ops import gather, gather_with_mask

from .helpers import SANITIZED, random_table

CALLS = 100_000
TABLE = random_table(100, 8)
IDS = np.arange(60).reshape(3, 20)
OUT = np.empty((3, 20, 8), np.float32)
MASK_OUT = np.empty((3, 20), bool)
LARGE = np.zeros(40_000, np.int32)
LIST = [[3, 4], [5, 6]]

WORKS: dict[str, Callable[[], Any]] = {
    "fresh": lambda: gather(TABLE, IDS),
    "out": lambda: gather(TABLE, IDS, out=OUT),
    "mask": lambda: gather_with_mask(TABLE, IDS, padding_id=7),
    "mask outputs": lambda: gather_with_mask(TABLE, IDS, padding_id=-1, out=OUT, mask_out=MASK_OUT),
    "list": lambda: gather(TABLE, LIST, mode="clip"),
    "huge": lambda: gather_with_mask(TABLE, [2**70, 3], padding_id=2**70),
    "strided": lambda: gather(TABLE, IDS.T, num_threads=2),
}
FAILS: dict[str, Callable[[], Any]] = {
    "bad id": lambda: gather(TABLE, [100]),
    "bad id of an array": lambda: gather_with_mask(TABLE, IDS + 50, out=OUT),
    "bad out": lambda: gather(TABLE, IDS, out=MASK_OUT),  # type: ignore[arg-type]
    "bad mask": lambda: gather_with_mask(TABLE, IDS, mask_out=OUT),  # type: ignore[arg-type]
    "overlap": lambda: gather(TABLE, IDS, out=TABLE[:60].reshape(3, 20, 8)),
    "float ids": lambda: gather(TABLE, 1.5),  # type: ignore[arg-type]
    "bad mode": lambda: gather(TABLE, IDS, mode="x"),  # type: ignore[arg-type]
    "bad threads": lambda: gather(TABLE, IDS, num_threads=0),
    "bad padding": lambda: gather_with_mask(TABLE, IDS, padding_id=None),  # type: ignore[arg-type]
    "bad table": lambda: gather(TABLE.T, IDS),
}
HELD = (TABLE, IDS, OUT, MASK_OUT, LARGE, LIST, None, "raise", 2**70)


def counts() -> list[int]:
    return [sys.getrefcount(held) for held in HELD]


def repeat(work: Callable[[], Any], calls: int) -> None:
    for _ in range(calls):
        with suppress(IndexError, TypeError, ValueError):
            work()


@pytest.mark.parametrize("name", [*WORKS, *FAILS])
def test_calls_keep_no_reference(name: str) -> None:
    work = (WORKS | FAILS)[name]
    if name in FAILS:
        with pytest.raises((IndexError, TypeError, ValueError)):
            work()
    repeat(work, 50)
    before = counts()
    repeat(work, 1000)
    # None is counted by the whole interpreter: it may be off by a few, a leak is off by 1000
    for held, was, now in zip(HELD, before, counts(), strict=True):
        assert abs(now - was) < (50 if held is None or isinstance(held, str) else 1), held


def test_results_are_held_by_their_receiver_alone() -> None:
    rows, mask = gather_with_mask(TABLE, IDS)
    large = gather(TABLE, LARGE)
    numpys = np.empty(3)
    held = [sys.getrefcount(array) for array in (numpys, rows, mask, large)]
    assert held == [held[0]] * 4
    assert gather(TABLE, IDS, out=OUT) is OUT


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def allocated_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def growth(works: list[Callable[[], Any]]) -> int:
    allocated = allocated_bytes()
    for work in works:
        repeat(work, 1000)
    return allocated_bytes() - allocated


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="procfs")
@pytest.mark.parametrize("kind", ["works", "fails"])
def test_memory_does_not_grow_over_many_calls(kind: str) -> None:
    works = list((WORKS if kind == "works" else FAILS).values())
    each = CALLS // len(works) // (4 if kind == "fails" else 1)
    for work in works:
        repeat(work, each // 5)
    resident = resident_bytes()
    for work in works:
        repeat(work, each)
    grown = resident_bytes() - resident
    # what AddressSanitizer holds back of freed memory counts here; the next test does without
    assert SANITIZED or grown < 1_000_000
    tracemalloc.start()
    try:
        for work in works:
            repeat(work, 100)
        # A leak of one smallest object a call is 16 kB a work, in every round; caches of the interpreter grow in one.
        assert min(growth(works) for _ in range(3)) < 10_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="procfs")
def test_large_outputs_do_not_pile_up() -> None:
    table = random_table(100, 64)
    ids = np.zeros(40_000, np.int32)  # 10 MB of rows
    wrong = ids.copy()
    wrong[-1] = 100
    for _ in range(3):
        gather(table, ids)
    before = resident_bytes()
    for _ in range(100):
        gather(table, ids, num_threads=2)
        with suppress(IndexError):
            gather(table, wrong)
    assert resident_bytes() - before < (300_000_000 if SANITIZED else 40_000_000)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="procfs")
def test_calls_open_no_files() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for work in [*WORKS.values(), *FAILS.values()]:
        repeat(work, 10)
    assert len(os.listdir("/proc/self/fd")) == before
