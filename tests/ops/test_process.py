"""The process around a call: fork, exit, Ctrl-C, and what importing the package leaves as it was."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .helpers import SCALE, SLOW, assert_clean, run_python

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")

PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
from fastembed import gather, gather_with_mask
table = np.arange(64_000, dtype=np.float32).reshape(1000, 64)
ids = np.random.default_rng(0).integers(0, 1000, 20_000)
expected = table[ids]
def right(threads):
    return np.array_equal(gather(table, ids, num_threads=threads), expected)
def forked(threads):
    # whether a gather in a forked child is right; a child that hangs is killed, and is not
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if right(threads) and right(1) else 1)
    return os.waitpid(child, 0)[1] == 0
"""


@posix
def test_forked_child_gathers_after_a_threaded_gather() -> None:
    # -W error: Python 3.12 and later warn of a fork with threads alive; the workers are gone before it
    code = "print(all(right(4) and forked(4) for _ in range(200)), right(4))"
    assert_clean(run_python(PRELUDE + code, options=("-W", "error"), timeout=250), "True True\n")


@posix
def test_forked_childs_child_gathers() -> None:
    code = """
right(4)
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if right(4) and forked(4) and right(4) else 1)
print(os.waitpid(child, 0)[1], right(4))
"""
    assert_clean(run_python(PRELUDE + code, options=("-W", "error")), "0 True\n")


@posix
def test_fork_while_another_thread_gathers() -> None:
    # the warning that Python 3.12 gives here is about the Python thread
    code = """
long_ids = np.tile(ids, 20)
out = np.empty((len(long_ids), 64), np.float32)
stop = threading.Event()
results = []
def keep_gathering():
    while not stop.is_set():
        gather(table, long_ids, out=out, num_threads=3)
        results.append(np.array_equal(out[-20_000:], expected))
thread = threading.Thread(target=keep_gathering)
thread.start()
while not results: time.sleep(0.001)
children = [forked(3) for _ in range(40)]
stop.set()
thread.join()
print(all(children), all(results), right(3))
"""
    done = run_python(PRELUDE + code, options=("-W", "ignore::DeprecationWarning"), timeout=250)
    assert_clean(done, "True True True\n")


@posix
def test_fork_in_a_signal_handler_during_a_gather() -> None:
    code = """
children = []
def fork_here(number, frame):
    children.append(forked(2))
signal.signal(signal.SIGUSR1, fork_here)
long_ids = np.tile(ids, 30)
def ask():
    for _ in range(3):
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGUSR1)
asker = threading.Thread(target=ask)
asker.start()
while asker.is_alive() or len(children) < 3:
    assert np.array_equal(gather(table, long_ids, num_threads=2)[-20_000:], expected)
print(children)
"""
    done = run_python(PRELUDE + code, options=("-W", "ignore::DeprecationWarning"), timeout=200)
    assert_clean(done, "[True, True, True]\n")


@posix
def test_preexec_fn_of_a_subprocess_does_not_hang() -> None:
    code = """
import subprocess
for _ in range(20):
    right(4)
    subprocess.run(["true"], preexec_fn=os.getpid, check=True, timeout=60)
    subprocess.run(["true"], check=True, timeout=60)
print(right(4))
"""
    assert_clean(run_python(PRELUDE + code), "True\n")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_gathers_in_children(method: str, tmp_path: Path) -> None:
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(method)
    script = tmp_path / "script.py"
    script.write_text(
        PRELUDE
        + f"""
import multiprocessing
def child():
    sys.exit(0 if right(4) and right(1) else 1)
if __name__ == "__main__":
    right(4)
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target=child) for _ in range(3)]
    for one in children: one.start()
    for one in children: one.join(100)
    print([one.exitcode for one in children], right(4))
"""
    )
    code = f"import runpy, sys; sys.argv = [{str(script)!r}]; runpy.run_path(sys.argv[0], run_name='__main__')"
    if method != "fork":  # a child finds the script by the path of __main__
        code = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, {str(script)!r}]).returncode)"
    assert_clean(run_python(code, timeout=250), "[0, 0, 0] True\n")


@pytest.mark.parametrize("threads", [1, 3])
def test_exit_while_a_daemon_thread_gathers(threads: int) -> None:
    code = """
started = threading.Event()
if sys.argv[3] == "short calls":
    table, many = table, np.tile(ids, 5)
else:       # rows without columns and fresh zeros: a call of about 0.3 s that takes no memory
    table, many = table[:, :0].copy(), np.zeros(4 * 10**8, np.uint8)
out = np.empty((len(many), table.shape[1]), np.float32)
def keep_gathering():
    while True:
        started.set()
        gather(table, many, out=out, num_threads=int(sys.argv[1]))
threading.Thread(target=keep_gathering, daemon=True).start()
started.wait()
time.sleep(float(sys.argv[2]))
"""
    for k in range(10 * SCALE):
        assert_clean(
            run_python(PRELUDE + code, str(threads), str(0.02 * (k % 10)), "short calls" if k % 2 else "long calls")
        )


def test_exit_with_idle_workers() -> None:
    assert_clean(run_python(PRELUDE + "print(right(8))"), "True\n")


INTERRUPT = """
def kill_soon():
    time.sleep(0.1)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
late = []
for threads in (1, 2) * 3:
    sent = []
    killer = threading.Thread(target=kill_soon)
    killer.start()
    try:
        long_call(threads)
        print("not interrupted")
    except KeyboardInterrupt:
        late.append(time.perf_counter() - sent[0])
    killer.join()
    assert right(threads)
# the quickest: a machine busy with other work delays some; without polling each takes the whole call
print(len(late), min(late) < float(sys.argv[1]))
"""


@posix
@pytest.mark.parametrize(
    "long_call",
    [
        # fresh zeros take no memory, nor does most of the output, as the call is cut short
        "many = np.zeros(4 * 10**8, np.uint8); narrow = table[:, :1].copy()\n"
        "def long_call(threads): gather(narrow, many, mode='wrap', num_threads=threads)",
        "many = np.zeros(4 * 10**8, np.uint8); narrow = table[:, :1].copy()\n"
        "def long_call(threads): gather_with_mask(narrow, many, num_threads=threads)",
        "wide = np.ones((2, 2**16), np.float32); many = np.zeros(20_000, np.int64)\n"
        "def long_call(threads): gather(wide, many, num_threads=threads)",
    ],
    ids=["narrow", "mask", "wide"],
)
def test_interrupt_is_honoured_during_one_long_call(long_call: str) -> None:
    limit = str(30 if SLOW else 0.2)  # AddressSanitizer takes long to give large memory back
    assert_clean(run_python(PRELUDE + long_call + INTERRUPT, limit), "6 True\n")


@posix
def test_handler_that_returns_lets_the_call_go_on() -> None:
    code = """
seen = []
def handle(number, frame):
    seen.append(right(2) and right(1))      # a gather inside a gather
signal.signal(signal.SIGUSR1, handle)
long_ids = np.tile(ids, 60)
def ask():
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGUSR1)
for threads in (1, 3):
    asker = threading.Thread(target=ask)
    asker.start()
    rows = gather(table, long_ids, num_threads=threads)
    asker.join()
    assert all(np.array_equal(part, expected) for part in np.split(rows, 60))
print(seen)
"""
    assert_clean(run_python(PRELUDE + code), "[True, True]\n")


@posix
def test_interrupt_is_honoured_in_a_child_that_another_thread_forked() -> None:
    # there the forking thread is the main one
    code = """
many = np.zeros(4 * 10**8, np.uint8); narrow = table[:, :1].copy()
def in_child():
    signal.alarm(60)
    def kill_soon():
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
    killer = threading.Thread(target=kill_soon)
    killer.start()
    try:
        gather(narrow, many, num_threads=2)
    except KeyboardInterrupt:
        return right(2)
    return False
results = []
def fork():
    child = os.fork()
    if child == 0:
        os._exit(0 if in_child() else 1)
    results.append(os.waitpid(child, 0)[1])
thread = threading.Thread(target=fork)
thread.start()
thread.join()
print(results)
"""
    assert_clean(run_python(PRELUDE + code, options=("-W", "ignore::DeprecationWarning")), "[0]\n")


@posix
def test_handler_that_raises_makes_the_call_raise_its_exception() -> None:
    code = """
class Stop(Exception): pass
def handle(number, frame): raise Stop("enough")
signal.signal(signal.SIGALRM, handle)
many = np.zeros(4 * 10**8, np.uint8); narrow = table[:, :1].copy()
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    gather(narrow, many, num_threads=2)
except Stop as error:
    print(error, right(2))
"""
    assert_clean(run_python(PRELUDE + code), "enough True\n")


def test_import_leaves_the_process_as_it_was() -> None:
    code = """
import os, signal, sys, threading
import numpy as np
def umask():
    before = os.umask(0)
    os.umask(before)
    return before
def state():
    numbers = [n for n in signal.valid_signals()]
    with np.errstate(all="ignore"):
        tiny = np.full(100, 1e-40, np.float32) * np.float32(0.5)
    return {
        "handlers": [signal.getsignal(n) for n in numbers],
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, []) if hasattr(signal, "pthread_sigmask") else None,
        "wakeup": signal.set_wakeup_fd(-1),
        "environment": dict(os.environ),
        "random": [part if isinstance(part, (str, int, float)) else part.tobytes() for part in np.random.get_state()],
        "errors": np.geterr(),
        "subnormals": tiny.tobytes(),
        "affinity": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "threads": len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else None,
        "python threads": threading.active_count(),
        "switch interval": sys.getswitchinterval(),
        "recursion": sys.getrecursionlimit(),
        "files": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None,
        "umask": umask(),
        "folder": os.getcwd(),
    }
before = state()
import fastembed
after = state()
print([name for name in before if before[name] != after[name]])
table = np.full((100, 64), 1e-40, np.float32)
fastembed.gather(table, np.zeros(20_000, np.int32), num_threads=4)
after = state()
print([name for name in before if before[name] != after[name]])
"""
    changed = "['threads']" if sys.platform.startswith("linux") else "[]"
    assert_clean(run_python(code, options=("-W", "error")), f"[]\n{changed}\n")


def test_import_in_a_second_interpreter_works_or_is_refused() -> None:
    code = """
import sys
import fastembed
INSIDE = "import sys; sys.path[:] = %r\\ntry:\\n    import fastembed\\nexcept ImportError: pass"
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inside = interpreters.create()
try:
    result = interpreters.run_string(inside, INSIDE % sys.path)
except Exception as error:
    result = error
print(result)
"""
    assert_clean(run_python(code, options=("-W", "ignore")), "None\n")
