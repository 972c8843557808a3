"""Ctrl-C in every long kernel and in fit, and ends of the process in the middle of a save."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.ops.helpers import SLOW, assert_clean, run_python

from .cases import SAVES
from .helpers import scaled

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

# Calls that take seconds, on little memory; `wide` gives each row work.
LONG = {
    "embedding_bag": "embedding_bag(wide, np.zeros((1, 3_000_000), np.uint8), num_threads=threads)",
    "maximum with positions": "kernels.embedding_bag_max_positions(wide, np.zeros((1, 600_000), np.uint8),"
    " num_threads=threads)",
    "mask": "[mask(zeros, 1, num_threads=threads) for _ in range(100)]",
    "embedding_grad": "embedding_grad(zeros[:30_000_000], ones[:30_000_000], 200, num_threads=threads)",
    "embedding_grad, wide": "embedding_grad(zeros[:500], np.broadcast_to(wide[:1], (500, 4096)), 200,"
    " num_threads=threads) and time.sleep(0) or grad_of_long_bag(threads)",
    "embedding_bag_grad": "embedding_bag_grad(zeros[:200_000].reshape(1, -1), wide[:1], 200, num_threads=threads)",
    "embedding_bag_grad, one bag": "embedding_bag_grad(zeros[None], ones[:1], 200, num_threads=threads)",
    "scatter_add": "[scatter_add(wide, few, values, num_threads=threads) for _ in range(1000)]",
    "apply_gradients": "optimizers.SGD().apply_gradients([(long_sums, layer)])",
    "debts of rows looked up": "indebted(every_row[512 * (turn % 3) :][:512])",
    "debts of all rows": "indebted.get_weights()",
    "debts in a step": "adam.apply_gradients([(sums.summed(), indebted)])",
    "debts in a step that sums": "adam.apply_gradients([(sums, indebted)])",
    "fit": "model.fit(few_ids, targets, epochs=100_000, verbose=0)",
    "predict": "model.predict(np.zeros((1_000_000, 4), np.int64))",
    "set_weights": "[model.set_weights(weights) for _ in range(100_000)]",
}

# A layer whose rows but the first owe 60,000 steps, 20 ms each: under these betas no series pays them.
INDEBTED = """
import numpy as np
from fastembed import *
every_row = np.arange(1, 2000)
ones_of_rows = np.ones((1999, 300), np.float32)
def in_debt(rows, steps):
    layer, adam = Embedding(rows, 300, weights=[np.ones((rows, 300))]), optimizers.Adam(beta_1=0.9, beta_2=0.8)
    layer.build(None)
    for ids in (np.arange(rows), np.array([0])):
        adam.apply_gradients([(layer.gradient(ids, np.ones((len(ids), 300), np.float32)), layer)])
    history = layer._guard.debtor._history
    for _ in range(steps):
        history.take(history.prepare(history.numbers[2], 0.001, 2))
    return layer, adam
"""

INTERRUPT = INDEBTED + """
import os, signal, sys, threading, time
import numpy as np
from fastembed import *
from fastembed._native import kernels
from fastembed.layers import Dense, Flatten
wide = np.ones((200, 4096), np.float32)
zeros = np.zeros(100_000_000, np.uint8)
ones = np.zeros((30_000_000, 1), np.float32)
few = np.zeros(2000, np.int64)
values = np.zeros((2000, 4096), np.float32)
few_ids, targets = np.zeros((64, 4), np.int64), np.zeros((64, 1), np.float32)
model = Sequential([Embedding(200, 64, input_length=4), Flatten(), Dense(1)])
model.compile("adam", "mse")
weights = model.get_weights()
layer = Embedding.holding(np.ones((200, 4096), np.float32))
long_sums = None    # on one thread their columns are not shared out: the step makes them
if sys.argv[3] == "apply_gradients":
    long_sums = kernels.embedding_bag_row_sums(np.zeros((1, 5_000_000), np.uint8), wide[:1], 200, num_threads=1)
if sys.argv[3].startswith("debts"):
    indebted, adam = in_debt(2000, 60_000)
    sums = indebted.gradient(every_row, ones_of_rows, deferred=True)
def grad_of_long_bag(threads):
    embedding_bag_grad(np.zeros((1, 20_000_000), np.uint8), ones[:1], 200, reduce="sum", num_threads=threads)
def right():
    return bool((gather(wide, [3, 5]) == wide[[3, 5]]).all() and model.predict(few_ids).shape == (64, 1))
right()
late = []
for turn in range(int(sys.argv[1])):
    threads = 1 + turn % 2
    sent = []
    def kill():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(0.15 + 0.02 * (turn % 5), kill)
    timer.start()
    try:
        while True: CALL
    except KeyboardInterrupt:
        late.append(time.perf_counter() - sent[0])
    timer.join()
    assert right()
# the quickest: other work on the machine delays some
print(len(late), min(late) < float(sys.argv[2]) or late)
"""


@posix
@pytest.mark.parametrize("name", LONG)
def test_interrupt_is_felt_in_every_long_call(name: str) -> None:
    turns = str(scaled(2))
    code = INTERRUPT.replace("CALL", LONG[name])
    done = run_python(code, turns, str(30 if SLOW else 0.25), name, timeout=280)
    assert_clean(done, f"{turns} True\n")


@posix
def test_interrupted_payment_leaves_each_row_paid_or_not() -> None:
    code = """
import signal
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
one, another = in_debt(60, 20_000)[0], in_debt(60, 20_000)[0]
partly = False
for pay in (lambda: one(every_row[:50]), one.get_weights):
    signal.setitimer(signal.ITIMER_REAL, 0.06)
    try:
        pay()
    except KeyboardInterrupt:
        last = one._guard.debtor._last
        partly = partly or 1 < np.count_nonzero(last == last.max()) < 60
signal.setitimer(signal.ITIMER_REAL, 0)
print(partly, np.array_equal(one.get_weights()[0], another.get_weights()[0]))
"""
    assert_clean(run_python(INDEBTED + code), "True True\n")


_SAVE = """
import sys
from pathlib import Path
from tests.reliability.cases import SAVES
way, path = SAVES[sys.argv[1]], Path(sys.argv[2])
print("ready", flush=True)
while True:
    way.save(path)
"""


@posix
@pytest.mark.parametrize("name", SAVES)
def test_kill_in_a_save_leaves_a_whole_file(name: str, tmp_path: Path) -> None:
    way = SAVES[name]
    path = tmp_path / f"file{way.suffix}"
    way.save(path)
    whole = path.read_bytes()
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}
    rng = np.random.default_rng(0)
    for _ in range(scaled(5)):
        command = [sys.executable, "-c", _SAVE, name, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, 0.02))
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() == whole
        way.load(path)


@posix
def test_sigterm_handling_ends_with_the_command(tmp_path: Path) -> None:
    code = """
import signal
from fastembed._cli import main
before = signal.getsignal(signal.SIGTERM)
main(["info"])
print(signal.getsignal(signal.SIGTERM) == before)
"""
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("True\n")
