"""io.keras_archive, io.keras_tables: what Keras writes comes back; no archive makes anything but a FormatError."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed.io import FormatError
from fastembed.io._source import Source, checksum, inflate
from fastembed.io.keras_archive import CONFIG, METADATA, WEIGHTS, Archive
from fastembed.io.keras_tables import KerasFile, list_tables, read_table

SAMPLES = Path(__file__).parent.parent / "keras" / "data" / "samples"
KERAS = SAMPLES / "k315_embedding_rmsprop.keras"
MEMBERS = {name: zipfile.ZipFile(KERAS).read(name) for name in (METADATA, CONFIG, WEIGHTS)}


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def archive_of(data: bytes) -> Archive:
    return Archive(Source.of_bytes(data, "m.keras"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_read_gives_members(method: int) -> None:
    archive = archive_of(packed(MEMBERS, method))
    for name, data in MEMBERS.items():
        assert name in archive
        assert archive.read(name) == data
        part = archive.part(name)
        assert part.read(0, part.size) == data
    assert "other" not in archive


def test_read_takes_large_sizes_and_comments() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"a comment"
        with archive.open("a", "w", force_zip64=True) as member:
            member.write(b"text")
    assert archive_of(file.getvalue()).read("a") == b"text"
    # what zipfile writes beyond 4 GiB: sizes in an extra field, and a larger directory's end
    crc, more = zlib.crc32(b"text"), 2**32 - 1
    central = struct.pack("<4s6H3I5HII", b"PK\1\2", 45, 45, 0, 0, 0, 0, crc, more, more, 1, 28, 0, 0, 0, 0, more)
    central += b"a" + struct.pack("<HHQQQ", 1, 24, 4, 4, 0)
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 0, 0, 0, 0, crc, 4, 4, 1, 0) + b"atext"
    end = len(local) + len(central)
    large = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(central), len(local))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    last = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *[2**16 - 1] * 2, *[2**32 - 1] * 2, 0)
    assert archive_of(local + central + large + locator + last).read("a") == b"text"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a\\b", "C:x", ""])
def test_member_names_that_lead_out_are_refused(name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"")
    with pytest.raises(FormatError) as caught:
        archive_of(file.getvalue())
    assert str(caught.value).endswith(f"a member must have a path of its own, inside the archive. Received: {name!r}.")


def test_members_of_one_name_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(FormatError, match="a path of its own"):
        archive_of(file.getvalue())


def test_missing_member_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(packed({CONFIG: b"{}", METADATA: b"{}"}))
    with pytest.raises(FormatError) as caught:
        KerasFile(tmp_path / "m.keras")
    assert re.fullmatch(
        r".*m\.keras: byte \d+: there must be a member 'model\.weights\.h5' in the archive\. "
        r"It has: config\.json, metadata\.json\.",
        str(caught.value),
    )


def test_bomb_is_refused_before_memory_is_taken() -> None:
    data = packed({WEIGHTS: bytes(20 << 20)}, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        for read in (Archive.read, Archive.part):
            with pytest.raises(FormatError) as caught:
                read(archive_of(data), WEIGHTS)
        assert tracemalloc.get_traced_memory()[1] < (1 << 20) + 2 * len(data)
    finally:
        tracemalloc.stop()
    assert re.fullmatch(
        r"m\.keras: byte 46: member 'model\.weights\.h5' unpacks \d+ bytes to 20971520, more than 8388608 and 8 times "
        r"as many\.",
        str(caught.value),
    )


def test_bomb_that_lies_about_its_size_is_refused() -> None:
    data = bytearray(packed({"a": bytes(5 << 20)}, zipfile.ZIP_DEFLATED))
    place = data.rfind(b"PK\1\2")
    data[place + 24 : place + 28] = struct.pack("<I", 1000)
    with pytest.raises(FormatError) as caught:
        archive_of(bytes(data)).read("a")
    assert str(caught.value) == "m.keras: byte 31: member 'a' does not unpack to 1000 bytes."


def test_large_members_are_unpacked_in_pieces() -> None:
    """Python feels Ctrl-C between two calls of zlib, not within one."""
    data = np.random.default_rng(0).integers(0, 9, 10 << 20, np.uint8).tobytes()
    packed_data = zlib.compress(data, 1)
    calls: list[int] = []

    def trace(frame: Any, event: str, argument: Any) -> None:
        if event == "c_call" and argument.__name__ in ("decompress", "crc32"):
            calls.append(1)

    sys.setprofile(trace)
    try:
        unpacked = inflate(packed_data, len(data))
        crc = checksum(data)
    finally:
        sys.setprofile(None)
    assert unpacked == data
    assert crc == zlib.crc32(data)
    assert len(calls) >= 6
    for bad in (packed_data[:-1], packed_data[: len(data) // 4], packed_data[:100] + b"x" + packed_data[101:], b""):
        assert inflate(bad, len(data)) is None
    for size in (len(data) - 1, len(data) + 1):
        assert inflate(packed_data, size) is None


def test_damaged_member_is_refused() -> None:
    data = bytearray(packed(MEMBERS))
    place = data.index(MEMBERS[WEIGHTS][-100:])
    data[place] ^= 1
    for read in (Archive.read, Archive.part):
        with pytest.raises(FormatError, match=r"member 'model\.weights\.h5' is damaged: its checksum is another one\."):
            read(archive_of(bytes(data)), WEIGHTS)


def test_no_archive_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        archive_of(b"PK\3\4 and more")
    assert str(caught.value) == "m.keras: byte 0: a ZIP archive ends with its directory, which is not there."


def test_damaged_archives_give_format_errors() -> None:
    data = KERAS.read_bytes()
    chosen = random.Random(0)
    outside = [place for place, byte in enumerate(data) if byte and not 2000 < place < len(data) - 400]
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(chosen.choice([1, 2, 4])):
            damaged[chosen.choice(outside)] = chosen.choice([0, 1, 255, chosen.randrange(256)])
        for cut in (len(data), chosen.randrange(len(data))):
            try:
                archive = archive_of(bytes(damaged[:cut]))
                archive.read(CONFIG)
                archive.part(WEIGHTS)
            except FormatError as error:
                assert str(error).startswith("m.keras: ")  # noqa: PT017


# ── tables ───────────────────────────────────────────────────────────────────────────────────────

TRAINED = [
    *("k224_embedding_no_optimizer.h5", "k224_embedding_rmsprop.h5", "k224_embedding_weights.h5"),
    *("k315_embedding.weights.h5", "k315_embedding_legacy.h5", "k315_embedding_rmsprop.keras"),
    *("tfk221_embedding.weights.h5", "tfk221_embedding_legacy.h5", "tfk221_embedding_rmsprop.keras"),
]


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", TRAINED)
def test_read_table_gives_the_table_of_every_version(name: str, mmap: bool) -> None:
    expected = np.load(SAMPLES / f"{name.split('_')[0]}_embedding_expected.npy")
    table = read_table(SAMPLES / name, mmap=mmap)
    assert table.dtype == np.float32
    assert table.flags.c_contiguous
    assert table.flags.aligned
    np.testing.assert_array_equal(table, expected)
    if mmap and name.endswith(".h5"):
        assert not table.flags.writeable


def test_read_table_takes_names() -> None:
    path = SAMPLES / "k224_mlp_adam.h5"
    with np.load(SAMPLES / "k224_mlp_expected.npz") as file:
        expected = list(file.values())
    assert list_tables(path) == {
        "/model_weights/embedding/embedding/embeddings:0": ((6, 2), np.dtype("<f4")),
        "/model_weights/dense/dense/kernel:0": ((6, 1), np.dtype("<f4")),
    }
    kernel = read_table(path, name="dense")
    assert kernel.shape == (6, 1)
    np.testing.assert_array_equal(read_table(path, name="model_weights/dense/dense/kernel:0"), kernel)
    assert read_table(path).shape == (6, 2)
    assert any(array.shape == (6, 2) and np.array_equal(array, read_table(path)) for array in expected)
    with pytest.raises(ValueError, match="no tables") as caught:
        read_table(path, name="other")
    assert str(caught.value) == (
        f"{path}: the file has no tables of name 'other'. Tables: 'embedding' at "
        "'/model_weights/embedding/embedding/embeddings:0' (6, 2)."
    )


def test_keras_file_refuses_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    for data, found in ((b"", "an empty file"), (b"text", "b'text'"), (b"\x93NUMPY\1\0v", "b'\\x93NUMPY\\x01\\x00'")):
        path.write_bytes(data)
        with pytest.raises(FormatError) as caught:
            read_table(path)
        assert str(caught.value) == (
            f"{path}: byte 0: a Keras file is an HDF5 file or a .keras archive. Received: {found}."
        )
    with pytest.raises(IsADirectoryError):
        read_table(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.h5")
    with pytest.raises(ValueError, match="NUL"):
        read_table("a\0b")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (b"{", "the text must be JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        (b"[" * 100_000, "the text must be JSON: "),
        (b"[" + b"0," * 200_000 + b"0]", "a config has at most 150000 values."),
        (b"\xff", "the text must be JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte."),
    ],
    ids=["open", "deep", "many", "not utf-8"],
)
def test_config_that_is_no_config_is_refused(tmp_path: Path, config: bytes, text: str) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(packed(MEMBERS | {CONFIG: config}))
    with KerasFile(path) as file, pytest.raises(FormatError) as caught:
        file.config()
    assert str(caught.value).startswith(f"{path}: config.json: {text}")


def test_config_that_is_compressed_is_not_much_larger_than_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(packed(MEMBERS | {CONFIG: b'"' + b"x" * (6 << 20) + b'"'}, zipfile.ZIP_DEFLATED))
    with KerasFile(path) as file, pytest.raises(FormatError) as caught:
        file.config()
    most = (1 << 20) + path.stat().st_size
    assert str(caught.value) == (
        f"{path}: config.json: a config has at most {most} bytes in this file. Received: {(6 << 20) + 2}."
    )


def test_config_is_read(tmp_path: Path) -> None:
    with KerasFile(KERAS) as file:
        found: Any = file.config()
    assert found == (json.loads(MEMBERS[CONFIG]), "config.json")


def test_archives_of_other_kinds_are_refused() -> None:
    whole = packed({"a": b"text"})
    central, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")

    def changed(place: int, data: bytes) -> bytes:
        return whole[:place] + data + whole[place + len(data) :]

    def refused(data: bytes) -> str:
        with pytest.raises(FormatError) as caught:
            archive_of(data).read("a")
        return str(caught.value).partition(": ")[2].partition(": ")[2]

    assert refused(packed({"a": b"text"}, zipfile.ZIP_LZMA)) == "member 'a' is packed by method 14: 0 and 8 are read."
    assert refused(changed(central + 8, b"\1")) == "member 'a' is encrypted, which is not read."
    many = changed(end + 8, struct.pack("<HH", 60000, 60000))
    assert refused(many) == "an archive has at most 4096 members. Received: 60000."
    # a size that stands elsewhere, in a field that is not there; and a directory's end of that kind
    large = refused(changed(central + 24, b"\xff" * 4))
    assert large == "the 4 bytes of member 'a' do not fit into the archive."
    assert refused(changed(end + 12, b"\xff" * 4)) == "the archive's large directory is not there."
    with pytest.raises(FormatError, match=r"there must be a member 'b' in the archive\. It has: a\."):
        archive_of(whole).read("b")
