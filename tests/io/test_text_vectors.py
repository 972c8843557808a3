"""Word vectors as text: every number and word as Python reads them; what is malformed is refused in words."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastembed._native import kernels, parsers
from fastembed.io import FormatError, blocks
from fastembed.io.opening import Stream
from fastembed.io.word_vectors import read_head, read_vectors

from .vector_files import float32, parse, random_text, read, same, text_of

ROWS = [["1", "2.5", "-3"], ["0.25", "-0", "1e-3"]]
TABLE = [[1, 2.5, -3], [0.25, -0.0, 1e-3]]
GOOD = text_of(["the", "of"], ROWS)
WITH_HEADER = b"2 3\n" + GOOD
NO_START = (
    "line 1: a file of word vectors begins with a word and its numbers, or with the number of words and of each one's "
    "numbers. "
)
BAD_HEADER = "line 1: the header must be the number of words, from 0, and of each one's numbers, from 1 to 524,288. "


# ── what is read ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format", ["auto", "glove"])
def test_read_vectors_takes_glove(tmp_path: Path, format: str) -> None:
    same(read(tmp_path, GOOD, format=format), ["the", "of"], TABLE)


@pytest.mark.parametrize("format", ["auto", "word2vec", "fasttext"])
def test_read_vectors_takes_text_with_header(tmp_path: Path, format: str) -> None:
    same(read(tmp_path, WITH_HEADER, format=format), ["the", "of"], TABLE)


@pytest.mark.parametrize(
    "content",
    [
        GOOD[:-1],
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"\n", b" \n"),
        GOOD.replace(b"\n", b" \t \r\n"),
        GOOD.replace(b" ", b"\t"),
        GOOD.replace(b" ", b"   "),
        b"\xef\xbb\xbf" + GOOD,
        b"\xef\xbb\xbf" + WITH_HEADER.replace(b"\n", b" \r\n"),
        GOOD + b"\n\n \r\n\t",
        WITH_HEADER + b"\n",
    ],
)
def test_read_vectors_takes_harmless_differences(tmp_path: Path, content: bytes) -> None:
    same(read(tmp_path, content), ["the", "of"], TABLE)


@pytest.mark.parametrize("header", [False, True])
def test_read_vectors_takes_words_with_blanks(tmp_path: Path, header: bool) -> None:
    words = ["a", ". . .", "at name@domain.com", "1", "..", "x\u00a0y", "\u3000", "a\x85b", "\u2028", "-", "e5", "1/2"]
    _, rows = random_text(0, len(words), 3)
    same(read(tmp_path, text_of(words, rows, header=header)), words, float32(rows))


def test_read_vectors_takes_first_word_with_blanks(tmp_path: Path) -> None:
    same(read(tmp_path, text_of([". . .", "b"], ROWS)), [". . .", "b"], TABLE)


@pytest.mark.parametrize("blank", [b" ", b"\t"])
def test_read_vectors_takes_an_empty_word_in_any_line(tmp_path: Path, blank: bytes) -> None:
    rows = [blank + b"3 4\n", b"a 1 2\n"]
    same(read(tmp_path, rows[0] + rows[1]), ["", "a"], [[3, 4], [1, 2]])
    same(read(tmp_path, rows[1] + rows[0]), ["a", ""], [[1, 2], [3, 4]])
    same(read(tmp_path, blank + b"a 1 2\nb 3 4\n"), [blank.decode() + "a", "b"], [[1, 2], [3, 4]])


def test_read_vectors_takes_one_number_a_row(tmp_path: Path) -> None:
    same(read(tmp_path, b"a 1\nb 2\n"), ["a", "b"], [[1], [2]])
    same(read(tmp_path, b"5 3\n6 2\n", format="glove"), ["5", "6"], [[3], [2]])
    same(read(tmp_path, b"2 1\na 1\nb 2"), ["a", "b"], [[1], [2]])


def test_read_vectors_takes_header_of_no_words(tmp_path: Path) -> None:
    same(read(tmp_path, b"0 3\n"), [], np.empty((0, 3)))


def test_read_vectors_keeps_the_first_of_equal_words(tmp_path: Path) -> None:
    loaded = read(tmp_path, b"a 1 2\nb 3 4\na 5 6\nc 7 8\nb 9 9\nd 1 1\n")
    same(loaded, ["a", "b", "c", "d"], [[1, 2], [3, 4], [7, 8], [1, 1]])
    report = loaded.report
    assert (report.rows, report.duplicates, report.first_duplicate, report.first_duplicate_row) == (6, 2, "a", 3)


def test_read_vectors_limits_rows(tmp_path: Path) -> None:
    same(read(tmp_path, b"a 1 2\nb 3 4\nc broken\n", limit=2), ["a", "b"], [[1, 2], [3, 4]])
    same(read(tmp_path, b"a 1 2\na 3 4\nb 5 6\n", limit=2), ["a"], [[1, 2]])
    same(read(tmp_path, b"3 2\na 1 2\nb 3 4\nc 5 6\n", limit=1), ["a"], [[1, 2]])
    same(read(tmp_path, GOOD, limit=7), ["the", "of"], TABLE)


def test_read_vectors_keeps_wanted_words(tmp_path: Path) -> None:
    content = b"a 1 2\nb c 3 4\nd broken here\nb 5 6\na 7 7\nlast 8 8\nbroken\n"
    loaded = read(tmp_path, content, vocab=["last", "b c", "a", "a"])
    same(loaded, ["a", "b c", "last"], [[1, 2], [3, 4], [8, 8]])  # what follows is not looked at: all are found
    assert (loaded.report.wanted, loaded.report.rows, loaded.report.duplicates) == (3, 6, 1)
    loaded = read(tmp_path, b"a 1 2\nb 3 4\n", vocab=["zzz", "b", "\ud800"])
    same(loaded, ["b"], [[3, 4]])
    assert loaded.report.wanted == 3
    same(read(tmp_path, GOOD, vocab=[]), [], np.empty((0, 3)))


def test_read_vectors_replaces_what_is_not_utf8(tmp_path: Path) -> None:
    content = b"a\xff 1 2\na 3 4\n\xc3\xa4 5 6\na\xfe 7 8\n"
    loaded = read(tmp_path, content, errors="replace")
    same(loaded, ["a\ufffd", "a", "ä"], [[1, 2], [3, 4], [5, 6]])
    assert loaded.report.duplicates == 1
    same(read(tmp_path, content, errors="ignore"), ["a", "ä"], [[1, 2], [5, 6]])
    same(read(tmp_path, content, errors="ignore", vocab=["a"]), ["a"], [[1, 2]])
    assert b"not UTF-8" in message(tmp_path, content).encode()


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────

NUMBERS = [
    *(
        "0",
        "-0",
        "+0",
        "1",
        "-1",
        "+1.5",
        ".5",
        "5.",
        "-.5e3",
        "1e5",
        "1E5",
        "1e+5",
        "1e-5",
        "0e999999",
        "1e22",
        "1e23",
    ),
    *(
        "0.0e-999999",
        "1e-400",
        "-1e-400",
        "1e-45",
        "7e-46",
        "1.4e-45",
        "1e-46",
        "3.4028234663852886e38",
        "1e-22",
        "1e-23",
    ),
    *("3.4028235e38", "3.4028235677973362e38", "-3.4028235677973362e38", "9007199254740993", "9007199254740992", "0.1"),
    *("9007199254740993e10", "123456789012345678", "1234567890123456789", "12345678901234567890", "0.2", "0.3", "1e38"),
    *("1.000000059604644775390625", "1.00000005960464477539062499999", "1.00000017881393432617187499", "16777217"),
    *("1.000000178813934326171875001", "1.1754943508222875e-38", "5.877471754111438e-39", "00000000000000000000000001"),
    *("0.000000000000000000000000000000000000000000001", "0.00000000000000000000123", "8388608.5", "16777219"),
    *("33554435.0", "2.2250738585072014e-308", "4.9e-324", "0.3e39"),
]


def test_numbers_are_pythons_rounded_to_float32(tmp_path: Path) -> None:
    rows = [[number, "1"] for number in NUMBERS]
    same(
        read(tmp_path, text_of([f"w{k}" for k in range(len(rows))], rows)),
        [f"w{k}" for k in range(len(rows))],
        float32(rows),
    )


def test_numbers_are_rounded_twice_as_in_python(tmp_path: Path) -> None:
    # just above the middle of two floats by less than a double shows: rounded once it would be the upper one
    number = "1.00000005960464477539062500000000001"
    assert np.float32(number) != np.float32(float(number)) or np.float32(float(number)) == 1
    same(read(tmp_path, f"a {number}\n".encode()), ["a"], [[np.float32(float(number))]])


DECIMAL = st.from_regex(r"[+-]?([0-9]{1,25}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(st.lists(DECIMAL, min_size=1, max_size=20))
def test_any_decimal_is_pythons(numbers: list[str]) -> None:
    numbers = [number for number in numbers if number.isascii() and abs(float(number)) < 3.4028235677973366e38]
    block = "".join(f"w{k} {number}\n" for k, number in enumerate(numbers)).encode()
    reader = parse(block, 1)
    assert reader.fault is None
    expected = float32([[number] for number in numbers]).reshape(-1, 1)
    np.testing.assert_array_equal(reader.table().view(np.uint32), expected.view(np.uint32))


@given(st.floats(width=64, allow_nan=False, allow_infinity=False, min_value=-3.4e38, max_value=3.4e38))
def test_any_double_is_pythons(value: float) -> None:
    for text in (repr(value), f"{value:.25e}", f"{value:.6g}"):
        table = parse(f"w {text}\n".encode(), 1).table()
        assert table.view(np.uint32)[0, 0] == np.float32(float(text)).view(np.uint32), text


@given(st.text("0123456789+-.eExX_naif,", min_size=1, max_size=8))
def test_what_python_refuses_is_refused(text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    plain = "_" not in text and bool(abs(value) < 3.4028235677973366e38)
    reader = parse(f"w {text}\n".encode(), 1)
    assert (reader.fault is None) == plain, text


@pytest.mark.parametrize("number", [b"-1.23456789", b"0.1234", b"+9.5"])
def test_every_byte_in_every_place_of_a_number(number: bytes) -> None:
    for place in range(len(number)):
        for byte in range(256):
            if chr(byte).isspace():  # which float() strips
                continue
            field = number[:place] + bytes([byte]) + number[place + 1 :]
            try:
                value = float(field.decode("ascii"))
            except ValueError:
                value = float("nan")
            plain = b"_" not in field and bool(abs(value) < 3.4028235677973366e38)
            reader = parse(b"w 0.25 " + field + b" 0.5\n", 3)
            assert (reader.fault is None) == plain, field
            if plain:
                assert reader.table().tolist() == [[0.25, float(np.float32(value)), 0.5]], field


def test_lines_of_every_length() -> None:
    # numbers end before, at and behind each place at which the reader looks for blanks anew
    generator = random.Random(0)
    for dim in range(1, 60):
        row = [f"{generator.gauss(0, 1):.{generator.randrange(1, 11)}f}" for _ in range(dim)]
        reader = parse(f"{'w' * generator.randrange(1, 9)} {' '.join(row)}\n".encode(), dim)
        assert reader.fault is None
        np.testing.assert_array_equal(reader.table().view(np.uint32), float32([row]).view(np.uint32))


# ── what is malformed ────────────────────────────────────────────────────────────────────────────


def message(folder: Path, content: bytes, **kwargs: Any) -> str:
    with pytest.raises(FormatError) as caught:
        read(folder, content, **kwargs)
    start = f"{folder / 'vectors'}: "
    assert str(caught.value).startswith(start)
    return str(caught.value)[len(start) :]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty."),
        (b"\xef\xbb\xbf", NO_START + "Received: ''."),
        (b"word\n", NO_START + "Received: 'word'."),
        (b"a 1 2\nb 1\n", "line 2: a row is a word and 2 numbers, as in line 1. Received: 1 numbers in 'b 1'."),
        (b"a 1 2\nb 1 2 3\n", "line 2: a row is a word and 2 numbers, as in line 1. Received: 3 numbers in 'b 1 2 3'."),
        (
            b"a 1 2\nb nan 1 2\n",
            "line 2: a row is a word and 2 numbers, as in line 1. Received: 2 numbers in 'b nan 1 2'.",
        ),
        (b"a 1 2\n 1 2 3\n", "line 2: a row is a word and 2 numbers, as in line 1. Received: 3 numbers in ' 1 2 3'."),
        (b"a 1 2\n\t1\n", "line 2: a row is a word and 2 numbers, as in line 1. Received: 1 numbers in '\\t1'."),
        (b"a 1 2\n1 2 3 4\n", "line 2: a row is a word and 2 numbers, as in line 1. Received: 3 numbers in '1 2 3 4'."),
        (b"a 1 2\nb\n", "line 2: a row is a word and 2 numbers, as in line 1. Received: 0 numbers in 'b'."),
        (
            b"a 1 2\n0.5 0.25\n",
            "line 2: a row is a word and 2 numbers, as in line 1. Received: 1 numbers in '0.5 0.25'.",
        ),
        (b"a 1 2\n\nb 1 2\n", "line 2: the line is empty, and rows follow it."),
        (b"\na 1 2\n", NO_START + "Received: ''."),
        (b"a 1 2\nb 1 nan\n", "line 2, number 2: a vector's numbers are finite. Received: 'nan'."),
        (b"a 1 2\nb -Inf 1\n", "line 2, number 1: a vector's numbers are finite. Received: '-Inf'."),
        (b"a nan 2\nb 1 1\n", "line 1, field 2: a vector's numbers are finite. Received: 'nan'."),
        (
            b"a 1 2\nb 1e39 1\n",
            "line 2, number 1: the number is beyond float32, which ends at 3.4028235e38. Received: '1e39'.",
        ),
        (
            b"a 1 2\nb 1 -3.4028235677973366e38\n",
            "line 2, number 2: the number is beyond float32, which ends at "
            "3.4028235e38. Received: '-3.4028235677973366e38'.",
        ),
        (
            b"a 1 2\nb 1 1e999999999999999999999\n",
            "line 2, number 2: the number is beyond float32, which ends at "
            "3.4028235e38. Received: '1e999999999999999999999'.",
        ),
        (b"a 1 2\nb 1_0 1\n", "line 2, number 1: a decimal number such as -0.25 or 1e-05 is needed. Received: '1_0'."),
        (b"a 1 1_0\n", "line 1, field 3: a decimal number such as -0.25 or 1e-05 is needed. Received: '1_0'."),
        (
            b"a 1 2\nb 0x1p3 1\n",
            "line 2, number 1: a decimal number such as -0.25 or 1e-05 is needed. Received: '0x1p3'.",
        ),
        (
            b"a 1 2\nb 1,5 2,5\n",
            "line 2, number 1: a decimal number such as -0.25 or 1e-05 is needed. Received: '1,5'.",
        ),
        (
            b"a 1 2\nb 1 \xd9\xa3\n",
            "line 2, number 2: a decimal number such as -0.25 or 1e-05 is needed. Received: '\u0663'.",
        ),
        (
            b"a 1 2\n\xff\xfe 1 2\n",
            r"line 2: the word is not UTF-8: b'\xff\xfe'. errors='replace' or errors='ignore' "
            "reads it all the same.",
        ),
        (
            b"3 2\na 1 2\nb 3 4\n\n\n\n\n",
            "line 1: the header says 3 words; the file holds 2: one of the two was cut off or is wrong.",
        ),
        (
            b"1 2\na 1 2\nb 3 4\n",
            "line 1: the header says 1 words; the file holds 2: one of the two was cut off or is wrong.",
        ),
        (
            b"9000 2\na 1 2\n",
            "line 1: the header says 9,000 words of 2 numbers, which take at least 44,999 bytes; 6 follow.",
        ),
        (
            b"1 3\na 11 22\n",
            "line 2: a row is a word and 3 numbers, as the header says. Received: 2 numbers in 'a 11 22'.",
        ),
        (
            b"1 2\na 1 2 3\n",
            "line 2: a row is a word and 2 numbers, as the header says. Received: 3 numbers in 'a 1 2 3'.",
        ),
        (b"-3 2\na 1 2\n", BAD_HEADER + "Received: '-3 2'. If it is a word and its only number, say format='glove'."),
        (b"3 0\na\n", BAD_HEADER + "Received: '3 0'. If it is a word and its only number, say format='glove'."),
        (
            b"1 99999999999999999999\na 1\n",
            BAD_HEADER + "Received: '1 99999999999999999999'. If it is a word and its only number, say format='glove'.",
        ),
        (b"\xff\xfea\x00 \x001\x00", "byte 0: this is text in UTF-16; convert it to UTF-8."),
        (
            b"\xba\x16\x4f\x2f\x0c\0\0\0",
            "byte 0: this is a fastText model (.bin); its word vectors are in the .vec file beside it.",
        ),
        (b"a" * 257 + b"ustar", "byte 0: this is a tar archive; take the file out of it."),
    ],
)
def test_malformed_text_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    assert message(tmp_path, content) == words


def test_header_is_needed_where_the_format_says_so(tmp_path: Path) -> None:
    assert message(tmp_path, GOOD, format="word2vec") == (
        "line 1: word2vec's files begin with two whole numbers, the words and the numbers of each. Received: "
        "'the 1 2.5 -3'. A file without them is of format 'glove'."
    )


@pytest.mark.parametrize("start", [b"", b"a 1 2\n"])
@pytest.mark.parametrize("filling", [b"x", b" ", b"1 "])
def test_endless_line_is_refused(tmp_path: Path, start: bytes, filling: bytes) -> None:
    # longer than two blocks
    content = start + b"b " + filling * (9 * 2**20 // len(filling)) + b"1 2\n"
    place = 2 if start else 1
    assert message(tmp_path, content) == (
        f"line {place}: a line takes at most 2,097,152 bytes; this is none of a word and numbers."
    )


def test_junk_is_refused(tmp_path: Path) -> None:
    generator = random.Random(0)
    for size in (1, 10, 1_000, 100_000):
        for _ in range(20):
            message(tmp_path, generator.randbytes(size))


# ── blocks and threads ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_blocks_and_threads_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    words, rows = random_text(1, 400, 7)
    words[37], words[300], words[399] = "a b c", words[2], words[299]
    content, table = text_of(words, rows), float32(rows)
    kept = [row for row in range(400) if row not in (300, 399)]
    before = kernels.set_local_threads(threads)
    try:
        for size in (200, 201, 997, 5_000, 2**20):
            monkeypatch.setattr(blocks, "BLOCK", size)
            loaded = read(tmp_path, content)
            same(loaded, [words[row] for row in kept], table[kept])
            assert loaded.report.first_duplicate_row == 301
            for row in (0, 33, 250):
                lines = content.splitlines(keepends=True)
                lines[row] = b"w 1 2 3 4 5 6 x\n"
                text = f"line {row + 1}, number 7: " if row else "line 2: a row is a word and 6 numbers"
                if row:
                    assert message(tmp_path, b"".join(lines)).startswith(text)
    finally:
        kernels.set_local_threads(before)


def test_many_chunks_in_a_block(tmp_path: Path) -> None:
    words, rows = random_text(2, 20_000, 20)  # 3 MB: a dozen chunks
    content, table = text_of(words, rows), float32(rows)
    same(read(tmp_path, content), words, table)
    some = words[::7]
    same(read(tmp_path, content, vocab=some), some, table[::7])
    same(read(tmp_path, content, limit=12_345), words[:12_345], table[:12_345])
    lines = content.splitlines()
    lines[15_000] = lines[3]
    lines[15_001] = b""
    assert message(tmp_path, b"\n".join(lines)) == "line 15,002: the line is empty, and rows follow it."


def test_table_owns_memory_that_cannot_be_resized(tmp_path: Path) -> None:
    table = read(tmp_path, GOOD).table
    assert table.flags.c_contiguous
    assert table.flags.aligned
    assert table.flags.writeable
    with pytest.raises(ValueError, match="own its data"):
        table.resize((1, 3))


def test_row_reader_refuses_block_without_padding() -> None:
    reader = parsers.RowReader(2, 5, "strict")
    with pytest.raises(ValueError, match="a block needs room for a newline and padding"):
        reader.feed(np.zeros(100, np.uint8), 0, 100 - parsers.padding() + 1, True, -1, 1)


def test_read_vectors_tells_how_far_it_is(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = tmp_path / "vectors"
    path.write_bytes(GOOD)
    read_vectors(path, tell=lambda done, total: steps.append((done, total)))
    assert steps == [(len(GOOD), len(GOOD))]


def test_text_with_header_is_no_binary_for_a_word_of_another_encoding(tmp_path: Path) -> None:
    content = b"2 8\na 1 1 1 1 1 1 1 1\nn\xe4h 2 2 2 2 2 2 2 2\n"
    loaded = read(tmp_path, content, errors="replace")
    same(loaded, ["a", "n\ufffdh"], [[1] * 8, [2] * 8])


@pytest.mark.parametrize("start", [b"w" + b" 1" * 20_000, b"200000 20000"])
def test_short_lines_after_a_wide_one_ask_for_no_memory(tmp_path: Path, start: bytes) -> None:
    content = start + b"\n" + b"a\n" * 200_000
    path = tmp_path / "vectors"
    for written in [gzip.compress(content)] if start[0] != ord("w") else [content, gzip.compress(content)]:
        path.write_bytes(written)
        with Stream(path) as stream, blocks.Blocks(stream, parsers.padding(), ahead=False) as first:
            first.next()
            assert read_head(stream, first, "auto").expected == len(content) // 40_001 + 1
