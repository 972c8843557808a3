"""A few hundred damaged files a format, in a process of their own: its watch over the interpreter cannot be ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from .formats import FORMATS

ROOT = Path(__file__).parents[2]
RUNS = 300 * int(os.environ.get("FASTEMBED_TEST_SCALE", "1"))


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name != "posix", reason="limits of memory")
def test_damaged_files_of_every_format_are_read_or_refused() -> None:
    done = fuzz("--runs", str(RUNS), "--seed", os.environ.get("FASTEMBED_FUZZ_SEED", "0"))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == list(FORMATS)
    for line in lines:
        inputs, read, refused = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:inputs|read|refused)", line))
        assert inputs == RUNS == read + refused
        assert read > 0, line
        assert refused > RUNS // 4, line


@pytest.mark.skipif(os.name != "posix", reason="limits of memory")
def test_file_of_another_format_is_no_finding(tmp_path: Path) -> None:
    for rows in range(1, 100):
        np.save(tmp_path / "file.npy", np.ones((rows, 3), np.float32))
        if zlib.crc32((tmp_path / "file.npy").read_bytes()) % 4 == 2:  # read by load_table alone
            break
    done = fuzz("--format", "npz", "--input", str(tmp_path / "file.npy"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 read" in done.stdout


# What a loader might do, and what is said of it.
HARM = {
    "raises another exception": ("raise KeyError('x')", "KeyError"),
    "opens another file": ("open('/etc/passwd').close()", "opens '/etc/passwd'"),
    "writes": ("open(path, 'wb').close()", "opens"),
    "imports": ("import this", "import ('this'"),
    "runs": ("exec('1')", "compile"),
    "starts a program": ("import subprocess; subprocess.run(['true'])", "subprocess"),
    "takes memory": ("bytearray(40 << 20)", "takes more memory than 16 MiB and twice the file"),
}


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or "san.so" in os.environ.get("LD_PRELOAD", ""), reason="limits"
)
@pytest.mark.parametrize("name", HARM)
def test_harm_is_found(name: str, tmp_path: Path) -> None:
    does, says = HARM[name]
    code = f"""
import sys
from tests.fuzz import __main__ as fuzz, formats
def read(path, way):
    if harmful: {does}
formats.FORMATS["npy"] = formats.FORMATS["npy"]._replace(read=read)
harmful, warm_up = False, fuzz.Fuzzer.warm_up
def warm(self):
    global harmful
    warm_up(self)
    harmful = True
fuzz.Fuzzer.warm_up = warm
sys.argv = ["fuzz", "--format", "npy", "--runs", "1"]
fuzz.main()
"""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "TMPDIR": str(tmp_path)
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]
    assert re.search(r"the input: .*fastembed-fuzz-[0-9a-f]{8}\n", done.stderr)
