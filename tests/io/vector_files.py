"""Files of word vectors for the tests, and what they hold by Python's own float."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._native import parsers
from fastembed.io.word_vectors import Loaded, read_vectors


def text_of(words: Sequence[str | bytes], rows: Sequence[Sequence[str]], *, header: bool = False) -> bytes:
    """The text of words and the numbers of each."""
    lines = [f"{len(words)} {len(rows[0])}".encode()] if header else []
    for word, row in zip(words, rows, strict=True):
        raw = word if isinstance(word, bytes) else word.encode()
        lines.append(raw + b" " + " ".join(row).encode())
    return b"\n".join(lines) + b"\n"


def binary_of(words: Sequence[bytes], table: Any, newline: bytes = b"", count: int | None = None) -> bytes:
    """word2vec's binary format."""
    array = np.asarray(table, "<f4")
    start = f"{len(words) if count is None else count} {array.shape[1]}\n".encode()
    return start + b"".join(word + b" " + row.tobytes() + newline for word, row in zip(words, array, strict=True))


def float32(rows: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Python's float of each number, rounded."""
    return np.array([[np.float32(float(number)) for number in row] for row in rows], np.float32)


def read(folder: Path, content: bytes, **kwargs: Any) -> Loaded:
    """What is read of a file with this content."""
    path = folder / "vectors"
    path.write_bytes(content)
    return read_vectors(path, **kwargs)


def same(loaded: Loaded, words: Sequence[str], table: Any) -> None:
    """Assert words and rows, bit for bit."""
    assert list(loaded.keys) == list(words)
    assert loaded.table.dtype == np.float32
    expected = np.asarray(table, np.float32)
    assert loaded.table.shape == expected.shape
    np.testing.assert_array_equal(loaded.table.view(np.uint32), expected.view(np.uint32))


def random_text(seed: int, count: int, dim: int) -> tuple[list[str], list[list[str]]]:
    """Words and numbers as GloVe writes them."""
    values = np.random.default_rng(seed).standard_normal((count, dim))
    return [f"w{row}" for row in range(count)], [[f"{value:.5g}" for value in row] for row in values]


def compressed(kind: str, content: bytes, folder: Path) -> Path:
    """A file of this kind with this content."""
    path = folder / f"vectors.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("vectors.txt", content)
    else:
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[kind].compress(content))
    return path


def parse(block: bytes, dim: int, **kwargs: Any) -> Any:
    """One block through the compiled reader, on one thread."""
    buffer = np.frombuffer(block + bytes(parsers.padding()), np.uint8).copy()
    reader = parsers.RowReader(dim, kwargs.get("limit", 2**62), kwargs.get("errors", "strict"), kwargs.get("wanted"))
    reader.feed(buffer, 0, len(block), True, kwargs.get("most", -1), kwargs.get("threads", 1))
    return reader
