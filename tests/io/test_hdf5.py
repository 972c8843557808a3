"""io.hdf5: what h5py writes comes back as it is, and no file makes anything but a FormatError."""

from __future__ import annotations

import io
import itertools
import os
import random
import re
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed.io import FormatError, _hdf5_chunks, hdf5
from fastembed.io import _hdf5_messages as messages
from fastembed.io._source import Source

from .hdf5_files import HARMFUL, LOOP, TABLE, VALUES, claim_shape, weights, write

h5py = pytest.importorskip("h5py")
SCALE = int(os.environ.get("FASTEMBED_TEST_SCALE", "1"))
SAMPLES = Path(__file__).parent.parent / "keras" / "data" / "samples"


def opened(path: Path) -> hdf5.Group:
    return hdf5.root(Source.of_bytes(path.read_bytes(), path.name))


def first_layer(root: hdf5.Group) -> np.ndarray[Any, Any]:
    """What a reader of Keras's weights reads."""
    if not root.strings("layer_names"):
        raise root.error("there are no weights of Keras here: neither 'layer_names' nor 'model_weights'.")
    layer = root.group(root.strings("layer_names")[0])
    return layer.dataset(layer.strings("weight_names")[0]).read()


ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.arange(5, dtype=">f8"),
    np.arange(5, dtype=np.float16),
    np.array(7, np.int64),
    np.arange(6, dtype="<u2").reshape(1, 2, 3),
    np.array(-3, np.int8),
    np.empty((0, 3), np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_read_gives_what_h5py_wrote(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    def fill(file: Any) -> None:
        file["a/b/c"] = array

    found = opened(write(tmp_path / "a.h5", fill)).dataset("a/b/c")
    assert (found.shape, found.dtype, found.path) == (array.shape, array.dtype, "/a/b/c")
    read = found.read()
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_read_gives_chunks(tmp_path: Path, compression: str | None, shuffle: bool) -> None:
    array = np.random.default_rng(0).standard_normal((37, 11)).astype(np.float32)

    def fill(file: Any) -> None:
        file.create_dataset("t", data=array, chunks=(8, 4), compression=compression, shuffle=shuffle)

    np.testing.assert_array_equal(opened(write(tmp_path / "a.h5", fill)).dataset("t").read(), array)


@pytest.mark.parametrize("shape", [(2**40, 0), (0, 2**40), (2**22, 1)])
def test_many_chunks_that_are_not_there_take_no_memory(tmp_path: Path, shape: tuple[int, int]) -> None:
    def fill(file: Any) -> None:
        file.create_dataset("t", shape, "<f2", chunks=(1, 1), maxshape=(None, None))

    dataset = opened(write(tmp_path / "a.h5", fill)).dataset("t")
    tracemalloc.start()
    try:
        if 0 in shape:
            assert dataset.read().shape == shape
        else:
            with pytest.raises(FormatError) as caught:
                dataset.read()
            assert str(caught.value) == "a.h5: /t: the chunk at (0, 0) is missing."
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_first_chunk_that_is_missing_is_named(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        made = file.create_dataset("t", (5, 6), "<f4", chunks=(2, 3))
        made[:2] = made[2:4, :3] = made[4:] = 1

    dataset = opened(write(tmp_path / "a.h5", fill)).dataset("t")
    for look in (dataset.check, dataset.read):
        with pytest.raises(FormatError) as caught:
            look()
        assert str(caught.value) == "a.h5: /t: the chunk at (2, 3) is missing."


def test_chunk_of_another_place_is_no_chunk(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", lambda file: file.create_dataset("t", data=VALUES, chunks=(3, 2)))
    key = struct.pack("<IIQQQ", 24, 0, 3, 0, 0)  # bytes, filters, its first element
    data = path.read_bytes()
    assert data.count(key) == 1
    path.write_bytes(data.replace(key, struct.pack("<IIQQQ", 24, 0, 4, 0, 0)))
    with pytest.raises(FormatError) as caught:
        opened(path).dataset("t").read()
    assert str(caught.value) == "a.h5: /t: the chunk at (3, 0) is missing."


def test_keys_of_chunks_cannot_be_made_to_share_their_hash() -> None:
    steps = [number * (2**61 - 1) for number in range(4)]  # of which Python's hash is 0
    leaves = ((struct.pack("<II6Q", 4, 0, *place, 0), 0) for place in itertools.product(steps, repeat=5))
    found = _hdf5_chunks.find((2**63,) * 5, np.dtype("<f4"), (1, 1, 1, 1, 1, 4), (), leaves)
    assert len({hash(key) for key in found.places}) == 4**5


def test_chunks_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Each would be read and unpacked in full."""

    def fill(file: Any) -> None:
        file.create_dataset("t", data=np.ones((40, 1), np.float32), chunks=(1, 1), compression="gzip")

    path = write(tmp_path / "a.h5", fill)
    data = bytearray(path.read_bytes())
    size = len(data)
    for row in range(40):
        key = data.index(struct.pack("<IIQQQ", 12, 0, row, 0, 0))
        (address,) = struct.unpack_from("<Q", data, key + 32)
        struct.pack_into("<I", data, key, size - address)
    dataset = hdf5.root(Source.of_bytes(bytes(data), "a.h5")).dataset("t")
    for look in (dataset.check, dataset.read):
        with pytest.raises(FormatError) as caught:
            look()
        found = re.fullmatch(
            r"a\.h5: /t: chunks share their bytes: together they take (\d+) of (\d+)\.", str(caught.value)
        )
        assert found
        assert int(found[1]) > int(found[2]) == size


def test_read_gives_compact_values(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((6, 2))
        made = h5py.h5d.create(file.id, b"t", h5py.h5t.IEEE_F32LE, space, layout)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, VALUES)

    np.testing.assert_array_equal(opened(write(tmp_path / "a.h5", fill)).dataset("t").read(), VALUES)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_read_converts_into_out(tmp_path: Path, dtype: str) -> None:
    def fill(file: Any) -> None:
        file["t"] = VALUES.astype(dtype)

    out = np.empty((6, 2), np.float32)
    assert opened(write(tmp_path / "a.h5", fill)).dataset("t").read(out) is out
    np.testing.assert_array_equal(out, VALUES)


def test_contiguous_values_are_read_in_pieces(tmp_path: Path) -> None:
    """Python feels Ctrl-C between two calls of the file, not within one."""
    array = np.arange(3 << 20, dtype="<f4")

    def fill(file: Any) -> None:
        file["t"] = array

    class Pieces(io.BytesIO):
        largest = 0

        def readinto(self, buffer: Any) -> int:
            self.largest = max(self.largest, len(buffer))
            return super().readinto(buffer)

    file = Pieces(write(tmp_path / "a.h5", fill).read_bytes())
    np.testing.assert_array_equal(hdf5.root(Source(file, "x")).dataset("t").read(), array)
    assert file.largest == 1 << 22


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_groups_of_either_kind_are_read(tmp_path: Path, libver: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        for name in "bca":
            file[f"g/{name}"] = VALUES
        file["g"].attrs["x"] = b"text"
    root = opened(tmp_path / "a.h5")
    assert sorted(root.group("g").links) == ["a", "b", "c"]
    assert root.group("g").attribute("x") == b"text"
    np.testing.assert_array_equal(root.dataset("g/a").read(), VALUES)


def test_many_names_are_read(tmp_path: Path) -> None:
    names = [f"layer_{number}" for number in range(1000)]

    def fill(file: Any) -> None:
        for number, name in enumerate(names):
            file[name] = np.float32(number)

    root = opened(write(tmp_path / "a.h5", fill))
    assert sorted(root.links) == sorted(names)
    assert root.dataset("layer_777").read() == 777


def test_fractal_heap_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        for number in range(20):
            file[f"x{number}"] = VALUES
    with pytest.raises(FormatError) as caught:
        _ = opened(tmp_path / "a.h5").links
    assert str(caught.value) == (
        "a.h5: /: the links are in a fractal heap, which is not read: write the file as h5py does by default."
    )


ATTRIBUTES = [
    (b"bytes", b"bytes"),
    ("Wörter", "Wörter".encode()),
    (np.bytes_(b"fixed"), b"fixed"),
    ([b"a", b"bcd"], [b"a", b"bcd"]),
    (["a", "bcd"], [b"a", b"bcd"]),
    (b"", b""),
    (b"x" * 100_000, b"x" * 100_000),
]


@pytest.mark.parametrize(("value", "expected"), ATTRIBUTES, ids=lambda v: repr(v)[:20])
def test_attribute_gives_strings(tmp_path: Path, value: Any, expected: Any) -> None:
    def fill(file: Any) -> None:
        file.attrs["a"] = value

    assert opened(write(tmp_path / "a.h5", fill)).attribute("a") == expected


def test_attribute_gives_numbers_and_none(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["a"] = np.array([1.5, 2.5])
        file.attrs["empty"] = np.empty(0)

    root = opened(write(tmp_path / "a.h5", fill))
    assert list(root.attribute("a")) == [1.5, 2.5]
    assert root.attribute("b") is None
    assert root.strings("empty") == root.strings("b") == []


def test_strings_joins_split_lists(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["names0"] = [b"a", b"b"]
        file.attrs["names1"] = [b"c"]

    assert opened(write(tmp_path / "a.h5", fill)).strings("names") == ["a", "b", "c"]


def test_get_follows_names_alone(tmp_path: Path) -> None:
    root = opened(write(tmp_path / "a.h5", weights))
    assert root.get("/embedding//embedding/") is not None
    for path in ("..", "../embedding", "embedding/../embedding", ".", "x", f"embedding/{TABLE}/x"):
        assert root.get(path) is None
    with pytest.raises(FormatError) as caught:
        root.group("../../etc")
    assert str(caught.value) == "a.h5: /: there must be a group '../../etc'."


@pytest.mark.parametrize("name", HARMFUL)
def test_harmful_file_is_refused(tmp_path: Path, name: str) -> None:
    content, text = HARMFUL[name]
    path = write(tmp_path / "a.h5", content)
    assert path.stat().st_size < 100_000
    with pytest.raises(FormatError) as caught:
        first_layer(opened(path))
    assert str(caught.value).startswith("a.h5: ")
    assert str(caught.value).endswith(text)


def test_walk_refuses_group_inside_itself(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        list(opened(write(tmp_path / "a.h5", LOOP)).walk())
    assert str(caught.value) == "a.h5: /embedding/again: the group lies inside itself, or in two groups."


def test_read_refuses_lies_about_shape(tmp_path: Path) -> None:
    for new in ((6, 3), (2**40, 2**20), (2**63, 2**63), (0, 2), (5, 2)):
        path = write(tmp_path / "a.h5", weights)
        claim_shape(path, (6, 2), new)
        with pytest.raises(FormatError) as caught:
            first_layer(opened(path))
        size = 4 * new[0] * new[1]
        assert str(caught.value).endswith(f"embeddings:0: shape {new} takes {size} bytes, 48 are stored.")


@pytest.mark.parametrize("chunks", [None, (1, 1)])
def test_empty_shape_that_numpy_cannot_count_is_refused(tmp_path: Path, chunks: Any) -> None:
    for rows in (2**60 - 1, 2**60, 2**63 - 1):

        def fill(file: Any, rows: int = rows) -> None:
            file.create_dataset("g/t", (rows, 0), "<f2", chunks=chunks, maxshape=(None, None) if chunks else None)

        dataset = opened(write(tmp_path / "a.h5", fill)).dataset("g/t")
        if rows < 2**60:
            assert dataset.read(np.empty((rows, 0))).shape == (rows, 0)
            continue
        with pytest.raises(FormatError) as caught:
            dataset.read()
        assert str(caught.value) == (
            f"a.h5: /g/t: the axes but those of 0 must stay below 2**60 elements. Received: shape ({rows}, 0)."
        )


def test_root_refuses_other_files() -> None:
    for data, text in (
        (b"", "byte 0: an HDF5 file begins with b'\\x89HDF\\r\\n\\x1a\\n'. Received: an empty file."),
        (b"PK\3\4", "byte 0: an HDF5 file begins with b'\\x89HDF\\r\\n\\x1a\\n'. Received: b'PK\\x03\\x04'."),
        (hdf5.SIGNATURE, "byte 8: 1 bytes from here on lie outside the 8 bytes that there are."),
        (hdf5.SIGNATURE + b"\7", "byte 0: the superblock must be of version 0 to 3. Received: 7."),
    ):
        with pytest.raises(FormatError, match=re.escape(text)) as caught:
            hdf5.root(Source.of_bytes(data, "x"))
        assert str(caught.value) == f"x: {text}"


def test_truncated_file_is_refused_at_every_length() -> None:
    data = (SAMPLES / "k224_embedding_weights.h5").read_bytes()
    for length in range(0, len(data), 7):
        with pytest.raises(FormatError):
            first_layer(hdf5.root(Source.of_bytes(data[:length], "x")))


class Counting(io.BytesIO):
    """A file that notes how much is read."""

    total = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.total += len(data)
        return data


def test_damaged_files_give_format_errors_in_bounds() -> None:
    """Each of these is a whole model of Keras with some of its bytes changed."""
    for sample in ("k224_embedding_rmsprop.h5", "k315_embedding.weights.h5"):
        data = (SAMPLES / sample).read_bytes()
        used = [place for place, byte in enumerate(data) if byte]
        chosen = random.Random(sample)
        for _ in range(400 * SCALE):
            damaged = bytearray(data)
            for _ in range(chosen.choice([1, 1, 2, 4])):
                place = chosen.choice(used)
                damaged[place] = chosen.choice([0, 1, 255, damaged[place] ^ 1 << chosen.randrange(8)])
            file = Counting(bytes(damaged))
            started = time.perf_counter()
            try:
                for node in hdf5.root(Source(file, "x")).walk():
                    for name in ("weight_names", "layer_names", "model_config", "name"):
                        node.attribute(name)
                    if isinstance(node, hdf5.Dataset):
                        node.read()
            except FormatError as error:
                assert str(error).startswith("x: ")  # noqa: PT017
            assert file.total < 12 * len(data) + 70_000
            assert time.perf_counter() - started < 5


UNREAD = [
    (messages.dataspace, b"\3\1", "the dataspace must be of version 1 or 2. Received: 3."),
    (messages.dataspace, b"\1\x21", "at most 32 dimensions are read. Received: 33."),
    (messages.layout, b"\5\1", "the data layout must be of version 3 or 4. Received: 5."),
    (messages.layout, b"\4\2", "the chunks have an index of the newer kind, which is not read."),
    (messages.layout, b"\3\3", "virtual storage, which takes its values from other files, is never read."),
    (messages.layout, b"\3\4", "there is no data layout of class 4."),
    (messages.filters, b"\3\0", "the filters must be of version 1 or 2. Received: 3."),
    (messages.attribute, b"\4" + bytes(7), "the attribute must be of version 1, 2 or 3. Received: 4."),
    (messages.attribute, b"\2\1" + bytes(6), "the attribute has a shared type, which is not read."),
    (messages.link, b"\2\0", "the link must be of version 1. Received: 2."),
    (messages.text, b"\xff", "a name must be UTF-8. Received: b'\\xff'."),
]


@pytest.mark.parametrize(("read", "data", "words"), UNREAD)
def test_messages_of_other_kinds_are_refused(read: Any, data: bytes, words: str) -> None:
    with pytest.raises(messages.Malformed) as caught:
        read(data)
    assert str(caught.value) == words


def test_messages_of_both_versions_are_read() -> None:
    assert messages.dataspace(b"\2\0\0\2") is None
    assert messages.dataspace(b"\2\1\0\1" + struct.pack("<Q", 7)) == (7,)
    # filters from 256 on have a name
    named = struct.pack("<HHHH", 300, 4, 0, 1) + b"abcd" + struct.pack("<I", 7)
    assert messages.filters(b"\2\2" + named + struct.pack("<HHH", 1, 0, 0)) == ((300, (7,)), (1, ()))


@pytest.mark.parametrize("chunk", [(2, 2, 4), (2, 8), (0, 4)])
def test_chunks_that_do_not_fit_are_refused(chunk: tuple[int, ...]) -> None:
    with pytest.raises(messages.Malformed) as caught:
        _hdf5_chunks.find((4,), np.dtype("<f4"), chunk, (), [])
    *shape, item = chunk
    assert str(caught.value) == f"chunks of shape {tuple(shape)} and {item} bytes do not fit shape (4,) of float32."


def test_chunks_of_no_dimensions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=VALUES, chunks=(3, 2))
    data = path.read_bytes()
    start = data.index(struct.pack("<III", 3, 2, 4)) - 9  # their number, then an address
    assert data[start - 2 : start + 1] == b"\3\2\3"
    path.write_bytes(data[:start] + b"\0" + data[start + 1 :])
    dataset = opened(path).dataset("x")
    with pytest.raises(FormatError) as caught:
        dataset.read()
    assert str(caught.value) == "a.h5: /x: chunks of shape () and 0 bytes do not fit shape (6, 2) of float32."


def test_place_of_values_outside_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
    data = path.read_bytes()
    claim = struct.pack("<QQ", data.index(VALUES.tobytes()), VALUES.nbytes)
    assert data.count(claim) == 1
    end = len(data) - VALUES.nbytes
    for address in (end, end + 1, len(data), 2**64 - VALUES.nbytes):
        path.write_bytes(data.replace(claim, struct.pack("<QQ", address, VALUES.nbytes)))
        dataset = opened(path).dataset("x")
        if address == end:
            assert dataset.place == end
            continue
        with pytest.raises(FormatError, match=f"/x: 48 bytes from byte {address} on lie outside the {len(data)} bytes"):
            _ = dataset.place


@pytest.mark.parametrize("values", [np.arange(11, dtype=np.int32), np.array([b"ab"] * 11)], ids=["numbers", "strings"])
def test_attribute_of_more_values_than_there_are_is_refused(tmp_path: Path, values: Any) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["many"] = values
    data = path.read_bytes()
    claim = struct.pack("<QQ", 11, 11)  # the most there may be, too
    assert data.count(claim) == 1
    path.write_bytes(data.replace(claim, struct.pack("<QQ", 1100, 1100)))
    with pytest.raises(FormatError, match="the attribute 'many' says that it has 1100 values, which it has not"):
        opened(path).attribute("many")


@pytest.mark.parametrize("chunk", [(0, 2, 4), (3, 0, 4), (3, 2, 8), (3, 2, 2), (3, 2, 0)])
def test_chunks_that_do_not_fit_the_shape_are_refused(tmp_path: Path, chunk: tuple[int, ...]) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=VALUES, chunks=(3, 2))
    data = path.read_bytes()
    claim = struct.pack("<III", 3, 2, 4)
    assert data.count(claim) == 1
    path.write_bytes(data.replace(claim, struct.pack("<III", *chunk)))
    dataset = opened(path).dataset("x")
    with pytest.raises(FormatError, match=r"/x: chunks of shape .* do not fit shape \(6, 2\) of float32"):
        dataset.read()


def test_header_that_goes_on_in_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
    start = len(path.read_bytes())
    nothing = struct.pack("<HHB3x", 0, 65528, 0) + bytes(65528)
    size = 24 + 16 * len(nothing)
    again = struct.pack("<HHB3xQQ", 16, 16, 0, start + 16, size)  # the block that it stands in
    path.write_bytes(path.read_bytes() + struct.pack("<BxHxxxxI4x", 1, 60_000, size) + again + 16 * nothing)
    with pytest.raises(FormatError, match="the structure leads in circles"):
        opened(path).file.header(start)


TEXTS = "the names and strings, and the paths made of them, take more than twice the file."


def test_paths_that_take_more_than_the_file_are_refused(tmp_path: Path) -> None:
    """Each path repeats the names above it."""

    def fill(file: Any) -> None:
        file["t"] = VALUES
        group = file
        for _ in range(60):
            group = group.create_group("a" * 4000)
            group["t"] = file["t"]

    root = opened(write(tmp_path / "a.h5", fill))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as caught:
            list(root.walk())
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()
    assert re.fullmatch(rf"a\.h5: /a{{999}}\.\.\. \(\d+ characters\): {re.escape(TEXTS)}", str(caught.value))


def test_strings_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs.create("names", ["x" * 9000] + ["y"] * 99, dtype=h5py.string_dtype())

    path = write(tmp_path / "a.h5", fill)
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<I", 9000))
    while data[place + 16 : place + 20] != struct.pack("<I", 1):  # a reference, then the next one
        place = data.index(struct.pack("<I", 9000), place + 1)
    data[place : place + 1600] = 100 * data[place : place + 16]
    with pytest.raises(FormatError) as caught:
        hdf5.root(Source.of_bytes(bytes(data), "a.h5")).strings("names")
    assert str(caught.value) == f"a.h5: /: {TEXTS}"


def superblock(size: int) -> bytes:
    """The first bytes of a file of a size, its root's header of version 2 behind them."""
    return b"\x89HDF\r\n\x1a\n" + bytes([2, 8, 8, 0]) + struct.pack("<4QI", 0, 2**64 - 1, size, 48, 0)


def header(*parts: tuple[int, bytes]) -> bytes:
    """An object header of version 2."""
    body = b"".join(struct.pack("<BHB", kind, len(data), 0) + data for kind, data in parts)
    return b"OHDR" + bytes([2, 2]) + struct.pack("<I", len(body)) + body + bytes(24)


def test_names_that_share_their_bytes_are_refused() -> None:
    """They are counted while they are made."""
    heap = struct.pack("<4sB3xQQQ", b"HEAP", 0, 4096, 2**64 - 1, 192)
    tree = struct.pack("<4sBBHQQQQQ", b"TREE", 0, 0, 1, 2**64 - 1, 2**64 - 1, 0, 5000, 0)
    data = superblock(0) + header((17, struct.pack("<QQ", 112, 160)))
    data = data.ljust(112, b"\0") + tree + heap + b"a" * 4095 + b"\0"
    node = b"SNOD" + struct.pack("<BBH", 1, 0, 4000)
    data = data.ljust(5000, b"\0") + node + b"".join(struct.pack("<QQI20x", start, 48, 0) for start in range(4000))
    data = superblock(len(data)) + data[48:]
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as caught:
            _ = hdf5.root(Source.of_bytes(data, "a.h5")).links
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()
    assert str(caught.value) == f"a.h5: /: {TEXTS}"


@pytest.mark.parametrize("kind", [99, messages.ATTRIBUTE])
def test_headers_of_many_messages_take_no_memory(kind: int) -> None:
    """Many datasets may have one header."""
    links = 6
    float32 = bytes([0x11, 0x20, 0x1F, 0]) + struct.pack("<IHHBBBBI", 4, 0, 32, 23, 8, 0, 23, 127)
    shape = (messages.DATASPACE, bytes([2, 1, 0, 1]) + struct.pack("<Q", 0))
    own = header(shape, (messages.DATATYPE, float32), (messages.LAYOUT, bytes([3, 0, 0, 0])), *[(kind, b"")] * 10_000)
    parts = [(messages.LINK, bytes([1, 0, 2]) + b"%02d" % number + struct.pack("<Q", 5000)) for number in range(links)]
    data = (superblock(0) + header(*parts)).ljust(5000, b"\0") + own

    def read(size: int) -> list[hdf5.Node]:
        whole = superblock(size) + data[48:].ljust(size - 48, b"\0")
        return list(hdf5.root(Source.of_bytes(whole, "a.h5")).walk())

    with pytest.raises(FormatError) as caught:
        read(len(data))
    assert str(caught.value) == "a.h5: byte 5000: the structure leads in circles."
    tracemalloc.start()
    try:
        found = read(800_000)
        assert [node.path for node in found] == [f"/{number:02d}" for number in range(links)]
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
