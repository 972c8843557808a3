"""Turn each line of a text into one vector, that of its words pooled, and write them to OUT.npy.

Words are what stands between blanks and punctuation (Keras's text_to_word_sequence with lower=False). Each is looked
up as it stands, else in lower case; what is in FILE in neither form is left out and counted. A line without known words
becomes zeros. OUT.npy is float32 (lines, columns). Neither the text nor the output needs to fit in memory; OUT.npy
appears, or is replaced, only once everything is written.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastembed import ops
from fastembed._cli.gather import refuse_same_file
from fastembed._cli.words import add_source, open_vectors
from fastembed._meter import Progress
from fastembed.io import FormatError, npy
from fastembed.io.atomic import replacing
from fastembed.io.opening import open_regular
from fastembed.preprocessing.text import text_to_word_sequence

if TYPE_CHECKING:
    from fastembed.io.keys import PackedKeys

HELP = "turn each line of a text into a vector"
EXAMPLE = "fastembed embed glove.6B.50d.txt reviews.txt reviews.npy --reduce mean"

# Lines at a time: far above the cost of a call, and few enough that their words take little memory.
_BATCH = 1024
_MAX_LINE = 2**24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    add_source(parser)
    parser.add_argument("text", metavar="TEXT.txt", help="the text, UTF-8; each line becomes a vector")
    parser.add_argument("out", metavar="OUT.npy", help="where the vectors go, float32 (lines, columns)")
    parser.add_argument(
        "--reduce",
        choices=("mean", "sum", "sqrtn", "max"),
        default="mean",
        help="what becomes of a line's words: their mean (the default), sum, sum / sqrt(words), or largest numbers",
    )


def run(args: argparse.Namespace) -> int:
    refuse_same_file({"FILE": args.file, "TEXT.txt": args.text, "OUT.npy": args.out})
    with open_regular(args.text) as text:
        count = sum(1 for _ in read_lines(text, args.text))
        vectors = open_vectors(args.file, args.name)
        started = time.perf_counter()
        words = found = written = 0
        text.seek(0)
        with replacing(args.out) as (out,), Progress(npy.file_size(text), "B") as progress:
            npy.write_header(out, (count, vectors.vector_size), np.float32)
            for lines, size in batches(read_lines(text, args.text)):
                ids, lengths, seen = find_words(vectors.keys, lines)
                rows = ops.embedding_bag(vectors.vectors, ids, lengths=lengths, reduce=args.reduce)
                if rows.size:
                    out.write(rows.reshape(-1).data)
                words, found, written = words + seen, found + len(ids), written + len(lines)
                progress.advance(size)
            if written != count:
                raise FormatError(f"{args.text}: held {count:,} lines, then {written:,}: it changed meanwhile.")
    seconds = max(time.perf_counter() - started, 1e-9)
    print(
        f"embedded {count:,} lines, {words:,} words of which {found / max(words, 1):.1%} are known, "
        f"in {seconds:.2f} s: {count / seconds:,.0f} lines/s, {words / seconds:,.0f} words/s"
    )
    return 0


def read_lines(file: BinaryIO, path: str) -> Iterator[tuple[str, int]]:
    """Each line without its end, and its size in bytes; a FormatError for one that is no UTF-8, or endless."""
    number = 0
    while line := file.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE:
            raise FormatError(f"{path}: line {number}: a line takes at most {_MAX_LINE:,} bytes.")
        try:
            yield line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8"), len(line)
        except UnicodeDecodeError as error:
            raise FormatError(f"{path}: line {number}: byte {error.start} is not UTF-8.") from None


def batches(lines: Iterator[tuple[str, int]]) -> Iterator[tuple[list[str], int]]:
    """Lines, up to `_BATCH` of them or about `_MAX_LINE` bytes, with their size in bytes."""
    batch: list[str] = []
    total = 0
    for line, size in lines:
        batch.append(line)
        total += size
        if len(batch) == _BATCH or total >= _MAX_LINE:
            yield batch, total
            batch, total = [], 0
    if batch:
        yield batch, total


def find_words(keys: PackedKeys, lines: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The rows of the lines' known words, how many each line has, and how many words there are in all."""
    split = [text_to_word_sequence(line, lower=False) for line in lines]
    words = [word for line in split for word in line]
    rows: NDArray[Any] = keys.find_many(words)
    unknown = np.flatnonzero(rows < 0)
    rows[unknown] = keys.find_many([words[i].lower() for i in unknown])
    known = rows >= 0
    line_of = np.repeat(np.arange(len(lines)), [len(line) for line in split])
    return rows[known], np.bincount(line_of[known], minlength=len(lines)), len(words)
