"""Convert vectors: into .npy or .safetensors, which hold the table, or into a folder, which holds the words too.

SRC is any file that fastembed reads. DST ends in .npy or .safetensors, or is a folder to be made, which opens mapped,
in an instant, with KeyedVectors.load. DST appears, or is replaced, only once everything is written.
"""

from __future__ import annotations

import argparse
import os
import time

from fastembed._cli.gather import refuse_same_file
from fastembed._cli.words import open_vectors
from fastembed.tables import load_table, save_table

HELP = "convert vectors into .npy, .safetensors or a folder that opens at once"
EXAMPLE = "fastembed convert glove.6B.zip glove50 --name glove.6B.50d.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="SRC", help="a file or folder of any format that fastembed reads")
    parser.add_argument("destination", metavar="DST", help="a path ending in .npy or .safetensors, or a folder")
    parser.add_argument("--name", help="which table, or which file of a zip, where SRC holds several")


def run(args: argparse.Namespace) -> int:
    source, destination = args.source, args.destination
    refuse_same_file({"SRC": source, "DST": destination})
    suffix = os.path.splitext(destination.rstrip("/"))[1].lower()
    if suffix not in (".npy", ".safetensors", ""):
        raise ValueError(
            f"DST must end in .npy or .safetensors, or have no suffix and be a folder. Received: {destination!r}."
        )
    started = time.perf_counter()
    if suffix:
        table = load_table(source, name=args.name, mmap=True)
        save_table(destination, table)
        what = "the table alone"
    else:
        vectors = open_vectors(source, args.name)
        vectors.save(destination)
        table, what = vectors.vectors, "the table and its words"
    rows, columns = table.shape
    seconds = time.perf_counter() - started
    print(f"wrote {what}, {rows:,} rows of {columns:,} columns, to {destination} in {seconds:.2f} s")
    return 0
