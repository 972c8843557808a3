"""word2vec's binary format: a line of two numbers, then for each word its bytes, a blank and its floats."""

from __future__ import annotations

import codecs
from typing import Any

from fastembed._native import parsers
from fastembed.io.text_vectors import Head, not_utf8, shown

_TEXT_CONTROLS = frozenset(b"\t\n\r")


def is_binary(content: memoryview, dim: int) -> bool:
    """Whether what follows a header is binary: its first row is not that of a text, and has bytes that no text has.

    The first word is not looked at, which may be in any encoding.
    """
    start = bytes(content[: min(parsers.max_line(), parsers.max_word() + 64 * dim)])
    line = start.partition(b"\n")[0]
    if parsers.line_shape(line)[1] == dim:
        return False
    blank = start.find(b" ")
    vector = start[blank + 1 : blank + 1 + 4 * dim]
    if any(byte < 32 and byte not in _TEXT_CONTROLS for byte in vector):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(vector)
    except UnicodeDecodeError:
        return True
    return False


def describe(fault: Any, head: Head) -> str:
    """What is wrong with a record, and where."""
    place = f"word {fault['row']:,}"
    kind, word = fault["kind"], shown(fault["line"])
    if kind == "encoding":
        return f"{place}: {not_utf8(fault['line'])}"
    if kind == "long_word":
        return f"{place}: no blank ends the word within {parsers.max_word():,} bytes. Received: {word}."
    if kind == "cut_word":
        return f"{place}: the file ends inside the word {word}: it is truncated, or the header is wrong."
    if kind == "cut_vector":
        return f"{place}: the file ends inside the vector of {word}: it is truncated, or the header is wrong."
    return f"{place}: a vector's numbers are finite; that of {word} holds nan or inf."
