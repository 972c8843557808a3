"""The one exception for the content of a file, and how that is shown."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class FormatError(ValueError):
    """The content of a file is not what its format demands; the message names the file and the place in it."""


def quoted(value: object) -> str:
    """What a file says, as an error shows it: in ASCII, and cut where it is long."""
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:100]}... ({len(text)} characters)"


def printable(text: str) -> str:
    r"""A text of a file, its control characters, which a terminal obeys, as Python writes them: ``\x1b``, ``\n``."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def shown(text: str) -> str:
    """A text that a file's content is a part of, for an error: `printable`, and cut where it is long."""
    return printable(text) if len(text) <= 1000 else f"{printable(text[:1000])}... ({len(text)} characters)"
