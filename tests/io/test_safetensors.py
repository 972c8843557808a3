"""io.safetensors: tables come back as they are, and no file makes anything but a FormatError."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed.io import FormatError
from fastembed.io.safetensors import inspect_safetensors, list_tables, read_table, read_tensor, write_tables

TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)


def tensor(dtype: Any = "F32", shape: Any = (2, 3), offsets: Any = (0, 24)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def content(header: Any, data: bytes = TABLE.tobytes(), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


GOOD = content({"table": tensor()})


def test_read_table_gives_what_write_tables_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    wide = np.arange(12, dtype=np.float64).reshape(3, 4)
    write_tables(path, {"b": wide.astype(np.float16), "a": wide, "c": np.empty((0, 5), np.float32)})
    assert list_tables(path) == {"b": ((3, 4), "float16"), "a": ((3, 4), "float64"), "c": ((0, 5), "float32")}
    for name, expected in (("a", wide), ("b", wide), ("c", np.empty((0, 5)))):
        for mmap in (False, True):
            table = read_table(path, name=name, mmap=mmap)
            assert table.dtype == np.float32
            np.testing.assert_array_equal(table, expected)
    assert read_table(path, name="a", dtype="float64").dtype == np.float64


@pytest.mark.parametrize("layout", ["C", "F", "strided", "big-endian"])
def test_write_tables_takes_every_layout(tmp_path: Path, layout: str) -> None:
    table = np.arange(2_400_000, dtype=np.float32).reshape(4, -1)
    given = {
        "C": table,
        "F": np.asfortranarray(table),
        "strided": np.repeat(table, 2, axis=1)[:, ::2],
        "big-endian": table.astype(">f4"),
    }[layout]
    write_tables(tmp_path / "a", {"t": given})
    raw = (tmp_path / "a").read_bytes()
    assert raw[-table.nbytes :] == table.tobytes()
    np.testing.assert_array_equal(read_table(tmp_path / "a", mmap=True), table)


def test_files_are_those_of_the_library(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    tensors = {"x": TABLE, "y": TABLE.astype(np.float64) / 3, "n": np.arange(4)}
    library.save_file(tensors, tmp_path / "theirs", metadata={"format": "np"})
    assert list_tables(tmp_path / "theirs") == {"x": ((2, 3), "float32"), "y": ((2, 3), "float64")}
    np.testing.assert_array_equal(read_table(tmp_path / "theirs", name="x", mmap=True), TABLE)
    np.testing.assert_array_equal(read_table(tmp_path / "theirs", name="y", dtype="float64"), tensors["y"])
    np.testing.assert_array_equal(read_tensor(tmp_path / "theirs", "n"), tensors["n"])
    write_tables(tmp_path / "ours", {"x": TABLE, "y": tensors["y"]})
    read = library.load_file(tmp_path / "ours")
    assert list(read) == ["x", "y"]
    for name, array in read.items():
        assert array.dtype == tensors[name].dtype
        np.testing.assert_array_equal(array, tensors[name])


def test_read_table_converts_bfloat16_of_every_pattern(tmp_path: Path) -> None:
    patterns = np.arange(2**16, dtype="<u2")
    header = {"t": tensor("BF16", (256, 256), (0, 2**17))}
    (tmp_path / "a").write_bytes(content(header, patterns.tobytes()))
    table = read_table(tmp_path / "a")
    np.testing.assert_array_equal(table.view(np.uint32).reshape(-1), patterns.astype(np.uint32) << 16)


def test_bfloat16_goes_there_and_back(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    table = np.linspace(-3, 3, 20, dtype=np.float32).reshape(4, 5).astype(ml_dtypes.bfloat16)
    write_tables(tmp_path / "a", {"t": table})
    assert list_tables(tmp_path / "a") == {"t": ((4, 5), "bfloat16")}
    np.testing.assert_array_equal(read_table(tmp_path / "a"), table.astype(np.float32))


def test_read_table_converts_in_blocks(tmp_path: Path) -> None:
    # several blocks of 4 MiB and a rest
    table = np.random.default_rng(1).standard_normal((1231, 3571)).astype(np.float16)
    write_tables(tmp_path / "a", {"t": table})
    np.testing.assert_array_equal(read_table(tmp_path / "a"), table.astype(np.float32))


def test_read_table_maps_only_what_fits(tmp_path: Path) -> None:
    write_tables(tmp_path / "a", {"t": TABLE})
    mapped, read = read_table(tmp_path / "a", mmap=True), read_table(tmp_path / "a")
    assert not mapped.flags.writeable
    assert mapped.flags.aligned
    assert mapped.ctypes.data % 64 == 0
    assert read.flags.writeable
    # a header of odd length leaves the elements unaligned: read, so that every function takes the table
    for extra in range(4):
        text = json.dumps({"t": tensor()}).encode() + b" " * extra
        (tmp_path / "odd").write_bytes(content(text))
        table = read_table(tmp_path / "odd", mmap=True)
        assert table.flags.aligned
        np.testing.assert_array_equal(table, TABLE)


def test_read_table_refuses_number_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_tables(path, {"t": np.array([[1e300, 1.0]])})
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: byte 128: a number of float64 is too large for float32."
    np.testing.assert_array_equal(read_table(path, dtype="float64"), [[1e300, 1.0]])
    write_tables(path, {"t": np.array([[np.inf, np.nan]])})
    np.testing.assert_array_equal(read_table(path), np.array([[np.inf, np.nan]], np.float32))


def test_read_table_asks_which(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_tables(path, {"x": TABLE, "y": TABLE.astype(np.float16)})
    listed = "'x' (2, 3) float32, 'y' (2, 3) float16."
    for name, said in ((None, "pass `name`, one of them"), ("z", "none is named 'z'")):
        with pytest.raises(ValueError, match="holds 2 tables") as caught:
            read_table(path, name=name)
        assert str(caught.value) == f"{path}: holds 2 tables; {said}: {listed}"
    path.write_bytes(content({"n": tensor("I64", (3,))}))
    with pytest.raises(FormatError) as none:
        read_table(path)
    assert str(none.value) == f"{path}: holds no table: an array of 2 dimensions, of floats."
    write_tables(path, {f"t{i}": TABLE for i in range(23)})
    with pytest.raises(ValueError, match=r"'t19' \(2, 3\) float32, and 3 more\.$"):
        read_table(path)


RULE = "byte 8: tensor 't': "
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "byte 0: a safetensors file begins with 8 bytes of length. Received: 0 bytes."),
    "short": (b"1234567", "byte 0: a safetensors file begins with 8 bytes of length. Received: 7 bytes."),
    "header past the end": (
        content({"t": tensor()}, b"", 1000),
        "byte 0: the header takes 1000 bytes, 65 follow: the file is truncated.",
    ),
    "header one byte past the end": (
        content({"t": tensor()}, b"", 66),
        "byte 0: the header takes 66 bytes, 65 follow: the file is truncated.",
    ),
    "header of 2**64": (
        b"\xff" * 8 + b"{}",
        "byte 0: the header takes 18446744073709551615 bytes, 2 follow: the file is truncated.",
    ),
    "huge header": (
        content(b"{" + b" " * 600_000 + b"}", b""),
        "byte 0: the header takes 600002 bytes of a file of 600010: no file of tensors.",
    ),
    "no header": (content(b"", b"abc"), "byte 8: the header must be a JSON object: it begins with b''."),
    "no JSON": (content(b"{]"), "byte 8: the header must be a JSON object: {json}."),
    "a list": (content(b"[1]"), "byte 8: the header must be a JSON object: it begins with b'['."),
    "blank before": (content(b" {}", b""), "byte 8: the header must be a JSON object: it begins with b' '."),
    "more behind": (content(b"{} {}", b""), "byte 8: the header must be a JSON object: {json}."),
    "no UTF-8": (content(b'{"\xff": 1}'), "byte 8: the header must be a JSON object: {json}."),
    "deep": (content(b'{"t":' + b"[" * 100_000, b""), "byte 8: the header's JSON is nested too deep."),
    "duplicate": (
        content(b'{"a": 1, "a": 1}'),
        "byte 8: the header must be a JSON object: the key 'a' occurs twice.",
    ),
    "duplicate in a tensor": (
        content(b'{"t": {"dtype": "F32", "dtype": "F32"}}'),
        "byte 8: the header must be a JSON object: the key 'dtype' occurs twice.",
    ),
    "half a surrogate pair": (
        content(b'{"\\ud800": 1}'),
        "byte 8: the header must be a JSON object: the key '\\ud800' holds half a surrogate pair.",
    ),
    "float shape": (
        content(b'{"t": {"dtype": "F32", "shape": [2.0, 3], "data_offsets": [0, 24]}}'),
        "byte 8: the header must be a JSON object: '2.0' is not a whole number of 64 bits.",
    ),
    "NaN": (
        content(b'{"t": NaN}'),
        "byte 8: the header must be a JSON object: 'NaN' is not a whole number of 64 bits.",
    ),
    "endless number": (
        content(b'{"t": ' + b"9" * 5000 + b"}"),
        "byte 8: the header must be a JSON object: '" + "9" * 99 + "... (5002 characters) is not a whole number of "
        "64 bits.",
    ),
    "metadata": (content({"__metadata__": {"a": 1}}, b""), "byte 8: '__metadata__' must map strings to strings."),
    "no object": (
        content({"t": [1]}),
        RULE + "needs 'dtype', 'shape' and 'data_offsets', and nothing else. Received: [1].",
    ),
    "missing key": (
        content({"t": {"dtype": "F32", "shape": [1]}}),
        RULE + "needs 'dtype', 'shape' and 'data_offsets', and nothing else. Received: {'dtype': 'F32', 'shape': [1]}.",
    ),
    "bool shape": (
        content({"t": tensor(shape=(2, True))}),
        RULE + "'shape' must be a list of at most 32 whole numbers >= 0. Received: [2, True].",
    ),
    "negative shape": (
        content({"t": tensor(shape=(-2, -3))}),
        RULE + "'shape' must be a list of at most 32 whole numbers >= 0. Received: [-2, -3].",
    ),
    "33 dimensions": (
        content({"t": tensor(shape=[1] * 33, offsets=(0, 4))}),
        RULE + f"'shape' must be a list of at most 32 whole numbers >= 0. Received: {[1] * 33}.",
    ),
    "overflowing": (
        content({"t": tensor(shape=(2**32, 2**32 + 1))}),
        RULE + "'shape' must stay below 2**63 bytes. Received: [4294967296, 4294967297] of F32.",
    ),
    "overflowing with zero": (
        content({"t": tensor(shape=(0, 2**63), offsets=(0, 0))}, b""),
        RULE + "'shape' must stay below 2**63 bytes. Received: [0, 9223372036854775808] of F32.",
    ),
    "lying shape": (
        content({"t": tensor(shape=(2, 4))}),
        RULE + "shape (2, 4) of F32 takes 32 bytes, its 'data_offsets' [0, 24] give it 24.",
    ),
    "lying dtype": (
        content({"t": tensor("F64")}),
        RULE + "shape (2, 3) of F64 takes 48 bytes, its 'data_offsets' [0, 24] give it 24.",
    ),
    "half bytes": (
        content({"t": tensor("F4", (3,), (0, 2))}, b"ab"),
        RULE + "shape (3,) of F4 takes 1.5 bytes, its 'data_offsets' [0, 2] give it 2.",
    ),
    "unknown dtype": (
        content({"t": tensor("F31")}),
        RULE + "'dtype' must be one of BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64, C64, F8_E4M3, "
        "F8_E5M2, F8_E8M0, F6_E2M3, F6_E3M2, F4. Received: 'F31'.",
    ),
    "dtype list": (
        content({"t": tensor([])}),
        RULE + "'dtype' must be one of BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64, C64, F8_E4M3, "
        "F8_E5M2, F8_E8M0, F6_E2M3, F6_E3M2, F4. Received: [].",
    ),
    **{
        f"offsets {offsets}": (
            content({"t": tensor(offsets=offsets)}),
            RULE + f"'data_offsets' must be two whole numbers, rising, up to 24, where the file ends. "
            f"Received: {offsets}.",
        )
        for offsets in ([-24, 0], [24, 0], [8, 32], [0], [0, 24, 24], [False, 24], [2**63, 2**63 + 24])
    },
    "hole at the start": (
        content({"t": tensor(offsets=(4, 28))}, bytes(28)),
        "byte 77: tensor 't' leaves a hole of 4 bytes.",
    ),
    "hole between": (
        content({"a": tensor(), "t": tensor(offsets=(28, 52))}, bytes(52)),
        "byte 167: tensor 't' leaves a hole of 4 bytes.",
    ),
    "overlap": (
        content({"a": tensor(), "t": tensor(offsets=(20, 44))}, bytes(44)),
        "byte 159: tensor 't' overlaps the tensor before it.",
    ),
    "same place": (
        content({"a": tensor(), "t": tensor()}),
        "byte 138: tensor 't' overlaps the tensor before it.",
    ),
    "trailing": (content({"t": tensor()}, bytes(25)), "byte 97: the tensors end here, the file at byte 98."),
    "truncated": (
        GOOD[:-1],
        "byte 8: tensor 'table': 'data_offsets' must be two whole numbers, rising, up to 23, where the file ends. "
        "Received: [0, 24].",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_read_table_refuses_bad_file(tmp_path: Path, name: str) -> None:
    raw, text = BAD_FILES[name]
    path = tmp_path / "bad"
    path.write_bytes(raw)
    for opener in (inspect_safetensors, list_tables, read_table):
        with pytest.raises(FormatError) as caught:
            opener(path)
        before, json_words, after = text.partition("{json}")
        said = str(caught.value)
        assert said.startswith(f"{path}: {before}")
        assert said.endswith(after)
        assert json_words or said == f"{path}: {text}"


def test_read_tensor_refuses_what_it_cannot_give(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content({"t": tensor("BF16", (3, 4))}))
    with pytest.raises(FormatError) as caught:
        read_tensor(path, "t")
    assert str(caught.value) == f"{path}: 't': NumPy has no bfloat16."
    with pytest.raises(FormatError) as missing:
        read_tensor(path, "x")
    assert str(missing.value) == f"{path}: holds no tensor named 'x'."


def test_file_cut_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(GOOD)
    from fastembed.io import floats

    whole = floats.read_floats

    def cut(file: Any, *args: Any) -> Any:
        os.truncate(path, len(GOOD) - 5)
        return whole(file, *args)

    monkeypatch.setattr(floats, "read_floats", cut)
    # a buffered file may hold the bytes already
    monkeypatch.setattr("fastembed.io.safetensors.open_regular", lambda name: Path(name).open("rb", buffering=0))  # noqa: SIM115
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: byte {len(GOOD) - 24}: the file ends 5 bytes too early."


def test_mutated_file_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    generator = random.Random(5)
    good = content({"__metadata__": {"a": "b"}, "x": tensor(), "y": tensor("F16", (3, 2), (24, 36))}, bytes(36))
    refused = 0
    count = 1500 * int(os.environ.get("FASTEMBED_TEST_SCALE", "1"))
    for _ in range(count):
        raw = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            raw[generator.randrange(len(raw))] = generator.choice([generator.randrange(256), *b'0123456789{}[],:"'])
        path.write_bytes(raw[: generator.choice([len(raw), generator.randrange(len(raw))])])
        try:
            read_table(path, name="x", mmap=True)
        except FormatError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
        except ValueError as error:
            assert "none is named 'x'" in str(error) or "holds" in str(error)  # noqa: PT017
    assert refused > count // 3


@pytest.mark.parametrize("item", [b"[]", b'{"a":1}', b'"ab"'])
def test_header_of_many_values_takes_little_memory(tmp_path: Path, item: bytes) -> None:
    path = tmp_path / "a"
    most = 2**24 // 32
    values = b",".join([item] * (most // (len(item) + 1) - 4))
    path.write_bytes(content(b'{"t":[' + values + b"]}", b""))
    tracemalloc.start()
    with pytest.raises(FormatError, match="needs 'dtype', 'shape' and 'data_offsets'"):
        read_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24 + 2 * path.stat().st_size
