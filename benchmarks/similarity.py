"""`KeyedVectors` against gensim's: neighbours of words, and opening a saved table.

    pip install gensim
    python -m benchmarks.similarity [--rows 400000] [--dim 300] [--open-rows 1000000]

Both work on the same table in one process, in turns; a figure is the median of paired runs, after their results are
found equal. Memory is measured in processes of their own: what the peak of resident memory grows by during the calls,
everything else warm; a mapped table's resident pages count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastembed import KeyedVectors, get_num_threads

BATCH = 64
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--open-rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--folder", help="where the tables are written; default a temporary folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "vectors"
        vectors = made(args.rows, args.dim)
        compare(vectors, args.pairs)
        vectors.save(path)
        table_bytes = vectors.vectors.nbytes
        del vectors
        print(f"peak memory beside the table of {table_bytes / MIB:.0f} MiB:")
        for kind in ("memory", "mapped"):
            measured = int(in_process("memory_of_search", kind, str(path)))
            print(f"  {kind:8}{(measured - table_bytes * (kind == 'mapped')) / MIB:8.1f} MiB")
        opening(Path(folder) / "large", args.open_rows, args.dim)


def made(rows: int, dim: int) -> KeyedVectors:
    """Vectors in clusters, as those of words are, with words of realistic lengths."""
    generator = np.random.default_rng(0)
    table = generator.standard_normal((rows, dim), dtype=np.float32)
    centres = generator.standard_normal((1000, dim), dtype=np.float32)
    for start in range(0, rows, 10_000):
        block = table[start : start + 10_000]
        block += centres[generator.integers(0, 1000, len(block))]
    return KeyedVectors(table, (f"word{i:x}" for i in range(rows)))


def compare(ours: KeyedVectors, pairs: int) -> None:
    """Print how long single queries and a batch take here and in gensim."""
    import gensim

    theirs = gensim.models.KeyedVectors(ours.vector_size, count=0)
    theirs.index_to_key, theirs.key_to_index, theirs.vectors = ours.index_to_key, ours.key_to_index, ours.vectors
    theirs.next_index = len(ours)
    theirs.fill_norms()
    words = [ours.keys[int(row)] for row in np.random.default_rng(1).integers(0, len(ours), BATCH)]
    off = 0.0
    for word in words:
        off = max(off, same(ours.most_similar(word), theirs.most_similar(word)))
        query: Any = {"positive": [word, words[0]], "negative": [words[1]]}
        off = max(off, same(ours.most_similar(**query), theirs.most_similar(**query)))
    assert ours.most_similar_batch(words) == [ours.most_similar(word) for word in words]
    print(f"{len(ours):,} x {ours.vector_size}, {get_num_threads()} threads, gensim {gensim.__version__}, NumPy "
          f"{np.__version__}: {2 * BATCH} queries, the same words, cosines apart by {off:.1e} at most")
    turn = iter(words * 1000)
    report("one query", pairs, lambda: ours.most_similar(next(turn)), lambda: theirs.most_similar(next(turn)))
    report(
        f"{BATCH} queries", max(pairs // 5, 3), lambda: ours.most_similar_batch(words),
        lambda: [theirs.most_similar(word) for word in words],
    )  # fmt: skip


def same(ours: list[tuple[str, float]], theirs: list[tuple[str, float]]) -> float:
    """How far the cosines are apart, once the words are the same but for those whose cosines are."""
    apart = float(np.abs(np.array([s for _, s in ours]) - [s for _, s in theirs]).max())
    assert apart < 1e-6, (ours, theirs)
    for (word, score), (other, _) in zip(ours, theirs, strict=True):
        assert word == other or [s for _, s in ours].count(score) > 1 or score == ours[-1][1], (ours, theirs)
    return apart


def report(name: str, pairs: int, ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    times: list[tuple[float, float]] = []
    for k in range(pairs):
        first, second = (ours, theirs) if k % 2 else (theirs, ours)
        a, b = timed(first), timed(second)
        times.append((a, b) if k % 2 else (b, a))
    ratios = sorted(b / a for a, b in times)
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    mine, their = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
    print(f"  {name:12}{mine:9.1f} ms, gensim {their:9.1f} ms: {statistics.median(ratios):.2f} times as fast "
          f"({low:.2f}-{high:.2f})")


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def opening(path: Path, rows: int, dim: int) -> None:
    """Print how long it takes to open a large table, and what the first lookups leave resident."""
    made(rows, dim).save(path)
    runs = [in_process("open_and_look_up", str(path)).split() for _ in range(5)]
    opened, found, resident = (statistics.median(float(run[k]) for run in runs) for k in range(3))
    print(f"opening {rows:,} x {dim}: {opened:.2f} ms; the first 10 words: {found:.2f} ms; both leave "
          f"{resident / MIB:.2f} MiB resident")


def in_process(name: str, *arguments: str) -> str:
    code = "import sys; from benchmarks import similarity; print(getattr(similarity, sys.argv[1])(*sys.argv[2:]))"
    done = subprocess.run([sys.executable, "-c", code, name, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def memory_of_search(kind: str, path: str) -> int:
    """What the peak of resident memory grows by in single and batched queries."""
    warm = made(9000, 300)
    warm.most_similar_batch(["word1", "word2"])
    del warm
    vectors = KeyedVectors.load(path, mmap=kind == "mapped")
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    vectors.most_similar("word7")
    vectors.most_similar_batch([f"word{i:x}" for i in range(BATCH)])
    return status("VmHWM") - before


def open_and_look_up(path: str) -> str:
    """Milliseconds to open, milliseconds for the first ten words, bytes that became resident."""
    words = [f"word{row:x}" for row in np.random.default_rng(os.getpid()).integers(0, 1_000_000, 10)]
    KeyedVectors(np.zeros((1, 1), np.float32), ["a"])["a"]
    before, started = status("VmRSS"), time.perf_counter()
    vectors = KeyedVectors.load(path)
    opened = time.perf_counter()
    for word in words:
        vectors[word].sum()
    return f"{(opened - started) * 1e3} {(time.perf_counter() - opened) * 1e3} {status('VmRSS') - before}"


def status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))


if __name__ == "__main__":
    main()
