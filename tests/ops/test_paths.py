"""Instruction paths: each can be forced by the environment, and all give the same bits."""

from __future__ import annotations

import pytest

from fastembed._native import kernels

from .helpers import assert_clean, run_python

OUTPUTS = """
import hashlib, itertools
import numpy as np
from fastembed import embedding_bag, gather, gather_with_mask, mask
from fastembed._native import kernels
hashed = hashlib.sha256()
rng = np.random.default_rng(0)
specials = np.array([0, -0.0, np.inf, -np.inf, 1e-45, -1e-40, 3e38], np.float32)
for dim in (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 72, 100, 300, 1024, 1030):
    table = rng.standard_normal((90, dim), np.float32)
    table = np.where(rng.random(table.shape) < 0.02, rng.choice(specials, table.shape), table).astype(np.float32)
    bits = rng.integers(0, 2**32, (90, dim), np.uint32).view(np.float32)     # NaNs too, copied as they are
    for count in (1, 7, 300, 5000):
        ids = rng.integers(-3, 95, count, np.int32)
        for mode in ("clip", "wrap", "zero"):
            for threads in (1, 3):
                hashed.update(gather(bits, ids, mode=mode, num_threads=threads).tobytes())
                rows, marks = gather_with_mask(bits, ids, padding_id=-1, mode=mode, num_threads=threads)
                hashed.update(rows.tobytes() + marks.tobytes())
        hashed.update(mask(ids, 5).tobytes())
        weights = rng.standard_normal(count, np.float32)
        for reduce, weigh in itertools.product(("sum", "mean", "max", "sqrtn"), (False, True)):
            if reduce == "max" and weigh:
                continue
            for lengths in ([count], [0, count // 2, count - count // 2, 0]):
                pooled = embedding_bag(
                    table, ids, lengths=lengths, reduce=reduce, weights=weights if weigh else None, mode="zero",
                    padding_id=4, num_threads=3,
                )
                pooled[np.isnan(pooled)] = np.nan       # inf - inf: what a NaN carries is not promised
                hashed.update(pooled.tobytes())
print(kernels.build_info()["cpu_path"], hashed.hexdigest())
"""


def test_paths_give_the_same_bits() -> None:
    hashes = {}
    for name in kernels.available_paths():
        done = run_python(OUTPUTS, env={"FASTEMBED_CPU": name})
        assert (done.returncode, done.stderr) == (0, "")
        used, _, hashes[name] = done.stdout.partition(" ")
        assert used == name
    assert len(set(hashes.values())) == 1, hashes


def test_paths_end_with_the_baseline_and_begin_with_what_is_used() -> None:
    assert kernels.available_paths()[-1] == "baseline"
    code = "from fastembed._native import kernels; print(kernels.build_info()['cpu_path'])"
    assert_clean(run_python(code, env={"FASTEMBED_CPU": ""}), kernels.available_paths()[0] + "\n")


@pytest.mark.parametrize("name", ["sse9", "AVX2", " baseline"])
def test_paths_unknown_are_refused(name: str) -> None:
    done = run_python("import fastembed", env={"FASTEMBED_CPU": name})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ValueError: `FASTEMBED_CPU`, the instruction path, must be one of those that run here: "
        f"{kernels.available_paths()}. Received: {name!r}."
    )


def test_paths_unknown_leave_the_one_in_use() -> None:
    before = kernels.build_info()["cpu_path"]
    with pytest.raises(ValueError, match=r"^`FASTEMBED_CPU`, .* Received: 'x'\.$"):
        kernels.use_path("x")
    assert kernels.build_info()["cpu_path"] == before
