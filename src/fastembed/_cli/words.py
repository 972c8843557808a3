"""Arguments and checks that the commands about words share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastembed._sources import open_vectors

if TYPE_CHECKING:
    from fastembed.vectors import KeyedVectors

__all__ = ["add_source", "open_vectors", "require_words"]

# Unknown words that an error names.
_SHOWN = 10


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="word vectors: text (GloVe, word2vec, .vec) or word2vec binary, plain or compressed; a folder of "
        "KeyedVectors.save; a static-embedding model's folder; a .safetensors with a tokenizer.json beside it",
    )
    parser.add_argument("--name", help="which table, or which file of a zip, where FILE holds several")


def require_words(vectors: KeyedVectors, words: Iterable[str], path: str) -> None:
    """ValueError that names the words without a vector."""
    missing = [repr(word) for word in words if vectors.keys.find(word) < 0]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise ValueError(f"{path}: holds no vector for {', '.join(missing[:_SHOWN])}{more}.")


def positive_number(text: str) -> int:
    """An argument that counts something."""
    count = int(text) if text.isascii() and text.isdigit() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"a whole number >= 1 is needed, not {text!r}")
    return count
