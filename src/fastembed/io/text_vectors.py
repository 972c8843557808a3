"""Word vectors as text: how such a file begins, and what is wrong with a row of it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from fastembed._native import parsers
from fastembed.io._error import FormatError

# A row of this many numbers in word2vec's binary format fits into a block many times.
MAX_DIM = 2**19
LONG = f"a line takes at most {parsers.max_line():,} bytes; this is none of a word and numbers"

_HEADER = re.compile(rb"([+-]?\d+)[ \t]+([+-]?\d+)[ \t\r]*")
_NUMBER_LIKE = re.compile(rb"[+-]?(\.?\d.*|nan|inf|infinity)", re.IGNORECASE | re.DOTALL)
_DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = re.compile(rb"[+-]?(nan|inf|infinity)", re.IGNORECASE)


class Head(NamedTuple):
    """How a file of word vectors begins.

    Numbers of a row, bytes before the first row, rows to make room for, and if there is a header: the words that it
    says there are; whether the rows are word2vec's binary ones.
    """

    dim: int
    size: int
    expected: int
    records: int | None = None
    binary: bool = False

    def left(self, rows: int) -> int:
        """Records still to come after `rows` of a binary file; -1 for text."""
        return self.records - rows if self.binary and self.records is not None else -1


def parse_header(line: bytes, label: str, format: str) -> tuple[int, int] | None:
    """The words and numbers of a word2vec header; None if the first line is none and the format allows that."""
    found = _HEADER.fullmatch(line) if len(line) <= 200 else None
    if found is None:
        if format == "auto":
            return None
        raise FormatError(
            f"{label}: line 1: word2vec's files begin with two whole numbers, the words and the numbers of each. "
            f"Received: {shown(line)}. A file without them is of format 'glove'."
        )
    count, dim = int(found[1]), int(found[2])
    if count < 0 or not 1 <= dim <= MAX_DIM or count >= 2**40:
        raise FormatError(
            f"{label}: line 1: the header must be the number of words, from 0, and of each one's numbers, from 1 to "
            f"{MAX_DIM:,}. Received: {shown(line)}. If it is a word and its only number, say format='glove'."
        )
    return count, dim


def count_numbers(line: bytes, label: str) -> int:
    """How many numbers the first row of a file without a header has."""
    fields, numbers, before = parsers.line_shape(line)
    if numbers == fields and line[:1] not in (b" ", b"\t"):  # the word is a number too; behind a blank, it is empty
        return _at_least_one(fields - 1, line, label)
    if fields - numbers > 1 and _NUMBER_LIKE.fullmatch(before):
        raise FormatError(f"{label}: line 1, field {fields - numbers}: {_wrong_number(before)}")
    return _at_least_one(numbers, line, label)


def describe(fault: Any, head: Head) -> str:
    """What is wrong with a row of a text, and where."""
    place = f"line {_line(fault['row'], head):,}"
    kind = fault["kind"]
    if kind == "number":
        return f"{place}, number {fault['place']:,}: {_wrong_number(fault['wrong'])}"
    if kind in ("few", "many"):
        source = "as in line 1" if head.records is None else "as the header says"
        return (
            f"{place}: a row is a word and {head.dim:,} numbers, {source}. Received: {fault['numbers']:,} numbers in "
            f"{shown(fault['line'])}."
        )
    if kind == "blank":
        return f"{place}: the line is empty, and rows follow it."
    if kind == "long_line":
        return f"{place}: {LONG}."
    return f"{place}: {not_utf8(fault['wrong'])}"


def too_long(rows: int, head: Head) -> str:
    """What is wrong with a line, after so many rows, that does not end."""
    return f"line {_line(rows + 1, head):,}: {LONG}."


def not_utf8(word: bytes) -> str:
    """The words for a word that is not UTF-8."""
    return f"the word is not UTF-8: {shown(word)}. errors='replace' or errors='ignore' reads it all the same."


def shown(text: bytes) -> str:
    """At most 60 bytes, as a str if they are UTF-8."""
    start, more = text[:60], "..." if len(text) > 60 else ""
    try:
        return repr(start.decode()) + more
    except UnicodeDecodeError:
        return repr(start) + more


def _line(row: int, head: Head) -> int:
    return row if head.records is None else row + 1


def _wrong_number(field: bytes) -> str:
    if _NOT_FINITE.fullmatch(field):
        return f"a vector's numbers are finite. Received: {shown(field)}."
    if _DECIMAL.fullmatch(field):
        return f"the number is beyond float32, which ends at 3.4028235e38. Received: {shown(field)}."
    return f"a decimal number such as -0.25 or 1e-05 is needed. Received: {shown(field)}."


def _at_least_one(numbers: int, line: bytes, label: str) -> int:
    if numbers < 1:
        raise FormatError(
            f"{label}: line 1: a file of word vectors begins with a word and its numbers, or with the number of words "
            f"and of each one's numbers. Received: {shown(line)}."
        )
    return numbers
