"""mask: which ids are not padding, for any integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastembed.ops import _reference, gather_with_mask, mask

from .helpers import DTYPES, unaligned

SHAPES = [(), (0,), (1,), (7,), (3, 0, 2), (2, 3, 4), (1000,), (300, 700)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_mask_is_true_where_the_id_is_not_padding(dtype: str, shape: tuple[int, ...]) -> None:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    ends = np.array([info.min, info.max, 0, 1, info.max - 1, info.max // 2], dtype)
    ids = rng.choice(ends, shape) if shape else ends[1]
    ids = np.asarray(ids, dtype)
    for padding_id in (0, 1, -1, int(info.min), int(info.max), int(info.max) + 1, int(info.min) - 1, 2**64 - 1, 2**70):
        for threads in (1, 4):
            result = mask(ids, padding_id, num_threads=threads)
            assert (result.dtype, result.shape) == (np.dtype(bool), shape)
            if ids.size < 2000:
                np.testing.assert_array_equal(result, _reference.mask(ids, padding_id))
            in_range = info.min <= padding_id <= info.max
            expected = ids != np.array(padding_id, dtype) if in_range else np.ones(shape, bool)
            np.testing.assert_array_equal(result, expected)
            assert set(np.unique(result.view(np.uint8)).tolist()) <= {0, 1}


def test_mask_takes_padding_by_position_and_keyword_and_zero_by_default() -> None:
    ids = np.array([[0, 3], [-1, 0]])
    assert mask(ids).tolist() == [[False, True], [True, False]]
    assert mask(ids, -1).tolist() == [[True, True], [False, True]]
    assert mask(ids, padding_id=np.int8(3)).tolist() == [[True, False], [True, True]]


def test_mask_is_gathers_mask() -> None:
    ids = np.random.default_rng(1).integers(0, 5, (40, 50))
    np.testing.assert_array_equal(mask(ids, 3), gather_with_mask(np.zeros((5, 2), np.float32), ids, padding_id=3)[1])


def test_mask_takes_any_strides_and_byte_order(tmp_path: Any) -> None:
    ids = np.random.default_rng(2).integers(0, 3, (40, 30))
    expected = ids != 0
    np.save(tmp_path / "ids.npy", ids)
    for same in (
        np.asfortranarray(ids),
        np.repeat(ids, 3, 0)[::3],
        ids[::-1][::-1],
        ids.astype(">i8"),
        ids.astype(">u2"),
        unaligned(ids),
        np.load(tmp_path / "ids.npy", "r"),
        ids.tolist(),
        tuple(map(tuple, ids.tolist())),
    ):
        np.testing.assert_array_equal(mask(same), expected)
    np.testing.assert_array_equal(mask(ids.T), expected.T)
    np.testing.assert_array_equal(mask(np.broadcast_to(ids[0], (5, 30))), np.broadcast_to(expected[0], (5, 30)))


def test_mask_takes_lists_and_numbers() -> None:
    assert mask([]).shape == (0,)
    assert mask([[], []]).shape == (2, 0)
    assert mask(5).shape == ()
    assert not mask(0)
    assert mask([0, 2**63, 2**70, -(2**80)]).tolist() == [False, True, True, True]
    assert mask([0, 2**70, -5], 2**70).tolist() == [True, False, True]
    assert mask([-1, 2**64 - 1], 2**64 - 1).tolist() == [True, False]


def test_mask_writes_to_out() -> None:
    ids = np.arange(200_000).reshape(1000, 200) % 3
    for threads in (1, 4):
        out = np.zeros(ids.shape, bool)
        assert mask(ids, 1, out=out, num_threads=threads) is out
        np.testing.assert_array_equal(out, ids != 1)
        assert mask(ids, 2**40 if threads == 1 else -(2**80), out=out) is out
        assert out.all()
    out = np.ones((4, 2), bool)
    mask(np.zeros((2, 4), int).T, out=out)
    assert not out.any()


def test_mask_out_and_ids_are_apart_from_their_neighbours() -> None:
    for dtype in DTYPES:
        for count in (1, 7, 63, 64, 65, 70_001):
            memory = np.full(count + 2, 7, np.uint8)
            mask(np.zeros(count, dtype), out=memory[1:-1].view(bool))
            assert (memory[0], memory[-1]) == (7, 7)
            assert not memory[1:-1].any()


IDS = np.array([[1, 0], [0, 2], [3, 0]])
REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "padding bool": ({"padding_id": True}, TypeError, "`padding_id` must be an integer. Received: True (bool)."),
    "padding float": ({"padding_id": 1.5}, TypeError, "`padding_id` must be an integer. Received: 1.5 (float)."),
    "padding none": ({"padding_id": None}, TypeError, "`padding_id` must be an integer. Received: None (NoneType)."),
    "threads": ({"num_threads": 257}, ValueError, "`num_threads` must be from 1 to 256. Received: 257."),
    "bool ids": (
        {"ids": IDS > 0},
        TypeError,
        "`ids` must be integers. Received: dtype bool; a mask is no array of ids; np.flatnonzero(mask) gives the ids "
        "where it is True.",
    ),
    "float ids": (
        {"ids": IDS / 1},
        TypeError,
        "`ids` must be integers. Received: dtype float64; convert them, with ids.astype(np.int64), if they are whole "
        "numbers.",
    ),
    "text ids": (
        {"ids": ["a"]},
        TypeError,
        "`ids` must be integers. Received: dtype <U1; convert them to an integer dtype.",
    ),
    "masked ids": (
        {"ids": np.ma.masked_array(IDS)},
        TypeError,
        "`ids` must be a plain integer array. Received: a masked array; fill it, with ids.filled(id).",
    ),
    "out list": (
        {"out": [[False] * 2] * 3},
        TypeError,
        "`out` must be a bool NumPy array of shape (3, 2). Received: list.",
    ),
    "out dtype": (
        {"out": np.zeros((3, 2), np.uint8)},
        TypeError,
        "`out` must be a bool array of shape (3, 2). Received: dtype uint8.",
    ),
    "out shape": (
        {"out": np.zeros((2, 3), bool)},
        ValueError,
        "`out` must have shape (3, 2), ids.shape. Received: (2, 3).",
    ),
    "out strided": (
        {"out": np.zeros((2, 3), bool).T},
        ValueError,
        "`out` must be C-contiguous, aligned and of native byte order. Received: one with strides (1, 3).",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mask_words_what_it_refuses_and_writes_nothing(name: str) -> None:
    arguments, kind, text = REFUSED[name]
    out = np.zeros((3, 2), bool)
    with pytest.raises(kind) as caught:
        mask(**({"ids": IDS, "out": out} | arguments))
    assert (type(caught.value), str(caught.value)) == (kind, text)
    assert not out.any()


def test_mask_refuses_a_read_only_output() -> None:
    out = np.zeros((3, 2), bool)
    out.flags.writeable = False
    with pytest.raises(ValueError, match=r"^`out` must be writable\. Received: a read-only array\.$"):
        mask(IDS, out=out)


def test_mask_refuses_an_output_over_the_ids() -> None:
    memory = np.zeros(48, np.uint8)
    exact = memory[:6].view(np.uint8).reshape(3, 2)
    strided = memory[:12].reshape(3, 4)[:, ::2]
    for ids in (exact, strided):
        text = "`out` must not share memory with `ids`: it would be read after it is written."
        with pytest.raises(ValueError, match=f"^{text}$"):
            mask(ids, out=memory[5:11].view(bool).reshape(3, 2))
    assert not memory.any()
    mask(exact, 1, out=memory[6:12].view(bool).reshape(3, 2))
    assert memory[6:12].all()
