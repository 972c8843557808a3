"""Damaged files for every loader: `python -m tests.fuzz [--format npy,hdf5] [--runs 1000000] [--seed 0]`.

Each file is read, or refused with a FormatError that names it; another exception, a file opened or a module imported
or anything run meanwhile, more memory than 16 MiB and twice the file, or 5 seconds end the run, and the input is kept.
An input that is refused in new words is damaged further. Under .ci/sanitize's build and environment the same files go
through AddressSanitizer; the memory is not limited then. `--input FILE` reads one input again.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import re
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path

from fastembed import tables
from fastembed._native import kernels
from fastembed.io import blocks

from .formats import FORMATS, is_refusal
from .mutate import damaged
from .watch import Finding, Watch

# Inputs that were refused in words of their own and are damaged further.
MOST_KEPT = 300


class Fuzzer:
    """One format's inputs, read one after the other."""

    def __init__(self, name: str, folder: Path) -> None:
        self.format = FORMATS[name]
        self.folder = folder
        self.watch = Watch(folder)
        self.seeds = list(self.format.seeds(folder))
        self.read = self.refused = 0
        self.words: set[str] = set()

    def warm_up(self) -> None:
        """Read the whole files in every way, which imports what is imported late.

        Damage can make a file one of another format, whose reader load_table then asks: all of them are imported. Other
        formats' files are not read: what they leave free would be more memory than an input may take.
        """
        for reader in tables._READERS.values():
            importlib.import_module(f"fastembed.io.{reader}")
        for seed in self.seeds:
            for way in range(16):
                path = self.format.place(self.folder, seed)
                try:
                    self.format.read(path, way)
                except Exception as error:
                    if not is_refusal(error, path):
                        raise

    def try_one(self, data: bytes) -> bool:
        """Whether an input is refused in words that no earlier one was refused in. Raises what a loader must not."""
        path = self.format.place(self.folder, data)
        way = zlib.crc32(data)  # one input is read in one way, to be found again
        try:
            self.watch.call(lambda: self.format.read(path, way), len(data))
        except Exception as error:
            if isinstance(error, Finding) or not is_refusal(error, path):
                raise
            self.refused += 1
            # the folder's name is another each time; were it among the words, so were the inputs of one seed
            words = str(error).replace(str(self.folder), "")
            words = re.sub(r"'.*?'|\".*?\"|[\d,.]+|\(.*\)", "", words)[:80]
            if words not in self.words:
                self.words.add(words)
                return True
        else:
            self.read += 1
        return False

    def run(self, runs: int, seed: int) -> None:
        """Read `runs` damaged files."""
        chosen = random.Random(seed)
        kept = list(self.seeds)
        for _ in range(runs):
            # most of them from whole files: what was damaged before is refused sooner
            data = damaged(chosen.choice(self.seeds if chosen.random() < 0.8 else kept), self.seeds, chosen)
            try:
                new = self.try_one(data)
            except BaseException:
                self.keep(data)
                raise
            if new and len(kept) < MOST_KEPT:
                kept.append(data)

    def keep(self, data: bytes) -> None:
        """Leave an input behind."""
        place = Path(tempfile.gettempdir()) / f"fastembed-fuzz-{zlib.crc32(data):08x}"
        place.write_bytes(data)
        print(f"the input: {place}", file=sys.stderr, flush=True)


def fuzz(name: str, arguments: argparse.Namespace) -> None:
    """Fuzz a format; print a line."""
    # blocks of 2.5 MiB, of which no file here fills a thousandth, would be what is measured
    blocks.BLOCK = 2**16
    folder = Path(tempfile.mkdtemp(prefix="fastembed-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        fuzzer = Fuzzer(name, folder)
        fuzzer.warm_up()
        began = time.perf_counter()
        if arguments.input:
            fuzzer.try_one(Path(arguments.input).read_bytes())
        else:
            fuzzer.run(arguments.runs, arguments.seed)
        seconds = time.perf_counter() - began
        print(
            f"{name}: {fuzzer.read + fuzzer.refused:,} inputs, {fuzzer.read:,} read, {fuzzer.refused:,} refused in "
            f"{len(fuzzer.words)} different words; slowest {fuzzer.watch.slowest * 1000:.0f} ms; {seconds:.0f} s",
            flush=True,
        )
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Fuzz the formats asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Damaged files for every loader.")
    parser.add_argument("--format", default=",".join(FORMATS), help=f"with commas between; of {', '.join(FORMATS)}")
    parser.add_argument("--runs", type=int, default=10_000, help="inputs a format; default 10,000")
    parser.add_argument("--seed", type=int, default=0, help="another gives other inputs; default 0")
    parser.add_argument("--input", help="a file that holds one input, read again")
    arguments = parser.parse_args()
    kernels.set_local_threads(1)
    warnings.simplefilter("ignore")  # one that is shown reads the line of the source that it names
    for name in arguments.format.split(","):
        fuzz(name, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
