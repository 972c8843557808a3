"""Word vectors from the files that people have: GloVe, word2vec, fastText, static embeddings, and our own folders."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import DTypeLike

from fastembed._meter import Progress
from fastembed.io._error import FormatError
from fastembed.io.atomic import Path, check_path
from fastembed.io.detect import DIRECTORY, NPZ, SAFETENSORS, STATIC, WORDS, detect
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
    """Load word vectors from a file of GloVe, word2vec or fastText, or from a folder.

        vectors = fastembed.load_vectors("glove.6B.zip", name="glove.6B.100d.txt", limit=50_000)
        vectors["the"]                                  # float32 (100,)
        tokens = fastembed.load_vectors("potion-base-8M")       # the folder of a static-embedding model

    Reads GloVe's text (no header), word2vec's text and fastText's .vec (a header of two numbers), and word2vec's binary
    format; each plain or inside gzip, bz2, xz or zip; recognised from the content, not from the name. Words may contain
    blanks: the last D fields of a line are its numbers. Every number becomes what Python's `float` of it is, rounded to
    float32. Blanks and carriage returns at the ends of lines, a byte order mark and a missing last newline do no harm.
    Where a word comes a second time, its first vector is kept and a warning tells how many there are.

    A folder that `KeyedVectors.save` wrote is opened with `KeyedVectors.load`. The folder of a static embedding of
    model2vec or sentence-transformers, or any safetensors file with a tokenizer.json beside it, gives its table with
    the tokens as words.

    All threads (see `set_num_threads`) take part. It takes the memory of the table, its words, and less than 64 MB.

    Args:
        path: the file or folder.
        name: which file inside a zip, or table of a safetensors file; needed if it holds several.
        format: "auto", or what the file is: "glove", "word2vec", "fasttext" or "word2vec-binary".
        limit: read only so many rows from the start of the file; None for all. The rest of the file is not looked at.
        vocab: the only words to keep; None for all. An iterable of str, such as a tokenizer's `word_index`. Rows keep
            the file's order; those of other words are passed over unread, and reading ends when every word was found.
        dtype: "float32", which is what tables are.
        errors: what to do with a word that is not UTF-8: "strict" refuses the file, "replace" and "ignore" are as in
            `bytes.decode`.
        mmap: map the table instead of reading it. Only for folders and safetensors: no file of word vectors holds a
            table as it is in memory. `load_vectors(path).save(folder)` makes a folder.
        verbose: whether to show progress, and how many of `vocab` were found, on stderr. "auto": progress where it is
            a terminal.

    Returns:
        A `KeyedVectors` whose table is float32 (V, D), in the order of the file. A header that says 0 words gives an
        empty one.

    Raises:
        FormatError: (a ValueError) the content: a row with other than D numbers, nan, inf, a number beyond float32, a
            header that says other than what the file holds, damaged compression, tables without words, a folder of
            something else, and so on. Names file and place.
        ValueError: an argument; `name` is missing or chooses nothing; `mmap=True`.
        TypeError: an argument of another type.
        OSError: the file is missing, not a regular file, or not to be read.
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
    if verbose not in (True, False, "auto"):
        raise ValueError(f"`verbose` must be True, False or 'auto'. Received: {verbose!r}.")
    if limit is not None:
        limit = _check.integer("limit", limit)
        if limit < 1:
            raise ValueError(f"`limit` must be at least 1, or None for all rows. Received: {limit}.")
    wanted = _words(vocab)
    kind = detect(path) if format == "auto" or os.path.isdir(shown) else WORDS
    if kind == NPZ and name is not None and not name.endswith(".npy"):
        kind = WORDS  # in a zip that holds arrays too
    if kind != WORDS:
        return _open(path, shown, kind, name, mmap, limit is not None or vocab is not None)
    if mmap:
        raise ValueError(
            f"`mmap=True` needs a file that holds the table as it is in memory, which files of word vectors do not. "
            f"Convert it once: load_vectors({shown!r}).save(folder); KeyedVectors.load(folder) is mapped."
        )
    with _Bar(None if verbose == "auto" else bool(verbose)) as bar:
        loaded = read_vectors(
            path, name=name, format=format, limit=limit, vocab=wanted, errors=errors, tell=bar.tell
        )
    if loaded.report.wanted is not None and verbose:
        print(f"found {len(loaded.keys):,} of {loaded.report.wanted:,} words", file=sys.stderr)
    _warn(shown, loaded.report)
    return KeyedVectors(loaded.table, loaded.keys)


def _open(path: Path, shown: str, kind: str, name: str | None, mmap: bool, choosing: bool) -> KeyedVectors:
    """What `load_vectors` makes of other than files of word vectors."""
    from fastembed.vectors import KeyedVectors

    if kind not in (DIRECTORY, STATIC, SAFETENSORS):
        raise FormatError(f"{shown}: holds tables and no words ({kind}).")
    if kind == DIRECTORY:
        if name is not None or choosing:
            raise ValueError(f"{shown}: `name`, `limit` and `vocab` are for files; this is a KeyedVectors directory.")
        return KeyedVectors.load(path, mmap)
    if choosing:
        raise ValueError(f"{shown}: `limit` and `vocab` are for files of word vectors; this is a static embedding.")
    from fastembed.io import static_embedding
    from fastembed.io.keys import PackedKeys

    table, tokens = static_embedding.read_static(path, name=name, mmap=mmap)
    if tokens is None:
        raise FormatError(f"{shown}: holds no words, and no {static_embedding.TOKENIZER} lies beside it.")
    return KeyedVectors(table, PackedKeys.from_strings(tokens, shown))


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
