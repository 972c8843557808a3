"""Bags in lists brought together by the compiled join: what it takes, and what it leaves to NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastembed import embedding_bag
from fastembed._native.sequences import join

from .helpers import DTYPES

TABLE = np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_join_takes_arrays_of_one_dtype(dtype: str) -> None:
    parts = [np.arange(size, dtype=dtype) for size in (3, 0, 1, 70)]
    joined = join(tuple(parts))
    assert joined is not None
    flat, lengths = joined
    assert flat.dtype == dtype
    assert flat.tolist() == np.concatenate(parts).tolist()
    assert lengths.dtype == np.intp
    assert lengths.tolist() == [3, 0, 1, 70]


def test_join_takes_lists_and_tuples_of_int() -> None:
    joined = join(([2**63 - 1, -(2**63)], (), (5,), [2**31, 2**62]))
    assert joined is not None
    flat, lengths = joined
    assert flat.dtype == np.int64
    assert flat.tolist() == [2**63 - 1, -(2**63), 5, 2**31, 2**62]
    assert lengths.tolist() == [2, 0, 1, 2]


class Ids(np.ndarray):
    """Somebody's subclass."""


LEFT: list[tuple[Any, ...]] = [
    (),
    ([], ()),
    (np.zeros(0, int),),
    ([1], np.array([1])),
    (np.array([1]), [1]),
    ([1], "1"),
    ([1], 1),
    (1, 2),
    ([1, True],),
    ([1, 1.0],),
    ([1, None],),
    ([[1], [2]],),
    ([2**63],),
    ([np.int64(1)],),
    (np.array([1]), np.array([1], np.int32)),
    (np.array([1]), np.array([1], np.uint64)),
    (np.array([1.0]),),
    (np.array([True]),),
    (np.array([[1]]),),
    (np.array(1),),
    (np.arange(6)[::2],),
    (np.array([1], ">i8"),),
    (np.array([1]).view(Ids),),
    (np.ma.array([1]),),
    (np.array([1], object),),
    (np.frombuffer(b"1234567890abcdefg", np.uint8)[1:].view(np.int64),),
]


@pytest.mark.parametrize("parts", LEFT, ids=repr)
def test_join_leaves_the_rest(parts: tuple[Any, ...]) -> None:
    assert join(parts) is None


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize(
    "bags",
    [
        [[1, 2, 3], [4, 5, 6]],     # of equal lengths: the last axis of an array
        [[1, 2, 3], [4, 5]],
        ([7],),
        [np.arange(9), np.arange(3)],
        [np.arange(9), np.arange(9)],
        [np.arange(9), np.arange(3, dtype=np.int32)],
        [[1, 2], np.array([3])],
        [(1, 2), [3]],
        [np.arange(9)[::3], np.arange(2)],
        [[np.int64(1), 2], [3]],
    ],
)
def test_bags_in_lists_are_those_of_flat_ids(bags: Any, reduce: Any) -> None:
    flat = [int(row) for bag in bags for row in bag]
    lengths = [len(bag) for bag in bags]
    expected = embedding_bag(TABLE, flat, lengths=lengths, reduce=reduce)
    np.testing.assert_array_equal(embedding_bag(TABLE, bags, reduce=reduce), expected)


def test_a_bad_id_in_equal_lists_is_named_by_its_place() -> None:
    for bags in ([[1, 2], [3, 300]], [[1, 2], [3, 300], [4]]):
        with pytest.raises(IndexError, match=r"^indices\[1,1\] = 300 is not in \[0, 300\)"):
            embedding_bag(TABLE, bags)


def test_weights_of_equal_lists_may_be_one_array() -> None:
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    weights = np.array([[1, 2], [3, 4]], np.float32)
    expected = embedding_bag(table, np.array([[1, 2], [3, 4]]), weights=weights)
    assert (embedding_bag(table, [np.array([1, 2]), np.array([3, 4])], weights=weights) == expected).all()
    assert (embedding_bag(table, [[1, 2], [3, 4]], weights=weights) == expected).all()
