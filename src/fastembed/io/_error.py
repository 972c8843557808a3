"""The one exception for the content of a file."""

from __future__ import annotations


class FormatError(ValueError):
    """The content of a file is not what its format demands; the message names the file and the place in it."""
