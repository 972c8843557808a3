"""The C and C++ headers alone: warnings of two compilers, and random calls under sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tests.ops.helpers import SANITIZED

from .helpers import SCALE, scaled

HERE = Path(__file__).parent
NATIVE = Path(os.environ.get("FASTEMBED_SOURCE", HERE.parents[1])) / "src" / "fastembed" / "_native"
pytestmark = pytest.mark.skipif(
    not NATIVE.is_dir() or os.name != "posix" or SANITIZED, reason="the sources, and a compiler like gcc"
)
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
HEADERS = sorted(path.name for kind in ("*.h", "*.hpp") for path in NATIVE.glob(kind))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("header", HEADERS)
def test_headers_compile_without_a_warning(tmp_path: Path, header: str, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(compiler)
    languages = [("c", "-std=c11"), ("c++", "-std=c++17")] if header.endswith(".h") else [("c++", "-std=c++17")]
    for language, standard in languages:
        source = tmp_path / f"one.{language}"
        source.write_text(f'#include "{header}"\nint main(void) {{ return 0; }}\n')
        # what a header offers and this file does not use is no mistake
        flags = [*WARNINGS, "-Wno-unused-function", "-Wno-unused-const-variable", "-I", str(NATIVE)]
        flags += ["-isystem", sysconfig.get_path("include"), "-isystem", np.get_include()]
        # clang says all it has to say without making code, which takes a minute for all headers
        output = ["-fsyntax-only"] if compiler == "clang" else ["-O1", "-c", "-o", str(tmp_path / "o")]
        command = [compiler, "-x", language, standard, *flags, *output, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def built(folder: Path, source: str, *flags: str) -> Path:
    program = folder / "program"
    command = ["g++", "-std=c++17", "-ffp-contract=off", "-pthread", *WARNINGS, *flags, "-I", str(NATIVE)]
    subprocess.run([*command, "-o", str(program), str(HERE / source)], check=True)
    return program


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++")
def test_random_calls_equal_plain_loops_under_sanitizers(tmp_path: Path) -> None:
    program = built(tmp_path, "fuzz.cpp", "-O2" if SCALE > 1 else "-O0", *SANITIZERS)
    # short stacks of allocations and little kept from reuse: half the time of a call went there
    settings = "detect_stack_use_after_return=1:malloc_context_size=2:quarantine_size_mb=4"
    environment = {**os.environ, "ASAN_OPTIONS": settings}
    calls, seed = scaled(20_000) if SCALE <= 1 else scaled(100_000), int(os.environ.get("FASTEMBED_FUZZ_SEED", "1"))
    processes = min(os.cpu_count() or 1, 16) if SCALE > 1 else 1
    share = -(-calls // processes)
    running = [
        subprocess.Popen(
            [program, str(share), str(seed * 100 + number)], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for number in range(processes)
    ]  # fmt: skip
    for process in running:
        output, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
        assert re.fullmatch(rf"{share} calls, .* us each\n", output)


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++")
@pytest.mark.parametrize("flags", [["-O1"], ["-O0", *SANITIZERS]], ids=["plain", "sanitized"])
def test_threads_memory_and_signals_keep_their_promises(tmp_path: Path, flags: list[str]) -> None:
    program = built(tmp_path, "cellar.cpp", *flags)
    environment = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1"}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
