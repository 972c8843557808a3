"""embedding_bag: the same bits as its definition, on every path and number of threads; close to torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastembed._native import kernels
from fastembed.ops import _reference, embedding_bag

from .helpers import SCALE, on_path

DIMS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 72, 100, 300)
REDUCTIONS = ("sum", "mean", "max", "sqrtn")
FORMS = ("2-D", "N-D", "offsets", "last offset", "lengths", "arrays", "lists")
DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
PATHS = kernels.available_paths()
SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-40, 3e38, 1.0, -1.0], np.float32)


def floats(rng: np.random.Generator, shape: Any, special: float) -> NDArray[np.float32]:
    """Numbers of all sizes, and this share of them zeros, NaN, infinities and subnormals."""
    numbers = rng.standard_normal(shape, np.float32) * np.float32(10) ** rng.integers(-3, 4, shape).astype(np.float32)
    return np.where(rng.random(shape) < special, rng.choice(SPECIAL, shape), numbers).astype(np.float32)


def assert_same_bits(result: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Same shape and bits; any NaN equals any other, since nothing is promised of what a NaN carries."""
    assert (result.dtype, result.shape) == (np.dtype(np.float32), expected.shape)
    both_nan = np.isnan(result) & np.isnan(expected)
    differ = (result.view(np.uint32) != expected.view(np.uint32)) & ~both_nan
    assert not differ.any(), (np.argwhere(differ)[:5], result[differ][:5], expected[differ][:5])


def split(flat: NDArray[Any], sizes: list[int]) -> list[NDArray[Any]]:
    return np.split(flat, np.cumsum(sizes)[:-1]) if sizes else []


def form_of(form: str, flat: NDArray[Any], weights: Any, sizes: list[int], shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The keyword arguments that say these bags in this form, for embedding_bag and for its definition."""
    begins = [sum(sizes[:b]) for b in range(len(sizes))]
    given: dict[str, Any]
    if form in ("2-D", "N-D"):
        given = {"ids": flat.reshape(shape), "weights": None if weights is None else weights.reshape(shape)}
        return given, given
    if form in ("arrays", "lists"):
        parts = split(flat, sizes)
        weight_parts = None if weights is None else split(weights, sizes)
        defined = {"ids": parts, "weights": weight_parts}
        if form == "arrays":
            return defined, defined
        lists = [part.tolist() for part in parts]
        return {"ids": lists, "weights": weight_parts and [part.tolist() for part in weight_parts]}, defined
    if form == "lengths":
        given = {"ids": flat, "lengths": np.array(sizes, np.int64), "weights": weights}
    elif form == "offsets":
        given = {"ids": flat, "offsets": np.array(begins, np.int32), "weights": weights}
    else:
        offsets = np.array([*begins, len(flat)], np.uint64)
        given = {"ids": flat, "offsets": offsets, "weights": weights, "include_last_offset": True}
    return given, given


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    form = draw(st.sampled_from(FORMS))
    reduce = draw(st.sampled_from(REDUCTIONS))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    mode = draw(st.sampled_from(["raise", "raise", "clip", "wrap", "zero"]))
    info = np.iinfo(dtype)
    num_rows = draw(st.sampled_from([1, 2, 50, 120]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (
        tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
        if form == "N-D"
        else (draw(st.integers(0, 6)),)
    )
    if form in ("2-D", "N-D"):
        shape = (*shape, draw(st.sampled_from([0, 1, 3, 9, 300])))
        sizes = [shape[-1]] * int(np.prod(shape[:-1]))
    else:
        sizes = draw(st.lists(st.sampled_from([0, 0, 1, 2, 5, 40, 255, 256, 257, 700]), max_size=6))
        shape = (sum(sizes),)
    padding_id: int | None = draw(
        st.sampled_from([None, 0, num_rows - 1, -1, num_rows + 3, int(info.max), 2**63, -(2**70)])
    )
    low, high = (0, num_rows) if mode == "raise" else (max(info.min, -300), min(int(info.max) + 1, 400))
    flat = rng.integers(low, high, sum(sizes)).astype(dtype)
    if padding_id is not None and info.min <= padding_id <= info.max:
        flat[rng.random(len(flat)) < draw(st.sampled_from([0.1, 0.5, 1]))] = padding_id
    weights = None
    if reduce != "max" and draw(st.booleans()):
        weights = floats(rng, len(flat), draw(st.sampled_from([0, 0.05])))
        if draw(st.booleans()):
            weights = np.tile(np.array([1, -1, 0.5, -0.5], np.float32), len(flat) // 4 + 1)[: len(flat)]  # sums of zero
    given, defined = form_of(form, flat, weights, sizes, shape)
    return {
        "table": floats(rng, (num_rows, draw(st.sampled_from(DIMS))), draw(st.sampled_from([0, 0.02, 0.3]))),
        "given": given,
        "defined": defined,
        "common": {"reduce": reduce, "padding_id": padding_id, "mode": mode},
        "threads": draw(st.integers(1, 16)),
        "path": draw(st.sampled_from(PATHS)),
    }


@settings(max_examples=400 * SCALE, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_bag_equals_its_definition(case: dict[str, Any]) -> None:
    expected = _reference.embedding_bag(case["table"], **case["defined"], **case["common"])
    with on_path(case["path"]):
        result = embedding_bag(case["table"], **case["given"], **case["common"], num_threads=case["threads"])
        assert_same_bits(result, expected)
        out = np.full(expected.shape, 7, np.float32)
        assert embedding_bag(case["table"], **case["given"], **case["common"], out=out) is out
        assert_same_bits(out, expected)


@settings(max_examples=100 * SCALE, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_bag_max_positions_give_the_maximum(case: dict[str, Any]) -> None:
    common = case["common"] | {"reduce": "max"}
    given = {name: value for name, value in case["given"].items() if name != "weights"}
    expected = embedding_bag(case["table"], **given, **common)
    del common["reduce"]
    rows, positions = kernels.embedding_bag_max_positions(case["table"], **given, **common, num_threads=case["threads"])
    assert (positions.dtype, positions.shape) == (np.dtype(np.intp), rows.shape)
    assert_same_bits(rows, expected)
    ids = given["ids"]
    parts = ids.reshape(-1, ids.shape[-1]) if isinstance(ids, np.ndarray) and ids.ndim > 1 and ids.size else ids
    flat = np.concatenate([np.asarray(part).reshape(-1) for part in parts] or [[]]) if len(ids) else np.zeros(0)
    assert (positions < len(flat)).all()
    given_by = positions >= 0
    assert not rows[~given_by].any()
    for index in np.argwhere(given_by)[:50]:
        position = positions[tuple(index)]
        value = _reference.gather(case["table"], np.array([int(flat[position])], object), mode=common["mode"])
        assert_same_bits(value[:, index[-1]], rows[tuple(index)].reshape(1))


def test_bag_max_positions_are_of_the_first_of_equals_and_of_nan() -> None:
    nan = np.nan
    table = np.array([[1, -0.0, nan, 2], [1, 0.0, 5, nan], [3, 0.0, nan, nan], [9, 9, 9, 9]], np.float32)
    ids = [[0, 1, 0, 2, 1], [1, 1, 3, 3, 1], [3, 3, 3, 3, 3]]
    rows, positions = kernels.embedding_bag_max_positions(table, ids, padding_id=3)
    np.testing.assert_array_equal(rows, [[3, 0, nan, nan], [1, 0, 5, nan], [0, 0, 0, 0]])
    np.testing.assert_array_equal(positions, [[3, 0, 0, 1], [5, 5, 5, 5], [-1, -1, -1, -1]])
    assert np.signbit(rows[0, 1])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dim", DIMS)
def test_bag_max_keeps_the_first_of_equals(dim: int, path: str) -> None:
    rng = np.random.default_rng(dim)
    table = rng.choice(np.array([0.0, -0.0, -np.inf], np.float32), (30, dim))
    ids = rng.integers(0, 30, (20, 6))
    with on_path(path):
        assert_same_bits(embedding_bag(table, ids, reduce="max"), _reference.embedding_bag(table, ids, reduce="max"))


def giant_case(dim: int, weighted: bool) -> tuple[NDArray[np.float32], NDArray[np.int32], list[int], Any]:
    """Bags of which some are over 1 MiB of rows, among small and empty ones at both ends."""
    rng = np.random.default_rng(dim)
    giant = (1 << 20) // (4 * dim) + 40_000
    sizes = [0, 3, giant, 0, 1, 300, giant // 2, 2, giant + 16 * 1024, 0]
    ids = rng.integers(-1, 199, sum(sizes), np.int32)
    weights = floats(rng, len(ids), 0) if weighted else None
    table = floats(rng, (200, dim), 0.001)
    table[199] = 1e9  # once in a bag, near its beginning: the rest repeats the same rows, which would hide a lost part
    ids[np.cumsum([0, *sizes[:-1]])[[2, 6, 8]] + 5] = 199
    return table, ids, sizes, weights


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dim", [32, 72, 300])
def test_bag_splits_giant_bags_to_the_same_bits(dim: int, weighted: bool, reduce: str, path: str) -> None:
    if weighted and reduce == "max":
        return
    table, ids, sizes, weights = giant_case(dim, weighted)
    arguments: dict[str, Any] = {"lengths": sizes, "weights": weights, "reduce": reduce, "padding_id": -1}
    with on_path(path):
        alone = embedding_bag(table, ids, num_threads=1, **arguments)
        for threads in (2, 3, 16):
            assert alone.tobytes() == embedding_bag(table, ids, num_threads=threads, **arguments).tobytes()
    # the definition is slow: a few columns of it say that the one thread is right
    few = np.ascontiguousarray(table[:, :: dim // 3])
    assert_same_bits(np.ascontiguousarray(alone[:, :: dim // 3]), fast_definition(few, ids, sizes, weights, reduce))


def fast_definition(
    table: NDArray[np.float32], ids: NDArray[np.int32], sizes: list[int], weights: Any, reduce: str
) -> NDArray[np.float32]:
    """_reference.embedding_bag for padding -1, by running sums: NumPy's accumulate adds in order."""
    result = np.zeros((len(sizes), table.shape[1]), np.float32)
    end = 0
    for b, size in enumerate(sizes):
        part = slice(end, end + size)
        end += size
        keep = ids[part] != -1
        if not keep.any():
            continue
        rows = table[ids[part][keep]]
        scales = None if weights is None else weights[part][keep]
        with np.errstate(all="ignore"):
            if reduce == "max":
                result[b] = np.maximum.accumulate(rows)[-1]
                continue
            rows = rows if scales is None else rows * scales[:, None]
            sums = np.add.accumulate(np.concatenate([np.zeros((1, table.shape[1]), np.float32), rows]))[-1]
            if scales is None:
                divisor = np.float32(keep.sum())
            else:
                divisor = np.add.accumulate(scales * scales if reduce == "sqrtn" else scales)[-1]
            result[b] = sums if reduce == "sum" else sums / (np.sqrt(divisor) if reduce == "sqrtn" else divisor)
    return result


@pytest.mark.parametrize("dim", [1, 16, 64])
def test_bag_of_more_than_64_mib_is_the_same_on_one_thread_and_many(dim: int) -> None:
    rng = np.random.default_rng(1)
    table = floats(rng, (100, dim), 0)
    ids = rng.integers(0, 100, (1, (64 << 20) // max(4 * dim, 64) + 1000), np.uint8)
    alone = embedding_bag(table, ids, reduce="sum", num_threads=1)
    assert_same_bits(alone[:, :1], fast_definition(table[:, :1], ids[0].astype(np.int32), [ids.size], None, "sum"))
    assert alone.tobytes() == embedding_bag(table, ids, reduce="sum", num_threads=4).tobytes()
    assert_same_bits(
        embedding_bag(table, ids, reduce="max", num_threads=1), kernels.embedding_bag_max_positions(table, ids)[0]
    )


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize(
    ("num_rows", "dim", "shape"),
    [
        (5, 3, (0, 4)),
        (5, 3, (4, 0)),
        (0, 3, (4, 0)),
        (0, 3, (0, 4)),
        (5, 0, (4, 2)),
        (0, 0, (4, 0)),
        (5, 0, (0, 0)),
        (5, 0, (10**12, 0)),
    ],
)
def test_bag_of_nothing_gives_zeros(num_rows: int, dim: int, shape: tuple[int, int], reduce: Any) -> None:
    result = embedding_bag(np.full((num_rows, dim), 7, np.float32), np.zeros(shape, int), reduce=reduce)
    assert result.shape == (shape[0], dim)
    assert not result.any()


def test_bag_of_padding_alone_needs_no_rows() -> None:
    empty = np.zeros((0, 3), np.float32)
    out = np.full((2, 3), 7, np.float32)
    embedding_bag(empty, np.full((2, 3), -1), padding_id=-1, out=out)
    assert not out.any()
    with pytest.raises(IndexError, match=r"^indices\[1,2\] = 0 is not in \[0, 0\): the table has no rows\.$"):
        embedding_bag(empty, [[-1, -1, -1], [-1, -1, 0]], padding_id=-1)


@pytest.mark.parametrize("ids", [[], ()])
def test_bag_of_an_empty_list_has_no_bags(ids: Any) -> None:
    table = np.ones((4, 3), np.float32)
    assert embedding_bag(table, ids).shape == (0, 3)
    assert embedding_bag(table, ids, weights=[]).shape == (0, 3)
    assert embedding_bag(table, ids, offsets=[]).shape == (0, 3)
    assert embedding_bag(table, ids, lengths=[]).shape == (0, 3)
    assert embedding_bag(table, ids, offsets=[0, 0]).tolist() == [[0, 0, 0]] * 2
    assert embedding_bag(table, ids, offsets=[0, 0], include_last_offset=True).shape == (1, 3)
    assert embedding_bag(table, [ids, ids, ids]).tolist() == [[0, 0, 0]] * 3


def test_bag_of_unsigned_and_signed_arrays_is_exact() -> None:
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    ids = [np.array([1], np.int64), np.array([2, 3], np.uint64)]  # concatenated, NumPy makes floats of them
    assert embedding_bag(table, ids, reduce="sum").tolist() == [[2, 3], [10, 12]]
    last = [np.array([-1], np.int64), np.array([2**64 - 1], np.uint64)]
    assert embedding_bag(table, last, mode="clip").tolist() == [[0, 1], [6, 7]]


def test_bag_takes_strided_swapped_and_mapped_ids(tmp_path: Any) -> None:
    rng = np.random.default_rng(2)
    table = floats(rng, (50, 5), 0)
    ids = rng.integers(0, 50, (6, 8))
    expected = embedding_bag(table, ids)
    np.save(tmp_path / "ids.npy", ids)
    for same in (
        ids.T.copy().T,
        np.repeat(ids, 2, 1)[:, ::2],
        ids.astype(">i4"),
        np.load(tmp_path / "ids.npy", "r"),
        ids.tolist(),
    ):
        assert embedding_bag(table, same).tobytes() == expected.tobytes()
    weights = rng.random((6, 16))[:, ::2]
    exact = embedding_bag(table, ids, weights=weights.astype(np.float32))
    for same in (weights, weights.astype(">f8"), weights.tolist()):
        assert embedding_bag(table, ids, weights=same).tobytes() == exact.tobytes()


def test_bag_counts_the_zero_rows_of_mode_zero() -> None:
    table = np.full((2, 3), 6, np.float32)
    assert embedding_bag(table, [[0, 5, -9]], mode="zero").tolist() == [[2, 2, 2]]
    assert embedding_bag(-table, [[0, 5, -9]], mode="zero", reduce="max").tolist() == [[0, 0, 0]]
    assert embedding_bag(table, [[0, 5, -9]], mode="zero", weights=[[1, 2, 1]]).tolist() == [[1.5] * 3]


def test_bag_does_not_read_what_padding_names() -> None:
    table = np.array([[np.nan, np.inf], [1, 2]], np.float32)
    weights = np.array([[np.nan, 2, np.inf]], np.float32)
    assert embedding_bag(table, [[0, 1, 0]], padding_id=0, weights=weights).tolist() == [[1, 2]]


def test_bag_detects_the_last_offset_by_the_length_of_out_alone() -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    ids = np.array([0, 1, 2])
    offsets = np.array([0, 1, 3])  # torch's meaning: three bags, the last one empty
    three = [[0, 1], [6, 8], [0, 0]]
    assert embedding_bag(table, ids, offsets=offsets, reduce="sum").tolist() == three
    assert embedding_bag(table, ids, offsets=offsets, reduce="sum", out=np.ones((3, 2), np.float32)).tolist() == three
    assert (
        embedding_bag(table, ids, offsets=offsets, reduce="sum", out=np.ones((2, 2), np.float32)).tolist() == three[:2]
    )
    assert embedding_bag(table, ids, offsets=offsets, reduce="sum", include_last_offset=True).tolist() == three[:2]
    assert embedding_bag(table, ids, offsets=offsets, reduce="sum", include_last_offset=np.False_).tolist() == three  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, 4])
def test_bag_names_the_smallest_bad_position(threads: int) -> None:
    rng = np.random.default_rng(3)
    table = np.ones((100, 64), np.float32)
    for bags, length in ((4000, 20), (3, 60_000)):
        ids = rng.integers(0, 100, (bags, length))
        bad = sorted(rng.integers(0, ids.size, 5).tolist())
        ids.reshape(-1)[bad] = np.arange(100, 105)
        row, column = divmod(bad[0], length)
        with pytest.raises(IndexError, match=rf"^indices\[{row},{column}\] = 100 is not in \[0, 100\): "):
            embedding_bag(table, ids, num_threads=threads)
        with pytest.raises(IndexError, match=rf"^indices\[{bad[0]}\] = 100 is not in "):
            embedding_bag(table, ids.reshape(-1), lengths=[length] * bags, num_threads=threads)
        with pytest.raises(IndexError, match=rf"^indices\[{row},{column}\] = 100 is not in "):
            embedding_bag(table, [*ids, np.zeros(1, int)], num_threads=threads)


def test_bag_changes_no_input() -> None:
    rng = np.random.default_rng(4)
    table, ids, weights = floats(rng, (50, 9), 0.1), rng.integers(0, 50, 40), floats(rng, 40, 0.1)
    offsets = np.array([0, 10, 30])
    inputs = (table, ids, weights, offsets)
    before = [array.tobytes() for array in inputs]
    for array in inputs:
        array.flags.writeable = False
    embedding_bag(table, ids, weights=weights, offsets=offsets, num_threads=3)
    assert [array.tobytes() for array in inputs] == before


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_bag_agrees_with_torch(reduce: str, weighted: bool, last: bool) -> None:
    torch = pytest.importorskip("torch")
    if weighted and reduce != "sum":
        pytest.skip("torch has weights for sums only")
    rng = np.random.default_rng(5)
    for dim in DIMS:
        table = rng.standard_normal((60, dim), np.float32)
        sizes = [0, *rng.integers(0, 60, 20).tolist(), 0]
        ids = rng.integers(0, 60, sum(sizes))
        offsets = np.concatenate([[0], np.cumsum(sizes)])[: None if last else -1]
        weights = rng.standard_normal(len(ids), np.float32) if weighted else None
        theirs = torch.nn.functional.embedding_bag(
            torch.from_numpy(ids),
            torch.from_numpy(table),
            torch.from_numpy(offsets),
            mode=reduce,
            padding_idx=3,
            include_last_offset=last,
            per_sample_weights=None if weights is None else torch.from_numpy(weights),
        ).numpy()
        ours = embedding_bag(
            table,
            ids,
            offsets=offsets,
            reduce=reduce,
            padding_id=3,
            weights=weights,
            include_last_offset=last,  # type: ignore[arg-type]
        )
        # torch adds in an order of its own
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_bag_agrees_with_float64(reduce: Any, weighted: bool) -> None:
    if weighted and reduce == "max":
        return
    rng = np.random.default_rng(6)
    table = rng.standard_normal((80, 33), np.float32)
    ids = rng.integers(0, 80, (40, 25))
    weights = rng.random(ids.shape, np.float32) if weighted else None
    rows = table.astype(np.float64)[ids]
    keep = (ids != 7)[..., None]
    scale = keep * (1.0 if weights is None else weights[..., None].astype(np.float64))
    if reduce == "max":
        expected = np.where(keep, rows, -np.inf).max(1)
    else:
        divisor = {"sum": 1.0, "mean": scale.sum(1), "sqrtn": np.sqrt((scale * scale).sum(1))}[reduce]
        expected = (rows * scale).sum(1) / divisor
    # float32 sums against float64 ones
    np.testing.assert_allclose(
        embedding_bag(table, ids, reduce=reduce, weights=weights, padding_id=7), expected, rtol=1e-5, atol=1e-5
    )
