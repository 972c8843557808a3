"""Reaches everything compiled once, right and wrong, in a few seconds: what Valgrind and LeakSanitizer look at.

    python -m tests.reliability.exercise [TURNS]

`.ci/valgrind` and `.ci/sanitize` run it. With TURNS, so often: a leak that is small grows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fastembed
from fastembed import KeyedVectors, gather, scatter_add
from fastembed.io.word_vectors import read_vectors
from fastembed.preprocessing.sequence import pad_sequences
from tests.io.vector_files import binary_of, random_text, text_of

from .cases import CALLS, IDS, SAVES, TABLE


def wrong(call: Any, *arguments: Any, **named: Any) -> None:
    """A call that must be refused."""
    try:
        call(*arguments, **named)
    except (ValueError, IndexError, TypeError):
        return
    raise AssertionError((call, arguments))


def kernels() -> None:
    """Gather, mask, bag, grad and the optimizers' steps, and ids that are refused."""
    for make in CALLS.values():
        call = make()
        call.run()
        call.reset()
    for bad in ([len(TABLE)], [-1], [[0, 2**40]], [2**70], [0.5], ["a"]):
        wrong(gather, TABLE, bad)
        wrong(fastembed.embedding_bag, TABLE, [bad])
        wrong(scatter_add, TABLE.copy(), bad, np.ones((1, TABLE.shape[1]), np.float32))
    wrong(gather, TABLE, IDS, out=np.empty((1, 1), np.float32))
    wrong(fastembed.embedding_bag, TABLE, [1, 2], offsets=[0, 5])


def words(folder: Path) -> None:
    """The parsers of text and of word2vec's binary format, keys and their index, in memory and mapped."""
    names, rows = random_text(0, 60, 5)
    names[7] = "größe"
    contents = [text_of([*names[:-1], "a b c"], rows), text_of(names, rows, header=True)]
    contents += [binary_of([name.encode() for name in names], [[float(value) for value in row] for row in rows])]
    for content in contents:
        path = folder / "words"
        path.write_bytes(content)
        for options in ({}, {"limit": 3}, {"vocab": ["w3", "größe", "a b c"]}, {"errors": "replace"}):
            read_vectors(path, **options)  # type: ignore[arg-type]
        vectors = fastembed.load_vectors(path, verbose=False)
        for damage in (content[: len(content) // 2] + b"\xff\xff \n", content[:-9], content.replace(b"0", b"x", 1)):
            path.write_bytes(damage)
            try:
                read_vectors(path)
            except ValueError:
                continue
    vectors.save(folder / "saved")
    mapped = KeyedVectors.load(folder / "saved")
    assert mapped["w3"].tolist() == vectors["w3"].tolist()
    assert "no" not in mapped
    mapped.most_similar("w3")
    wrong(KeyedVectors, TABLE, ["a"] * 3)


def sequences() -> None:
    """Lists of ids to arrays, and ids that are none."""
    pad_sequences([[1, 2, 3], [4], [], list(range(300))], maxlen=8)
    pad_sequences([[1.5, 2], np.arange(3)], dtype="float32", padding="post", truncating="post")
    wrong(pad_sequences, [[1], ["a"]])


def main(turns: int) -> None:
    """All of it, so often."""
    for _ in range(turns):
        kernels()
        sequences()
        with tempfile.TemporaryDirectory() as folder:
            words(Path(folder))
            for name, way in SAVES.items():
                path = Path(folder) / f"{name}{way.suffix}"
                way.save(path)
                way.load(path)
    print("all reached")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
