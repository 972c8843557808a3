"""The one exception for the content of a file, and how its text quotes that."""

from __future__ import annotations


class FormatError(ValueError):
    """The content of a file is not what its format demands; the message names the file and the place in it."""


def quoted(value: object) -> str:
    """What a file says, as an error shows it: in ASCII, and cut where it is long."""
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:100]}... ({len(text)} characters)"
