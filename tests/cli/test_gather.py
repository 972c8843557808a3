"""`fastembed gather`: right rows in a whole file, or one line, exit code 2 and nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed import _meter as progress
from fastembed._cli import gather, main

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and limits")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

TABLE = np.arange(30, dtype=np.float32).reshape(10, 3)
HINT = (
    ": the table has 10 rows; it needs (an Embedding's input_dim must be) at least the largest id + 1. "
    'gather\'s mode="clip", "wrap" or "zero" accepts any id.'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with table.npy and ids.npy in it; chunks are of 4 ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gather, "CHUNK_BYTES", 4 * 12)
    np.save("table.npy", TABLE)
    np.save("ids.npy", np.arange(10)[::-1])
    return tmp_path


def run(*args: str) -> int:
    return main(["gather", *args])


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *args: str) -> str:
    """The one line of a refused command, which must change nothing in the folder."""
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder) if (folder / name).is_file()}
    assert run(*args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder) if (folder / name).is_file()} == before
    assert err.startswith("fastembed gather: ")
    return err.removeprefix("fastembed gather: ").rstrip("\n")


IDS: list[Any] = [
    np.arange(10),
    np.arange(20, dtype=np.int32).reshape(4, 5) % 10,
    np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 10),
    np.arange(10, dtype=">i4")[::-1].copy(),
    np.arange(10, dtype=">u8"),
    np.array(7, np.int16),
    np.empty((0,), np.int64),
    np.empty((3, 0, 2), np.uint32),
    np.zeros(9, np.int8),
]


@pytest.mark.parametrize("ids", IDS, ids=lambda ids: f"{ids.dtype.str}{ids.shape}")
@pytest.mark.parametrize("mask", [False, True])
def test_gather_writes_what_numpy_takes(
    folder: Path, ids: np.ndarray[Any, Any], mask: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("ids.npy", ids)
    assert run("table.npy", "ids.npy", "out.npy", *(["--mask", "mask.npy"] if mask else [])) == 0
    out = np.load("out.npy")
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, TABLE[ids], strict=True)
    assert sorted(os.listdir()) == ["ids.npy", *(["mask.npy"] if mask else []), "out.npy", "table.npy"]
    if mask:
        np.testing.assert_array_equal(np.load("mask.npy"), np.asarray(ids != 0), strict=True)
    assert capsys.readouterr().err == ""


def test_gather_output_is_the_file_numpy_would_save(folder: Path) -> None:
    assert run("table.npy", "ids.npy", "out.npy") == 0
    np.save("numpy.npy", TABLE[::-1])
    assert Path("out.npy").read_bytes() == Path("numpy.npy").read_bytes()


@pytest.mark.parametrize("shape", [(5, 0), (5, 1), (1, 7)])
def test_gather_takes_tables_of_any_width(folder: Path, shape: tuple[int, int]) -> None:
    table = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    np.save("table.npy", table)
    np.save("ids.npy", np.zeros((6, 2), np.int64))
    assert run("table.npy", "ids.npy", "out.npy") == 0
    np.testing.assert_array_equal(np.load("out.npy"), table[np.zeros((6, 2), int)], strict=True)


@pytest.mark.parametrize(
    ("mode", "rows"), [("clip", [0, 9, 3]), ("wrap", [9, 9, 3]), ("zero", [None, None, 3])]
)
def test_gather_mode(folder: Path, mode: str, rows: list[int | None]) -> None:
    np.save("ids.npy", np.array([-1, 99, 3]))
    assert run("table.npy", "ids.npy", "out.npy", "--mode", mode) == 0
    want = [np.zeros(3) if row is None else TABLE[row] for row in rows]
    np.testing.assert_array_equal(np.load("out.npy"), want)


def test_gather_threads_give_the_same_file(folder: Path) -> None:
    assert run("table.npy", "ids.npy", "one.npy", "--threads", "1") == 0
    assert run("table.npy", "ids.npy", "four.npy", "--threads", "4") == 0
    assert Path("one.npy").read_bytes() == Path("four.npy").read_bytes()


def test_gather_reports_rate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("table.npy", "ids.npy", "out.npy") == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"gathered 10 rows of 3 columns in \d+\.\d\d s: [\d,]+ rows/s, \d+\.\d\d GB/s\n", out)
    assert err == ""


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("shape", "position", "place"),
    [((40,), 33, "[33]"), ((5, 8), 33, "[4,1]"), ((2, 4, 5), 33, "[1,2,3]"), ((40, 1), 0, "[0,0]"), ((), 0, "")],
)
def test_gather_out_of_range_id_names_place_in_whole_array(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    shape: tuple[int, ...],
    position: int,
    place: str,
    masked: bool,
) -> None:
    Path("out.npy").write_bytes(b"previous")
    for order in "CF":
        ids = np.ones(shape, np.int64, order=order)  # type: ignore[call-overload]
        ids[np.unravel_index(position, shape)] = 99
        np.save("ids.npy", ids)
        args = ["--mask", "mask.npy"] if masked else []
        line = refused(capsys, folder, "table.npy", "ids.npy", "out.npy", *args)
        assert line == f"indices{place} = 99 is not in [0, 10){HINT}"
    assert Path("out.npy").read_bytes() == b"previous"


def test_gather_negative_id_is_out_of_range(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("ids.npy", np.array([[3, 2], [1, 0], [5, -1]]))
    line = refused(capsys, folder, "table.npy", "ids.npy", "out.npy")
    assert line.startswith("indices[2,1] = -1 is not in [0, 10): ")


BAD_TABLES: dict[str, tuple[Any, str]] = {
    "1-D": (np.ones(3, np.float32), "a table has 2 dimensions, (rows, columns). Received: shape (3,)."),
    "float64": (np.ones((3, 2)), "a table is float32. Received: dtype float64. CONVERT"),
    "big-endian": (np.ones((3, 2), ">f4"), "a table is float32. Received: dtype >f4. CONVERT"),
    "int": (np.ones((3, 2), np.int32), "a table is float32. Received: dtype int32. CONVERT"),
    "Fortran": (
        np.asfortranarray(np.ones((3, 2), np.float32)),
        "a table is in C order. Received: Fortran order. CONVERT",
    ),
}
CONVERT = "np.save('table.npy', np.ascontiguousarray(np.load('table.npy'), dtype=np.float32)) converts it."


@pytest.mark.parametrize("name", BAD_TABLES)
def test_gather_refuses_table(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    table, text = BAD_TABLES[name]
    np.save("table.npy", table)
    line = refused(capsys, folder, "table.npy", "ids.npy", "out.npy")
    assert line == "table.npy: " + text.replace("CONVERT", CONVERT)
    if text.endswith("CONVERT"):
        exec(CONVERT.removesuffix(" converts it."), {"np": np})
        np.save("ids.npy", [2, 1])
        assert run("table.npy", "ids.npy", "out.npy") == 0


def test_gather_refuses_unaligned_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}"
    Path("table.npy").write_bytes(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(8))
    assert refused(capsys, folder, "table.npy", "ids.npy", "out.npy") == (
        f"table.npy: a table's elements begin at a multiple of 4 bytes in the file. {CONVERT}"
    )


@pytest.mark.parametrize("ids", [np.ones(3), np.array([True]), np.ones(2, complex)], ids=lambda ids: str(ids.dtype))
def test_gather_refuses_ids_that_are_not_integers(
    folder: Path, capsys: pytest.CaptureFixture[str], ids: np.ndarray[Any, Any]
) -> None:
    np.save("ids.npy", ids)
    assert refused(capsys, folder, "table.npy", "ids.npy", "out.npy") == (
        f"ids.npy: ids are integers. Received: dtype {ids.dtype}. "
        "np.save('ids.npy', np.load('ids.npy').astype(np.int64)) converts whole numbers."
    )


def test_gather_refuses_bad_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("junk.npy").write_bytes(b"junk")
    bad_magic = "junk.npy: byte 0: a .npy file begins with b'\\x93NUMPY'. Received: b'junk'."
    (folder / "sub").mkdir()
    for args, text in (
        (("missing.npy", "ids.npy", "out.npy"), "missing.npy: No such file or directory"),
        (("table.npy", "missing.npy", "out.npy"), "missing.npy: No such file or directory"),
        (("junk.npy", "ids.npy", "out.npy"), bad_magic),
        (("table.npy", "junk.npy", "out.npy"), bad_magic),
        (("sub", "ids.npy", "out.npy"), "sub: Is a directory"),
        (("table.npy", "ids.npy", "sub"), "sub: Is a directory"),
        (("table.npy", "ids.npy", "nowhere/out.npy"), "nowhere/out.npy: No such file or directory"),
        (("table.npy", "ids.npy", "out.npy", "--mask", "no/m.npy"), "no/m.npy: No such file or directory"),
        (("ta\nble.npy", "ids.npy", "out.npy"), "ta\\nble.npy: No such file or directory"),
        (
            ("table.npy", "ids.npy", "o\0.npy"),
            "a path must not contain a NUL character. Received: 'o\\x00.npy'",
        ),
    ):
        assert refused(capsys, folder, *args) == text


def test_gather_refuses_one_file_in_two_roles(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.link("table.npy", "hard.npy")
    os.symlink("ids.npy", "soft.npy")
    for args, text in (
        (("table.npy",), "OUT.npy must not be the same file as TABLE.npy. Received: 'table.npy' and 'table.npy'."),
        (("./ids.npy",), "OUT.npy must not be the same file as IDS.npy. Received: './ids.npy' and 'ids.npy'."),
        (("hard.npy",), "OUT.npy must not be the same file as TABLE.npy. Received: 'hard.npy' and 'table.npy'."),
        (("soft.npy",), "OUT.npy must not be the same file as IDS.npy. Received: 'soft.npy' and 'ids.npy'."),
        (
            ("out.npy", "--mask", "ids.npy"),
            "MASK.npy must not be the same file as IDS.npy. Received: 'ids.npy' and 'ids.npy'.",
        ),
        (
            ("new.npy", "--mask", "./new.npy"),
            "MASK.npy must not be the same file as OUT.npy. Received: './new.npy' and 'new.npy'.",
        ),
    ):
        assert refused(capsys, folder, "table.npy", "ids.npy", *args) == text


def test_gather_replaces_previous_output(folder: Path) -> None:
    Path("out.npy").write_bytes(b"previous")
    assert run("table.npy", "ids.npy", "out.npy") == 0
    np.testing.assert_array_equal(np.load("out.npy"), TABLE[::-1])


@pytest.mark.parametrize(
    "args", [[], ["t.npy", "i.npy"], ["t", "i", "o", "--mode", "nan"], ["t", "i", "o", "--threads", "0"]]
)
def test_gather_broken_usage_exits_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*args)
    assert caught.value.code == 2
    assert "usage: fastembed gather" in capsys.readouterr().err


def test_gather_threads_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("t", "i", "o", "--threads", "two")
    err = capsys.readouterr().err
    assert err.endswith("fastembed gather: error: argument --threads: a whole number >= 1 is needed, not 'two'\n")


def test_gather_too_many_threads_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, folder, "table.npy", "ids.npy", "out.npy", "--threads", "100000")
    assert line == "`num_threads` must be from 1 to 256. Received: 100000."


class _Terminal:
    """A stderr that says it is a terminal and keeps what is written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("with_tqdm", [False, True])
def test_gather_shows_progress_on_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch, with_tqdm: bool) -> None:
    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("table.npy", "ids.npy", "out.npy") == 0
    if with_tqdm:
        assert "rows/s" in terminal.text
    else:
        lines = [" 40%  4 of 10 rows", " 80%  8 of 10 rows", "100%  10 of 10 rows"]
        assert terminal.text == "".join(f"\r{line}" for line in lines) + "\r" + " " * 19 + "\r"


def test_progress_is_silent_without_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Progress(10, "rows") as shown:
        shown.advance(10)
    assert capsys.readouterr().err == ""


def zeros_file(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """A .npy file of zeros that takes no room on the disk."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)) * np.dtype(dtype).itemsize)


@posix
@pytest.mark.parametrize(
    ("sent", "code", "word"), [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"terminated")]
)
def test_gather_ended_by_a_signal_leaves_nothing(tmp_path: Path, sent: signal.Signals, code: int, word: bytes) -> None:
    np.save(tmp_path / "table.npy", np.ones((10, 2048), np.float32))
    zeros_file(tmp_path / "ids.npy", (400_000,), "<i8")
    (tmp_path / "out.npy").write_bytes(b"previous")
    paths = [str(tmp_path / name) for name in ("table.npy", "ids.npy", "out.npy")]
    command = [sys.executable, "-m", "fastembed", "gather", *paths, "--mask", str(tmp_path / "mask.npy")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size > 2**20 for path in tmp_path.glob("out.npy.tmp-*")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, b"", b"fastembed gather: " + word + b"\n")
    assert sorted(os.listdir(tmp_path)) == ["ids.npy", "out.npy", "table.npy"]
    assert (tmp_path / "out.npy").read_bytes() == b"previous"


_IN_LIMITS = """
import re, resource, sys
from fastembed._cli import main
limit = int(sys.argv[2])
resource.setrlimit(getattr(resource, sys.argv[1]), (limit, limit))
code = main(["gather", *sys.argv[3:]])
with open("/proc/self/status") as status:
    print(re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1])
sys.exit(code)
"""


def run_in_limits(limit: str, number: int, *paths: Path) -> subprocess.CompletedProcess[str]:
    """`fastembed gather` in a process that may take so much; the last line of stdout is its peak of memory in kB."""
    command = [sys.executable, "-c", _IN_LIMITS, limit, str(number), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True)


@linux
@pytest.mark.parametrize("fortran", [False, True])
def test_gather_memory_stays_bounded(tmp_path: Path, fortran: bool) -> None:
    def peak_mb(num_ids: int) -> float:
        np.save(tmp_path / "table.npy", np.ones((10, 2), np.float32))
        zeros_file(tmp_path / "ids.npy", (2, num_ids // 2), "<i8")
        if fortran:
            with open(tmp_path / "ids.npy", "r+b") as file:
                header = file.read(128).replace(b"'fortran_order': False", b"'fortran_order': True ")
                file.seek(0)
                file.write(header)
        paths = [tmp_path / name for name in ("table.npy", "ids.npy", "out.npy")]
        # 300 MB of private memory: Python and NumPy take some 100 of them before the first id is read
        done = run_in_limits("RLIMIT_DATA", 300 * 2**20, *paths)
        assert (done.returncode, done.stderr) == (0, "")
        assert np.load(tmp_path / "out.npy", mmap_mode="r").shape == (2, num_ids // 2, 2)
        return int(done.stdout.split()[-1]) / 1024

    # ids of 160 MB and an output of 160 MB, in the memory that a twentieth of them takes and a few megabytes
    assert peak_mb(20_000_000) < peak_mb(1_000_000) + 40


@linux
def test_gather_full_disk_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.ones((10, 256), np.float32))
    zeros_file(tmp_path / "ids.npy", (10_000,), "<i8")
    out = tmp_path / "out.npy"
    done = run_in_limits("RLIMIT_FSIZE", 1_000_000, tmp_path / "table.npy", tmp_path / "ids.npy", out)
    assert done.returncode == 2
    assert done.stderr == f"fastembed gather: {out}: File too large\n"
    assert sorted(os.listdir(tmp_path)) == ["ids.npy", "table.npy"]
