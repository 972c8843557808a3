"""Show the versions of fastembed and of what it runs on, or what a FILE of vectors holds.

--verify also reads a file's checksums and compares them, where its format has any.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from fastembed._meter import Progress
from fastembed._sources import open_vectors
from fastembed._versions import show_versions, versions
from fastembed.io import detect, directory, npz, static_embedding
from fastembed.io._error import printable
from fastembed.io.keras_tables import KerasFile
from fastembed.io.npy import inspect_npy
from fastembed.tables import list_tables

HELP = "show versions, or what a file holds"
EXAMPLE = "fastembed info --verify vectors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument("file", metavar="FILE", nargs="?", help="a file or folder of vectors; without it: versions")
    parser.add_argument("--verify", action="store_true", help="compare the checksums in FILE, if its format has any")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(args: argparse.Namespace) -> int:
    if args.file is None:
        if args.verify:
            raise ValueError("--verify needs a FILE.")
        print(json.dumps(versions(), indent=2)) if args.json else show_versions()
        return 0
    shown = describe(args.file)
    if args.verify:
        shown["checksums"] = verify(args.file)
    if args.json:
        print(json.dumps(shown, indent=2))
        return 0
    width = 8 if "checksums" not in shown else 11
    for name, value in shown.items():
        for i, line in enumerate(_lines(name, value)):
            print(f"{'' if i else name:{width}}{line}")
    return 0


def describe(path: str) -> dict[str, Any]:
    """What a file holds, as JSON can hold it; nothing of its elements is read but of word vectors."""
    kind = detect.detect(path)
    if kind == detect.NPY:
        return _describe_npy(path)
    shown: dict[str, Any] = {"format": kind}
    if kind == detect.WORDS:
        vectors = open_vectors(path)
        shown |= {"shape": list(vectors.vectors.shape), "dtype": "float32", "words": len(vectors)}
    else:
        tables = list_tables(path)
        shown["tables"] = {name: {"shape": list(shape), "dtype": str(dtype)} for name, (shape, dtype) in tables.items()}
    if kind == detect.DIRECTORY:
        shown["words"] = tables["table"][0][0]
    if kind in (detect.STATIC, detect.SAFETENSORS):
        tokenizer = static_embedding.find_files(path)[1]
        if tokenizer is not None:
            shown["words"] = len(static_embedding.read_tokens(tokenizer))
    shown["bytes"] = size_of(path)
    return shown


def _describe_npy(path: str) -> dict[str, Any]:
    header = inspect_npy(path)
    return {
        "format": f"npy {header.version[0]}.{header.version[1]}",
        "shape": list(header.shape),
        "dtype": f"{header.dtype.name} ({header.dtype.str})",
        "order": "Fortran" if header.fortran_order else "C",
        "bytes": header.num_bytes,
    }


def verify(path: str) -> str:
    """Compare the checksums of a file, and say how that went; a FormatError where one is wrong."""
    kind = detect.detect(path)
    if kind == detect.DIRECTORY:
        with Progress(size_of(path), "B") as progress:
            directory.verify(path, progress.advance)
    elif kind == detect.NPZ:
        npz.verify(path)
    elif kind == detect.KERAS:
        # opening it compares the checksum of the weights
        with KerasFile(path):
            pass
    else:
        return "none in this format; lengths and header fit the file"
    return "right"


def size_of(path: str) -> int:
    """The bytes of a file, or of the files in a folder and the folders in it."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _lines(name: str, value: Any) -> list[str]:
    """A value as a person reads it."""
    if name == "tables":
        return [f"{printable(table)} {tuple(one['shape'])} {one['dtype']}" for table, one in value.items()] or ["none"]
    if name == "shape":
        return [str(tuple(value))]
    return [f"{value:,}" if isinstance(value, int) else value]
