"""word2vec's binary format: what was written comes back bit for bit; what is malformed is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed.io import blocks

from .test_text_vectors import message
from .vector_files import binary_of, compressed, read, same

TABLE = np.array([[1, 2.5, -3], [0.1, -0.0, 1e-45]], np.float32)
WORDS = [b"the", "größe".encode()]
GOOD = binary_of(WORDS, TABLE)


@pytest.mark.parametrize("newline", [b"", b"\n"])
@pytest.mark.parametrize("format", ["auto", "word2vec-binary"])
def test_read_vectors_takes_binary(tmp_path: Path, newline: bytes, format: str) -> None:
    same(read(tmp_path, binary_of(WORDS, TABLE, newline), format=format), ["the", "größe"], TABLE)


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 64, 300])
def test_binary_is_recognised(tmp_path: Path, dim: int) -> None:
    generator = np.random.default_rng(dim)
    for table in (generator.standard_normal((20, dim)), np.zeros((20, dim)), np.ones((20, dim))):
        words = [f"w{k}" for k in range(20)]
        same(read(tmp_path, binary_of([word.encode() for word in words], table)), words, np.float32(table))


def test_binary_takes_words_of_any_length(tmp_path: Path) -> None:
    words = ["", "x" * 65_535, "\u3000", "a\tb", "ends\r"]
    same(read(tmp_path, binary_of([word.encode() for word in words], np.ones((5, 2)))), words, np.ones((5, 2)))


def test_binary_duplicates_limit_and_vocab(tmp_path: Path) -> None:
    words = [b"a", b"b", b"a", b"c", b"d"]
    table = np.arange(10, dtype=np.float32).reshape(5, 2)
    content = binary_of(words, table)
    loaded = read(tmp_path, content)
    same(loaded, ["a", "b", "c", "d"], table[[0, 1, 3, 4]])
    assert (loaded.report.duplicates, loaded.report.first_duplicate_row) == (1, 3)
    same(read(tmp_path, content, limit=2), ["a", "b"], table[:2])
    same(read(tmp_path, content + b"more", limit=5), ["a", "b", "c", "d"], table[[0, 1, 3, 4]])
    same(read(tmp_path, content, vocab=["d", "a", "x"]), ["a", "d"], table[[0, 4]])
    same(read(tmp_path, content, vocab=["d", "b"]), ["b", "d"], table[[1, 4]])


def test_binary_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(0).standard_normal((500, 9)).astype(np.float32)
    words = [f"word{k}" for k in range(500)]
    content = binary_of([word.encode() for word in words], table, b"\n")
    for size in (64, 65, 1_000, 2**20):
        monkeypatch.setattr(blocks, "BLOCK", size)
        same(read(tmp_path, content), words, table)
        path = compressed("gz", content, tmp_path)
        same(read(tmp_path, path.read_bytes()), words, table)
        assert message(tmp_path, content + b"\n" * 200 + b"!") == (
            "line 1: the header says 500 words; more follow them: b'!'."
        )


def test_binary_large(tmp_path: Path) -> None:
    table = np.random.default_rng(0).standard_normal((30_000, 100)).astype(np.float32)  # three blocks
    words = [f"word{k}" for k in range(30_000)]
    same(read(tmp_path, binary_of([word.encode() for word in words], table)), words, table)


def test_binary_words_that_are_not_utf8(tmp_path: Path) -> None:
    content = binary_of([b"a\xff", b"a", b"b"], [[1, 1], [2, 2], [3, 3]])
    same(read(tmp_path, content, errors="replace"), ["a\ufffd", "a", "b"], [[1, 1], [2, 2], [3, 3]])
    loaded = read(tmp_path, content, errors="ignore")
    same(loaded, ["a", "b"], [[1, 1], [3, 3]])
    same(read(tmp_path, content, errors="ignore", vocab=["a", "b"]), ["a", "b"], [[1, 1], [3, 3]])
    same(read(tmp_path, content, vocab=["b"]), ["b"], [[3, 3]])


def replaced(position: int, value: float) -> bytes:
    table = np.ones((3, 4), np.float32)
    table[1, position] = value
    return binary_of([b"a", b"b", b"c"], table)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            binary_of(WORDS, TABLE, count=3),
            "line 1: the header says 3 words of 3 numbers, which take at least 39 bytes; 36 follow.",
        ),
        (
            binary_of([b"longer", b"words"], TABLE, count=3) + b"\n" * 9,
            "line 1: the header says 3 words; the file holds 2: one of the two was cut off or is wrong.",
        ),
        (
            binary_of(WORDS, TABLE, count=1),
            "line 1: the header says 1 words; more follow them: "
            r"b'gr\xc3\xb6\xc3\x9fe \xcd\xcc\xcc=\x00\x00\x00\x80\x01\x00\x00\x00'.",
        ),
        (GOOD[:-1], "word 2: the file ends inside the vector of 'größe': it is truncated, or the header is wrong."),
        (
            binary_of([*WORDS, b"x" * 99], np.ones((3, 3)))[:-30],
            "word 3: the file ends inside the word 'x" + "x" * 59 + "'...: it is truncated, or the header is wrong.",
        ),
        (
            b"2 0\n",
            "line 1: the header must be the number of words, from 0, and of each one's numbers, from 1 to "
            "524,288. Received: '2 0'. If it is a word and its only number, say format='glove'.",
        ),
        (
            b"1099511627776 300\n" + GOOD,
            "line 1: the header must be the number of words, from 0, and of each one's "
            "numbers, from 1 to 524,288. Received: '1099511627776 300'. If it is a word and "
            "its only number, say format='glove'.",
        ),
        (
            b"1099511627775 524288\nthe " + bytes(9),
            "line 1: the header says 1,099,511,627,775 words of 524,288 numbers, "
            "which take at least 2,305,844,108,723,224,575 bytes; 13 follow.",
        ),
        (
            b"1 2\na " + bytes(4) + b"x" * 65_536 + bytes(8),
            "line 1: the header says 1 words; more follow them: b'xxxxxxxxxxxxxxxxxxxx'.",
        ),
        (
            b"2 2\na " + bytes(8) + b"x" * 65_536 + b" " + bytes(8),
            f"word 2: no blank ends the word within 65,536 bytes. Received: {'x' * 60!r}....",
        ),
        (replaced(3, np.nan), "word 2: a vector's numbers are finite; that of 'b' holds nan or inf."),
        (replaced(0, -np.inf), "word 2: a vector's numbers are finite; that of 'b' holds nan or inf."),
        (
            binary_of([b"a", b"\xe4", b"c"], np.ones((3, 4))),
            r"word 2: the word is not UTF-8: b'\xe4'. errors='replace' "
            "or errors='ignore' reads it all the same.",
        ),
    ],
)
def test_malformed_binary_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    assert message(tmp_path, content) == words


@pytest.mark.parametrize("cut", range(len(GOOD)))
def test_truncated_binary_is_refused(tmp_path: Path, cut: int) -> None:
    message(tmp_path, GOOD[:cut])


def test_truncated_binary_in_gzip_is_refused(tmp_path: Path) -> None:
    # the length is not known: what the header says cannot be checked before
    path = compressed("gz", GOOD[:-1], tmp_path)
    assert message(tmp_path, path.read_bytes()) == (
        "word 2: the file ends inside the vector of 'größe': it is truncated, or the header is wrong."
    )


def test_text_read_as_binary_and_binary_as_text(tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {"format": "word2vec"}
    assert message(tmp_path, GOOD, **kwargs).startswith("line 2, number 1: ")
    assert message(tmp_path, b"2 2\na 1 2\nb 3 4\n", format="word2vec-binary").startswith("line 1: the header says ")
