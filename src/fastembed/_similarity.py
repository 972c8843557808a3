"""The rows of a table that are most similar to a query, by cosine: exact, and in little memory beside the table.

One pass over the table finds candidates with float32 matrix products, block by block: every row whose score is within
the products' rounding error of the best ones. Those are scored again in float64, each by itself, and rounded to
float32. So a result does not depend on the block, the batch, the number of threads or how BLAS adds up, and equal rows
have equal scores; of equal scores the lower row comes first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._native.kernels import check_whole
from .io.mapping import is_large, row_blocks

# A block of rows is at most so many bytes, for Ctrl-C to be felt; each block costs the threads of BLAS a meeting, which
# takes long on a busy machine. Of a mapped table that is released behind the reader a block is what stays.
_BLOCK_BYTES = 512 << 20
_RELEASED_BYTES = 8 << 20
# And has at most so many scores for all queries: they are what memory is needed for.
_BLOCK_SCORES = 1 << 19
# So many rows are all candidates; from then on only those that reach the best of them.
_FIRST_ROWS = 2048
# Queries that share a pass.
_QUERIES = 256
# Candidates of a query beside the wanted ones, before the superfluous are dropped.
_SPARE = 4096
_UNKNOWN = -1.0


class RowNorms:
    """The lengths of a table's rows, each computed when it is first needed.

    Args:
        table: (V, D), float32.
    """

    def __init__(self, table: NDArray[np.float32]) -> None:
        self._table = table
        self._values: NDArray[np.float32] | None = None  # not before it is needed: 4 MB for a million rows

    def of(self, start: int, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """The lengths of the rows from `start` on, which are `block`."""
        values = self._made()[start : start + len(block)]
        if (values == _UNKNOWN).any():
            values[:] = lengths(block)
        return values

    def all(self) -> NDArray[np.float32]:
        """The lengths of all rows, (V,), float32, read-only."""
        for start, block in row_blocks(self._table, block_rows(self._table, 1), 0, len(self._table)):
            self.of(start, block)
        values = self._made().view()
        values.flags.writeable = False
        return values

    def _made(self) -> NDArray[np.float32]:
        if self._values is None:
            self._values = np.full(len(self._table), _UNKNOWN, np.float32)
        return self._values


def lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """The length of each row, (N,), in float64: squares of large numbers do not overflow, nor small ones vanish."""
    result = np.empty(len(rows))
    part = max((1 << 18) // max(rows.shape[1], 1), 1)
    for start in range(0, len(rows), part):
        wide = rows[start : start + part].astype(np.float64)
        np.sqrt(np.einsum("ij,ij->i", wide, wide), out=result[start : start + part])
    return result


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector divided by its length; zeros stay zeros."""
    length = float(np.sqrt((vector * vector).sum()))
    return vector / length if length > 0 else vector


def block_rows(table: NDArray[np.float32], queries: int) -> int:
    """Rows that are taken at a time for so many queries."""
    row_bytes = max(4 * int(table.shape[1]), 1)
    block_bytes = _RELEASED_BYTES if is_large(table) else _BLOCK_BYTES
    return max(min(block_bytes // row_bytes, _BLOCK_SCORES // queries), 1)


def scores(
    table: NDArray[np.float32], norms: RowNorms, queries: NDArray[np.float64], begin: int, end: int
) -> NDArray[np.float32]:
    """The cosine of each query with each row of [begin, end), (Q, rows), as float32 products give it."""
    result = np.empty((len(queries), end - begin), np.float32)
    narrow = queries.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start, block in row_blocks(table, block_rows(table, len(queries)), begin, end):
            part = result[:, start - begin : start - begin + len(block)]
            np.divide(narrow @ block.T, norms.of(start, block), out=part)
    return result


def best(
    table: NDArray[np.float32], norms: RowNorms, queries: NDArray[np.float64], count: int, begin: int, end: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The rows of [begin, end) with the highest cosines for each query.

    Args:
        table: (V, D), float32, C-contiguous, mapped ones too.
        norms: of its rows.
        queries: (Q, D), float64, each of length 1 or zeros.
        count: of rows for each query, at most; all rows if there are fewer.

    Returns:
        For each query the rows and their cosines, the highest first; rows without a direction (zeros, say) come last
        and have NaN.
    """
    count = min(count, end - begin)
    results = []
    for first in range(0, len(queries), _QUERIES):
        some = queries[first : first + _QUERIES]
        results += [candidates.result(begin, end) for candidates in _scan(table, norms, some, count, begin, end)]
    check_whole(table)  # of which rows were read once more for the exact cosines
    return results


def _scan(
    table: NDArray[np.float32], norms: RowNorms, queries: NDArray[np.float64], count: int, begin: int, end: int
) -> list[_Candidates]:
    narrow = queries.astype(np.float32)
    candidates = [_Candidates(table, query, count) for query in queries]
    least = np.full(len(queries), -np.inf, np.float32)
    rows = block_rows(table, len(queries))
    buffer = np.empty((min(rows, end - begin), len(queries)), np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start, block in row_blocks(table, rows, begin, end):
            # in this order it takes BLAS two thirds of the time of the other
            found = np.matmul(block, narrow.T, out=buffer[: len(block)])
            found /= norms.of(start, block)[:, np.newaxis]
            if start == begin:
                _take_in(candidates, least, found[:_FIRST_ROWS], start)
                found, start = found[_FIRST_ROWS:], start + _FIRST_ROWS
            _take_in(candidates, least, found, start)
    return candidates


def _take_in(candidates: list[_Candidates], least: NDArray[np.float32], found: NDArray[np.float32], start: int) -> None:
    """Give each query those rows from `start` on whose scores (rows, Q) reach `least` (Q,), which is raised."""
    row, query = np.divmod(np.flatnonzero(found >= least), len(least))  # np.nonzero takes ten times as long
    by_query = np.argsort(query, kind="stable")
    row, query = row[by_query], query[by_query]
    values = found[row, query]
    ends = np.searchsorted(query, np.arange(len(least) + 1))
    for k in np.flatnonzero(np.diff(ends)):
        part = slice(ends[k], ends[k + 1])
        least[k] = candidates[k].add(row[part] + start, values[part])


class _Candidates:
    """Rows that may be among the `count` best for a query."""

    def __init__(self, table: NDArray[np.float32], query: NDArray[np.float64], count: int) -> None:
        self.table, self.query, self.count = table, query, count
        self.rows = np.empty(0, np.int64)
        self.scores = np.empty(0, np.float32)
        # A float32 sum of D products is off by D half units at most, times the lengths, whatever the order; the query,
        # the length, the quotient and the final score are rounded too. Twice, for the candidate and for the last best.
        self.margin = np.float32(2 * (table.shape[1] + 16) * 2.0**-24)

    def add(self, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> np.float32:
        """Take in rows with their approximate scores; return which score others must reach."""
        self.rows = np.concatenate([self.rows, rows])
        self.scores = np.concatenate([self.scores, scores])
        if len(self.rows) < self.count:
            return np.float32(-np.inf)
        least = self._drop()
        if len(self.rows) > self.count + _SPARE:
            # more near ties than can be kept: settle them now
            self._settle()
        return least

    def result(self, begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best rows and their exact scores."""
        self._settle()
        missing = self.count - len(self.rows)
        if missing > 0:
            others = np.ones(end - begin, bool)
            others[self.rows - begin] = False
            self.rows = np.concatenate([self.rows, np.flatnonzero(others)[:missing] + begin])
            self.scores = np.concatenate([self.scores, np.full(missing, np.nan, np.float32)])
        return self.rows, self.scores

    def _drop(self) -> np.float32:
        place = len(self.scores) - self.count
        least: np.float32 = np.partition(self.scores, place)[place] - self.margin
        keep = self.scores >= least
        self.rows, self.scores = self.rows[keep], self.scores[keep]
        return least

    def _settle(self) -> None:
        exact = np.empty(len(self.rows), np.float32)
        part = max((1 << 18) // max(self.table.shape[1], 1), 1)
        for start in range(0, len(self.rows), part):
            wide = self.table[self.rows[start : start + part]].astype(np.float64)
            # sums row by row, unlike a product of matrices: equal rows get equal scores
            dots = (wide * self.query).sum(axis=1)
            exact[start : start + part] = dots / np.sqrt((wide * wide).sum(axis=1))
        order = np.lexsort((self.rows, -exact))[: self.count]
        self.rows, self.scores = self.rows[order], exact[order]
