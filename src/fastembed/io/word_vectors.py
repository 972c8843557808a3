"""Files of word vectors: GloVe's text, word2vec's text and binary format, fastText's .vec, plain or compressed.

    loaded = read_vectors("glove.6B.zip", name="glove.6B.50d.txt")

The format is recognised from the content. This file knows what all of them share; text_vectors.py and word2vec.py know
how each begins and say what is wrong with a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastembed._native import kernels, parsers
from fastembed.io import text_vectors, word2vec
from fastembed.io._error import FormatError
from fastembed.io.atomic import Path
from fastembed.io.blocks import Blocks
from fastembed.io.keys import PackedKeys
from fastembed.io.opening import Stream
from fastembed.io.text_vectors import Head

_BOM = b"\xef\xbb\xbf"
_SIGNS = {
    b"\xff\xfe": "text in UTF-16; convert it to UTF-8",
    b"\xfe\xff": "text in UTF-16; convert it to UTF-8",
    b"\xba\x16\x4f\x2f": "a fastText model (.bin); its word vectors are in the .vec file beside it",
}
_UNLIMITED = 2**62


@dataclass(frozen=True)
class Report:
    """What reading found: rows of the file that were read; rows left out because their word had come before, the first
    such word and its row, from 1; and how many different words were wanted, None for all."""

    rows: int
    duplicates: int
    first_duplicate: str
    first_duplicate_row: int
    wanted: int | None


class Loaded(NamedTuple):
    """A table float32 (V, D), the word of each of its rows, and what reading found."""

    table: NDArray[np.float32]
    keys: PackedKeys
    report: Report


def read_vectors(
    path: Path,
    *,
    name: str | None = None,
    format: str = "auto",
    limit: int | None = None,
    vocab: Iterable[str] | None = None,
    errors: str = "strict",
    tell: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Read a file of word vectors; `fastembed.load_vectors` says what the arguments mean.

    Args:
        tell: called after each block with how many bytes of the file were read, and how many there are.

    Raises:
        FormatError: the content; the message names the file and the place.
        OSError: the file is missing, a directory, not a regular file, or not to be read.
        ValueError: `name` is missing, or chooses nothing.
    """
    wanted = None if vocab is None else [word.encode("utf-8", "surrogatepass") for word in vocab]
    most = _UNLIMITED if limit is None else min(limit, _UNLIMITED)
    threads = kernels.current_threads()
    with Stream(path, name) as stream, Blocks(stream, parsers.padding(), ahead=threads > 1) as blocks:
        blocks.next()
        head = read_head(stream, blocks, format)
        rows = parsers.RowReader(head.dim, most, errors, wanted)
        if wanted is None:
            rows.expect(min(head.expected, most))
        used = blocks.start + head.size
        while True:
            used = rows.feed(blocks.buffer, used, blocks.stop, blocks.last, head.left(rows.rows), threads)
            if rows.fault is not None:
                words = word2vec if head.binary else text_vectors
                raise FormatError(f"{stream.label}: {words.describe(rows.fault, head)}")
            if tell is not None:
                tell(stream.consumed(), stream.size)
            if rows.finished or (head.binary and rows.rows == head.records):
                break
            if not head.binary and blocks.stop - used > parsers.max_line():
                raise FormatError(f"{stream.label}: {text_vectors.too_long(rows.rows, head)}")
            if not blocks.next(used):
                break
            used = blocks.start
        if not rows.finished:
            _check_end(stream, blocks, used, head, rows.rows)
        duplicates, first, row = rows.duplicates
        report = Report(rows.rows, duplicates, first.decode(), row, None if wanted is None else rows.wanted)
        return Loaded(rows.table(), PackedKeys(*rows.words()), report)


def read_head(stream: Stream, blocks: Blocks, format: str) -> Head:
    """What the first block says: which format it is, and how many numbers a row has."""
    start, stop = blocks.start, blocks.stop
    begin = blocks.buffer[start : min(stop, start + 512)].tobytes()
    if not begin:
        raise FormatError(f"{stream.label}: the file is empty.")
    kind = "a tar archive; take the file out of it" if begin[257:262] == b"ustar" else _SIGNS.get(begin[:4])
    kind = kind or _SIGNS.get(begin[:2])
    if kind is not None:
        raise FormatError(f"{stream.label}: byte 0: this is {kind}.")
    skipped = len(_BOM) if begin.startswith(_BOM) else 0
    content = blocks.buffer.data[start + skipped : stop]
    line = first_line(content)
    if len(line) > parsers.max_line():
        raise FormatError(f"{stream.label}: line 1: {text_vectors.LONG}.")
    header = None if format == "glove" else text_vectors.parse_header(line, stream.label, format)
    if header is None:
        dim = text_vectors.count_numbers(line, stream.label)
        return Head(dim, skipped, _expected(stream, content, 2 * dim + 1))
    count, dim = header
    size = skipped + min(len(line) + 1, len(content))
    binary = format == "word2vec-binary" or (format == "auto" and word2vec.is_binary(content[len(line) + 1 :], dim))
    row = 4 * dim + 1 if binary else 2 * dim + 1
    if stream.length is not None:
        least = row * count if binary else row * count - 1
        if least > stream.length - size:
            raise FormatError(
                f"{stream.label}: line 1: the header says {count:,} words of {dim:,} numbers, which take at least "
                f"{least:,} bytes; {stream.length - size:,} follow."
            )
        return Head(dim, size, count, count, binary)
    return Head(dim, size, min(count, _expected(stream, content, row)), count, binary)


def first_line(content: memoryview) -> bytes:
    """The bytes in front of the first newline: all if there is none, never many more than a line has."""
    for most in (2**16, parsers.max_line() + 1):  # most lines are short, and copying so much takes milliseconds
        line, newline, _ = bytes(content[:most]).partition(b"\n")
        if newline:
            break
    return line


def _expected(stream: Stream, content: memoryview, row: int) -> int:
    """About how many rows there are, rather too many; those of the first block if the length is unknown.

    Args:
        row: the least bytes of a row. The newlines alone may be those of lines that are no rows.
    """
    lines = max(1, int(np.count_nonzero(np.frombuffer(content, np.uint8) == ord("\n"))))
    length = len(content) if stream.length is None else max(stream.length, len(content))
    return min(length // row + 1, length * lines // len(content) * 51 // 50 + 16)


def _check_end(stream: Stream, blocks: Blocks, used: int, head: Head, rows: int) -> None:
    """FormatError when the header promised other than what was there."""
    if head.records is None:
        return
    if rows != head.records:
        raise FormatError(
            f"{stream.label}: line 1: the header says {head.records:,} words; the file holds {rows:,}: one of the two "
            "was cut off or is wrong."
        )
    while head.binary:
        rest = blocks.buffer[used : blocks.stop].tobytes().strip(b"\r\n")
        if rest:
            raise FormatError(
                f"{stream.label}: line 1: the header says {head.records:,} words; more follow them: {rest[:20]!r}."
            )
        if not blocks.next():
            return
        used = blocks.start
