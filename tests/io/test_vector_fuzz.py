"""Damaged files of word vectors in blocks of few bytes and on several threads, which tests.fuzz does not vary.

FASTEMBED_FUZZ=1000000 makes so many; FASTEMBED_FUZZ_SEED others. The parser alone, under the sanitizers and against a
plain one, is what tests/fuzz/parsers.cpp damages.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastembed._native import kernels
from fastembed.io import FormatError, blocks
from fastembed.io.word_vectors import read_vectors
from tests.fuzz.formats import FORMATS
from tests.fuzz.mutate import damaged

TIMES = int(os.environ.get("FASTEMBED_FUZZ", "1500"))
SEED = int(os.environ.get("FASTEMBED_FUZZ_SEED", "0"))


def test_damaged_files_give_a_format_error_or_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(SEED)
    kinds = [seed for name in ("text", "word2vec", "compressed") for seed in FORMATS[name].seeds(tmp_path)]
    path = Path("/dev/shm" if os.path.isdir("/dev/shm") else tmp_path) / f"fastembed-fuzz-{os.getpid()}"
    refused = read = 0
    before = kernels.set_local_threads(1)
    try:
        for turn in range(TIMES):
            monkeypatch.setattr(blocks, "BLOCK", generator.choice((100, 1_000, 2**22)))
            kernels.set_local_threads(1 if turn % 50 else 3)
            content = damaged(generator.choice(kinds), kinds, generator)
            path.write_bytes(content)
            try:
                loaded = read_vectors(
                    path,
                    format=generator.choice(("auto", "auto", "auto", "glove", "word2vec", "word2vec-binary")),
                    limit=generator.choice((None, None, 3)),
                    vocab=generator.choice((None, None, ["w3", "a b c", "x"])),
                    errors=generator.choice(("strict", "replace", "ignore")),
                )
            except ValueError as error:
                right = str(error).startswith(f"{path}: ")
                right = right and (isinstance(error, FormatError) or "choose one with `name`" in str(error))
                refused += 1
                if not right:
                    raise AssertionError(content) from error
            else:
                assert np.isfinite(loaded.table).all(), content
                assert len(set(loaded.keys)) == len(loaded.table), content
                read += 1
    finally:
        kernels.set_local_threads(before)
        path.unlink(missing_ok=True)
    assert refused > TIMES // 4
    assert read > TIMES // 20


@pytest.mark.skipif(not sys.platform.startswith("linux") or shutil.which("g++") is None, reason="needs g++")
@pytest.mark.skipif("FASTEMBED_FUZZ" not in os.environ, reason="a compiler's half minute; FASTEMBED_FUZZ asks for it")
def test_damaged_blocks_are_read_as_a_plain_reader_reads_them(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    sources = root / "src" / "fastembed" / "_native"
    if not sources.is_dir():
        pytest.skip("the installed package holds no sources")
    sanitize = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = tmp_path / "parsers"
    fuzzer = root / "tests" / "fuzz" / "parsers.cpp"
    subprocess.run(["g++", "-std=c++17", *sanitize, "-I", sources, fuzzer, "-o", program], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run([program, str(TIMES), str(SEED)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
