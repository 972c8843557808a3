"""The command line as a whole: help, versions, demo, info, exit codes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastembed
from fastembed import _versions
from fastembed._cli import demo, info, main

COMMANDS = ("demo", "info", "convert", "lookup", "neighbors", "embed", "plot", "gather", "bench")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"\nexample:\n  fastembed {command}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s", out, re.M)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fastembed {fastembed.__version__}\n"


@pytest.mark.parametrize("argv", [[], ["dance"], ["info", "a", "b"], ["demo", "--loud"]])
def test_broken_usage_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: fastembed")


def test_module_runs_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "fastembed", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fastembed {fastembed.__version__}\n", "")


def test_demo_shows_script_and_its_unedited_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(demo.SCRIPT, {"__name__": "__main__"})
    assert shown == f"The script:\n\n{demo.SCRIPT}\nIts output:\n\n{output.getvalue()}"
    assert "embedding (Embedding)        (None, 3, 2)              12        \n" in shown
    assert "(4, 3, 2)\n" in shown


def test_show_versions_names_what_a_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    fastembed.show_versions()
    lines = capsys.readouterr().out.splitlines()
    shown = {line[:12].strip(): line[12:] for line in lines}
    assert list(shown) == ["fastembed", "Python", "system", "NumPy", "compiler", "Cython", "CPU path", "threads"]
    assert shown["fastembed"] == fastembed.__version__
    assert shown["Python"].startswith("{}.{}.{}".format(*sys.version_info))
    assert shown["NumPy"] == np.__version__
    assert re.fullmatch(r"\w+ \(of [\w, ]+\)(, large outputs past the caches)?", shown["CPU path"])
    assert re.match(rf"{fastembed.get_num_threads()} \(.+\)", shown["threads"])


def test_show_versions_prints_to_file(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    fastembed.show_versions(file)
    fastembed.show_versions()
    out, err = capsys.readouterr()
    assert (file.getvalue(), err) == (out, "")


def test_show_versions_tells_where_threads_come_from() -> None:
    environment = {**os.environ, "FASTEMBED_NUM_THREADS": "3"}
    command = [sys.executable, "-m", "fastembed", "info"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "threads     3 (FASTEMBED_NUM_THREADS)"


def test_info_prints_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    fastembed.show_versions()
    assert shown == capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == _versions.versions()


def test_info_describes_npy_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(np.ones((300, 20), ">f4")))
    assert main(["info", str(path)]) == 0
    assert capsys.readouterr().out == (
        "format  npy 1.0\nshape   (300, 20)\ndtype   float32 (>f4)\norder   Fortran\nbytes   24,000\n"
    )
    assert main(["info", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "format": "npy 1.0",
        "shape": [300, 20],
        "dtype": "float32 (>f4)",
        "order": "Fortran",
        "bytes": 24000,
    }


def test_info_refuses_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"")
    assert main(["info", str(path)]) == 2
    assert capsys.readouterr() == (
        "",
        f"fastembed info: {path}: byte 0: the file is empty.\n",
    )


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 2, "out of memory."),
        (MemoryError("Unable to allocate 8 TiB"), 2, "out of memory. Unable to allocate 8 TiB"),
        (OSError(28, "No space left on device", "a.npy"), 2, "a.npy: No space left on device"),
        (OSError("odd"), 2, "odd"),
        (IndexError("indices = 6"), 2, "indices = 6"),
        (ValueError("one\ntwo\r"), 2, "one\\ntwo\\r"),
        (ValueError("\x1b[31m\x7f\x9b\t\xf6"), 2, "\\x1b[31m\\x7f\\x9b\\t\xf6"),
    ],
)
def test_errors_become_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(info, "show_versions", fail)
    assert main(["info"]) == code
    assert capsys.readouterr() == ("", f"fastembed info: {line}\n")


def test_programming_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(info, "show_versions", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["info"])


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
def test_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stdout:
        done = subprocess.run([sys.executable, "-m", "fastembed", "info"], stdout=stdout, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (141, b"")
