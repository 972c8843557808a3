"""io.npz: tables out of .npz files; no file makes anything but a FormatError."""

from __future__ import annotations

import io
import os
import random
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed.io import FormatError, floats, npy_tables, npz
from fastembed.io.npz import list_tables, read_table, verify

TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)


def npy(array: Any, **kwargs: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return file.getvalue()


def archive(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_read_table_gives_what_numpy_saved(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "a.npz"
    tables = {
        "c": np.random.default_rng(1).standard_normal((1200, 1000)).astype(np.float32),
        "fortran": np.asfortranarray(np.arange(24.0).reshape(4, 6)),
        "half": np.arange(12, dtype=np.float16).reshape(3, 4),
        "big": np.arange(12, dtype=">f4").reshape(3, 4),
        "empty": np.empty((0, 7), np.float32),
    }
    save(path, ids=np.arange(5), **tables)
    assert list_tables(path) == {name: (table.shape, table.dtype.name) for name, table in tables.items()}
    for name, expected in tables.items():
        for mmap in (False, True):
            table = read_table(path, name=name, mmap=mmap)
            assert (table.dtype, table.flags.c_contiguous) == (np.dtype(np.float32), True)
            np.testing.assert_array_equal(table, expected)
    verify(path)


def test_read_table_of_many_empty_columns_takes_no_time(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': True, 'shape': (0, 67108864), }"
    data = b"\x93NUMPY\1\0v\0" + header.ljust(117) + b"\n"
    path = archive(tmp_path / "a.npz", [("t.npy", data)])
    (tmp_path / "t.npy").write_bytes(data)
    started = time.monotonic()
    for table in (read_table(path), npy_tables.read_table(tmp_path / "t.npy")):
        assert table.shape == (0, 2**26)
    assert time.monotonic() - started < 2


def test_read_table_asks_which(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=TABLE, y=TABLE.astype(np.float64), z=np.arange(3))
    with pytest.raises(ValueError, match="holds 2 tables") as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path}: holds 2 tables; pass `name`, one of them: 'x' (2, 3) float32, 'y' (2, 3) float64."
    )
    np.savez(path, x=TABLE, z=np.arange(3), bias=np.zeros(3), cube=np.zeros((1, 2, 3)))
    assert list_tables(path) == {"x": ((2, 3), "float32")}
    np.testing.assert_array_equal(read_table(path), TABLE)


class Exploding:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (Path(self.place).touch, ())


def test_read_table_never_unpickles(tmp_path: Path) -> None:
    path, bomb = tmp_path / "a.npz", tmp_path / "exploded"
    np.savez(path, t=np.array([Exploding(bomb)]))
    with pytest.raises(FormatError, match="objects and structures are never loaded"):
        read_table(path)
    archive(path, [("t.npy", npy(TABLE)), ("t.pkl", b"x")])
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: 't.pkl': a .npz file holds arrays by name, each ending in .npy."
    assert not bomb.exists()


@pytest.mark.parametrize("name", ["../t.npy", "/t.npy", "a/../t.npy", "t.npz", "\\t.npy"])
def test_read_table_refuses_member_name(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.npz", [(name, npy(TABLE))])
    with pytest.raises(FormatError) as caught:
        list_tables(path)
    assert str(caught.value) == f"{path}: {name!a}: a .npz file holds arrays by name, each ending in .npy."


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_read_table_refuses_duplicate_name(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", [("t.npy", npy(TABLE)), ("t.npy", npy(TABLE))])
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: 't.npy': the archive holds this name twice."


def test_read_table_refuses_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, t=np.zeros((6_000, 1_000), np.float32))
    with zipfile.ZipFile(path) as file:
        packed = file.infolist()[0].compress_size
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path}: 't.npy': {packed:,} bytes claim to hold 24,000,128: more than 100 times as many are not unpacked. "
        "Save such an array uncompressed, with np.savez."
    )
    np.savez_compressed(path, t=np.zeros((1000, 1000), np.float32))
    assert read_table(path).shape == (1000, 1000)


def test_read_table_refuses_header_of_blanks(tmp_path: Path) -> None:
    for blanks in (16_000, 16_500):
        text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}" + b" " * blanks
        data = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(4)
        path = archive(tmp_path / "a.npz", [("t.npy", data)], zipfile.ZIP_DEFLATED)
        if blanks == 16_000:
            assert read_table(path).tolist() == [[0]]
    for use in (list_tables, read_table, verify):
        with pytest.raises(FormatError) as caught:
            use(path)
        assert str(caught.value) == (
            f"{path}: 't.npy': byte 8: the header of a packed array takes at most 16384 bytes. Received: 16567."
        )


def test_read_table_refuses_other_compression(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", [("t.npy", npy(TABLE))], zipfile.ZIP_BZIP2)
    with pytest.raises(FormatError) as caught:
        read_table(path)
    rule = "the array is encrypted, or compressed by another method than deflate."
    assert str(caught.value) == f"{path}: 't.npy': {rule}"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_wrong_checksum_is_refused(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "a.npz"
    table = np.random.default_rng(1).standard_normal((50, 40)).astype(np.float32)
    save(path, t=table)
    raw = bytearray(path.read_bytes())
    # the checksum in the list of members, 16 bytes into its entry
    raw[raw.rfind(b"PK\1\2") + 16] ^= 1
    path.write_bytes(raw)
    for use in (read_table, verify):
        with pytest.raises(FormatError) as caught:
            use(path)
        assert str(caught.value) == f"{path}: the archive is damaged: Bad CRC-32 for file 't.npy'."


def test_wrong_checksum_is_found_before_a_small_file_takes_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, t=np.zeros((200, 1000), np.float32))
    raw = bytearray(path.read_bytes())
    raw[raw.rfind(b"PK\1\2") + 16] ^= 1
    path.write_bytes(raw)
    monkeypatch.setattr(floats, "read_floats", lambda *arguments: pytest.fail("takes memory"))
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: the archive is damaged: Bad CRC-32 for file 't.npy'."


def test_damage_without_a_reason_is_named_by_its_kind(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", [("t.npy", npy(TABLE))])
    with pytest.raises(FormatError) as caught, npz._archive(path):
        raise EOFError  # as zipfile does where the file ends while it is read
    assert str(caught.value) == f"{path}: the archive is damaged: EOFError."


def claiming(path: Path, stored: int, unpacked: int) -> Path:
    """An archive of the array TABLE, not compressed, whose sizes are other ones."""
    archive(path, [("t.npy", npy(TABLE))])
    raw = bytearray(path.read_bytes())
    start = raw.rfind(b"PK\1\2")
    raw[start + 20 : start + 28] = struct.pack("<II", stored, unpacked)
    path.write_bytes(raw)
    return path


def test_array_that_claims_more_than_the_file_is_refused(tmp_path: Path) -> None:
    path = claiming(tmp_path / "a.npz", 2**31, 2**31)
    place = path.read_bytes().rfind(b"PK\1\2")
    for use in (list_tables, read_table, verify):
        with pytest.raises(FormatError) as caught:
            use(path)
        assert str(caught.value) == (
            f"{path}: 't.npy': byte 0: from here on there must be 2147483648 bytes. Received: {place}."
        )


def test_stored_array_of_another_size_is_refused(tmp_path: Path) -> None:
    path = claiming(tmp_path / "a.npz", 152, 2**20)
    with pytest.raises(FormatError) as caught:
        list_tables(path)
    assert str(caught.value) == (
        f"{path}: 't.npy': an array that is not compressed takes as many bytes as it has. Received: 152 for 1048576."
    )


def test_read_table_refuses_what_is_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, t=TABLE)
    whole = path.read_bytes()
    for raw in (b"", b"abc", whole[:100], whole[:-1]):
        path.write_bytes(raw)
        with pytest.raises(FormatError) as caught:
            read_table(path)
        assert str(caught.value) == (
            f"{path}: byte {len(raw)}: a zip archive ends with the list of its members: this is none, or is truncated."
        )


def test_read_table_refuses_long_list_of_members(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, t=TABLE)
    raw = bytearray(path.read_bytes())
    end = raw.rfind(b"PK\5\6")
    raw[end + 12 : end + 16] = struct.pack("<I", 2**20 + 1)
    path.write_bytes(raw)
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path}: byte {end}: the list of members takes at most 1048576 bytes. Received: 1048577."
    )
    # a wider record of the end wins over the small one, as in zipfile
    raw[end + 12 : end + 16] = struct.pack("<I", 50)
    wide = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, 2**30, 0)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
    path.write_bytes(raw[:end] + wide + locator + raw[end:])
    with pytest.raises(FormatError, match="Received: 1073741824"):
        read_table(path)


def test_lying_header_inside_is_refused(tmp_path: Path) -> None:
    data = npy(TABLE).replace(b"(2, 3)", b"(9, 9)")
    path = archive(tmp_path / "a.npz", [("t.npy", data)])
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path}: 't.npy': byte 128: shape (9, 9) of float32 takes 324 bytes, 24 follow the header: "
        "the file is truncated."
    )


def test_mutated_file_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    generator = random.Random(7)
    goods = []
    for save in (np.savez, np.savez_compressed):
        save(path, t=TABLE, other=TABLE.astype(np.float16))
        goods.append(path.read_bytes())
    refused = 0
    count = 1000 * int(os.environ.get("FASTEMBED_TEST_SCALE", "1"))
    for i in range(count):
        raw = bytearray(goods[i % 2])
        for _ in range(generator.randint(1, 4)):
            raw[generator.randrange(len(raw))] = generator.randrange(256)
        path.write_bytes(raw[: generator.choice([len(raw), len(raw), generator.randrange(len(raw))])])
        try:
            read_table(path, name="t")
        except FormatError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
        except ValueError as error:
            assert "none is named 't'" in str(error)  # noqa: PT017
    assert refused > count // 3
