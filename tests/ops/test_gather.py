"""ops.gather: the rows it gives, for every kind of ids and width of table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastembed
from fastembed._native import kernels
from fastembed.ops import _reference, gather

from .helpers import DIMS, DTYPES, MODES, PATHS, bad_id_text, on_path, random_table, run_python, same_bits, unaligned


@pytest.fixture(params=PATHS)
def cpu_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way of writing rows, in turn."""
    with on_path(request.param):
        yield request.param


def test_gather_is_the_compiled_function() -> None:
    assert gather is kernels.gather
    assert fastembed.gather is kernels.gather


@pytest.mark.parametrize("dim", DIMS)
def test_gather_copies_rows_bit_for_bit(cpu_path: str, dim: int) -> None:
    assert kernels.build_info()["cpu_path"] == cpu_path or cpu_path == "streaming"
    table = random_table(37, dim)
    ids = np.random.default_rng(dim).integers(0, 37, (31, 29))
    ids[0, :3] = 0, 36, 36
    for count in (1, 2, 3, 7, 31 * 29):
        flat = ids.reshape(-1)[:count]
        assert same_bits(gather(table, flat), table[flat])
    rows = gather(table, ids)
    assert type(rows) is np.ndarray
    assert rows.flags.c_contiguous
    assert rows.flags.writeable
    assert same_bits(rows, table[ids])


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("mode", MODES[1:])
def test_gather_settles_ids_outside_the_table(cpu_path: str, dim: int, mode: str) -> None:
    table = random_table(5, dim)
    ids = np.array([[-7, -6, -5, -1], [0, 4, 5, 6], [10, 11, 2**20, -(2**20)]])
    expected = np.zeros((3, 4, dim), np.float32)
    if mode == "zero":
        inside = (ids >= 0) & (ids < 5)
        expected[inside] = table[ids[inside]]
    else:
        expected = np.take(table, ids, axis=0, mode=mode)
    assert same_bits(gather(table, ids, mode=mode), expected)


@pytest.mark.parametrize("dim", [1, 3, 4, 5, 8, 12, 16, 33, 64])
def test_gather_writes_nothing_beside_its_output(cpu_path: str, dim: int) -> None:
    table = random_table(11, dim)
    ids = np.random.default_rng(0).integers(-3, 14, 300)
    expected = _reference.gather(table, ids, mode="zero")
    for shift in range(9):  # an output may begin on any float
        around = np.full(302 * dim + 8, 7, np.float32)
        begin = dim + shift
        out = around[begin : begin + 300 * dim].reshape(300, dim)
        gather(table, ids, out=out, mode="zero")
        assert (around[:begin] == 7).all()
        assert (around[begin + 300 * dim :] == 7).all()
        assert same_bits(out, expected)


def test_large_outputs_are_written_past_the_caches_where_that_pays() -> None:
    code = """
from fastembed._native import kernels
print(*kernels.set_streaming(0, 1))
"""
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")
    nbytes, dim = map(int, done.stdout.split())
    assert dim == 32
    assert nbytes in (16 << 20, 2**63 - 1)
    if sys.platform == "linux" and "avx2" in kernels.available_paths():
        assert (nbytes == 16 << 20) == ("AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="ascii"))
    with on_path("streaming"):
        kernels.set_streaming(16 << 20, 32)
        assert kernels.streams(16 << 20, 32) == ("avx2" in kernels.available_paths())
        assert not kernels.streams((16 << 20) - 1, 4096)
        assert not kernels.streams(1 << 40, 31)
        kernels.use_path("baseline")
        assert not kernels.streams(16 << 20, 32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_rows", [0, 1, 2, 127, 128, 129, 255, 256, 257, 70_000])
def test_gather_takes_every_integer_dtype_to_its_extremes(dtype: str, mode: str, num_rows: int) -> None:
    table = random_table(num_rows, 3)
    info = np.iinfo(dtype)
    candidates = {info.min, info.min + 1, -num_rows - 1, -num_rows, -1, 0, 1, num_rows - 1, num_rows, info.max}
    values = sorted(value for value in candidates | {num_rows + 1, info.max - 1} if info.min <= value <= info.max)
    for value in values:
        ids = np.array([value], dtype)
        outside = not 0 <= value < num_rows
        if outside and (mode == "raise" or (num_rows == 0 and mode != "zero")):
            with pytest.raises(IndexError) as error:
                gather(table, ids, mode=mode)
            assert str(error.value) == bad_id_text((0,), value, num_rows)
        else:
            assert same_bits(gather(table, ids, mode=mode), _reference.gather(table, ids, mode=mode))
    if mode in ("clip", "wrap") and num_rows:  # np.take wraps by subtracting, which takes for ever from afar
        ids = np.array([value for value in values if abs(value) < 100_000 or mode == "clip"], dtype)
        if dtype == "uint64":  # np.take refuses them
            ids = ids[ids < 2**63].astype(np.int64)
        assert same_bits(gather(table, ids, mode=mode), np.take(table, ids, axis=0, mode=mode))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_takes_any_layout_of_ids(dtype: str) -> None:
    table = random_table(90, 6)
    ids = np.random.default_rng(1).integers(0, 90, (4, 5, 6)).astype(dtype)
    expected = table[ids.astype(np.int64)]
    layouts: dict[str, np.ndarray[Any, Any]] = {
        "fortran": np.asfortranarray(ids),
        "big-endian": ids.astype(np.dtype(dtype).newbyteorder(">")),
        "unaligned": unaligned(ids),
        "unaligned big-endian": unaligned(ids.astype(np.dtype(dtype).newbyteorder(">"))),
        "every second": np.repeat(ids, 2, axis=2)[..., ::2],
        "twice reversed": ids[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "field of a record": np.rec.fromarrays([ids, ids], names="a,b").view(np.ndarray)["a"],
    }
    for name, array in layouts.items():
        before = array.tobytes()
        assert same_bits(gather(table, array), expected), name
        assert array.tobytes() == before, name
    assert same_bits(gather(table, ids.T), expected.transpose(2, 1, 0, 3))
    assert same_bits(gather(table, ids[:, ::-1]), expected[:, ::-1])
    assert same_bits(gather(table, ids[1:3, :, 2]), expected[1:3, :, 2])
    assert same_bits(gather(table, np.broadcast_to(ids[0, 0], (3, 6))), np.broadcast_to(expected[0, 0], (3, 6, 6)))
    ids.flags.writeable = False
    assert same_bits(gather(table, ids), expected)


def test_gather_takes_sequences_and_scalars() -> None:
    table = random_table(9, 4)
    for ids in (
        [1, 2],
        (1, 2),
        [[1, 2], [3, 8]],
        ([0], (8,)),
        range(9),
        3,
        np.int8(3),
        np.uint64(8),
        np.array(5, np.int32),
        np.array([[4]], object),
        [np.int64(1), np.uint8(2)],
        [np.array([1, 2]), np.array([3, 4])],
        memoryview(b"\x01\x02"),
    ):
        assert same_bits(gather(table, ids), table[np.array(ids, np.int64)])


@pytest.mark.parametrize(
    ("ids", "shape"), [([], (0,)), ((), (0,)), ([[]], (1, 0)), ([[], []], (2, 0)), (np.array([], object), (0,))]
)
@pytest.mark.parametrize("num_rows", [0, 5])
@pytest.mark.parametrize("mode", MODES)
def test_gather_takes_empty_lists_as_integer_ids(ids: Any, shape: tuple[int, ...], num_rows: int, mode: str) -> None:
    assert same_bits(gather(random_table(num_rows, 3), ids, mode=mode), np.empty((*shape, 3), np.float32))


@pytest.mark.parametrize("dim", [0, 1, 3, 300_000])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 2)])
@pytest.mark.parametrize("num_rows", [0, 1])
def test_gather_of_no_ids_has_no_rows(dim: int, shape: tuple[int, ...], num_rows: int) -> None:
    rows = gather(np.empty((num_rows, dim), np.float32), np.empty(shape, np.int32))
    assert (rows.shape, rows.dtype) == ((*shape, dim), np.float32)


def test_gather_of_one_id_is_one_row() -> None:
    table = random_table(6, 5)
    assert same_bits(gather(table, 4), table[4])
    assert gather(table, np.array(4)).shape == (5,)
    assert gather(table, np.full((1,) * 30, 4)).shape == (1,) * 30 + (5,)


def test_gather_takes_ids_of_most_dimensions() -> None:
    deepest = 0
    for ndim in range(1, 65):
        try:
            ids = np.zeros((1,) * ndim, np.int64)
        except ValueError:  # NumPy 1: 32 dimensions
            break
        deepest = ndim
    table = random_table(2, 3)
    assert same_bits(gather(table, ids.reshape((1,) * (deepest - 1))), table[:1].reshape((1,) * (deepest - 1) + (3,)))
    with pytest.raises(ValueError, match=r"dimension"):  # NumPy's words, which differ between its versions
        gather(table, np.zeros((1,) * deepest, np.int64))


def test_gather_takes_subclasses_as_plain_arrays(tmp_path: Path) -> None:
    table = random_table(6, 5)
    np.save(tmp_path / "ids.npy", np.array([[3, 1], [0, 5]], np.int32))
    mapped = np.load(tmp_path / "ids.npy", mmap_mode="r")
    assert same_bits(gather(table, mapped), table[[[3, 1], [0, 5]]])
    assert same_bits(gather(table, np.array([[1, 2]]).view(np.matrix)), table[[[1, 2]]])
    for given in (table.view(np.matrix), table.view(np.recarray)):
        rows = gather(given, [1, 2])
        assert type(rows) is np.ndarray
        assert same_bits(rows, table[[1, 2]])


def test_gather_reads_read_only_and_mapped_tables(tmp_path: Path) -> None:
    table = random_table(50, 7)
    np.save(tmp_path / "table.npy", table)
    ids = np.arange(49, -1, -1)
    expected = table[::-1].copy()
    for mode in ("r", "r+", "c"):
        assert same_bits(gather(np.load(tmp_path / "table.npy", mmap_mode=mode), ids), expected)  # type: ignore[arg-type]
    table.flags.writeable = False
    assert same_bits(gather(table, ids), expected)
    unaligned_by_four = np.zeros(351, np.float32)[1:].reshape(50, 7)
    unaligned_by_four[:] = table
    assert same_bits(gather(unaligned_by_four, ids), expected)


def test_gather_takes_rows_wider_than_a_claim() -> None:
    table = random_table(4, 100_000)
    ids = np.array([3, 0, 3, 2, 1, 1])
    for threads in (1, 2, 5):
        assert same_bits(gather(table, ids, num_threads=threads), table[ids])
    with pytest.raises(IndexError) as error:
        gather(table, [3, 0, 4, 5], num_threads=4)
    assert str(error.value) == bad_id_text((2,), 4, 4)


@pytest.mark.parametrize("dim", [1, 3, 16, 65, 300])
def test_gather_gives_the_same_bits_for_any_number_of_threads(dim: int) -> None:
    table = random_table(1000, dim)
    ids = np.random.default_rng(2).integers(-50, 1050, 1_200_000 // dim, np.int32)
    for mode in MODES[1:]:
        expected = gather(table, ids, mode=mode, num_threads=1)
        if mode != "zero":
            assert same_bits(expected, np.take(table, ids, axis=0, mode=mode))
        for threads in range(2, 17):
            assert same_bits(gather(table, ids, mode=mode, num_threads=threads), expected)


def test_gather_takes_more_threads_than_rows() -> None:
    table = random_table(3, 50_000)
    assert same_bits(gather(table, [2, 1], num_threads=256), table[[2, 1]])
    assert same_bits(gather(table, [2], num_threads=16), table[[2]])


def test_gather_does_not_lose_itself_past_32_bits(tmp_path: Path) -> None:
    # a sparse file: 16 GiB of table that take no room
    path = tmp_path / "table"
    num_rows = 2**32 + 10
    with open(path, "wb") as file:
        file.truncate(num_rows * 4)
        for row in (2, 9, 2**31, 2**32 - 1, 2**32, 2**32 + 9):
            file.seek(row * 4)
            file.write(np.float32(row % 1000 + 1).tobytes())
    table = np.memmap(path, np.float32, "r", shape=(num_rows, 1))
    ids = np.array([2**32 + 9, 2**32, 2**32 - 1, 2**31, 9, 2, 0])
    expected = np.where(ids, ids % 1000 + 1, 0).astype(np.float32).reshape(-1, 1)
    assert same_bits(gather(table, ids), expected)
    assert same_bits(gather(table, ids[2:].astype(np.uint32)), expected[2:])
    assert same_bits(gather(table, [2**32 + 10 + 9], mode="wrap"), expected[4:5])
    assert same_bits(gather(table, [2**62], mode="clip"), expected[:1])
    with pytest.raises(IndexError) as error:
        gather(table, [2**32 + 10])
    assert str(error.value) == bad_id_text((0,), num_rows, num_rows)
    del table


def test_gather_names_positions_past_32_bits() -> None:
    ids = np.zeros(2**31 + 10, np.uint8)  # reading fresh zeros takes no memory, nor do rows without columns
    ids[2**31 + 5] = 3
    with pytest.raises(IndexError) as error:
        gather(np.empty((3, 0), np.float32), ids, num_threads=2)
    assert str(error.value) == bad_id_text((2**31 + 5,), 3, 3)


@pytest.mark.parametrize("dim", [16, 64, 300])
def test_gather_of_a_large_output_is_its_own_memory(dim: int) -> None:
    table = random_table(200, dim)
    ids = np.random.default_rng(3).integers(0, 200, 2 * 2**20 // 4 // dim)
    other = (ids + 1) % 200
    first, second = gather(table, ids), gather(table, other)
    assert not np.shares_memory(first, second)
    view = first[5:]
    del first
    third = gather(table, other)
    assert same_bits(view, table[ids[5:]])
    assert same_bits(second, table[other])
    assert same_bits(third, table[other])


def test_gather_says_when_an_output_does_not_fit() -> None:
    ids = np.zeros(10**6, np.int32)
    with pytest.raises(MemoryError) as error:
        gather(np.empty((0, 2**40), np.float32), ids)
    assert str(error.value) == f"an output of {2**42 * 10**6} bytes does not fit in memory."
    with pytest.raises(ValueError, match="too big"):  # NumPy's words
        gather(np.empty((0, 2**60), np.float32), ids)
    table = random_table(3, 4)
    assert same_bits(gather(table, ids), table[ids])
