"""Word vectors from the files that people have: GloVe, word2vec, fastText, plain or compressed."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import DTypeLike

from fastembed._meter import Progress
from fastembed.io.atomic import Path, check_path
from fastembed.io.manifest import MANIFEST
from fastembed.ops import _check

if TYPE_CHECKING:
    from fastembed.io.word_vectors import Report
    from fastembed.vectors import KeyedVectors

_FORMATS = ("auto", "glove", "word2vec", "fasttext", "word2vec-binary")
_ERRORS = ("strict", "replace", "ignore")


def load_vectors(
    path: Path,
    *,
    name: str | None = None,
    format: str = "auto",
    limit: int | None = None,
    vocab: Iterable[str] | None = None,
    dtype: DTypeLike = "float32",
    errors: str = "strict",
    mmap: bool = False,
    verbose: bool | Literal["auto"] = "auto",
) -> KeyedVectors:
    """Load word vectors from a file of GloVe, word2vec or fastText.

        vectors = fastembed.load_vectors("glove.6B.zip", name="glove.6B.100d.txt", limit=50_000)
        vectors["the"]                                  # float32 (100,)

    Reads GloVe's text (no header), word2vec's text and fastText's .vec (a header of two numbers), and word2vec's binary
    format; each plain or inside gzip, bz2, xz or zip; recognised from the content, not from the name. Words may contain
    blanks: the last D fields of a line are its numbers. Every number becomes what Python's `float` of it is, rounded to
    float32. Blanks and carriage returns at the ends of lines, a byte order mark and a missing last newline do no harm.
    Where a word comes a second time, its first vector is kept and a warning tells how many there are. A directory that
    `KeyedVectors.save` wrote is opened with `KeyedVectors.load`.

    All threads (see `set_num_threads`) take part. It takes the memory of the table, its words, and less than 64 MB.

    Args:
        path: the file.
        name: which file inside a zip; needed if it holds several.
        format: "auto", or what the file is: "glove", "word2vec", "fasttext" or "word2vec-binary".
        limit: read only so many rows from the start of the file; None for all. The rest of the file is not looked at.
        vocab: the only words to keep; None for all. An iterable of str, such as a tokenizer's `word_index`. Rows keep
            the file's order; those of other words are passed over unread, and reading ends when every word was found.
        dtype: "float32", which is what tables are.
        errors: what to do with a word that is not UTF-8: "strict" refuses the file, "replace" and "ignore" are as in
            `bytes.decode`.
        mmap: map the table instead of reading it. Only for a directory: no file of word vectors holds a table as it is
            in memory. `load_vectors(path).save(folder)` makes one.
        verbose: whether to show progress, and how many of `vocab` were found, on stderr. "auto": progress where it is
            a terminal.

    Returns:
        A `KeyedVectors` whose table is float32 (V, D), in the order of the file. A header that says 0 words gives an
        empty one.

    Raises:
        FormatError: (a ValueError) the content: a row with other than D numbers, nan, inf, a number beyond float32, a
            header that says other than what the file holds, damaged compression, and so on. Names file and place.
        ValueError: an argument; `name` is missing or chooses nothing; `mmap=True`.
        TypeError: an argument of another type.
        OSError: the file is missing, a directory, not a regular file, or not to be read.
        KeyboardInterrupt: on Ctrl-C, within 0.2 seconds.
    """
    # not before they are needed: they and their archive formats take as long to import as the rest
    from fastembed.io.word_vectors import read_vectors
    from fastembed.vectors import KeyedVectors

    shown = check_path(path)
    if format not in _FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(map(repr, _FORMATS))}. Received: {format!r}.")
    if errors not in _ERRORS:
        raise ValueError(f"`errors` must be one of {', '.join(map(repr, _ERRORS))}. Received: {errors!r}.")
    if np.dtype(dtype) != np.float32:
        raise ValueError(f"`dtype` must be 'float32', which is what tables are. Received: {dtype!r}.")
    if os.path.exists(os.path.join(shown, MANIFEST)):
        if name is not None or limit is not None or vocab is not None:
            raise ValueError(f"{shown}: `name`, `limit` and `vocab` are for files; this is a KeyedVectors directory.")
        return KeyedVectors.load(path, mmap)
    if mmap:
        raise ValueError(
            f"`mmap=True` needs a file that holds the table as it is in memory, which files of word vectors do not. "
            f"Convert it once: load_vectors({shown!r}).save(folder); KeyedVectors.load(folder) is mapped."
        )
    if verbose not in (True, False, "auto"):
        raise ValueError(f"`verbose` must be True, False or 'auto'. Received: {verbose!r}.")
    if limit is not None:
        limit = _check.integer("limit", limit)
        if limit < 1:
            raise ValueError(f"`limit` must be at least 1, or None for all rows. Received: {limit}.")
    with _Bar(None if verbose == "auto" else bool(verbose)) as bar:
        loaded = read_vectors(
            path, name=name, format=format, limit=limit, vocab=_words(vocab), errors=errors, tell=bar.tell
        )
    if loaded.report.wanted is not None and verbose:
        print(f"found {len(loaded.keys):,} of {loaded.report.wanted:,} words", file=sys.stderr)
    _warn(shown, loaded.report)
    return KeyedVectors(loaded.table, loaded.keys)


class _Bar:
    """A progress bar that learns its total with the first step."""

    def __init__(self, visible: bool | None) -> None:
        self._visible = visible
        self._bar: Progress | None = None
        self._done = 0

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def tell(self, done: int, total: int) -> None:
        """So many bytes of so many are read."""
        if self._bar is None:
            self._bar = Progress(total, "B", self._visible).__enter__()
        self._bar.advance(done - self._done)
        self._done = done


def _words(vocab: Iterable[str] | None) -> list[str] | None:
    if vocab is None:
        return None
    if isinstance(vocab, str | bytes):
        raise TypeError(f"`vocab` must be an iterable of words, not one str. Received: {vocab!r}.")
    words = list(vocab)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"`vocab` must be an iterable of str. Received: {word!r} in it.")
    return words


def _warn(path: str, report: Report) -> None:
    if report.duplicates:
        rows = "row has a word that came" if report.duplicates == 1 else "rows have words that came"
        warnings.warn(
            f"{path}: {report.duplicates:,} {rows} before; the first vector of each word is kept. The first such row "
            f"is {report.first_duplicate_row:,}: {report.first_duplicate!r}.",
            UserWarning,
            stacklevel=3,
        )
