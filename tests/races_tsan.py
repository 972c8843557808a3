"""Everything that threads do to the kernels at once, for ThreadSanitizer: `bash .ci/races` builds and runs it.

Prints one line a scene. What the scenes return is checked too, but what they are for is the sanitizer's reports.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastembed import clear_output_cache, embedding_bag, gather, gather_with_mask, mask, num_threads, set_output_cache
from fastembed._native import kernels

SECONDS = float(os.environ.get("FASTEMBED_TSAN_SECONDS", "4"))
NUM_ROWS = 500
table = np.random.default_rng(0).standard_normal((NUM_ROWS, 64), np.float32)
ids = np.random.default_rng(1).integers(0, NUM_ROWS, 20_000)
expected_rows = table[ids]
expected_bags = embedding_bag(table, ids, lengths=[19_000, 1_000], reduce="sum", num_threads=1)
bad = ids.copy()
bad[[17, 9_000, 19_999]] = [-1, NUM_ROWS, NUM_ROWS + 1]


def gathering(turn: int) -> None:
    rows = gather(table, ids, num_threads=1 + turn % 5)
    assert (rows[::997] == expected_rows[::997]).all()


def masking(turn: int) -> None:
    _, marks = gather_with_mask(table, ids, padding_id=3, num_threads=1 + turn % 3)
    assert (marks == mask(ids, 3, num_threads=1 + turn % 4)).all()


def bagging(turn: int) -> None:
    pooled = embedding_bag(table, ids, lengths=[19_000, 1_000], reduce="sum", num_threads=1 + turn % 4)
    assert (pooled == expected_bags).all()  # the first bag is split by columns
    embedding_bag(table, ids.reshape(-1, 50), reduce="max", num_threads=1 + turn % 4)


def words(call: Callable[[], Any]) -> str:
    """What the IndexError of a call says; nothing when it returns."""
    try:
        call()
    except IndexError as error:
        return str(error)
    return ""


def failing(turn: int) -> None:
    assert "[17] = -1 " in words(lambda: gather(table, bad, num_threads=4))
    assert "[0,17] = -1 " in words(lambda: embedding_bag(table, bad[None], num_threads=4))


def contexts(turn: int) -> None:
    with num_threads(1 + turn % 6):
        gather(table, ids)
    kernels.set_default_threads(1 + turn % 4)


def stopping(turn: int) -> None:
    kernels.stop_workers()
    time.sleep(0.001)


def recycling(turn: int) -> None:
    set_output_cache(turn % 3 * (8 << 20))
    held = [gather(table, ids[: 5_000 + 4_000 * k]) for k in range(3)]
    assert len({array.__array_interface__["data"][0] for array in held}) == 3
    if turn % 8 == 0:
        clear_output_cache()


def forking(turn: int) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if (gather(table, ids[:5_000], num_threads=2) == expected_rows[:5_000]).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    time.sleep(0.05)


def at_once(name: str, *works: Callable[[int], None]) -> None:
    """Runs each work in a thread of its own, again and again."""
    failed: list[BaseException] = []
    turns = [0] * len(works)
    end = time.monotonic() + SECONDS

    def repeat(number: int, work: Callable[[int], None]) -> None:
        try:
            for turn in itertools.count(1):
                if time.monotonic() > end or failed:
                    return
                work(turn)
                turns[number] = turn
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=repeat, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    assert all(turns), turns
    print(
        f"{name}: {', '.join(f'{work.__name__} {turn}' for work, turn in zip(works, turns, strict=True))}", flush=True
    )


def rewriting(writer: Any) -> Callable[[int], None]:
    """An instrumented function that rewrites the ids without the GIL, a relaxed store an id."""
    shared = ids.copy()
    wrong = np.where(np.random.default_rng(2).random(len(ids)) < 1e-4, NUM_ROWS, ids[::-1])
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (shared, ids, wrong)]

    def reading(turn: int) -> None:
        other = threading.Thread(target=writer.rewrite, args=(*pointers, ctypes.c_ssize_t(len(ids)), 20))
        other.start()
        while other.is_alive():
            for call in (
                lambda: gather(table, shared, num_threads=1 + turn % 3),
                lambda: gather_with_mask(table, shared, num_threads=1 + turn % 3),
                lambda: embedding_bag(table, shared.reshape(1, -1), num_threads=1 + turn % 3),
                lambda: embedding_bag(table, shared.reshape(-1, 40), num_threads=1 + turn % 3),
            ):
                text = words(call)
                assert not text or f" = {NUM_ROWS} is" in text
        other.join()

    return reading


def main() -> None:
    at_once("callers", gathering, gathering, masking, bagging, failing)
    at_once("settings", gathering, contexts, contexts, bagging)
    at_once("workers stopped under load", gathering, bagging, stopping, stopping)
    at_once("recycler", recycling, recycling, gathering, bagging)
    if len(sys.argv) > 1:
        at_once("ids rewritten", rewriting(ctypes.CDLL(sys.argv[1])), gathering)
    at_once("fork under load", forking, gathering, bagging)
    # and the interpreter exits with workers alive, and a thread in the middle of a call
    threading.Thread(target=at_once, args=("never printed", gathering), daemon=True).start()
    gather(table, ids, num_threads=3)
    print("done", flush=True)


if __name__ == "__main__":
    main()
