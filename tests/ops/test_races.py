"""Ids that another thread rewrites during the call: an error, or rows of the table; never anything else.

The other thread rewrites them inside one system call (preadv of a file of ids, again and again into the same array),
so that it does so without the GIL, at the same time as the kernel reads them. The table lies between guard rows.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastembed.ops import gather, gather_with_mask

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "preadv"), reason="preadv"),
    pytest.mark.timeout(3600),
]

CALLS = int(os.environ.get("FASTEMBED_RACE_CALLS", "20000"))
NUM_ROWS = 1024
PADDING = -9
FILE_BYTES = 4 << 20  # of batches of ids; those of batch b, where valid, are b modulo 64


def guarded_table(dim: int) -> NDArray[np.float32]:
    """Row i holds i + 1 in every column. The rows before and after the table are NaN."""
    memory = np.full((3 * NUM_ROWS, dim), np.nan, np.float32)
    table = memory[NUM_ROWS : 2 * NUM_ROWS]
    table[...] = np.arange(1, NUM_ROWS + 1)[:, None]
    return table


def write_batches(path: Path, count: int, dtype: str) -> None:
    rng = np.random.default_rng(6)
    batches = min(FILE_BYTES // (count * np.dtype(dtype).itemsize), 1024)  # a system call takes 1024 buffers at most
    ids = rng.integers(0, NUM_ROWS // 64, (batches, count)) * 64 + np.arange(batches)[:, None] % 64
    info = np.iinfo(dtype)
    outside = [NUM_ROWS, NUM_ROWS + 1, NUM_ROWS + 500, info.max, info.max // 2, -1, -500, -NUM_ROWS, info.min]
    outside = [value for value in outside if info.min <= value <= info.max and not 0 <= value < NUM_ROWS]
    bad = rng.random(batches) < 0.3
    places = rng.integers(0, count, batches)
    with open(path, "wb") as file:
        for batch, is_bad, place in zip(ids, bad, places, strict=True):
            exact = batch.astype(dtype)
            if info.min < 0:
                exact[rng.integers(0, count, 4)] = PADDING
            if is_bad:
                exact[place] = rng.choice(np.array(outside, dtype))
            file.write(exact.tobytes())


@contextmanager
def rewriting(ids: NDArray[Any], path: Path) -> Iterator[None]:
    """Another thread rewrites `ids` with the batches of the file as fast as the system can."""
    target = memoryview(ids).cast("B")
    buffers = [target] * (path.stat().st_size // len(target))
    stop = threading.Event()
    failed: list[BaseException] = []

    def rewrite(file: int) -> None:
        try:
            while not stop.is_set():
                assert os.preadv(file, buffers, 0) == len(buffers) * len(target)
        except BaseException as error:
            failed.append(error)

    file = os.open(path, os.O_RDONLY)
    thread = threading.Thread(target=rewrite, args=(file,))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # it needs the GIL between two calls: 5 ms of waiting for it would leave 1 % of overlap
    thread.start()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
        os.close(file)
    assert not failed


def assert_rows_of_the_table(rows: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.intp]:
    """Asserts that each row is bit for bit a row of the table; returns which."""
    first = rows[:, 0]
    assert ((first >= 1) & (first <= NUM_ROWS)).all()
    number = first.astype(np.intp) - 1
    assert rows.tobytes() == table[number].tobytes()
    return number


def attempts(minimum: int, happened: Callable[[], bool]) -> Iterator[int]:
    """Counts `minimum` calls, and more until it happened: a busy machine may run one thread at a time for a while."""
    deadline = time.monotonic() + 60
    for call in itertools.count():
        if call >= minimum and (happened() or time.monotonic() > deadline):
            return
        yield call


def race(ids: NDArray[Any], table: NDArray[np.float32], calls: int, threads: int, mode: Any) -> dict[str, int]:
    """Gathers while the ids are rewritten; counts what came of it. PADDING ids are out of range here."""
    seen = {"rows": 0, "errors": 0, "mixed": 0}
    pattern = re.compile(rf"indices\[(\d+)\] = (-?\d+) is not in \[0, {NUM_ROWS}\): ")
    out = np.empty((len(ids), table.shape[1]), np.float32)
    zeros = np.zeros(table.shape[1], np.float32)
    wanted = ("rows", "errors", "mixed") if mode == "raise" else ("rows", "mixed")
    for call in attempts(calls, lambda: all(seen[what] for what in wanted)):
        try:
            rows = gather(table, ids, mode=mode, num_threads=threads, out=out if call % 2 else None)
        except IndexError as error:
            found = pattern.match(str(error))
            assert found is not None
            assert 0 <= int(found[1]) < len(ids)
            assert not 0 <= int(found[2]) < NUM_ROWS, "the message was made from an id read a second time"
            seen["errors"] += 1
            continue
        if mode == "zero":
            rows = rows[rows[:, 0] != 0] if (rows[rows[:, 0] == 0] == zeros).all() else rows
        number = assert_rows_of_the_table(rows, table) % 64
        seen["rows"] += 1
        seen["mixed"] += int((number != number[0]).any())
    return seen


@pytest.mark.parametrize(
    ("mode", "dtype", "share"), [("raise", "uint32", 1), ("raise", "uint64", 5), ("raise", "int16", 5)]
)
def test_raced_ids_give_an_error_or_rows_of_the_table(tmp_path: Path, mode: str, dtype: str, share: int) -> None:
    table = guarded_table(16)
    ids = np.zeros(512, dtype)
    write_batches(tmp_path / "ids", len(ids), dtype)
    if dtype == "int16":  # no padding here: it would be an error in every call
        raw = np.fromfile(tmp_path / "ids", dtype)
        raw[raw == PADDING] = 64
        raw.tofile(tmp_path / "ids")
    with rewriting(ids, tmp_path / "ids"):
        seen = race(ids, table, max(CALLS // share, 2000), 1, mode)
    assert seen["rows"] > 0
    assert seen["errors"] > 0
    assert seen["mixed"] > 0, "no call overlapped a rewrite"


@pytest.mark.parametrize("mode", ["clip", "wrap", "zero"])
@pytest.mark.parametrize("dtype", ["int64", "uint32"])
def test_raced_ids_of_other_modes_give_rows_of_the_table(tmp_path: Path, mode: str, dtype: str) -> None:
    table = guarded_table(16)
    ids = np.zeros(512, dtype)
    write_batches(tmp_path / "ids", len(ids), dtype)
    with rewriting(ids, tmp_path / "ids"):
        seen = race(ids, table, max(CALLS // 10, 1000), 1, mode)
    assert seen["errors"] == 0
    assert seen["mixed"] > 0


@pytest.mark.parametrize("dim", [16, 7])
def test_raced_ids_stay_inside_the_table_on_many_threads(tmp_path: Path, dim: int) -> None:
    table = guarded_table(dim)
    ids = np.zeros(16384, "uint32")
    write_batches(tmp_path / "ids", len(ids), "uint32")
    with rewriting(ids, tmp_path / "ids"):
        seen = race(ids, table, max(CALLS // 40, 200), 4, "raise")
        zeros = race(ids, table, max(CALLS // 80, 100), 4, "zero")
    assert seen["rows"] > 0
    assert seen["errors"] > 0
    assert seen["mixed"] > 0
    assert zeros["mixed"] > 0


@pytest.mark.parametrize(("count", "threads", "share"), [(512, 1, 5), (16384, 4, 80)])
def test_raced_mask_and_rows_tell_of_the_same_id(tmp_path: Path, count: int, threads: int, share: int) -> None:
    table = guarded_table(16)
    ids = np.zeros(count, np.int64)
    write_batches(tmp_path / "ids", count, "int64")
    seen = {"padded": 0, "errors": 0}
    texts = set()
    with rewriting(ids, tmp_path / "ids"):
        for _ in attempts(max(CALLS // share, 200), lambda: all(seen.values())):
            try:
                rows, mask = gather_with_mask(table, ids, padding_id=PADDING, num_threads=threads)
            except IndexError as error:
                texts.add(str(error))
                seen["errors"] += 1
                continue
            assert not rows[~mask].any()
            assert_rows_of_the_table(rows[mask], table)
            seen["padded"] += int(not mask.all())
    assert seen["padded"] > 0
    assert seen["errors"] > 0
    assert not any(f"= {PADDING} is" in text for text in texts)


def test_raced_padding_inside_the_table_is_masked_where_its_row_is(tmp_path: Path) -> None:
    table = guarded_table(16)
    ids = np.zeros(512, np.uint32)
    write_batches(tmp_path / "ids", 512, "uint32")
    seen = {"masked": 0}
    with rewriting(ids, tmp_path / "ids"):
        for _ in attempts(max(CALLS // 5, 2000), lambda: seen["masked"] > 0):
            rows, mask = gather_with_mask(table, ids, padding_id=64, mode="zero")
            np.testing.assert_array_equal(mask, rows[:, 0] != 65)
            seen["masked"] += int(not mask.all())
    assert seen["masked"] > 0


def test_ids_that_python_rewrites_give_an_error_or_rows_of_the_table() -> None:
    table = guarded_table(16)
    ids = np.zeros(4096, np.int64)
    rng = np.random.default_rng(7)
    fresh = [rng.integers(-1 if k % 2 else 0, NUM_ROWS, len(ids)) for k in range(16)]
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            for batch in fresh:
                ids[...] = batch

    thread = threading.Thread(target=rewrite)
    thread.start()
    seen = {"rows": 0, "errors": 0}
    try:
        for _ in attempts(max(CALLS // 40, 100), lambda: all(seen.values())):
            try:
                assert_rows_of_the_table(gather(table, ids, num_threads=2), table)
                seen["rows"] += 1
            except IndexError:
                seen["errors"] += 1
    finally:
        stop.set()
        thread.join()
    assert seen["rows"] > 0
    assert seen["errors"] > 0
