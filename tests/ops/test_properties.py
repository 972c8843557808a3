"""gather and gather_with_mask against their meaning in plain NumPy, over random tables, ids, layouts and settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastembed.ops import _reference, gather, gather_with_mask

from .helpers import DIMS, DTYPES, MODES, SCALE, bad_id_text, random_table, same_bits, unaligned

SEEDS = st.integers(0, 2**32 - 1)
FAR = [2**63 - 1, 2**63, 2**64 - 1, -(2**63), 2**31, -(2**31), 2**32 - 1, 2**70, 255, 65535]
# few dimensions and small sides, and now and then enough ids for several threads
SHAPES = st.one_of(
    st.lists(st.integers(0, 6), max_size=4).map(tuple),
    st.tuples(st.integers(200, 3000)),
    st.tuples(st.integers(2, 30), st.integers(20, 90)),
)


@st.composite
def tables(draw: st.DrawFn) -> NDArray[np.float32]:
    table = random_table(
        draw(st.one_of(st.integers(0, 6), st.integers(0, 400))), draw(st.sampled_from(DIMS)), draw(SEEDS)
    )
    table.flags.writeable = draw(st.booleans())
    return table


@st.composite
def ids_for(draw: st.DrawFn, num_rows: int) -> NDArray[Any]:
    """Ids of any integer dtype, shape and layout: inside the table, around its ends, or at the dtype's own."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(SHAPES)
    rng = np.random.default_rng(draw(SEEDS))
    info = np.iinfo(dtype)
    lowest, highest = draw(
        st.sampled_from([(0, num_rows - 1), (-num_rows - 2, 2 * num_rows + 2), (info.min, info.max)])
    )
    lowest, highest = max(lowest, int(info.min)), min(highest, int(info.max))
    values = rng.integers(lowest, max(lowest, highest), shape, dtype, endpoint=True)
    for _ in range(draw(st.integers(0, 2)) if values.size else 0):
        edge = draw(st.sampled_from([info.min, info.max, 0, num_rows - 1, num_rows, -1]))
        values.reshape(-1)[rng.integers(values.size)] = np.array(edge).astype(dtype)
    layout = draw(st.sampled_from(["plain", "plain", "swapped", "unaligned", "strided", "fortran", "reversed"]))
    event(layout)
    if layout == "swapped":
        return values.astype(dtype.newbyteorder())
    if layout == "unaligned":
        return unaligned(values)
    if layout == "strided" and values.ndim:
        return np.repeat(values, 3, axis=-1)[..., ::3]
    if layout == "fortran":
        return np.asfortranarray(values)
    if layout == "reversed" and values.ndim:
        return values[::-1].copy()[::-1]
    return values


many = settings(
    max_examples=150 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def first_bad(ids: NDArray[Any], num_rows: int, padding_id: int | None = None) -> tuple[tuple[int, ...], int] | None:
    for position, value in enumerate(ids.reshape(-1).tolist()):
        if not 0 <= value < num_rows and value != padding_id:
            return tuple(int(k) for k in np.unravel_index(position, ids.shape)), value
    return None


@many
@given(st.data(), tables(), st.sampled_from(MODES), st.integers(1, 16), st.booleans())
def test_gather_equals_its_reference(
    data: st.DataObject, table: NDArray[np.float32], mode: Any, threads: int, with_out: bool
) -> None:
    ids = data.draw(ids_for(len(table)))
    before = table.tobytes(), ids.tobytes()
    out = np.empty((*ids.shape, table.shape[1]), np.float32) if with_out else None
    try:
        expected = _reference.gather(table, ids, mode=mode)
    except IndexError:
        event("IndexError")
        bad = first_bad(ids, len(table))
        assert bad is not None
        with pytest.raises(IndexError) as error:
            gather(table, ids, out=out, mode=mode, num_threads=threads)
        assert str(error.value) == bad_id_text(*bad, len(table))
    else:
        rows = gather(table, ids, out=out, mode=mode, num_threads=threads)
        assert same_bits(rows, expected)
        assert out is None or rows is out
    assert (table.tobytes(), ids.tobytes()) == before


@many
@given(st.data(), tables(), st.sampled_from(MODES), st.integers(1, 16), st.booleans(), st.booleans())
def test_gather_with_mask_equals_its_reference(
    data: st.DataObject, table: NDArray[np.float32], mode: Any, threads: int, with_out: bool, with_mask_out: bool
) -> None:
    ids = data.draw(ids_for(len(table)))
    common = int(ids.reshape(-1)[0]) if ids.size else 0
    padding_id = data.draw(st.sampled_from([0, -1, common, common, len(table) - 1, len(table), *FAR]))
    before = table.tobytes(), ids.tobytes()
    out = np.empty((*ids.shape, table.shape[1]), np.float32) if with_out else None
    mask_out = np.empty(ids.shape, bool) if with_mask_out else None
    options: Any = {"padding_id": padding_id, "mode": mode}
    try:
        expected_rows, expected_mask = _reference.gather_with_mask(table, ids, **options)
    except IndexError:
        event("IndexError")
        bad = first_bad(ids, len(table), padding_id)
        assert bad is not None
        with pytest.raises(IndexError) as error:
            gather_with_mask(table, ids, out=out, mask_out=mask_out, num_threads=threads, **options)
        assert str(error.value) == bad_id_text(*bad, len(table))
    else:
        event("some padding" if not expected_mask.all() else "no padding")
        rows, mask = gather_with_mask(table, ids, out=out, mask_out=mask_out, num_threads=threads, **options)
        assert same_bits(rows, expected_rows)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, expected_mask)
        assert set(mask.view(np.uint8).reshape(-1)) <= {0, 1}
        assert out is None or rows is out
        assert mask_out is None or mask is mask_out
    assert (table.tobytes(), ids.tobytes()) == before


@settings(max_examples=200 * SCALE, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-3, 7), st.sampled_from(FAR), st.integers()), max_size=12),
    st.sampled_from(MODES),
    st.integers(0, 5),
    st.one_of(st.integers(-2, 6), st.sampled_from(FAR)),
)
def test_lists_of_any_integers_equal_the_reference(ids: list[int], mode: Any, num_rows: int, padding_id: int) -> None:
    table = random_table(num_rows, 3)
    array = np.array(ids, object)
    try:
        expected_rows, expected_mask = _reference.gather_with_mask(table, array, padding_id=padding_id, mode=mode)
    except IndexError:
        bad = first_bad(array, num_rows, padding_id)
        assert bad is not None
        with pytest.raises(IndexError) as error:
            gather_with_mask(table, ids, padding_id=padding_id, mode=mode)
        assert str(error.value) == bad_id_text(*bad, num_rows)
    else:
        rows, mask = gather_with_mask(table, ids, padding_id=padding_id, mode=mode)
        assert same_bits(rows, expected_rows)
        np.testing.assert_array_equal(mask, expected_mask)
