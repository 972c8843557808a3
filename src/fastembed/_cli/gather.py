"""Look up the rows of TABLE.npy that IDS.npy names and write them to OUT.npy.

TABLE.npy is a float32 array (rows, columns) in C order; IDS.npy holds integers of any shape; OUT.npy gets the shape
of the ids with the columns appended. Neither the ids nor the output need to fit in memory. OUT.npy and MASK.npy
appear, or are replaced, only once everything is written: an error leaves no file behind and an old one untouched.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed import ops
from fastembed._meter import Progress
from fastembed.io import FormatError, npy, open_npy
from fastembed.io.atomic import AtomicFile, replacing

HELP = "look up the rows of a table for a file of ids, from .npy to .npy"
EXAMPLE = "fastembed gather table.npy ids.npy rows.npy --mask mask.npy --threads 2"

# Bytes of output a chunk: far above the cost of a call and a write, far below any memory.
CHUNK_BYTES = 8 * 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.add_argument("table", metavar="TABLE.npy", help="the table, float32 (rows, columns)")
    parser.add_argument("ids", metavar="IDS.npy", help="the ids, integers of any shape")
    parser.add_argument("out", metavar="OUT.npy", help="where the rows go, float32 (*ids.shape, columns)")
    parser.add_argument("--mask", metavar="MASK.npy", help="also write ids != 0 here, bool of the ids' shape")
    parser.add_argument("--threads", metavar="N", type=_thread_count, help="how many threads gather (default: all)")
    parser.add_argument(
        "--mode",
        choices=("raise", "clip", "wrap", "zero"),
        default="raise",
        help="what an id outside the table gives: an error (raise, the default), the nearest row (clip), "
        "the row of its remainder (wrap), or a row of zeros (zero)",
    )


def run(args: argparse.Namespace) -> int:
    refuse_same_file({"TABLE.npy": args.table, "IDS.npy": args.ids, "OUT.npy": args.out, "MASK.npy": args.mask})
    table, ids = open_table(args.table), open_ids(args.ids)
    started = time.perf_counter()
    outputs = [args.out] if args.mask is None else [args.out, args.mask]
    with replacing(*outputs) as files, Progress(ids.size, "rows") as progress:
        gather_to_files(table, ids, files, progress, args.mode, args.threads)
    seconds = max(time.perf_counter() - started, 1e-9)
    print(
        f"gathered {ids.size:,} rows of {table.shape[1]:,} columns in {seconds:.2f} s: "
        f"{ids.size / seconds:,.0f} rows/s, {ids.size * table.shape[1] * 4 / seconds / 1e9:.2f} GB/s"
    )
    return 0


def gather_to_files(
    table: NDArray[np.float32],
    ids: NDArray[Any],
    files: tuple[AtomicFile, ...],
    progress: Progress,
    mode: str,
    num_threads: int | None,
) -> None:
    """Write table[ids], and ids != 0 to a second file if there is one, a chunk of ids at a time."""
    columns = table.shape[1]
    # a narrow table must not make the chunks of ids large instead
    length = max(1, min(CHUNK_BYTES // max(4 * columns, 8), ids.size))
    rows, mask = np.empty((length, columns), np.float32), np.empty(length, np.bool_)
    npy.write_header(files[0], (*ids.shape, columns), np.float32)
    for file in files[1:]:
        npy.write_header(file, ids.shape, np.bool_)
    for start, chunk in npy.flat_chunks(ids, length):
        count = len(chunk)
        kwargs: dict[str, Any] = {"out": rows[:count], "mode": mode, "num_threads": num_threads}
        try:
            if len(files) == 1:
                ops.gather(table, chunk, **kwargs)
            else:
                ops.gather_with_mask(table, chunk, mask_out=mask[:count], **kwargs)
        except IndexError as error:
            raise IndexError(place_in_whole(str(error), start, ids.shape)) from None
        files[0].write(rows[:count].reshape(-1).data)
        for file in files[1:]:
            file.write(mask[:count].data)
        progress.advance(count)


def place_in_whole(message: str, start: int, shape: tuple[int, ...]) -> str:
    """The kernel's message for a chunk that begins at `start`, with the position in the whole array of ids."""
    found = re.match(r"indices\[(\d+)\]", message)
    if found is None:
        return message
    place = ",".join(str(int(i)) for i in np.unravel_index(start + int(found[1]), shape))
    return f"indices{f'[{place}]' if shape else ''}{message[found.end() :]}"


def open_table(path: str) -> NDArray[np.float32]:
    """The mapped table, or a FormatError that names the conversion it needs."""
    table = open_npy(path)
    convert = f"np.save({path!r}, np.ascontiguousarray(np.load({path!r}), dtype=np.float32)) converts it"
    if table.ndim != 2:
        raise FormatError(f"{path}: a table has 2 dimensions, (rows, columns). Received: shape {table.shape}.")
    if table.dtype != np.float32:
        raise FormatError(f"{path}: a table is float32. Received: dtype {table.dtype}. {convert}.")
    if not table.flags.c_contiguous:
        raise FormatError(f"{path}: a table is in C order. Received: Fortran order. {convert}.")
    if not table.flags.aligned:
        raise FormatError(f"{path}: a table's elements begin at a multiple of 4 bytes in the file. {convert}.")
    return table


def open_ids(path: str) -> NDArray[Any]:
    """The mapped ids, or a FormatError that names the conversion they need."""
    ids = open_npy(path)
    if ids.dtype.kind not in "iu":
        raise FormatError(
            f"{path}: ids are integers. Received: dtype {ids.dtype}. "
            f"np.save({path!r}, np.load({path!r}).astype(np.int64)) converts whole numbers."
        )
    return ids


def refuse_same_file(paths: dict[str, str | None]) -> None:
    """ValueError when an output is an input or another output, by whatever name."""
    given = [(role, path) for role, path in paths.items() if path is not None]
    for i, (role, path) in enumerate(given):
        for other_role, other in given[:i]:
            # the two inputs may be one file: nothing happens to it
            if role != "IDS.npy" and _same_file(path, other):
                raise ValueError(f"{role} must not be the same file as {other_role}. Received: {path!r} and {other!r}.")


def _same_file(a: str, b: str) -> bool:
    if "\0" in a + b:
        return False
    if os.path.exists(a) and os.path.exists(b):
        return os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)


def _thread_count(text: str) -> int:
    count = int(text) if text.isascii() and text.isdigit() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"a whole number >= 1 is needed, not {text!r}")
    return count
