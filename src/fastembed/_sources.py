"""Any file that holds vectors and words, opened as `KeyedVectors`: what the command line's commands begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastembed.io.atomic import Path
from fastembed.io.detect import WORDS, detect
from fastembed.loading import load_vectors

if TYPE_CHECKING:
    from fastembed.vectors import KeyedVectors


def open_vectors(path: Path, name: str | None = None) -> KeyedVectors:
    """Open a file or folder with words: mapped where it can be, else read.

    Args:
        path: of word vectors as text or binary, of our own folder, of a static-embedding model's folder, or of a
            safetensors file with a tokenizer.json beside it.
        name: which table or file, where there are several.

    Raises:
        FormatError: the content is not what its format demands, or there are no words.
        ValueError: there are several tables and no `name`, or none of it.
        OSError: something is missing or not to be read.
    """
    return load_vectors(path, name=name, mmap=detect(path) != WORDS)
