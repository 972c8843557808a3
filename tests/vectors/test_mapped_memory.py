"""Mapped tables: what is resident after a lookup, a pooling, a search and a copy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastembed import KeyedVectors

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="Linux's account of memory")

ROWS, DIM = 60_000, 300  # 72 MB

_PRELUDE = """
import sys
import numpy as np
import fastembed
from fastembed import Embedding, KeyedVectors
from fastembed.io import mapping

def resident(kind="Rss"):
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(kind + ":"))

def peak(reset=False):
    if reset:
        open("/proc/self/clear_refs", "w").write("5")
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

path, MB = sys.argv[1], 1 << 20
generator = np.random.default_rng(0)
# what code, NumPy and BLAS take at their first use
warm = KeyedVectors(generator.standard_normal((9000, 300)).astype(np.float32), map(str, range(9000)))
warm["5"], warm.most_similar_batch(["7", "8"]), warm.to_embedding()
fastembed.embedding_bag(warm.vectors, [[1, 2]]), fastembed.gather(warm.vectors, [1])
del warm
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "v"
    table = np.random.default_rng(0).standard_normal((ROWS, DIM), dtype=np.float32)
    KeyedVectors(table, (f"word{i}" for i in range(ROWS))).save(path)
    return path


def run(script: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def uncache(saved: Path, read: bool) -> None:
    """Take the files out of the system's cache, and read them into it again in sequence, in large pieces."""
    for path in saved.iterdir():
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if read:
                file.read()


@pytest.mark.parametrize("cached", ["as written", "not", "as read in sequence"])
def test_load_and_first_lookups_touch_little(saved: Path, cached: str) -> None:
    if cached != "as written":
        uncache(saved, cached == "as read in sequence")
    run(
        """
before = resident()
vectors = KeyedVectors.load(path)
opened = resident() - before
for word in generator.integers(0, len(vectors), 10):
    vectors[f"word{word}"].sum()
looked_up = resident() - before
several = KeyedVectors.load(path)[[f"word{word}" for word in generator.integers(0, len(vectors), 10)]]
then = resident() - before
assert opened < 1 * MB, opened
assert looked_up < 2 * MB, looked_up
assert then < 2 * MB, then
""",
        saved,
    )


def test_gather_and_bag_touch_their_rows_alone(saved: Path) -> None:
    uncache(saved, False)
    run(
        """
vectors = KeyedVectors.load(path)
before = resident()
ids = generator.integers(0, len(vectors), (5, 10))
fastembed.gather(vectors.vectors, ids)
fastembed.embedding_bag(vectors.vectors, ids)
assert resident() - before < 10 * MB, resident() - before
""",
        saved,
    )


def test_most_similar_takes_little_beside_the_table(saved: Path) -> None:
    run(
        """
vectors = KeyedVectors.load(path)
table_bytes = vectors.vectors.nbytes
before = resident()
peak(reset=True)
vectors.most_similar("word7")
vectors.most_similar_batch([f"word{i}" for i in range(64)])
assert peak() - before < table_bytes + 32 * MB, peak() - before
assert resident("Private_Dirty") < before + 32 * MB
""",
        saved,
    )


def test_most_similar_of_a_table_larger_than_memory_releases_behind(saved: Path) -> None:
    run(
        """
vectors = KeyedVectors.load(path)
wanted = vectors.most_similar("word7")
mapping.release(vectors.vectors)
mapping.memory_bytes = lambda: vectors.vectors.nbytes
before = resident()
peak(reset=True)
assert vectors.most_similar("word7") == wanted
assert peak() - before < 32 * MB, peak() - before
assert resident() - before < 8 * MB, resident() - before
""",
        saved,
    )


def test_embeddings_from_mapped_tables_hold_one_copy(saved: Path) -> None:
    run(
        """
def grows_by_the_table(make):
    mapping.release(vectors.vectors)
    before = resident()
    peak(reset=True)
    layer = make()
    grown, anonymous = peak() - before, resident("Anonymous")
    # released behind the reader: the copy alone, and a few blocks
    assert table_bytes < grown < table_bytes + 16 * MB, grown / MB
    return layer

vectors = KeyedVectors.load(path)
table_bytes = vectors.vectors.nbytes
mapping.memory_bytes = lambda: table_bytes
fastembed.set_output_cache(0)
layer = grows_by_the_table(lambda: Embedding.from_pretrained(vectors))
del layer
layer = grows_by_the_table(vectors.to_embedding)
before = resident("Anonymous")
layer.set_weights([vectors.vectors])
assert resident("Anonymous") - before < 8 * MB
layer.set_weights([vectors.vectors.view(np.float16)[:, ::2]])
assert resident("Anonymous") - before < 8 * MB
""",
        saved,
    )


def test_load_into_memory_holds_one_copy(saved: Path) -> None:
    run(
        """
before = resident()
peak(reset=True)
vectors = KeyedVectors.load(path, mmap=False)
assert peak() - before < vectors.vectors.nbytes + 16 * MB, (peak() - before) / MB
""",
        saved,
    )
