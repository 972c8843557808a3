"""io.npy: what a .npy file holds comes back as it is, and no file makes anything but a FormatError."""

from __future__ import annotations

import os
import pickle
import random
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastembed.io import FormatError, open_npy
from fastembed.io.atomic import replacing
from fastembed.io.npy import flat_chunks, inspect_npy, write_header

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files")

GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    np.array(7, np.int64),
    np.arange(5, dtype=">i2"),
    np.arange(6, dtype="<u8").reshape(1, 6),
    np.array([True, False]),
    np.array([1 + 2j], np.complex64),
    np.arange(3, dtype=np.float16),
    np.empty((0, 3), np.float32),
    np.empty((4, 0), np.int32, order="F"),
]


def npy(header: str | bytes = GOOD, data: bytes = bytes(24), version: tuple[int, int] = (1, 0)) -> bytes:
    raw = header if isinstance(header, bytes) else header.encode("latin-1")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(raw)) + raw + data


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_open_npy_gives_what_numpy_saved(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    np.save(tmp_path / "a.npy", array)
    opened = open_npy(tmp_path / "a.npy")
    assert type(opened) is np.ndarray
    assert (opened.dtype, opened.shape) == (array.dtype, array.shape)
    assert opened.flags.f_contiguous == array.flags.f_contiguous
    np.testing.assert_array_equal(opened, array)
    assert not opened.flags.writeable
    assert opened.flags.aligned


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_open_npy_takes_every_version(tmp_path: Path, version: tuple[int, int]) -> None:
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, np.arange(6, dtype="<f4").reshape(2, 3), version)
    np.testing.assert_array_equal(open_npy(tmp_path / "a.npy"), [[0, 1, 2], [3, 4, 5]])
    assert inspect_npy(tmp_path / "a.npy").version == version


def test_open_npy_maps_instead_of_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    size = 2**40
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (size // 1024, 256)}
        )
        try:
            file.truncate(file.tell() + size)
        except OSError:
            pytest.skip("no file system for a sparse file of 1 TiB")
    assert open_npy(path)[-1, -1] == 0.0


def test_open_npy_takes_header_padded_with_blanks(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(GOOD + " " * 8000 + "\n"))
    assert open_npy(path).shape == (2, 3)


def header(**changes: str) -> str:
    fields = {"descr": "'<f4'", "fortran_order": "False", "shape": "(2, 3)"} | changes
    return "{" + ", ".join(f"{key!r}: {value}" for key, value in fields.items()) + "}"


DICT_RULE = "byte 10: the header must be the text of a dict of 'descr', 'fortran_order' and 'shape'. Received: "
DESCR_RULE = (
    "byte 10: 'descr' must be a bool, integer, float or complex dtype such as '<f4'; objects and structures "
    "are never loaded. Received: "
)
SHAPE_RULE = "byte 10: 'shape' must be a tuple of at most 32 whole numbers >= 0. Received: "
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"byte 0: a .npy file begins with b'\x93NUMPY'. Received: an empty file."),
    "text": (b"1,2,3\n4,5,6\n", r"byte 0: a .npy file begins with b'\x93NUMPY'. Received: b'1,2,3\n'."),
    "zip": (b"PK\3\4" + bytes(50), r"byte 0: a .npy file begins with b'\x93NUMPY'. Received: b'PK\x03\x04\x00\x00'."),
    "magic only": (b"\x93NUMPY", "byte 6: the file ends inside the version of the format."),
    "version 4": (npy(version=(4, 0)), "byte 6: the version must be 1.0, 2.0 or 3.0. Received: 4.0."),
    "version 1.1": (npy(version=(1, 1)), "byte 6: the version must be 1.0, 2.0 or 3.0. Received: 1.1."),
    "no length": (
        b"\x93NUMPY\1\0\5",
        "byte 8: the header ends at byte 15, the file at byte 9: the file is truncated.",
    ),
    "header past the end": (
        b"\x93NUMPY\1\0\xff\xff" + bytes(20),
        "byte 8: the header ends at byte 65545, the file at byte 30: the file is truncated.",
    ),
    "header of 4 GB": (
        b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(20),
        "byte 8: the header ends at byte 4294967307, the file at byte 32: the file is truncated.",
    ),
    "long header": (
        npy("{" + "'a': 1, " * 1000 + "}"),
        "byte 10: the header of plain numbers takes at most 2048 bytes. Received: 8002.",
    ),
    "no dict": (npy("[1, 2]"), DICT_RULE + "'[1, 2]'."),
    "not closed": (npy("{'descr': '<f4'"), DICT_RULE + "\"{'descr': '<f4'\"."),
    "missing key": (npy("{'descr': '<f4'}"), DICT_RULE + "\"{'descr': '<f4'}\"."),
    "extra key": (
        npy(header(more="1")),
        DICT_RULE + "\"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}\".",
    ),
    "list as key": (npy("{[]: 1}"), DICT_RULE + "'{[]: 1}'."),
    "bad token": (npy("{'descr': $}"), DICT_RULE + "\"{'descr': $}\"."),
    "code": (npy("__import__('os').system('true')"), DICT_RULE + "\"__import__('os').system('true')\"."),
    "deep nesting": (npy("[" * 2000), DICT_RULE + f"'{'[' * 99}... (2002 characters)."),
    "many minuses": (npy("-" * 2000 + "1"), DICT_RULE + f"'{'-' * 99}... (2003 characters)."),
    "not ASCII": (npy(b"{'descr': \xff}"), DICT_RULE + "\"{'descr': \\xff}\"."),
    "object": (npy(header(descr="'|O'"), pickle.dumps([1])), DESCR_RULE + "'|O'."),
    "structure": (npy(header(descr="[('a', '<f4')]")), DESCR_RULE + "[('a', '<f4')]."),
    "string": (npy(header(descr="'<U3'")), DESCR_RULE + "'<U3'."),
    "comma dtype": (npy(header(descr="'f4,f4'")), DESCR_RULE + "'f4,f4'."),
    "date": (npy(header(descr="'<M8[ns]'")), DESCR_RULE + "'<M8[ns]'."),
    "order number": (
        npy(header(fortran_order="0")),
        "byte 10: 'fortran_order' must be True or False. Received: 0.",
    ),
    "negative": (npy(header(shape="(-2, 3)")), SHAPE_RULE + "(-2, 3)."),
    "two negatives": (npy(header(shape="(-2, -3)")), SHAPE_RULE + "(-2, -3)."),
    "shape list": (npy(header(shape="[2, 3]")), SHAPE_RULE + "[2, 3]."),
    "shape bool": (npy(header(shape="(2, True)")), SHAPE_RULE + "(2, True)."),
    "shape text": (npy(header(shape="('2', 3)")), SHAPE_RULE + "('2', 3)."),
    "33 dimensions": (npy(header(shape=f"({'1,' * 33})"), bytes(4)), SHAPE_RULE + f"{(1,) * 33}."),
    "overflowing": (
        npy(header(shape="(4294967296, 4294967297)")),
        "byte 10: 'shape' must stay below 2**63 bytes. Received: (4294967296, 4294967297) of float32.",
    ),
    "overflowing with zero": (
        npy(header(shape="(0, 9223372036854775807)"), b""),
        "byte 10: 'shape' must stay below 2**63 bytes. Received: (0, 9223372036854775807) of float32.",
    ),
    "truncated": (
        npy(data=bytes(23)),
        "byte 69: shape (2, 3) of float32 takes 24 bytes, 23 follow the header: the file is truncated.",
    ),
    "trailing": (
        npy(data=bytes(25)),
        "byte 69: shape (2, 3) of float32 takes 24 bytes, 25 follow the header: "
        "the file is longer than its header says.",
    ),
    "lying shape": (
        npy(header(shape="(2000000, 3000000)")),
        "byte 79: shape (2000000, 3000000) of float32 takes 24000000000000 bytes, 24 follow the header: "
        "the file is truncated.",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_open_npy_refuses_bad_file(tmp_path: Path, name: str) -> None:
    content, text = BAD_FILES[name]
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    for opener in (open_npy, inspect_npy):
        with pytest.raises(FormatError) as caught:
            opener(path)
        assert str(caught.value) == f"{path}: {text}"


def test_format_error_is_a_value_error() -> None:
    assert issubclass(FormatError, ValueError)


def test_open_npy_never_unpickles(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "exploded").touch, ())

    np.save(tmp_path / "a.npy", np.array([Bomb()]), allow_pickle=True)
    with pytest.raises(FormatError, match="never loaded"):
        open_npy(tmp_path / "a.npy")
    assert not (tmp_path / "exploded").exists()


@posix
def test_open_npy_long_header_of_holes_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\2\0\xff\xff\xff\xff{}")
    os.truncate(path, 2**32 + 100)
    started = time.perf_counter()
    with pytest.raises(FormatError, match="at most 2048 bytes"):
        open_npy(path)
    assert time.perf_counter() - started < 5


@posix
def test_open_npy_refuses_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, text in ((tmp_path / "pipe", "Not a regular file"), (Path("/dev/zero"), "Not a regular file")):
        with pytest.raises(OSError, match=text) as caught:
            open_npy(path)
        assert caught.value.filename == str(path)


def test_open_npy_refuses_bad_path(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        open_npy(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_npy(tmp_path / "missing.npy")
    with pytest.raises(ValueError, match="NUL") as caught:
        open_npy("a\0.npy")
    assert str(caught.value) == "a path must not contain a NUL character. Received: 'a\\x00.npy'"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("{}[]()'\":,-0123456789 <>|fiuOTrueFalsdcpnh_\n", max_size=200))
def test_open_npy_any_header_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(text))
    try:
        open_npy(path)
    except FormatError as error:
        assert str(error).startswith(f"{path}: byte ")  # noqa: PT017


def test_open_npy_mutated_file_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    generator = random.Random(20)
    good = npy(GOOD + " " * 20 + "\n")
    refused = 0
    for _ in range(3000):
        content = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            content[generator.randrange(len(content))] = generator.choice([generator.randrange(256), *b"0123456789()'"])
        path.write_bytes(content[: generator.choice([len(content), generator.randrange(len(content))])])
        try:
            array = open_npy(path)
        except FormatError as error:
            refused += 1
            assert str(error).startswith(f"{path}: byte ")  # noqa: PT017
        else:
            assert array.nbytes <= len(content)
    assert refused > 1000


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
@pytest.mark.parametrize("length", [1, 5, 100])
def test_flat_chunks_walk_in_c_order(tmp_path: Path, array: np.ndarray[Any, Any], length: int) -> None:
    np.save(tmp_path / "a.npy", array)
    got = []
    for start, chunk in flat_chunks(open_npy(tmp_path / "a.npy"), length):
        assert start == len(got)
        assert 0 < len(chunk) <= length
        assert chunk.dtype == array.dtype.newbyteorder("=")
        assert chunk.dtype.isnative
        assert chunk.flags.c_contiguous
        got.extend(chunk.tolist())
    assert got == array.ravel(order="C").tolist()


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_write_header_writes_what_numpy_writes(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    array = np.ascontiguousarray(array).reshape(array.shape)
    np.save(tmp_path / "numpy.npy", array)
    with replacing(tmp_path / "ours.npy") as (file,):
        write_header(file, array.shape, array.dtype)
        file.write(array.tobytes())
    # an array of one row is both C- and Fortran-ordered; both of us call it C
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


