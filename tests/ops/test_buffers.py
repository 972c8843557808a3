"""The recycler of large outputs: no two live arrays over the same memory, and no more kept than was allowed."""

from __future__ import annotations

import copy
import ctypes
import gc
import itertools
import os
import pickle
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastembed._native import kernels
from fastembed.ops import clear_output_cache, embedding_bag, gather, gather_with_mask, set_output_cache

from .helpers import SANITIZED, SCALE, assert_clean, run_python

MIB = 1 << 20
PAGE = 4096
LEAST = 256  # rows of the table below that make an output of 1 MiB
TABLE = np.zeros((4, 1024), np.float32)
IDS = np.zeros(4096, np.uint8)
pytestmark = pytest.mark.usefixtures("default_cache")


@pytest.fixture
def default_cache() -> Any:
    gc.collect()
    clear_output_cache()
    set_output_cache(256 * MIB)
    yield
    gc.collect()
    clear_output_cache()
    set_output_cache(256 * MIB)


def kept() -> int:
    return kernels.output_cache_bytes()[0]


def output(mib: float) -> NDArray[np.float32]:
    return gather(TABLE, IDS[: int(LEAST * mib)])


def address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def test_outputs_are_locked_and_unlocked_as_any_array() -> None:
    large = output(2)
    large.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        large[0] = 1
    large.flags.writeable = True
    large[0] = 1
    assert (large[0] == 1).all()
    view = large[1:].view()
    view.flags.writeable = False
    view.flags.writeable = True


# ── What is kept ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_buffers_of_dead_outputs_are_handed_to_later_ones() -> None:
    first = output(2)
    place = address(first)
    assert kept() == 0
    del first
    assert 2 * MIB <= kept() < 2.5 * MIB
    second = output(2)
    assert address(second) == place
    assert kept() == 0
    assert not second.any()


@pytest.mark.skipif(SANITIZED, reason="blocks have the very size asked for, for AddressSanitizer")
def test_buffers_serve_outputs_of_about_their_size() -> None:
    del_me = output(2.01)
    place = address(del_me)
    del del_me
    assert address(output(2.3)) == place
    assert address(output(1.5)) != place


def test_buffers_are_for_large_float_outputs_only() -> None:
    for small in (output(1 - 1 / 256), gather(TABLE, IDS[:0]), np.empty(MIB)):
        assert small.base is None
        assert small.flags.owndata
    assert output(1).base is not None
    rows, mask = gather_with_mask(np.zeros((2, 1), np.float32), np.zeros(MIB, np.uint8))
    assert rows.base is not None
    assert mask.base is None
    assert embedding_bag(TABLE, IDS[:512].reshape(512, 1)).base is not None
    out = np.empty((512, 1024), np.float32)
    assert gather(TABLE, IDS[:512], out=out) is out


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "view": lambda array: array.view(np.int32),
    "slice": lambda array: array[7, 3:5],
    "reshape": lambda array: array.reshape(-1),
    "transpose": lambda array: array.T,
    "memoryview": lambda array: memoryview(array),
    "base": lambda array: array.base,
    "dlpack": lambda array: np.from_dlpack(array),  # type: ignore[attr-defined]
    "flat": lambda array: array.flat,
    "ctypes": lambda array: array.ctypes.data_as(ctypes.c_void_p),
}


@pytest.mark.parametrize("keep", HOLDERS)
def test_buffers_are_held_by_whatever_still_sees_them(keep: str) -> None:
    array = output(2)
    array[...] = 5
    holder = HOLDERS[keep](array)
    place = address(array)
    del array
    gc.collect()
    assert kept() == 0
    others = [output(2) for _ in range(3)]
    assert place not in map(address, others)
    for other in others:
        other[...] = 9
    if isinstance(holder, np.ndarray):
        assert (holder.view(np.float32) == 5).all()
    del holder
    gc.collect()
    assert 2 * MIB <= kept() < 2.5 * MIB


def test_buffers_begin_on_a_page_and_large_ones_on_a_huge_page() -> None:
    assert address(output(1)) % (16 if SANITIZED else 64) == 0
    if os.name == "posix" and not SANITIZED:
        held = [output(mib) for mib in (1, 1.3, 3.9, 4, 5.5, 16)]
        assert [address(array) % PAGE for array in held] == [0] * 6
        assert [address(array) % (2 * MIB) for array in held[3:]] == [0] * 3


def test_buffers_keep_no_more_than_allowed_and_let_the_oldest_go() -> None:
    set_output_cache(4 * MIB)
    arrays = [output(1) for _ in range(8)]
    places = [address(array) for array in arrays]
    while arrays:
        del arrays[0]
        assert kept() <= 4 * MIB
    assert kernels.output_cache_bytes() == (4 * MIB, 4 * MIB)
    assert [address(array) for array in [output(1) for _ in range(4)]] == places[:3:-1]
    large = output(5)
    del large
    assert kept() <= 4 * MIB


def test_buffers_lowering_the_cap_lets_go_at_once() -> None:
    arrays = [output(1) for _ in range(8)]
    del arrays
    assert kept() == 8 * MIB
    set_output_cache(3 * MIB)
    assert kernels.output_cache_bytes() == (3 * MIB, 3 * MIB)
    clear_output_cache()
    assert kernels.output_cache_bytes() == (0, 3 * MIB)


def test_buffers_are_not_kept_when_off() -> None:
    set_output_cache(0)
    for _ in range(3):
        assert output(2).shape == (512, 1024)
        assert kernels.output_cache_bytes() == (0, 0)


def test_buffers_cap_past_any_memory_is_no_cap() -> None:
    set_output_cache(2**80)
    assert kernels.output_cache_bytes() == (0, 2**63 - 1)
    set_output_cache(np.int16(7))  # type: ignore[arg-type]
    assert kernels.output_cache_bytes() == (0, 7)


@pytest.mark.parametrize(
    ("nbytes", "kind", "text"),
    [
        (-1, ValueError, "`nbytes` must not be negative. Received: -1."),
        (-(2**70), ValueError, f"`nbytes` must not be negative. Received: {-(2**70)}."),
        (True, TypeError, "`nbytes` must be an integer. Received: True (bool)."),
        (1e6, TypeError, "`nbytes` must be an integer. Received: 1000000.0 (float)."),
        (None, TypeError, "`nbytes` must be an integer. Received: None (NoneType)."),
        ("1G", TypeError, "`nbytes` must be an integer. Received: '1G' (str)."),
    ],
)
def test_buffers_refuse_a_cap_that_is_none(nbytes: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        set_output_cache(nbytes)
    assert (type(caught.value), str(caught.value)) == (kind, text)
    assert kernels.output_cache_bytes() == (0, 256 * MIB)


def test_buffers_give_their_block_back_after_an_error() -> None:
    for _ in range(3):
        with pytest.raises(IndexError):
            gather(TABLE, np.full(512, 9))
        with pytest.raises(IndexError):
            embedding_bag(TABLE, np.full((512, 1), 9))
        gc.collect()
        assert 2 * MIB <= kept() < 2.5 * MIB


# ── As any array ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_buffers_make_arrays_that_are_as_any_but_do_not_own_their_memory() -> None:
    array = output(1)
    assert (type(array), array.dtype, array.flags.owndata) == (np.ndarray, np.dtype(np.float32), False)
    assert (array.flags.writeable, array.flags.c_contiguous, array.flags.aligned) == (True, True, True)
    with pytest.raises(ValueError, match=r"^cannot resize this array: it does not own its data$"):
        array.resize((1, 1), refcheck=False)
    array = array.reshape(1024, 256)
    array += 1
    np.testing.assert_array_equal(array.sum(), MIB // 4)


def test_buffers_holder_cannot_be_forged_or_pickled() -> None:
    lease = output(1).base
    with pytest.raises(TypeError):
        pickle.dumps(lease)
    with pytest.raises(TypeError):
        copy.copy(lease)
    empty = type(lease)()
    del empty
    gc.collect()
    assert kept() == 0


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_buffers_pickle_and_copy_into_memory_of_their_own(protocol: int) -> None:
    array = output(1)
    array[...] = np.arange(1024)
    copies = [pickle.loads(pickle.dumps(array, protocol)), copy.deepcopy(array), copy.copy(array), array.copy()]
    for other in copies:
        assert not np.shares_memory(array, other)
        np.testing.assert_array_equal(other, array)
    expected = array.copy()
    del array, other
    output(1)[...] = 3
    for other in copies:
        np.testing.assert_array_equal(other, expected)


# ── No two at once ────────────────────────────────────────────────────────────────────────────────────────────────────


class Ledger:
    """Live arrays, each stamped at its first and last numbers: a stamp changes when someone else has its memory."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.live: list[tuple[NDArray[np.float32], int, NDArray[np.float32]]] = []
        self.stamp = seed * 1_000_003

    def add(self) -> None:
        rows = LEAST + self.random.choice([0, 0, 0, 1, 40, 60, 256, 300])
        array = gather(TABLE, IDS[:rows], num_threads=self.random.choice([1, 2]))
        assert array[0, 0] == 0
        assert array[-1, -1] == 0
        self.stamp = (self.stamp + 1) % 16_000_000
        array[0, :8] = array[-1, -8:] = self.stamp + 1
        middle = array[rows // 2]
        middle[...] = self.stamp + 1
        self.live.append((array, self.stamp + 1, array[:1, :8]))

    def check(self, item: tuple[NDArray[np.float32], int, NDArray[np.float32]]) -> None:
        array, stamp, view = item
        assert (view == stamp).all(), "memory of a live array was handed out again"
        if array.shape[-1] == 1024:
            assert (array[-1, -8:] == stamp).all(), "memory of a live array was handed out again"
            assert (array[len(array) // 2] == stamp).all(), "memory of a live array was handed out again"

    def drop(self) -> None:
        position = self.random.randrange(len(self.live))
        self.check(self.live[position])
        _, stamp, view = self.live[position]
        if self.random.random() < 0.5:
            self.live.pop(position)
        else:  # the view alone lives on
            self.live[position] = (view, stamp, view)

    def view(self) -> None:
        array, stamp, view = self.random.choice(self.live)
        self.live.append((array.reshape(-1)[:8], stamp, view[:, :]))

    def copied(self) -> None:
        array, stamp, _ = self.random.choice(self.live)
        other = copy.deepcopy(array) if self.random.random() < 0.5 else pickle.loads(pickle.dumps(array, 5))
        assert not np.may_share_memory(array, other)
        assert other.reshape(-1)[0] == stamp

    def apart(self) -> None:
        """No two live outputs overlap, by address."""
        spans = sorted({(address(a), a.nbytes) for a, _, _ in self.live if a.shape[-1] == 1024})
        for (start, size), (following, _) in itertools.pairwise(spans):
            assert start + size <= following

    def fork(self) -> None:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for item in self.live:
                    self.check(item)
                for _ in range(10):
                    self.step(forks=False)
                for array, _, _ in self.live:
                    array.reshape(-1)[:1] = -1  # the parent must not see this
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        for item in self.live:
            self.check(item)

    def step(self, forks: bool = True) -> None:
        chance = self.random.random()
        if not self.live or (chance < 0.4 and len(self.live) < 24):
            self.add()
        elif chance < 0.88 or len(self.live) > 60:
            self.drop()
        elif chance < 0.97:
            self.view()
        elif chance < 0.975:
            self.copied()
        elif chance < 0.9755:
            set_output_cache(self.random.choice([0, 3 * MIB, 10 * MIB, 64 * MIB]))
        elif chance < 0.976:
            clear_output_cache()
        elif chance < 0.986:
            self.apart()
        elif forks and chance < 0.9861 and hasattr(os, "fork"):
            self.fork()
        kept_now, limit = kernels.output_cache_bytes()
        assert kept_now <= limit


OPERATIONS = 25_000 * SCALE


def test_buffers_share_no_memory_over_many_random_operations() -> None:
    ledger = Ledger(1)
    for _ in range(OPERATIONS):
        ledger.step()
    for item in ledger.live:
        ledger.check(item)
    ledger.apart()


def test_buffers_share_no_memory_between_threads() -> None:
    """Four threads, each with arrays of its own, and arrays that are made in one and die in another."""
    handed: list[Any] = []
    failed: list[BaseException] = []
    alive: dict[int, Ledger] = {}

    def work(seed: int) -> None:
        try:
            ledger = alive[seed]
            for operation in range(OPERATIONS // 4):
                ledger.step(forks=False)
                if operation % 7 == 0 and ledger.live:
                    handed.append(ledger.live.pop())
                if operation % 7 == 3 and handed:
                    ledger.live.append(handed.pop())
        except BaseException as error:
            failed.append(error)

    for seed in range(4):
        alive[seed] = Ledger(seed + 2)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in alive]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    everything = Ledger(0)
    everything.live = handed + [item for ledger in alive.values() for item in ledger.live]
    for item in everything.live:
        everything.check(item)
    everything.apart()


# ── Processes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_buffers_of_parent_and_child_are_apart() -> None:
    held, dead = output(2), output(2)
    held[...] = 5
    dead[...] = 6
    place = address(dead)
    del dead
    child = os.fork()
    if child == 0:
        status = 1
        try:
            again = output(2)  # the block that was free at the fork, in the child's own memory
            again[...] = 7
            held[...] = 8
            gather(TABLE, IDS, num_threads=2)[...] = 9
            del again
            clear_output_cache()
            status = int(kept() != 0)
        finally:
            os._exit(status)
    again = output(2)
    assert address(again) == place
    again[...] = 4
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (held == 5).all()
    assert (again == 4).all()


PEAK = """
import gc, resource, sys
import numpy as np
from fastembed import gather, set_output_cache
cap, mib = 48 << 20, 1 << 20
set_output_cache(cap)
table, ids = np.ones((4, 1024), np.float32), np.zeros(256 * 32, np.uint8)
gather(table, ids[:256])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
start = peak()
live = []
for step in range(400):
    live = live[-3:] + [gather(table, ids[: 256 * (1 + step * 7 % 12)])]       # at most 5 of 12 MiB at once
del live
assert peak() - start < cap + 5 * 12 * mib + 8 * mib, (peak() - start) / mib
print(end="")
"""


@pytest.mark.skipif(SANITIZED or not os.path.exists("/proc/self/statm"), reason="counts resident memory")
def test_buffers_peak_memory_is_what_lives_and_the_cap() -> None:
    assert_clean(run_python(PEAK))


LITTLE = """
import resource
import numpy as np
from fastembed import clear_output_cache, embedding_bag, gather, mask
from fastembed._native import kernels
table = np.ones((4, 1024), np.float32)
kept = gather(table, np.zeros(256 * 64, np.uint8))
del kept
assert kernels.output_cache_bytes()[0] == 64 << 20
one = np.zeros(1, np.uint8)
many = np.broadcast_to(one, (1 << 26,))
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), -1))
for call in (
    lambda: gather(table, many),
    lambda: gather(table, np.broadcast_to(one, (1 << 45,))),
    lambda: mask(np.broadcast_to(one, (1 << 40,))),
    lambda: embedding_bag(table, np.broadcast_to(one, (1 << 45, 1))),
    lambda: gather(np.ones((1, 1), np.float32), np.zeros((1 << 25,), np.uint8)),       # 128 MB over a block of its own
):
    try:
        call()
    except MemoryError as error:
        text = str(error)
    else:
        raise SystemExit("it fitted")
print(text)
assert kernels.output_cache_bytes()[0] == 0       # given back, in the hope that this is enough
# what fits once the kept block is given back
block = gather(table, np.zeros(256 * 80, np.uint8))
assert (block == 1).all()
del block
assert (gather(table, np.zeros(256 * 20, np.uint8)) == 1).all()
assert (embedding_bag(table, [[0, 1]]) == 1).all()
"""


@pytest.mark.skipif(SANITIZED or not os.path.exists("/proc/self/statm"), reason="limits the address space")
def test_buffers_without_memory_raise_and_stay_usable() -> None:
    assert_clean(run_python(LITTLE), "an output of 134217728 bytes does not fit in memory.\n")


EXIT = """
import threading
import numpy as np
from fastembed import gather
table, ids = np.ones((4, 1024), np.float32), np.zeros(1024, np.uint8)
held = [gather(table, ids) for _ in range(4)]
dead = gather(table, ids)
del dead
class Late:
    def __del__(self, gather=gather, table=table, ids=ids):
        gather(table, ids).sum()
late = Late()
late.array = gather(table, ids, num_threads=2)
late.itself = late
threading.Thread(target=lambda: [gather(table, ids, num_threads=2) for _ in range(50)], daemon=True).start()
module_global = held[0][3:5]
"""


def test_buffers_in_use_do_not_disturb_the_exit() -> None:
    for _ in range(5 * SCALE):
        assert_clean(run_python(EXIT))
