"""`python -m benchmarks.against COMMIT`: this version's speed against that of another commit, processes in turns.

The commit is cloned and built, needing what building from the sources needs. For each workload a process of either
version runs, one after the other, again and again; a process gives, for each call, the time that a quarter of its
repetitions stay below. The figure is the ratio of either version's quickest process, new over old: where a machine's
cores are shared, others' work doubles times for seconds on end, so that the median of the pairs' ratios, which is shown
beside it with its quartiles, is mostly about whom that met. The results are compared first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastembed import Embedding, Sequential, ops
from fastembed._bench.workloads import WORKLOADS
from fastembed.layers import Dense, Flatten

ROOT = Path(__file__).parents[1]
SECONDS = 0.3
# "train": the rows' gradients and steps of a whole batch, whose table is as large as that of keras#4365.
NAMES = (*WORKLOADS, "train")


def calls_of(name: str) -> dict[str, Callable[[], Any]]:
    """What is timed of a workload: only functions that both versions have."""
    if name == "train":
        table, ids = WORKLOADS["W4u"].make()
        model = Sequential([Embedding(*table.shape, input_length=26), Flatten(), Dense(1)])
        model.compile("adam", "mse")
        model.set_weights([table, np.full((26 * 64, 1), 0.01, np.float32), np.zeros(1, np.float32)])
        y = np.ones((len(ids), 1), np.float32)
        return {"train_on_batch, Adam": lambda: model.train_on_batch(ids, y)}
    table, ids = WORKLOADS[name].make()
    calls: dict[str, Callable[[], Any]] = {
        "gather": lambda: ops.gather(table, ids),
        "gather_with_mask": lambda: ops.gather_with_mask(table, ids, padding_id=0),
        "mask": lambda: ops.mask(ids),
    }
    if ids.ndim == 2:
        calls["embedding_bag"] = lambda: ops.embedding_bag(table, ids, padding_id=0)
    if name in ("W3", "W4u"):
        grads = np.random.default_rng(1).random((*ids.shape, table.shape[1]), np.float32)
        calls["embedding_grad"] = lambda: ops.embedding_grad(ids, grads, len(table))
    if name == "W1":
        layer = Embedding(*table.shape, input_length=ids.shape[1], weights=[table])
        model = Sequential([layer])
        calls |= {"layer(ids)": lambda: layer(ids), "predict": lambda: model.predict(ids)}
    return calls


def measured(name: str) -> dict[str, tuple[float, str]]:
    """For each call the time that a quarter of its repetitions stay below, and a digest of its first result."""
    found = {}
    for call, function in calls_of(name).items():
        digest = hashlib.sha256()
        for array in _arrays(function()):
            digest.update(np.ascontiguousarray(array).data)
        began = time.perf_counter()
        function()
        once = time.perf_counter() - began
        several = max(1, round(2e-4 / once))
        times = []
        end = time.perf_counter() + SECONDS
        while len(times) < 5 or time.perf_counter() < end:
            began = time.perf_counter()
            for _ in range(several):
                function()
            times.append((time.perf_counter() - began) / several)
        found[call] = (sorted(times)[len(times) // 4], digest.hexdigest())
    return found


def _arrays(result: Any) -> list[Any]:
    if isinstance(result, np.ndarray):
        return [result]
    if isinstance(result, tuple):
        return list(result)
    return [result.ids, result.values] if hasattr(result, "values") else [np.float64(result)]


def in_turns(old: Path, name: str, pairs: int) -> dict[str, list[tuple[float, float]]]:
    """For each call the times of the version in the folder `old` and of this one, a pair for each two processes."""
    versions = {"old": old, "new": Path(ops.__file__).parents[2]}
    found: dict[str, list[tuple[float, float]]] = {}
    for pair in range(pairs):
        results = {}
        for version in ("old", "new") if pair % 2 else ("new", "old"):
            environment = os.environ | {"PYTHONPATH": f"{versions[version]}{os.pathsep}{ROOT}"}
            command = [sys.executable, "-m", "benchmarks.against", "--one", name]
            with tempfile.TemporaryDirectory() as empty:  # where it begins to look for modules
                done = subprocess.run(command, env=environment, cwd=empty, stdout=subprocess.PIPE, check=True)
            results[version] = json.loads(done.stdout)
        for call, (seconds, digest) in results["new"].items():
            before, other = results["old"][call]
            if digest != other:
                raise AssertionError(f"{name}: {call}: the results differ")
            found.setdefault(call, []).append((before, seconds))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("commit", nargs="?", help="the commit to compare with")
    parser.add_argument("--only", nargs="+", metavar="W", choices=NAMES, default=NAMES, help="these workloads only")
    parser.add_argument("--pairs", type=int, default=10, help="processes of either version; default 10")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)  # what a process of either version does
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one)))
        return 0
    if not arguments.commit:
        parser.error("which commit?")
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(old)], check=True)
        subprocess.run(["git", "-C", str(old), "checkout", "-q", arguments.commit], check=True)
        build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        subprocess.run(build, cwd=old, check=True, stdout=subprocess.DEVNULL)
        print("| | | old | new | new / old | pairs (quartiles) |\n|---|---|--:|--:|--:|---|")
        for name in arguments.only:
            for call, pairs in in_turns(old / "src", name, arguments.pairs).items():
                before, now = (min(times) for times in zip(*pairs, strict=True))
                low, ratio, high = np.quantile([new / old for old, new in pairs], (0.25, 0.5, 0.75))
                print(
                    f"| {name} | {call} | {before * 1e6:,.2f} us | {now * 1e6:,.2f} us | {now / before:.2f} "
                    f"| {ratio:.2f} ({low:.2f}-{high:.2f}) |", flush=True
                )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
