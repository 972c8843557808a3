"""Print the words whose vectors point in nearly the same direction as a word's, or as the mean of several.

Each line is a cosine and a word, the nearest first. With --minus, words are taken away: king and woman without man.
"""

from __future__ import annotations

import argparse

from fastembed._cli.words import add_source, open_vectors, positive_number, require_words
from fastembed.io._error import printable

HELP = "print the words nearest to a word"
EXAMPLE = "fastembed neighbors glove.6B.50d.txt king woman --minus man"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    add_source(parser)
    parser.add_argument("words", metavar="WORD", nargs="+", help="a word, as the file spells it")
    parser.add_argument("--minus", metavar="WORD", action="append", default=[], help="a word to take away; repeatable")
    parser.add_argument("-n", "--count", metavar="N", type=positive_number, default=10, help="how many (default: 10)")


def run(args: argparse.Namespace) -> int:
    vectors = open_vectors(args.file, args.name)
    require_words(vectors, [*args.words, *args.minus], args.file)
    for word, cosine in vectors.most_similar(positive=args.words, negative=args.minus, topn=args.count):
        print(f"{cosine:7.4f}  {printable(word)}")
    return 0
