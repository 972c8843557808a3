"""Gradients of looked-up and pooled rows, and additions to rows of a table."""

from __future__ import annotations

import re
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastembed import ops
from fastembed._native import kernels
from fastembed.ops import _check, _reference
from tests.ops.helpers import DIMS, DTYPES, PATHS, SCALE, bad_id_text, on_path, same_bits


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def assert_same(slices: ops.IndexedSlices, expected: Any) -> None:
    values, indices, dense_shape = expected
    assert slices.indices.dtype == np.intp
    assert slices.indices.tolist() == indices.tolist()
    assert slices.dense_shape == dense_shape
    assert same_bits(slices.values, values)


def ids_with_repeats(num_rows: int, shape: Any, seed: int = 0) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, num_rows, shape)
    ids[rng.random(shape) < 0.3] = 0
    return ids


@pytest.mark.parametrize("dim", DIMS)
def test_grad_is_what_add_at_gives(dim: int) -> None:
    ids = ids_with_repeats(50, (40, 7))
    grads = normal(40, 7, dim)
    slices = ops.embedding_grad(ids, grads, 60)
    dense = np.zeros((60, dim), np.float32)
    np.add.at(dense, ids, grads)
    assert_same(slices, (dense[np.unique(ids)], np.unique(ids), (60, dim)))
    assert same_bits(slices.to_dense(), dense)


@pytest.mark.parametrize("num_rows", [1, 2, 2048, 2049, 70_000, 5_000_000, 2**33])
def test_grad_sorts_any_rows(num_rows: int) -> None:
    ids = ids_with_repeats(num_rows, 3000)
    ids[:2] = num_rows - 1
    grads = normal(3000, 3)
    assert_same(ops.embedding_grad(ids, grads, num_rows), _reference.embedding_grad(ids, grads, num_rows))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dim", [100, 64])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_grad_has_the_same_bits_for_any_threads_and_path(threads: int, dim: int, path: str) -> None:
    # id 0 alone is larger than a thread's share: its columns are split; most others come once
    ids = ids_with_repeats(40_000, 30_000)
    assert (np.bincount(ids) == 1).sum() > 10_000
    grads = normal(30_000, dim)
    with on_path(path):
        slices = ops.embedding_grad(ids, grads, 40_000, num_threads=threads)
    assert_same(slices, _reference.embedding_grad(ids, grads, 40_000))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("num_rows", "padding_id"), [(1, None), (40, 0), (3000, 7), (200_000, None), (2**33, 5)])
def test_grad_of_batches_that_threads_bring_together(num_rows: int, padding_id: int | None, threads: int) -> None:
    ids = ids_with_repeats(num_rows, 100_003)
    grads = normal(100_003, 2)
    slices = ops.embedding_grad(ids, grads, num_rows, padding_id=padding_id, num_threads=threads)
    assert_same(slices, _reference.embedding_grad(ids, grads, num_rows, padding_id=padding_id))


def test_grad_of_a_large_batch_of_padding_alone() -> None:
    slices = ops.embedding_grad(np.zeros(50_000, int), normal(50_000, 2), 9, padding_id=0, num_threads=2)
    assert_same(slices, (np.zeros((0, 2), np.float32), np.zeros(0, int), (9, 2)))


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_grad_names_the_first_bad_id_of_a_large_batch(threads: int) -> None:
    ids = np.zeros(100_000, int)
    ids[[20_000, 45_000, 99_999]] = 9
    with pytest.raises(IndexError) as error:
        ops.embedding_grad(ids, np.ones((100_000, 1), np.float32), 9, num_threads=threads)
    assert str(error.value) == bad_id_text((20_000,), 9, 9, "embedding_grad")


def test_row_sums_are_the_gradient_before_it_is_summed() -> None:
    ids = ids_with_repeats(50, (40, 7))
    grads = normal(40, 7, 3)
    sums = kernels.embedding_row_sums(ids, grads, 60, padding_id=2)
    slices = ops.embedding_grad(ids, grads, 60, padding_id=2)
    assert sums.dense_shape == (60, 3)
    assert sums.indices.tolist() == slices.indices.tolist()
    assert_same(sums.summed(), slices)
    assert same_bits(sums.to_dense(), slices.to_dense())
    grads[:] = 0    # it is read when it is summed, not before
    assert not sums.summed().values.any()


def test_row_sums_that_nobody_made_are_empty() -> None:
    slices = kernels.RowSums().summed()
    assert (slices.values.shape, slices.indices.shape, slices.dense_shape) == ((0, 0), (0,), (0, 0))


def test_row_sums_say_what_they_read() -> None:
    grads, weights = normal(40, 3), np.ones((8, 5), np.float32)
    sums = kernels.embedding_row_sums(np.arange(40), grads, 60)
    assert sums.reads(grads)
    assert sums.reads(grads[39:])
    assert not sums.reads(weights)
    bags = kernels.embedding_bag_row_sums(np.zeros((8, 5), int), grads[:8], 60, "sum", weights=weights)
    assert bags.reads(weights)
    assert bags.reads(grads)
    assert not bags.reads(grads[8:])


def test_row_sums_may_be_summed_in_several_threads_at_once() -> None:
    ids, grads = ids_with_repeats(5000, 40_000), normal(40_000, 16)
    sums = kernels.embedding_row_sums(ids, grads, 5000)
    expected = ops.embedding_grad(ids, grads, 5000).values
    with ThreadPoolExecutor(4) as pool:
        for slices in pool.map(lambda _: sums.summed(), range(40)):
            assert same_bits(slices.values, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding_id", [None, 0, 3, -1, 2**64])
def test_grad_of_any_ids(dtype: str, padding_id: int | None) -> None:
    ids = (np.arange(60) % 7).astype(dtype).reshape(3, 20)[:, ::2]
    if padding_id == -1 and dtype.startswith("i"):
        ids[0, :4] = -1
    grads = normal(3, 10, 5)
    expected = _reference.embedding_grad(ids, grads, 7, padding_id=padding_id)
    assert_same(ops.embedding_grad(ids, grads, 7, padding_id=padding_id), expected)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 3, 4)])
def test_grad_of_any_shape(shape: tuple[int, ...]) -> None:
    ids = np.full(shape, 2)
    grads = normal(*shape, 5)
    assert_same(ops.embedding_grad(ids, grads, 3), _reference.embedding_grad(ids, grads, 3))


def test_grad_takes_lists_and_float64() -> None:
    slices = ops.embedding_grad([[1, 2, 1]], np.ones((1, 3, 2)), num_rows=6)
    assert_same(slices, (np.array([[2, 2], [1, 1]], np.float32), np.array([1, 2]), (6, 2)))


def test_grad_names_the_first_bad_id_and_gives_nothing() -> None:
    with pytest.raises(IndexError) as error:
        ops.embedding_grad(np.array([[1, 2], [6, -1]]), normal(2, 2, 3), 6)
    assert str(error.value) == bad_id_text((1, 0), 6, 6, "embedding_grad")


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (([1], normal(1, 2), -1), ValueError, "`num_rows` must be an integer >= 0. Received: -1."),
        (([1], normal(1, 2), 2.0), TypeError, "`num_rows` must be an integer. Received: 2.0 (float)."),
        (([1], normal(2, 2), 3), ValueError, "`output_grad` must have shape (1, D). Received: (2, 2)."),
        (([[1]], normal(1, 2), 3), ValueError, "`output_grad` must have shape (1, 1, D). Received: (1, 2)."),
        (
            ([1], np.ones((1, 2), bool), 3),
            TypeError,
            "`output_grad` must be floats of shape (1, D). Received: dtype bool.",
        ),
    ],
)
def test_grad_refuses_in_words(arguments: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as error:
        ops.embedding_grad(*arguments)
    assert str(error.value) == text


def test_grad_needs_no_memory_of_the_tables_size() -> None:
    ids, grads = np.arange(100), normal(100, 16)
    tracemalloc.start()
    try:
        ops.embedding_grad(ids, grads, 2**40)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


BAGS: list[dict[str, Any]] = [{}, {"lengths": [0, 7, 1, 0, 4, 0]}, {"offsets": [0, 3, 3, 9]}]


@pytest.mark.parametrize("bags", BAGS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("padding_id", [None, 0])
@pytest.mark.parametrize("reduce", ["sum", "mean", "sqrtn", "max"])
@pytest.mark.parametrize("dim", [1, 3, 33, 64])
def test_bag_grad_is_the_reference(
    reduce: Any, bags: dict[str, Any], weighted: bool, padding_id: int | None, dim: int
) -> None:
    if weighted and reduce == "max":
        pytest.skip("no weights with max")
    ids = ids_with_repeats(9, 12).reshape((12,) if bags else (4, 3))
    weights = normal(*ids.shape, seed=1) if weighted else None
    count = len(bags["lengths"]) if "lengths" in bags else 4
    bags = {name: np.array(value) for name, value in bags.items()}
    grads = normal(count, dim)
    table = normal(9, dim, seed=2)
    arguments = {"reduce": reduce, "padding_id": padding_id, "weights": weights, "table": table, **bags}
    expected = _reference.embedding_bag_grad(ids, grads, 9, **arguments)
    for threads in (1, 4):
        assert_same(ops.embedding_bag_grad(ids, grads, 9, num_threads=threads, **arguments), expected)


def test_bag_grad_of_ragged_lists() -> None:
    ids = [[1, 2], [], [2, 2, 5]]
    weights = [[0.5, 1.0], [], [1.0, 2.0, -1.0]]
    grads = normal(3, 4)
    expected = _reference.embedding_bag_grad(ids, grads, 6, weights=weights)
    assert_same(ops.embedding_bag_grad(ids, grads, 6, weights=weights), expected)


def test_bag_grad_of_large_batches() -> None:
    ids = ids_with_repeats(300, (700, 26))
    grads = normal(700, 64)
    expected = _reference.embedding_bag_grad(ids, grads, 300, padding_id=0)
    assert_same(ops.embedding_bag_grad(ids, grads, 300, padding_id=0, num_threads=2), expected)


@pytest.mark.parametrize("reduce", ["sum", "mean", "sqrtn", "max"])
def test_bag_grad_is_the_slope(reduce: Any) -> None:
    rng = np.random.default_rng(3)
    table = rng.permutation(24).reshape(6, 4).astype(np.float32)
    ids = np.array([[1, 2, 2, 0], [5, 0, 0, 0], [0, 0, 0, 0]])
    grads = rng.integers(-3, 4, (3, 4)).astype(np.float32)
    weights = None if reduce == "max" else np.float32(rng.random(ids.shape) + 0.5)
    arguments: dict[str, Any] = {"reduce": reduce, "weights": weights, "padding_id": 0}
    dense = ops.embedding_bag_grad(ids, grads, 6, table=table, **arguments).to_dense()
    slope = np.zeros((6, 4))
    for row in range(6):
        for column in range(4):
            ends = []
            for step in (0.25, -0.25):
                moved = table.copy()
                moved[row, column] += step
                ends.append(np.sum(ops.embedding_bag(moved, ids, **arguments).astype(float) * grads))
            slope[row, column] = (ends[0] - ends[1]) / 0.5
    np.testing.assert_allclose(dense, slope, rtol=1e-4, atol=1e-4)  # differences of float32 numbers


def test_bag_grad_refuses_in_words() -> None:
    grads = normal(1, 2)
    for arguments, text in [
        ({"reduce": "max"}, 'reduce="max" needs `table`, which says whose number was the largest. Received: None.'),
        (
            {"reduce": "max", "table": normal(4, 2)},
            "`table` must have shape (3, 2), (num_rows, D). Received: (4, 2).",
        ),
        ({"reduce": "prod"}, '`reduce` must be one of "sum", "mean", "max", "sqrtn". Received: \'prod\'.'),
    ]:
        with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole text is compared)
            ops.embedding_bag_grad([[1]], grads, 3, **arguments)    # type: ignore[arg-type]
        assert str(error.value) == text


def test_ids_whose_dtype_changes_during_the_call_are_those_that_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    # `_check.grads` is Python: while it runs, another thread may assign to ids.dtype. Here it does so itself.
    given = np.array([2, 0, 2, 1])
    grads = normal(4, 3)
    expected = ops.embedding_grad(given, grads, 3)
    check = _check.grads

    def and_change(*arguments: Any) -> Any:
        with warnings.catch_warnings():  # NumPy 2.5 deprecates it, and still does it
            warnings.simplefilter("ignore", DeprecationWarning)
            ids.dtype = np.int32  # type: ignore[misc]
        return check(*arguments)

    monkeypatch.setattr(_check, "grads", and_change)
    ids = given.copy()
    assert_same(ops.embedding_grad(ids, grads, 3), (expected.values, expected.indices, (3, 3)))
    ids = given.copy()
    table = np.zeros((3, 3), np.float32)
    ops.scatter_add(table, ids, grads)
    assert same_bits(table, expected.to_dense())


def test_bag_grad_of_a_table_whose_shape_changes_during_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, grads, given = [[0, 1], [2, 3]], normal(2, 4), normal(4, 4)
    expected = ops.embedding_bag_grad(ids, grads, 4, reduce="max", table=given)
    check = _check.max_table
    table = given.copy()

    def and_change(*arguments: Any) -> Any:
        checked = check(*arguments)
        with warnings.catch_warnings():  # as above
            warnings.simplefilter("ignore", DeprecationWarning)
            table.shape = (8, 2)
        return checked

    monkeypatch.setattr(_check, "max_table", and_change)
    assert_same(
        ops.embedding_bag_grad(ids, grads, 4, reduce="max", table=table), (expected.values, expected.indices, (4, 4))
    )
    monkeypatch.setattr(_check, "max_table", lambda table, *_: np.ascontiguousarray(table[:, :2]))
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole text is compared)
        ops.embedding_bag_grad(ids, grads, 4, reduce="max", table=given)
    assert str(error.value) == "the shape or dtype of an argument was changed during the call."


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("alpha", [1.0, -0.1])
def test_scatter_add_is_what_add_at_gives(dim: int, alpha: float) -> None:
    table = normal(50, dim, seed=5)
    expected = table.copy()
    ids = ids_with_repeats(50, (30, 4))
    values = normal(30, 4, dim)
    _reference.scatter_add(expected, ids, values, alpha)
    assert ops.scatter_add(table, ids, values, alpha, num_threads=2) is None
    assert same_bits(table, expected)


def test_scatter_add_adds_all_or_nothing() -> None:
    table = normal(20, 3)
    before = table.copy()
    for bad in (20, -1, 2**70):
        with pytest.raises(IndexError) as error:
            ops.scatter_add(table, [1, 2, bad], normal(3, 3))
        assert str(error.value) == bad_id_text((2,), bad, 20, "")
    with pytest.raises(IndexError) as error:
        ops.scatter_add(table, np.array([1, 2, -1]), normal(3, 3))
    assert str(error.value) == "indices[2] = -1 is not in [0, 20): negative ids do not count from the end."
    assert same_bits(table, before)


def test_scatter_add_refuses_in_words() -> None:
    table = normal(4, 2)
    fixed = table.copy()
    fixed.flags.writeable = False
    for arguments, kind, text in [
        ((fixed, [1], normal(1, 2)), ValueError, "`table` must be writable. Received: a read-only array."),
        (
            (table, [1], normal(1, 3)),
            ValueError,
            "`values` must have rows as wide as the table's, 2. Received: 3.",
        ),
        ((table, [1], normal(1, 2), True), TypeError, "`alpha` must be a number. Received: True (bool)."),
        (
            (table, [1], normal(1, 2), 10**400),
            ValueError,
            "`alpha` must be a number that a float holds. Received: an integer past 1.8e308.",
        ),
        (
            (table, [1], np.ma.masked_array(normal(1, 2))),
            TypeError,
            "`values` must be floats of shape (1, D). Received: a masked array.",
        ),
        (
            (table, [1], table[1:2]),
            ValueError,
            "`values` must not share memory with `table`: it would be read after it is written.",
        ),
    ]:
        with pytest.raises(kind) as error:
            ops.scatter_add(*arguments)     # type: ignore[arg-type]
        assert str(error.value) == text


@pytest.mark.parametrize(
    ("ids", "bad"), [([[1, 3], [2, 9]], 9), ([[1], [2, 9]], 9), ([[1], [2, 2**70]], 2**70), ([[1], [2, -1]], -1)]
)
def test_bag_grad_names_the_place_in_the_list(ids: Any, bad: int) -> None:
    for more in ({}, {"reduce": "max", "table": normal(5, 2)}):
        with pytest.raises(IndexError) as raised:
            ops.embedding_bag_grad(ids, np.ones((2, 2), np.float32), 5, **more)
        assert str(raised.value) == bad_id_text((1, 1), bad, 5, "embedding_bag_grad")


@pytest.mark.parametrize("bad", [-1, -(2**70), 5, 2**70])
def test_grad_says_where_padding_is_named(bad: int) -> None:
    with pytest.raises(IndexError) as raised:
        ops.embedding_grad([bad], np.ones((1, 2), np.float32), 5)
    assert str(raised.value) == bad_id_text((0,), bad, 5, "embedding_grad")


def test_grad_of_more_rows_than_there_can_be() -> None:
    text = f"`num_rows` must be an integer >= 0 and <= {2**63 - 1}. Received: {2**70}."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ops.embedding_grad([1], np.ones((1, 2), np.float32), 2**70)


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.data())
def test_grad_equals_reference_on_random_ids(data: st.DataObject) -> None:
    num_rows = data.draw(st.integers(1, 5000))
    ids = np.array(data.draw(st.lists(st.integers(0, num_rows - 1), max_size=60)), np.int64)
    dim = data.draw(st.sampled_from([1, 2, 7, 16, 40]))
    padding_id = data.draw(st.none() | st.integers(-1, num_rows))
    grads = normal(len(ids), dim, seed=data.draw(st.integers(0, 99)))
    expected = _reference.embedding_grad(ids, grads, num_rows, padding_id=padding_id)
    assert_same(ops.embedding_grad(ids, grads, num_rows, padding_id=padding_id), expected)


def test_to_dense_adds_up_indices_that_occur_twice() -> None:
    slices = ops.IndexedSlices(np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.array([2, 0, 2]), (3, 2))
    assert slices.to_dense().tolist() == [[3, 4], [0, 0], [6, 8]]


@pytest.mark.parametrize("bad", [-1, -3, 3])
def test_to_dense_refuses_indices_outside_the_array(bad: int) -> None:
    slices = ops.IndexedSlices(np.ones((2, 2), np.float32), np.array([2, bad]), (3, 2))
    with pytest.raises(IndexError) as error:
        slices.to_dense()
    assert str(error.value) == bad_id_text((1,), bad, 3, "")


def test_grad_refuses_more_ids_than_a_pair_of_row_and_position_has_bits_for() -> None:
    ids = 2**62 - 8 + np.arange(8)
    assert ops.embedding_grad(ids[4:], np.ones((4, 1), np.float32), 2**62).indices.tolist() == ids[4:].tolist()
    with pytest.raises(ValueError, match="too many ids for a table of so many rows: pass fewer at a time"):
        ops.embedding_grad(ids, np.ones((8, 1), np.float32), 2**62)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dim", [1, 5, 8, 16, 17, 40, 64])
def test_a_sum_begins_with_zero_even_of_one_negative_zero(dim: int, path: str) -> None:
    count = 2**18 // dim + 1    # 1 MiB of sums, which begin on a page
    grads = np.full((count, dim), -0.0, np.float32)
    with on_path(path):
        assert not np.signbit(ops.embedding_grad(np.arange(count), grads, count).values).any()
