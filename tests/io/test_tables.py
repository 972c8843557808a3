"""load_table and save_table: every format by its content, and words for what is no table."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastembed
from fastembed import load_table, save_table
from fastembed.io import FormatError, floats
from fastembed.io.detect import detect
from fastembed.tables import list_tables

TABLE = np.random.default_rng(2).standard_normal((5, 3)).astype(np.float32)


def written(folder: Path, kind: str, table: Any = TABLE) -> Path:
    # no suffix: the content alone says what it is
    path = folder / "file"
    if kind == "npy":
        with open(path, "wb") as file:
            np.save(file, table)
    elif kind == "npz":
        with open(path, "wb") as file:
            np.savez(file, table=table)
    elif kind == "hdf5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["table"] = table
    elif kind == "hdf5 in chunks":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file.create_dataset("table", data=table, chunks=True)
    elif kind == "directory":
        fastembed.KeyedVectors(table, [f"word{i}" for i in range(len(table))]).save(path)
    elif kind == "words":
        path.write_text("".join(f"word{i} {' '.join(map(repr, row.tolist()))}\n" for i, row in enumerate(table)))
    else:
        save_table(folder / "a.safetensors", table)
        os.rename(folder / "a.safetensors", path)
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "safetensors"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("mmap", [False, True])
def test_load_table_reads_each_format(tmp_path: Path, kind: str, dtype: str, mmap: bool) -> None:
    path = written(tmp_path, kind, TABLE.astype(dtype))
    assert detect(path) == kind
    assert list(list_tables(path).values()) == [((5, 3), dtype)]
    table = load_table(path, mmap=mmap)
    assert (table.dtype, table.flags.c_contiguous, type(table)) == (np.float32, True, np.ndarray)
    np.testing.assert_array_equal(table, TABLE.astype(dtype).astype(np.float32))
    np.testing.assert_array_equal(fastembed.gather(table, [4, 0]), table[[4, 0]])
    same = load_table(str(path), mmap=mmap, dtype=dtype)
    assert same.dtype == dtype
    np.testing.assert_array_equal(same, TABLE.astype(dtype))
    assert same.flags.writeable is not (mmap and kind != "npz")


PLACES = {
    "npy": "byte 128: ",
    "npz": "'table.npy': ",
    "safetensors": "byte 128: ",
    "hdf5": "/table: ",
    "hdf5 in chunks": "/table: ",
    "directory": "",
    "words": "",
}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize(("stored", "dtype", "number"), [("float32", "float16", 1e5), ("float64", "float32", 1e300)])
def test_load_table_refuses_number_that_becomes_infinite(
    tmp_path: Path, kind: str, stored: str, dtype: str, number: float
) -> None:
    if stored == "float64" and kind in ("directory", "words"):
        pytest.skip("these are float32")
    table = TABLE.astype(stored)
    if kind != "words":  # whose numbers are finite
        table[4, 2] = np.inf
    expected = load_table(written(tmp_path, kind, table), dtype=dtype)
    np.testing.assert_array_equal(expected, table.astype(dtype))
    table[3, 1] = -number
    if kind == "directory":
        shutil.rmtree(tmp_path / "file")
    path = written(tmp_path, kind, table)
    for mmap in (False, True):
        with pytest.raises(FormatError) as caught:
            load_table(path, mmap=mmap, dtype=dtype)
        assert str(caught.value) == f"{path}: {PLACES[kind]}a number of {stored} is too large for {dtype}."


@pytest.mark.parametrize("mmap", [False, True])
def test_load_table_converts_a_folder_in_blocks(tmp_path: Path, mmap: bool) -> None:
    table = np.random.default_rng(4).standard_normal((300_001, 4)).astype(np.float32)
    path = written(tmp_path, "directory", table)
    for dtype in ("float16", "float64"):
        loaded = load_table(path, mmap=mmap, dtype=dtype)
        np.testing.assert_array_equal(loaded, table.astype(dtype))
        assert loaded.flags.writeable


@pytest.mark.parametrize("table", [np.asfortranarray(TABLE), TABLE.astype(">f4"), np.empty((0, 3)), np.empty((3, 0))])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_load_table_reads_each_layout(tmp_path: Path, table: Any, kind: str) -> None:
    for mmap in (False, True):
        loaded = load_table(written(tmp_path, kind, table), mmap=mmap)
        assert loaded.flags.c_contiguous
        assert loaded.dtype == np.float32
        np.testing.assert_array_equal(loaded, table)


def test_load_table_reads_large_fortran_table_in_parts(tmp_path: Path) -> None:
    for shape in ((1_100_000, 2), (3, 400_000), (1, 9)):
        table = np.asfortranarray(np.random.default_rng(3).standard_normal(shape))
        path = written(tmp_path, "npy", table)
        np.testing.assert_array_equal(load_table(path), table.astype(np.float32))
        np.testing.assert_array_equal(load_table(path, dtype="float64"), table)


def test_load_table_reads_short_columns_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = floats.read_exactly

    def counted(file: Any, into: Any, place: str) -> None:
        reads.append(len(into))
        read(file, into, place)

    monkeypatch.setattr(floats, "read_exactly", counted)
    header = f"{{'descr': '<f2', 'fortran_order': True, 'shape': (3, {10**6})}}".encode().ljust(117) + b"\n"
    path = tmp_path / "table.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(6 * 10**6))
    assert not load_table(path).any()
    assert reads == [699_050, 300_950]


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.arange(3.0), "a table has 2 dimensions, (rows, columns). Received: shape (3,)."),
        (np.zeros((2, 2), np.int64), "a table is of floats. Received: dtype int64."),
        (np.zeros((2, 2), bool), "a table is of floats. Received: dtype bool."),
        (np.zeros((2, 2), complex), "a table is of floats. Received: dtype complex128."),
    ],
)
def test_load_table_refuses_npy_that_is_no_table(tmp_path: Path, array: Any, text: str) -> None:
    path = written(tmp_path, "npy", array)
    with pytest.raises(FormatError) as caught:
        load_table(path)
    assert str(caught.value) == f"{path}: {text}"
    assert list_tables(path) == {}


@pytest.mark.timeout(60)
def test_many_rows_without_elements_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**60}, 0)}}".encode().ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
    table = load_table(path, mmap=True)
    assert table.shape == (2**60, 0)
    for suffix in (".npy", ".safetensors"):
        save_table(tmp_path / f"saved{suffix}", table)
        assert load_table(tmp_path / f"saved{suffix}", dtype="float16").shape == (2**60, 0)
    assert fastembed.layers.Embedding.from_pretrained(path).embeddings.shape == (2**60, 0)
    folder = written(tmp_path, "directory", np.empty((0, 0), np.float32))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["table"] |= {"shape": [2**57, 0], "bytes": 128}
    manifest["files"]["offsets"] |= {"shape": [2**57 + 1], "bytes": 2**60 + 136}
    manifest["files"]["index"] |= {"shape": [2**58], "bytes": 2**61 + 128}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    path.write_bytes(path.read_bytes().replace(b"1152921504606846976", b"144115188075855872 "))
    path.rename(folder / "table.npy")
    assert load_table(folder, dtype="float16").shape == (2**57, 0)


def test_load_table_refuses_no_rows_of_more_than_numpy_counts(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    header = f"{{'descr': '<f2', 'fortran_order': False, 'shape': (0, {2**61})}}".encode().ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
    text = f"{path}: byte 128: 'shape' must stay below 2**63 bytes. Received: (0, {2**61}) of float64."
    with pytest.raises(FormatError) as error:
        load_table(path, dtype="float64")
    assert str(error.value) == text


def test_load_table_reads_hdf5_without_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    for name in ("words", "optimizer"):  # which a group of Keras's is called, not an array
        with pytest.importorskip("h5py").File(path, "w") as file:
            file[name] = TABLE
        for table in (load_table(path), load_table(path, mmap=True), load_table(path, name=name)):
            np.testing.assert_array_equal(table, TABLE)
        assert list_tables(path) == {f"/{name}": ((5, 3), np.dtype("float32"))}
        assert fastembed.Embedding.from_keras_file(path, name).name == name


@pytest.mark.parametrize("name", [None, "x"])
def test_load_table_refuses_hdf5_without_table(tmp_path: Path, name: str | None) -> None:
    path = tmp_path / "a.h5"
    with pytest.importorskip("h5py").File(path, "w") as file:
        file["ids"], file["x"] = np.zeros((2, 2), int), np.zeros(3)
    for load in (lambda: load_table(path, name=name), lambda: fastembed.Embedding.from_keras_file(path, name)):
        with pytest.raises(FormatError) as caught:
            load()
        assert str(caught.value) == f"{path}: holds no table: an array of 2 dimensions, of floats."


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_load_table_reads_hdf5_behind_a_user_block(tmp_path: Path, libver: str) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    for size in (512, 2048):
        with h5py.File(path, "w", userblock_size=size, libver=libver) as file:
            file["g/t"] = TABLE
            file["ids"] = np.arange(3)
        data = b"the user's".ljust(size, b"!") + path.read_bytes()[size:]
        plain = path.with_name("b.h5")
        with h5py.File(plain, "w", libver=libver) as file:
            file["g/t"] = TABLE
        for content in (data, b"!" * size + plain.read_bytes()):
            path.write_bytes(content)
            for mmap in (False, True):
                table = load_table(path, mmap=mmap)
                np.testing.assert_array_equal(table, TABLE)
                assert table.flags.writeable is not mmap
        path.write_bytes(data[:-1])
        with pytest.raises(FormatError) as caught:
            load_table(path)
        assert str(caught.value) == (
            f"{path}: from byte {size} on: byte 0: the file is truncated: it says that it has {len(data)} bytes, there "
            f"are {len(data) - 1}."
        )
        path.write_bytes(data.replace(struct.pack("<Q", size) + b"\xff" * 8, struct.pack("<Q", 7) + b"\xff" * 8))
        with pytest.raises(FormatError) as caught:
            load_table(path)
        assert str(caught.value) == (
            f"{path}: from byte {size} on: byte 0: the base address must be 0 or {size}. Received: 7."
        )


def test_names_in_hdf5_files_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with pytest.importorskip("h5py").File(path, "w") as file:
        file["\x1b[31m\n\x9b/W\xf6rter"] = file["b"] = TABLE
    with pytest.raises(ValueError, match="2 tables") as caught:
        load_table(path)
    assert str(caught.value) == (
        f"{path}: the file has 2 tables: say which with `name`. Tables: "
        r"'\x1b[31m\n\x9b' at '/\x1b[31m\n\x9b/W\xf6rter' (5, 3), 'b' at '/b' (5, 3)."
    )
    with pytest.importorskip("h5py").File(path, "w") as file:
        file["\x1b[31m\n\x9b/W\xf6rter"] = np.full((1, 1), 1e300)
    with pytest.raises(FormatError) as refused:
        load_table(path)
    assert str(refused.value) == (
        rf"{path}: /\x1b[31m\n\x9b/W" "\xf6rter: a number of float64 is too large for float32."
    )


def test_load_table_refuses_arguments(tmp_path: Path) -> None:
    path = written(tmp_path, "npy")
    for dtype in ("int32", "float8", None, ">f4", "complex64"):
        with pytest.raises(ValueError, match="`dtype`") as caught:
            load_table(path, dtype=dtype)
        assert str(caught.value) == f"`dtype` must be 'float16', 'float32' or 'float64'. Received: {dtype!r}."
    with pytest.raises(ValueError, match="no name") as named:
        load_table(path, name="x")
    assert str(named.value) == f"{path}: a .npy file holds one array, which has no name. Received: name='x'."


def test_load_table_refuses_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(FormatError) as caught:
        load_table(tmp_path / "empty")
    assert str(caught.value) == f"{tmp_path / 'empty'}: byte 0: the file is empty."
    with pytest.raises(FormatError) as folder:
        load_table(tmp_path)
    assert str(folder.value) == (
        f"{tmp_path}: a folder of vectors holds manifest.json, or model.safetensors or "
        f"{os.path.join('0_StaticEmbedding', 'model.safetensors')}."
    )
    with pytest.raises(FileNotFoundError):
        load_table(tmp_path / "missing")
    with pytest.raises(ValueError, match="NUL"):
        load_table("a\0")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="Not a regular file"):
            load_table(tmp_path / "pipe")


def test_detect_knows_formats_by_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for raw, kind in (
        (b"the 0.1 0.2\n", "words"),
        (b"2 3\nthe 1 2 3\n", "words"),
        (gzip.compress(b"the 0.1 0.2\n"), "words"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "hdf5"),
        (bytes(512) + b"\x89HDF\r\n\x1a\n", "hdf5"),
        (bytes(1024) + b"\x89HDF\r\n\x1a\n", "hdf5"),
        (b"12345678{", "words"),
    ):
        path.write_bytes(raw)
        assert detect(path) == kind
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "manifest.json").write_bytes(b"{}")
    assert detect(tmp_path / "folder") == "directory"


def test_detect_tells_archives_apart(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "x"
    for names, kind in (
        (["config.json", "metadata.json", "model.weights.h5"], "keras"),
        (["a.npy", "b.npy"], "npz"),
        (["glove.6B.50d.txt", "glove.6B.100d.txt"], "words"),
        ([], "npz"),
    ):
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, b"x")
        assert detect(path) == kind


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".NPY"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_save_table_writes_what_load_table_reads(tmp_path: Path, suffix: str, dtype: str, order: Any) -> None:
    path = tmp_path / f"t{suffix}"
    table = np.array(TABLE.astype(dtype), order=order)
    save_table(path, table)
    loaded = load_table(path, mmap=True, dtype=table.dtype.newbyteorder("="))
    np.testing.assert_array_equal(loaded, table)
    assert os.listdir(tmp_path) == [path.name]
    if suffix == ".npy":
        np.testing.assert_array_equal(np.load(path), table)


def test_save_table_replaces_and_keeps_permissions(tmp_path: Path) -> None:
    path = tmp_path / "t.npy"
    save_table(path, TABLE)
    os.chmod(path, 0o640)
    save_table(path, TABLE[:2])
    assert load_table(path).shape == (2, 3)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640 or os.name != "posix"


def test_save_table_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    ints = np.zeros((2, 2), int)
    for path, table, kind, text in (
        ("t.txt", TABLE, ValueError, "`path` must end in .npy or .safetensors. Received: 't.txt'."),
        ("t.npy", [[1.0]], TypeError, "`table` must be a plain NumPy array (V, D) of floats. Received: list."),
        (
            "t.npy",
            np.ma.masked_array(TABLE),
            TypeError,
            "`table` must be a plain NumPy array (V, D) of floats. Received: MaskedArray.",
        ),
        (
            "t.npy",
            ints,
            TypeError,
            "`table` must be of float16, float32, float64 in a .npy file. Received: dtype int64.",
        ),
        (
            "t.safetensors",
            ints,
            TypeError,
            "`table` must be of float16, float32, float64, bfloat16 in a .safetensors file. Received: dtype int64.",
        ),
        ("t.npy", TABLE[0], ValueError, "`table` must have 2 dimensions (V, D). Received: shape (3,)."),
    ):
        with pytest.raises(kind) as caught:
            save_table(path if path == "t.txt" else tmp_path / path, table)  # type: ignore[arg-type]
        assert str(caught.value) == text
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mmap", [False, True])
def test_load_table_reads_files_with_words(tmp_path: Path, mmap: bool) -> None:
    words = ["a", "b", "c", "d", "e"]
    fastembed.KeyedVectors(TABLE, words).save(tmp_path / "folder")
    lines = [" ".join([word, *map(str, row)]) for word, row in zip(words, TABLE, strict=True)]
    (tmp_path / "glove").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "glove.gz").write_bytes(gzip.compress((tmp_path / "glove").read_bytes()))
    for name in ("folder", "glove", "glove.gz"):
        table = load_table(tmp_path / name, mmap=mmap)
        np.testing.assert_array_equal(table, TABLE)
        np.testing.assert_array_equal(fastembed.gather(table, [4, 0]), TABLE[[4, 0]])
    assert load_table(tmp_path / "glove", dtype="float64").dtype == np.float64
    assert not load_table(tmp_path / "folder", mmap=True).flags.writeable
    assert list_tables(tmp_path / "folder") == {"table": ((5, 3), np.dtype("float32"))}
    assert list_tables(tmp_path / "glove") == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="measures the memory of a process of its own")
@pytest.mark.parametrize(
    ("kind", "stored"),
    [("safetensors", "float16"), ("npy", "float64"), ("npz", "float64"), ("hdf5", "float64"), ("hdf5", "float32")],
)
def test_load_table_takes_no_second_table_of_memory(tmp_path: Path, kind: str, stored: str) -> None:
    path = written(tmp_path, kind, np.ones((30_000, 400), stored))
    code = (
        "import resource, sys, numpy as np, fastembed\n"
        "from fastembed.io import npz, safetensors\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"table = fastembed.load_table({str(path)!r})\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(table.nbytes, (after - before) * 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    table, taken = map(int, done.stdout.split())
    # the table of 48 MB, and blocks of 4 MiB; ru_maxrss is in kB on Linux alone
    assert table == 48_000_000
    assert taken < table + 24 * 2**20 or sys.platform != "linux"
