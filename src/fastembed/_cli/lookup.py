"""Print the vectors of words, one line a word: the word, then its numbers, as in GloVe's files.

The numbers are the shortest that give the same float32. A word without a vector is an error, and nothing is printed.
"""

from __future__ import annotations

import argparse

from fastembed._cli.words import add_source, open_vectors, require_words

HELP = "print the vectors of words"
EXAMPLE = "fastembed lookup glove.6B.50d.txt king queen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    add_source(parser)
    parser.add_argument("words", metavar="WORD", nargs="+", help="a word, as the file spells it")


def run(args: argparse.Namespace) -> int:
    vectors = open_vectors(args.file, args.name)
    require_words(vectors, args.words, args.file)
    for word in args.words:
        print(word, *vectors.get_vector(word))
    return 0
