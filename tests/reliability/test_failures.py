"""Every allocation of every public call, and every system call of every save, failed once: nothing is half done."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.helpers import SANITIZED, run_python

from .cases import CALLS, SAVES

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("gcc") is None or SANITIZED, reason="glibc, gcc"
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    library = tmp_path_factory.mktemp("shim") / "fail_nth.so"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run(["gcc", *flags, "-o", library, HERE / "fail_nth.c"], check=True)
    return str(library)


def walk(shim: str, *arguments: str) -> str:
    """What the walk in a process of its own says."""
    root = str(HERE.parents[1])
    code = f"import sys; sys.path.insert(0, {root!r}); from tests.reliability.walk import main; main(sys.argv[1:])"
    environment = {"LD_PRELOAD": shim, "PYTHONMALLOC": "malloc"}
    done = run_python(code, shim, *arguments, env=environment, timeout=280)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11),
    reason="CPython 3.10 and 3.13 end the process at some failed allocations of their own (of a function object, say)",
)
def test_every_allocation_of_every_call_failed_once_changes_nothing(shim: str) -> None:
    lines = walk(shim, "memory").splitlines()
    assert [re.split(r": \d+ failed", line)[0] for line in lines] == list(CALLS)
    for line in lines:
        assert re.search(r": [1-9]\d* failed$", line), line


@pytest.mark.parametrize("kind", ["write", "fsync", "rename", "open"])
def test_every_system_call_of_every_save_failed_once_leaves_the_old_file(shim: str, kind: str, tmp_path: Path) -> None:
    lines = walk(shim, kind, str(tmp_path)).splitlines()
    assert [line.split(": ")[0] for line in lines] == list(SAVES)
    for line in lines:
        failed, _, rest = line.partition(": ")[2].partition(" failed")
        assert int(failed) > 0, line
        assert rest == "", line
    assert os.listdir(tmp_path) == []
