"""How many threads a call gets, where the number comes from, and how many the process then has."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastembed
from fastembed._native import kernels
from fastembed.ops import _threads, gather, get_num_threads, num_threads, set_num_threads

from .helpers import SANITIZED, assert_clean, random_table, run_python, same_bits

PRINT = "import fastembed; from fastembed.ops import _threads; print(fastembed.get_num_threads(), _threads.describe())"
CPUS = "the CPUs this process may use"


@pytest.fixture(autouse=True)
def default_threads(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("FASTEMBED_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    set_num_threads(None)
    yield
    monkeypatch.undo()
    set_num_threads(None)


def test_threads_functions_are_exported() -> None:
    assert fastembed.set_num_threads is set_num_threads
    assert fastembed.get_num_threads is get_num_threads
    assert fastembed.num_threads is num_threads


def test_default_is_the_cpus_this_process_may_use() -> None:
    assert get_num_threads() == _threads.usable_cpus() >= 1
    assert _threads.describe() == f"{_threads.usable_cpus()} ({CPUS})"


def test_set_num_threads_holds_until_the_default_is_taken_again() -> None:
    set_num_threads(3)
    assert get_num_threads() == 3
    assert _threads.describe() == "3 (set_num_threads)"
    set_num_threads(np.int8(256 // 4))
    assert get_num_threads() == 64
    assert type(get_num_threads()) is int
    set_num_threads(None)
    assert get_num_threads() == _threads.usable_cpus()
    assert _threads.describe() == f"{_threads.usable_cpus()} ({CPUS})"


@pytest.mark.parametrize("call", [set_num_threads, num_threads, _threads.checked])
def test_unfit_numbers_of_threads_are_refused(call: Any) -> None:
    set_num_threads(5)
    for number in (0, -3, 257, 2**65):
        with pytest.raises(ValueError, match="from 1") as error:
            call(number)
        assert str(error.value) == f"`num_threads` must be from 1 to 256. Received: {number}."
    for other, shown in ((True, "True (bool)"), (1.0, "1.0 (float)"), ("1", "'1' (str)")):
        with pytest.raises(TypeError) as kind_error:
            call(other)
        assert str(kind_error.value) == f"`num_threads` must be an integer. Received: {shown}."
    assert get_num_threads() == 5


def test_num_threads_contexts_nest() -> None:
    set_num_threads(5)
    with num_threads(3):
        assert get_num_threads() == 3
        assert _threads.describe() == "3 (num_threads context)"
        again = num_threads(2)
        with again, num_threads(7):
            assert get_num_threads() == 7
            with again:
                assert get_num_threads() == 2
            assert get_num_threads() == 7
            set_num_threads(4)
            assert get_num_threads() == 7
        assert get_num_threads() == 3
        with pytest.raises(KeyError), num_threads(9):
            raise KeyError
        assert get_num_threads() == 3
    assert get_num_threads() == 4


def test_num_threads_context_that_was_not_entered_is_not_left() -> None:
    with pytest.raises(RuntimeError) as error:
        num_threads(3).__exit__(None, None, None)
    assert str(error.value) == "a `num_threads` context is left that this thread has not entered."


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="setitimer")
def test_signal_handler_that_raises_leaves_no_setting_behind() -> None:
    code = """
import signal, fastembed
class Stop(Exception): pass
def stop(number, frame): raise Stop
signal.signal(signal.SIGALRM, stop)
fastembed.set_num_threads(2)
left = 0
for turn in range(500):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4 + turn * 1e-6)
        while True:
            with fastembed.num_threads(1): pass
    except Stop: pass
    left += fastembed.get_num_threads() != 2
print(left)
"""
    assert_clean(run_python(code), "0\n")


def test_num_threads_context_is_of_its_thread_alone() -> None:
    set_num_threads(5)
    seen: list[int] = []
    with num_threads(3):
        thread = threading.Thread(target=lambda: seen.append(get_num_threads()))
        thread.start()
        thread.join()
        assert get_num_threads() == 3
    assert seen == [5]


def test_num_threads_context_may_be_shared_by_threads() -> None:
    set_num_threads(5)
    shared = num_threads(2)
    entered, leave = threading.Event(), threading.Event()
    seen: list[int] = []

    def other() -> None:
        with num_threads(9):
            with shared:
                entered.set()
                leave.wait()
            seen.append(get_num_threads())
        seen.append(get_num_threads())

    thread = threading.Thread(target=other)
    with shared:
        thread.start()
        entered.wait()
    assert get_num_threads() == 5
    leave.set()
    thread.join()
    assert seen == [9, 5]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FASTEMBED_NUM_THREADS": "3"}, "3 3 (FASTEMBED_NUM_THREADS)\n"),
        ({"OMP_NUM_THREADS": "4"}, "4 4 (OMP_NUM_THREADS)\n"),
        ({"OMP_NUM_THREADS": "4,2"}, "4 4 (OMP_NUM_THREADS)\n"),
        ({"OMP_NUM_THREADS": " 7 , 2 "}, "7 7 (OMP_NUM_THREADS)\n"),
        ({"FASTEMBED_NUM_THREADS": "3", "OMP_NUM_THREADS": "4"}, "3 3 (FASTEMBED_NUM_THREADS)\n"),
        ({"FASTEMBED_NUM_THREADS": "", "OMP_NUM_THREADS": "4"}, "4 4 (OMP_NUM_THREADS)\n"),
        ({"FASTEMBED_NUM_THREADS": "1000"}, "256 256 (FASTEMBED_NUM_THREADS)\n"),
    ],
    ids=str,
)
def test_environment_names_the_number(environment: dict[str, str], expected: str) -> None:
    assert_clean(run_python(PRINT, options=("-W", "error"), env=environment), expected)


@pytest.mark.parametrize("text", ["0", "-1", "two", "2.0", "1e3", ",2", "9" * 5000, "²"])
@pytest.mark.parametrize("variable", ["FASTEMBED_NUM_THREADS", "OMP_NUM_THREADS"])
def test_environment_that_is_no_number_is_ignored_with_a_warning(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        set_num_threads(None)
    assert [(str(one.message), one.category) for one in caught] == [
        (f"{variable}={text!r} is not a positive whole number; it is ignored.", RuntimeWarning)
    ]
    assert get_num_threads() == _threads.usable_cpus()
    if variable == "FASTEMBED_NUM_THREADS":
        monkeypatch.setenv("OMP_NUM_THREADS", "6")
        with pytest.warns(RuntimeWarning):
            set_num_threads(None)
        assert get_num_threads() == 6


def test_environment_that_is_no_number_does_not_stop_the_import() -> None:
    done = run_python("import fastembed", env={"FASTEMBED_NUM_THREADS": "many"})
    assert done.returncode == 0
    assert done.stderr.splitlines()[0].endswith(
        "RuntimeWarning: FASTEMBED_NUM_THREADS='many' is not a positive whole number; it is ignored."
    )


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux")
def test_affinity_bounds_the_default() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n" + PRINT
    assert_clean(run_python(code), f"1 1 ({CPUS})\n")


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def quota(tmp_path: Path, membership: str) -> float | None:
    (tmp_path / "membership").write_text(membership)
    return _threads._quota(tmp_path / "membership", tmp_path / "root")


def test_quota_of_cgroup_2_is_the_least_of_the_group_and_those_above(tmp_path: Path) -> None:
    root = tmp_path / "root"
    group(root / "a" / "b", cpu__max="300000 100000\n")
    assert quota(tmp_path, "0::/a/b\n") == 3.0
    group(root / "a", cpu__max="150000 100000\n")
    assert quota(tmp_path, "0::/a/b\n") == 1.5
    group(root / "a" / "b", cpu__max="max 100000\n")
    assert quota(tmp_path, "0::/a/b\n") == 1.5
    group(root / "a", cpu__max="max 100000\n")
    assert quota(tmp_path, "0::/a/b\n") is None
    group(root, cpu__max="50000 100000\n")
    assert quota(tmp_path, "0::/a/b\n") == 0.5
    assert quota(tmp_path, "0::/../elsewhere\n") == 0.5
    assert quota(tmp_path, "0::/\n") == 0.5


def test_quota_of_cgroup_1_is_read_from_its_cpu_controller(tmp_path: Path) -> None:
    root = tmp_path / "root"
    group(root / "cpu,cpuacct" / "a", cpu__cfs_quota_us="250000\n", cpu__cfs_period_us="100000\n")
    text = "11:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/x:y\n"
    assert quota(tmp_path, text) == 2.5
    group(root / "cpu,cpuacct" / "a", cpu__cfs_quota_us="-1\n")
    assert quota(tmp_path, text) is None
    group(root / "cpu" / "b", cpu__cfs_quota_us="100000\n", cpu__cfs_period_us="50000\n")
    assert quota(tmp_path, "4:cpu:/b\n") == 2.0
    assert quota(tmp_path, "4:cpuset:/b\n") is None
    group(root / "cpu", cpu__cfs_quota_us="100000\n", cpu__cfs_period_us="100000\n")
    assert quota(tmp_path, "4:cpu:/host/path\n0::/\n") == 1.0


def test_quota_survives_files_that_make_no_sense(tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert _threads._quota(tmp_path / "none", root) is None
    for text in ("", "0", "0:", "0::", "nonsense\n\n", "::\n", "0::/missing\n"):
        assert quota(tmp_path, text) is None
    for limit in ("", "max", "1", "a b", "100 0", "0 100", "-1 100", "1 2 3"):
        group(root, cpu__max=limit)
        assert quota(tmp_path, "0::/\n") is None
    (tmp_path / "membership").write_bytes(b"0::/\xff\xfe\n")
    group(root, cpu__max="200000 100000")
    assert _threads._quota(tmp_path / "membership", root) == 2.0


@pytest.mark.parametrize(
    ("allowed", "limit", "number"), [(8, None, 8), (8, 2.5, 3), (8, 0.1, 1), (2, 6.0, 2), (999, None, 256)]
)
def test_usable_cpus_are_the_least_of_affinity_and_quota(
    allowed: int, limit: float | None, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_threads.os, "sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    monkeypatch.setattr(_threads, "_quota", lambda *_: limit)
    assert _threads.usable_cpus() == number
    set_num_threads(None)
    assert get_num_threads() == number


COUNTING = """
import os, sys, threading
import numpy as np
import fastembed
from fastembed._native import kernels
def threads():
    return len(os.listdir("/proc/self/task")) - base
base = 0
base = threads()
table = np.ones((1000, 64), np.float32)
ids = np.zeros(40_000, np.int32)
"""
procfs = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="procfs")


@procfs
def test_small_calls_start_no_thread() -> None:
    code = """
fastembed.set_num_threads(8)
for _ in range(100):
    fastembed.gather(table, ids[:400])
    fastembed.gather_with_mask(table, [[1, 2]], num_threads=16)
print(threads())
"""
    assert_clean(run_python(COUNTING + code), "0\n")


@procfs
def test_large_calls_start_no_more_threads_than_asked() -> None:
    code = """
seen = []
for n in (1, 2, 4, 3, 8, 1):
    fastembed.gather(table, ids, num_threads=n)
    seen.append(threads())
with fastembed.num_threads(11):
    fastembed.gather_with_mask(table, ids)
seen.append(threads())
kernels.stop_workers()
seen.append(threads())
fastembed.gather(table, ids, num_threads=3)
print(seen, threads())
"""
    assert_clean(run_python(COUNTING + code), "[0, 1, 3, 3, 7, 7, 10, 0] 2\n")


@procfs
def test_threads_are_no_more_than_there_is_to_share() -> None:
    # 200 KB are a few claims: 256 threads would be started for nothing
    code = "fastembed.gather(table, ids[:800], num_threads=256); print(threads() <= 8)"
    assert_clean(run_python(COUNTING + code), "True\n")


@procfs
def test_many_callers_share_one_pool() -> None:
    code = """
right = []
def call():
    for _ in range(20):
        right.append(bool((fastembed.gather(table, ids, num_threads=4) == 1).all()))
callers = [threading.Thread(target=call) for _ in range(16)]
for caller in callers: caller.start()
for caller in callers: caller.join()
import time
for _ in range(200):    # Thread.join returns a little before the thread is gone
    if threads() <= 3: break
    time.sleep(0.01)
print(all(right), len(right), threads())
"""
    assert_clean(run_python(COUNTING + code), "True 320 3\n")


@procfs
def test_workers_leave_signals_to_the_main_thread() -> None:
    code = """
import signal
mine = {int(t) for t in os.listdir("/proc/self/task")}
before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
fastembed.gather(table, ids, num_threads=4)
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
def blocked(task):
    bits = int(open(f"/proc/self/task/{task}/status").read().split("SigBlk:")[1].split()[0], 16)
    return [bool(bits >> (n - 1) & 1) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGSEGV)]
workers = {int(t) for t in os.listdir("/proc/self/task")} - mine
import time
for _ in range(500):    # a thread that has not run yet has all signals blocked by the C library
    if all(blocked(task) == [True, True, True, False] for task in workers): break
    time.sleep(0.01)
print(len(workers), *(blocked(task) for task in workers))
"""
    assert_clean(run_python(COUNTING + code), "3" + " [True, True, True, False]" * 3 + "\n")


@procfs
@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer's own memory is past any such limit")
def test_threads_that_cannot_be_had_are_done_without() -> None:
    code = """
import resource
used = int(open("/proc/self/statm").read().split()[0]) * 4096
out = np.empty((40_000, 64), np.float32)
resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000, -1))
fastembed.gather(table, ids, out=out, num_threads=64)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(bool((out == 1).all()), threads() < 63)
out[:] = 0
fastembed.gather(table, ids, out=out, num_threads=9)
print(bool((out == 1).all()), threads() >= 8)
"""
    assert_clean(run_python(COUNTING + code), "True True\nTrue True\n")


def test_stop_workers_is_harmless_at_any_time() -> None:
    table = random_table(1000, 64)
    ids = np.random.default_rng(8).integers(0, 1000, 20_000)
    expected = table[ids]
    stop = threading.Event()

    def keep_stopping() -> None:
        while not stop.is_set():
            kernels.stop_workers()

    stoppers = [threading.Thread(target=keep_stopping) for _ in range(2)]
    for stopper in stoppers:
        stopper.start()
    try:
        for _ in range(200):
            assert same_bits(gather(table, ids, num_threads=4), expected)
    finally:
        stop.set()
        for stopper in stoppers:
            stopper.join()


def test_eight_python_threads_gather_at_once() -> None:
    table = random_table(5000, 64)
    rng = np.random.default_rng(9)
    work = [rng.integers(0, 5000, 3000 * (k + 1)) for k in range(8)]
    wrong: list[int] = []
    start = threading.Barrier(8)

    def caller(k: int) -> None:
        expected = table[work[k]]
        bad = work[k].copy()
        bad[-k - 1] = -1
        start.wait()
        for _ in range(30):
            rows, mask = fastembed.gather_with_mask(table, work[k], num_threads=1 + k)
            if not (same_bits(rows, expected) and np.array_equal(mask, work[k] != 0)):
                wrong.append(k)
            try:
                gather(table, bad, num_threads=1 + k)
                wrong.append(k)
            except IndexError as error:
                if not str(error).startswith(f"indices[{len(bad) - k - 1}] = -1 is not in [0, 5000): "):
                    wrong.append(k)

    callers = [threading.Thread(target=caller, args=(k,)) for k in range(8)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert wrong == []
