"""Which row of a layer's table gets which word's vector."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import initializers
from .io.mapping import row_blocks
from .ops import _check, gather
from .ops._tables import new_table

if TYPE_CHECKING:
    from .vectors import KeyedVectors

# Rows looked up or copied at a time.
_ROWS = 4096


class Coverage(NamedTuple):
    """How many of some words have a vector, and which have none."""

    found: int
    wanted: int
    missing: list[str]

    def __str__(self) -> str:
        return f"found {self.found:,} of {self.wanted:,} words"


def word_rows(
    vectors: KeyedVectors,
    word_index: Mapping[str, int] | None,
    num_words: int | None,
    padding_row: bool,
    unknown_row: bool,
    missing: Any,
    verbose: bool,
) -> NDArray[np.float32]:
    """A new table for `KeyedVectors.to_embedding`, which has the arguments and the errors."""
    if word_index is not None:
        if padding_row or unknown_row:
            raise ValueError(
                "`word_index` says which word each row has: `padding_row` and `unknown_row` must be left out. Keras's "
                "Tokenizer leaves index 0 to padding, and with oov_token= counts the unknown word among its words."
            )
        return _indexed_rows(vectors, word_index, num_words, missing, verbose)
    if num_words is not None:
        raise ValueError("`num_words` goes with `word_index`, whose words it limits.")
    first = int(bool(padding_row))
    table = new_table((first + len(vectors) + bool(unknown_row), vectors.vector_size))
    table[:first] = 0
    copy_rows(table[first : first + len(vectors)], vectors.vectors)
    if unknown_row:
        table[-1:] = _filled(1, vectors.vector_size, missing)
    return table


def copy_rows(out: NDArray[np.float32], table: NDArray[Any]) -> None:
    """Copy a table, a mapped one in blocks that leave little of it resident where it is large.

    Raises:
        OSError: if a file under it was cut short.
    """
    if not table.size:
        return  # of rows without elements a file may claim 2**60
    _check.watch(table)
    for start, block in row_blocks(table, _ROWS, 0, len(table)):
        out[start : start + len(block)] = block


def _indexed_rows(
    vectors: KeyedVectors, word_index: Mapping[str, int], num_words: int | None, missing: Any, verbose: bool
) -> NDArray[np.float32]:
    limit = None if num_words is None else _check.size("num_words", num_words)
    ids = {word: _check.size(f"word_index[{word!r}]", index) for word, index in word_index.items()}
    if limit is not None:
        ids = {word: index for word, index in ids.items() if index < limit}
    rows = vectors.keys.find_many(ids)
    places = np.fromiter(ids.values(), np.int64, len(ids))
    table = new_table((int(places.max(initial=-1)) + 1, vectors.vector_size))
    table[...] = 0
    found = rows >= 0
    table[places[~found]] = _filled(len(ids) - int(found.sum()), vectors.vector_size, missing)
    places, rows = places[found], rows[found]
    for start in range(0, len(rows), _ROWS):
        table[places[start : start + _ROWS]] = gather(vectors.vectors, rows[start : start + _ROWS])
    if verbose:
        print(Coverage(len(rows), len(ids), []), file=sys.stderr)
    return table


def _filled(count: int, dim: int, missing: Any) -> NDArray[np.float32]:
    """Rows for words without a vector."""
    if isinstance(missing, np.ndarray):
        if missing.shape != (dim,):
            raise ValueError(f"`missing` must be an initializer or a vector ({dim},). Received: shape {missing.shape}.")
        return np.broadcast_to(missing.astype(np.float32), (count, dim))
    return np.asarray(initializers.get(missing)((count, dim)), np.float32).reshape(count, dim)
