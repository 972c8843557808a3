"""io.opening: a file or what is compressed in it; damage and bombs end in a FormatError, other files in an OSError."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastembed import num_threads
from fastembed.io import FormatError, npz
from fastembed.io.blocks import BLOCK, Blocks
from fastembed.io.opening import Stream
from fastembed.io.word_vectors import read_vectors

from .vector_files import compressed, float32, random_text, read, same, text_of

WORDS, ROWS = random_text(0, 300, 5)
CONTENT = text_of(WORDS, ROWS)
TABLE = float32(ROWS)
KINDS = ["gz", "bz2", "xz", "zip"]
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files")


def error_of(path: Path, name: str | None = None) -> str:
    with pytest.raises(FormatError) as caught:
        read_vectors(path, name=name)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_compressed_files_are_read_whatever_their_name(tmp_path: Path, kind: str) -> None:
    path = compressed(kind, CONTENT, tmp_path)
    same(read_vectors(path), WORDS, TABLE)
    same(read_vectors(path.rename(tmp_path / "no_suffix")), WORDS, TABLE)


def test_gzip_of_several_members_is_read(tmp_path: Path) -> None:
    half = len(CONTENT) // 2
    same(read(tmp_path, gzip.compress(CONTENT[:half]) + gzip.compress(CONTENT[half:]) + bytes(7)), WORDS, TABLE)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_and_flipped_compression_is_refused(tmp_path: Path, kind: str) -> None:
    whole = compressed(kind, CONTENT, tmp_path).read_bytes()
    path = tmp_path / "damaged"
    generator = random.Random(0)
    for cut in {1, 5, 12, 30, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:cut])
        error_of(path)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            same(read_vectors(path), WORDS, TABLE)
        except (FormatError, ValueError):  # a zip's other name for its file is a ValueError
            refused += 1
    assert refused > 30


def test_truncated_gzip_names_the_place(tmp_path: Path) -> None:
    whole = gzip.compress(CONTENT)
    path = tmp_path / "a.gz"
    path.write_bytes(whole[:-9])
    assert error_of(path) == (
        f"{path}: near byte {len(whole) - 9:,}: the compressed data is damaged or cut off: Compressed file ended "
        "before the end-of-stream marker was reached"
    )


@pytest.mark.parametrize(
    ("kind", "filling"), [("gz", b"\n"), ("gz", b" "), ("gz", b"a 0 0\n"), ("zip", b"0"), ("xz", b"0"), ("bz2", b"\n")]
)
def test_bombs_are_refused(tmp_path: Path, kind: str, filling: bytes) -> None:
    path = compressed(kind, b"w 0 1\n" + filling * (16 * 2**20 // len(filling)), tmp_path)
    assert path.stat().st_size < 40_000
    words = error_of(path)
    assert "compressed bytes gave more than 100 times as many" in words or "a line takes at most" in words


def test_zip_with_several_files_asks_for_a_name(tmp_path: Path) -> None:
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        archive.writestr("__MACOSX/._a.txt", b"junk")
        archive.writestr("folder/a.txt", CONTENT)
        archive.writestr("b.txt", text_of(["x"], [["1"]]))
    same(read_vectors(path, name="folder/a.txt"), WORDS, TABLE)
    same(read_vectors(path, name="b.txt"), ["x"], [[1]])
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_vectors(path)
    assert str(caught.value) == f"{path}: the zip holds 2 files; choose one with `name`: 'folder/a.txt', 'b.txt'."
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_vectors(path, name="c.txt")
    assert str(caught.value) == (
        f"{path}: the zip holds no file of the name 'c.txt'. It holds: 'folder/a.txt', 'b.txt'."
    )


def test_name_is_for_zips_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(tmp_path, CONTENT, name="a")
    assert str(caught.value) == (
        f"{tmp_path / 'vectors'}: `name` chooses a file inside a zip, and this is no zip. Received: 'a'."
    )


def test_error_in_zip_names_the_file_in_it(tmp_path: Path) -> None:
    path = compressed("zip", b"a 1\nb x\n", tmp_path)
    assert error_of(path).startswith(f"{path}: vectors.txt: line 2, number 1: ")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_of_equal_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"a 1\n")
        archive.writestr("a", b"a 2\n")
    assert error_of(path, "a") == f"{path}: the zip holds 2 files of the name 'a'."


def test_zip_with_a_name_of_no_characters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vectors.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("x"), b"junk")
        archive.writestr("words.txt", b"the 1 2\n")
    content = path.read_bytes()
    # the name's length in the local header and in the directory: 0, the letter becomes a part of the extra field
    local = content.index(b"PK\3\4") + 26
    central = content.index(b"PK\1\2") + 28
    changed = bytearray(content)
    for place in (local, central):
        changed[place : place + 4] = b"\0\0\1\0"
    path.write_bytes(bytes(changed))
    assert list(read_vectors(path).keys) == ["the"]


def test_empty_and_encrypted_zips_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w"):
        pass
    assert error_of(path) == f"{path}: the zip holds no file."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"a 1\n")
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)
    assert error_of(path) == f"{path}: a: the file in the zip is encrypted."


def test_zip_that_points_past_all_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\x1b[2J\n", b"a 1\n")
    raw = path.read_bytes()
    central, end = raw.find(b"PK\1\2"), raw.find(b"PK\5\6")
    # the place in the wide field of the directory's entry, which the narrow one points to
    wide = struct.pack("<HHQ", 1, 8, 2**63)
    entry = bytearray(raw[central:end] + wide)
    entry[30:32], entry[42:46] = struct.pack("<H", len(wide)), b"\xff" * 4
    last = bytearray(raw[end:])
    last[12:16] = struct.pack("<I", len(entry))
    path.write_bytes(raw[:central] + entry + last)
    words = error_of(path)
    assert words.startswith(f"{path}: \\x1b[2J\\n: cannot be read from the zip: ")
    assert words.isprintable()


def test_zip_with_a_huge_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"a 1\n")
    raw = bytearray(buffer.getvalue())
    struct.pack_into("<I", raw, raw.find(b"PK\5\6") + 12, 2**21)
    path.write_bytes(raw)
    assert error_of(path) == f"{path}: the zip's directory takes 2,097,152 bytes; at most 1,048,576 are read."


def wide_end(says: int) -> bytes:
    """The wide record of a zip's end; `says` how long the directory is."""
    return b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, says, 0)


def with_locator(records: bytes, pointed: int, plain: int = 2**32 - 1) -> bytes:
    """ZIP with wide records in front of a locator that points somewhere, and what the plain record says."""
    locator = b"PK\6\7" + struct.pack("<IQI", 0, pointed, 1)
    return ZIP[:END] + records + locator + ZIP[END : END + 12] + struct.pack("<I", plain) + ZIP[END + 16 :]


def small_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"a 1\n")
    return file.getvalue()


ZIP = small_zip()
END = ZIP.rfind(b"PK\5\6")
LARGE = 2**20 + 1
TWO_ENDS = {
    "as meant": with_locator(wide_end(LARGE), END),
    "past the end": with_locator(wide_end(LARGE), 2**63),
    "signature": with_locator(wide_end(LARGE), int.from_bytes(b"PK\6\6", "little")),
    "decoy pointed to": with_locator(wide_end(47) + wide_end(LARGE), END),
    "decoy in front": with_locator(wide_end(LARGE) + wide_end(47), END),
    "plain": with_locator(wide_end(47), END, LARGE),
    "no record": with_locator(b"", 0, LARGE),
    "signature in the record": ZIP[:-10] + struct.pack("<I", LARGE) + b"PK\5\6\0\0",
}


@pytest.mark.parametrize("content", TWO_ENDS.values(), ids=TWO_ENDS)
def test_zip_with_two_ends_is_refused_by_the_larger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    assert error_of(path) == f"{path}: the zip's directory takes 1,048,577 bytes; at most 1,048,576 are read."
    with pytest.raises(FormatError) as caught:
        npz.list_tables(path)
    assert str(caught.value) == (
        f"{path}: byte {len(content) - 22}: the list of members takes at most 1048576 bytes. Received: 1048577."
    )


@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh" * 20])
def test_zip_with_two_honest_ends_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: bytes) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    np.savez(tmp_path / "a.npz", t=TABLE)
    content = (tmp_path / "a.npz").read_bytes()
    assert b"PK\6\6" in content
    (tmp_path / "a.npz").write_bytes(prefix + content)
    np.testing.assert_array_equal(npz.read_table(tmp_path / "a.npz"), TABLE)
    if not prefix:
        same(read_vectors(compressed("zip", CONTENT, tmp_path)), WORDS, TABLE)


def test_zip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = compressed("zip", CONTENT, tmp_path)
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"PK\1\2") + 16] ^= 1
    path.write_bytes(raw)
    assert "Bad CRC-32" in error_of(path)


@posix
def test_other_than_regular_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_vectors(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        read_vectors(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="Not a regular file"):
            read_vectors(other)
    with pytest.raises(ValueError, match="a path must not contain a NUL character"):
        read_vectors("a\0b")


@posix
def test_files_and_threads_are_given_back(tmp_path: Path) -> None:
    import threading

    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(CONTENT)[:-20])
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc")
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(20):
        error_of(path)
        same(read(tmp_path, CONTENT), WORDS, TABLE)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == (before, threads)


def test_stream_says_what_it_consumed(tmp_path: Path) -> None:
    path = compressed("zip", CONTENT, tmp_path)
    with Stream(path) as stream:
        assert stream.consumed() == 0
        buffer = bytearray(len(CONTENT) + 1)
        assert stream.readinto(memoryview(buffer)) == len(CONTENT)
        assert stream.consumed() == stream.size
        assert bytes(buffer[:-1]) == CONTENT


def test_damage_behind_the_first_block_is_refused_on_any_thread(tmp_path: Path) -> None:
    words, rows = random_text(1, 60_000, 8)
    content = text_of(words, rows)
    assert len(content) > BLOCK
    path = tmp_path / "words.gz"
    path.write_bytes(gzip.compress(content, 1)[:-200])
    for threads in (1, 2):
        with num_threads(threads):
            assert "the compressed data is damaged or cut off" in error_of(path)


def test_reading_ahead_ends_when_no_longer_wanted(tmp_path: Path) -> None:
    # Python's gzip takes seconds for the long name of the second file, and gives no byte before its end
    first, second = gzip.compress(b"w 1 2\n" * (BLOCK // 6 + 1)), gzip.compress(b"z 1 2\n")
    path = tmp_path / "words.gz"
    path.write_bytes(first + second[:3] + b"\x08" + second[4:10] + b"n" * 10_000_000 + b"\0" + second[10:])
    with Stream(path) as stream:
        with Blocks(stream, 0, ahead=True) as blocks:
            assert blocks.next()
        assert stream.consumed() < stream.size


def test_readinto_goes_on_after_short_reads() -> None:
    class Slow(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            return super().readinto(buffer[:3])

    content = memoryview(bytearray(20))
    assert Stream._fill(Slow(b"0123456789"), content[:7]) == 7
    assert Stream._fill(Slow(b"0123456789"), content) == 10
    assert bytes(content[:10]) == b"0123456789"
