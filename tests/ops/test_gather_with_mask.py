"""ops.gather_with_mask: the mask beside the rows, and padding ids inside and outside the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastembed
from fastembed._native import kernels
from fastembed.ops import _reference, gather, gather_with_mask

from .helpers import DIMS, DTYPES, MODES, PATHS, bad_id_text, on_path, random_table, same_bits


def test_gather_with_mask_is_the_compiled_function() -> None:
    assert gather_with_mask is kernels.gather_with_mask
    assert fastembed.gather_with_mask is kernels.gather_with_mask


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dim", DIMS)
def test_gather_with_mask_marks_what_is_not_padding(path: str, dim: int) -> None:
    with on_path(path):
        table = random_table(13, dim)
        ids = np.random.default_rng(dim).integers(0, 13, (40, 19))
        rows, mask = gather_with_mask(table, ids)
        assert same_bits(rows, table[ids])
        assert (type(mask), mask.dtype, mask.flags.c_contiguous) == (np.ndarray, np.bool_, True)
        np.testing.assert_array_equal(mask, ids != 0)
        ids[ids == 7] = -1
        rows, mask = gather_with_mask(table, ids, padding_id=-1)
        np.testing.assert_array_equal(mask, ids != -1)
        assert same_bits(rows, np.where(mask[..., None], table[ids], np.float32(0)))


@pytest.mark.parametrize("padding_id", [0, 1, 4])
@pytest.mark.parametrize("mode", MODES)
def test_gather_with_mask_looks_up_padding_inside_the_table(padding_id: int, mode: str) -> None:
    table = random_table(5, 3)
    ids = np.array([0, 1, 4, 4, 2, 1])
    rows, mask = gather_with_mask(table, ids, padding_id=padding_id, mode=mode)
    assert same_bits(rows, table[ids])
    np.testing.assert_array_equal(mask, ids != padding_id)


@pytest.mark.parametrize("padding_id", [-1, 5, 10, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_rows", [0, 5])
def test_gather_with_mask_gives_zeros_for_padding_outside_the_table(padding_id: int, mode: str, num_rows: int) -> None:
    table = random_table(num_rows, 3)
    ids = np.array([padding_id] * 3 + [4, padding_id] * (num_rows > 0))
    rows, mask = gather_with_mask(table, ids, padding_id=padding_id, mode=mode)
    expected = np.zeros((len(ids), 3), np.float32)
    expected[3:4] = table[4:5]
    assert same_bits(rows, expected)
    np.testing.assert_array_equal(mask, ids == 4)


def test_gather_with_mask_compares_ids_before_it_clips_or_wraps_them() -> None:
    table = random_table(5, 3)
    ids = np.array([0, 5, -1, 4, -5, 9])
    for mode in ("clip", "wrap"):
        rows, mask = gather_with_mask(table, ids, padding_id=0, mode=mode)
        assert same_bits(rows, np.take(table, ids, axis=0, mode=mode))
        assert mask.tolist() == [False, True, True, True, True, True]
    rows, mask = gather_with_mask(table, ids, padding_id=9, mode="zero")
    assert same_bits(rows, gather(table, ids, mode="zero"))
    assert mask.tolist() == [True, True, True, True, True, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_with_mask_ignores_padding_that_the_dtype_cannot_hold(dtype: str) -> None:
    info = np.iinfo(dtype)
    table = random_table(3, 2)
    span = 2**info.bits
    ids = np.array([info.min, info.max, 0, 2], dtype)
    for value in (info.min, info.max, 0, 2):
        for padding_id in (value - span, value + span, value + 2**64, value - 2**64, value + 2**70):
            rows, mask = gather_with_mask(table, ids, padding_id=padding_id, mode="zero")
            assert mask.all()
            assert same_bits(rows, gather(table, ids, mode="zero"))
    for padding_id in (info.min, info.max):
        rows, mask = gather_with_mask(table, ids, padding_id=padding_id, mode="zero")
        np.testing.assert_array_equal(mask, ids != padding_id)
    if info.min == 0:
        with pytest.raises(IndexError) as error:
            gather_with_mask(table, ids, padding_id=-1)
        assert str(error.value) == bad_id_text((1,), info.max, 3)


@pytest.mark.parametrize("kind", [int, *(getattr(np, dtype) for dtype in DTYPES)])
def test_gather_with_mask_takes_any_integer_as_padding_id(kind: Any) -> None:
    _, mask = gather_with_mask(random_table(5, 2), [1, 2, 3], padding_id=kind(2))
    assert mask.tolist() == [True, False, True]


@pytest.mark.parametrize("num_rows", [0, 1, 5])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding_id", [0, 3, -1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 2**70, -(2**70), 5 * 2**70])
def test_gather_with_mask_takes_python_integers_past_64_bits(num_rows: int, mode: str, padding_id: int) -> None:
    table = random_table(num_rows, 2)
    far = [2**70, -(2**70), 5 * 2**70, 5 * 2**70 + 3, 2**63, 2**64 - 1, -(2**63), 2**63 - 1, 2**64, -1, -2]
    ids = np.array([*far, padding_id, 0], object)
    for subset in (ids, ids[-2:], ids[:-1], [2**63, -1], [2**64 - 1, -(2**63)], [2**70], [[padding_id], [padding_id]]):
        if mode == "raise" or (num_rows == 0 and mode != "zero"):
            flat = np.array(subset, object).reshape(-1).tolist()
            first = next((k for k, i in enumerate(flat) if not 0 <= i < num_rows and i != padding_id), None)
            if first is not None:
                where = tuple(np.unravel_index(first, np.shape(subset)))
                with pytest.raises(IndexError) as error:
                    gather_with_mask(table, subset, padding_id=padding_id, mode=mode)
                assert str(error.value) == bad_id_text(where, flat[first], num_rows)
                continue
        rows, mask = gather_with_mask(table, subset, padding_id=padding_id, mode=mode)
        expected_rows, expected_mask = _reference.gather_with_mask(
            table, np.array(subset, object), padding_id=padding_id, mode=mode
        )
        assert same_bits(rows, expected_rows)
        np.testing.assert_array_equal(mask, expected_mask)


def test_gather_with_mask_of_one_id_has_an_array_for_a_mask() -> None:
    table = random_table(5, 2)
    for ids in (0, np.array(0), np.uint8(0)):
        rows, mask = gather_with_mask(table, ids)
        assert same_bits(rows, table[0])
        assert (type(mask), mask.shape, mask.dtype, bool(mask)) == (np.ndarray, (), np.bool_, False)
    assert bool(gather_with_mask(table, 3)[1]) is True


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_gather_with_mask_of_no_ids_is_empty(shape: tuple[int, ...]) -> None:
    for num_rows in (0, 4):
        rows, mask = gather_with_mask(random_table(num_rows, 5), np.empty(shape, np.int16))
        assert (rows.shape, rows.dtype) == ((*shape, 5), np.float32)
        assert (mask.shape, mask.dtype) == (shape, np.bool_)
    assert gather_with_mask(random_table(4, 5), [])[1].shape == (0,)


def test_gather_with_mask_returns_the_outputs_it_was_given() -> None:
    table = random_table(6, 4)
    ids = np.array([[0, 2], [5, 0]])
    out, mask_out = np.empty((2, 2, 4), np.float32), np.empty((2, 2), bool)
    rows, mask = gather_with_mask(table, ids, out=out, mask_out=mask_out)
    assert rows is out
    assert mask is mask_out
    assert same_bits(out, table[ids])
    np.testing.assert_array_equal(mask_out, ids != 0)
    rows, mask = gather_with_mask(table, ids, mask_out=mask_out)
    assert rows is not out
    assert mask is mask_out
    rows, mask = gather_with_mask(table, ids, out=out)
    assert rows is out
    assert mask is not mask_out


@pytest.mark.parametrize("dim", [0, 1, 16, 300])
def test_gather_with_mask_gives_the_same_bits_for_any_number_of_threads(dim: int) -> None:
    table = random_table(500, dim)
    ids = np.random.default_rng(4).integers(-50, 550, (3, 500_000 // (dim + 1)))
    for mode in MODES[1:]:
        for padding_id in (0, -1):
            rows, mask = gather_with_mask(table, ids, padding_id=padding_id, mode=mode, num_threads=1)
            np.testing.assert_array_equal(mask, ids != padding_id)
            expected = gather(table, ids, mode=mode)
            expected[~mask & ((ids < 0) | (ids >= 500))] = 0
            assert same_bits(rows, expected)
            for threads in (2, 3, 4, 7, 8, 16):
                more, more_mask = gather_with_mask(table, ids, padding_id=padding_id, mode=mode, num_threads=threads)
                assert same_bits(more, rows)
                np.testing.assert_array_equal(more_mask, mask)


def test_gather_with_mask_does_not_let_padding_excuse_other_ids() -> None:
    table = random_table(5, 2)
    ids = np.array([[-1, 4], [-2, -1]])
    with pytest.raises(IndexError) as error:
        gather_with_mask(table, ids, padding_id=-1)
    assert str(error.value) == bad_id_text((1, 0), -2, 5)
    with pytest.raises(IndexError) as error:
        gather_with_mask(table, ids)
    assert str(error.value) == bad_id_text((0, 0), -1, 5)
    for mode in ("clip", "wrap"):
        with pytest.raises(IndexError) as error:
            gather_with_mask(table[:0], ids, padding_id=-1, mode=mode)
        assert str(error.value) == bad_id_text((0, 1), 4, 0)


def test_rows_without_columns_share_no_memory() -> None:
    mask_out = np.zeros(8, bool)
    out = np.ndarray((8, 0), np.float32, mask_out.data, 4)
    gather_with_mask(np.zeros((3, 0), np.float32), [0, 1, 2, 0, 1, 2, 0, 1], out=out, mask_out=mask_out)
    assert mask_out.tolist() == [False, True, True, False, True, True, False, True]
