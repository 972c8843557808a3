"""Draw words as points: the two directions in which their vectors differ most (PCA), with labels.

--projector writes the files that https://projector.tensorflow.org loads: vectors.tsv and metadata.tsv.
"""

from __future__ import annotations

import argparse

from fastembed._cli.words import add_source, open_vectors, positive_number, require_words
from fastembed._word_pictures import draw_words, write_projector

HELP = "draw words as points, or write files for the embedding projector"
EXAMPLE = "fastembed plot glove.6B.50d.txt king queen man woman -o words.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    add_source(parser)
    parser.add_argument("words", metavar="WORD", nargs="+", help="a word, as the file spells it")
    parser.add_argument("--first", metavar="N", type=positive_number, default=0, help="also the first N words of FILE")
    parser.add_argument("-o", "--output", metavar="PICTURE", help="the picture: .png, .svg or .pdf (needs matplotlib)")
    parser.add_argument("--projector", metavar="DIR", help="the folder for vectors.tsv and metadata.tsv")


def run(args: argparse.Namespace) -> int:
    if args.output is None and args.projector is None:
        raise ValueError("say where the picture goes, with -o, or the projector's files, with --projector.")
    vectors = open_vectors(args.file, args.name)
    require_words(vectors, args.words, args.file)
    found = {word: vectors.get_index(word) for word in args.words}
    for row, word in enumerate(vectors.keys[: args.first]):
        found.setdefault(word, row)
    words, rows = list(found), vectors[found.values()]
    count = "1 word" if len(words) == 1 else f"{len(words):,} words"
    if args.output is not None:
        draw_words(words, rows, args.output)
        print(f"drew {count}: {args.output}")
    if args.projector is not None:
        write_projector(words, rows, args.projector)
        print(f"wrote {count}: vectors.tsv and metadata.tsv in {args.projector}")
    return 0
