"""What embedding_bag refuses, in which words; and bags that another thread rewrites during the call."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from fastembed._native import kernels
from fastembed.ops import embedding_bag

from .helpers import unaligned

TABLE = np.arange(40, dtype=np.float32).reshape(10, 4)
IDS = np.array([[1, 2, 3], [4, 5, 6]])
FLAT = IDS.reshape(-1)
MAX = 2**63 - 1
MODES = '"raise", "clip", "wrap", "zero"'
FIX = "convert it once, with np.ascontiguousarray(table, dtype=np.float32)"
LARGEST = (
    "the table has 10 rows; it needs (an Embedding's input_dim must be) at least the largest id + 1. "
    'embedding_bag\'s mode="clip", "wrap" or "zero" accepts any id.'
)
NEGATIVE = (
    "negative ids do not count from the end. If it marks padding, name it to embedding_bag as padding_id; "
    'embedding_bag\'s mode="clip", "wrap" or "zero" accepts any id.'
)


def masked(values: Any) -> Any:
    return np.ma.masked_array(values, mask=[value == 1 for value in values])


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "reduce unknown": (
        {"reduce": "avg"},
        ValueError,
        '`reduce` must be one of "sum", "mean", "max", "sqrtn". Received: \'avg\'.',
    ),
    "reduce no string": (
        {"reduce": 1},
        TypeError,
        '`reduce` must be one of "sum", "mean", "max", "sqrtn". Received: 1.',
    ),
    "reduce as mode": (
        {"mode": "mean"},
        ValueError,
        "`mode` says what becomes of ids outside the table; the reduction is named by `reduce`: reduce='mean'.",
    ),
    "mode unknown": ({"mode": "skip"}, ValueError, f"`mode` must be one of {MODES}. Received: 'skip'."),
    "mode no string": ({"mode": None}, TypeError, f"`mode` must be one of {MODES}. Received: None."),
    "threads zero": ({"num_threads": 0}, ValueError, "`num_threads` must be from 1 to 256. Received: 0."),
    "padding float": ({"padding_id": 0.0}, TypeError, "`padding_id` must be an integer. Received: 0.0 (float)."),
    "padding bool": ({"padding_id": False}, TypeError, "`padding_id` must be an integer. Received: False (bool)."),
    "table list": (
        {"table": TABLE.tolist()},
        TypeError,
        f"`table` must be a float32 NumPy array (V, D). Received: list; {FIX}.",
    ),
    "table float64": (
        {"table": TABLE.astype("f8")},
        TypeError,
        f"`table` must be a float32 array (V, D). Received: dtype float64; {FIX}.",
    ),
    "weights with max": (
        {"reduce": "max", "weights": np.ones((2, 3))},
        ValueError,
        '`weights` have no meaning with reduce="max": scale the table, or use another reduction.',
    ),
    "weights shape": (
        {"weights": np.ones((3, 2))},
        ValueError,
        "`weights` must have the shape of `ids`, (2, 3). Received: (3, 2).",
    ),
    "weights scalar": ({"weights": 1.0}, ValueError, "`weights` must have the shape of `ids`, (2, 3). Received: ()."),
    "weights ragged": (
        {"weights": [[1.0], [2.0, 3.0]]},
        ValueError,
        "`weights` must have the shape of `ids`, (2, 3). Received: nested lists of unequal lengths.",
    ),
    "weights bool": (
        {"weights": np.ones((2, 3), bool)},
        TypeError,
        "`weights` must be floats of the shape of `ids`. Received: dtype bool.",
    ),
    "weights complex": (
        {"weights": np.ones((2, 3), complex)},
        TypeError,
        "`weights` must be floats of the shape of `ids`. Received: dtype complex128.",
    ),
    "weights masked": (
        {"weights": np.ma.masked_array(np.ones((2, 3)))},
        TypeError,
        "`weights` must be plain floats of the shape of `ids`. Received: a masked array.",
    ),
    "ids flat": (
        {"ids": FLAT},
        ValueError,
        "1-D `ids` need `offsets` or `lengths`, which say where bags begin; one bag is ids[None]. "
        "Received: shape (6,).",
    ),
    "ids one": (
        {"ids": 3},
        ValueError,
        "0-D `ids` need `offsets` or `lengths`, which say where bags begin; one bag is ids[None]. Received: shape ().",
    ),
    "ids float": (
        {"ids": IDS.astype(float)},
        TypeError,
        "`ids` must be integers. Received: dtype float64; convert them, with ids.astype(np.int64), if they are whole "
        "numbers.",
    ),
    "ids bool": (
        {"ids": IDS == 1},
        TypeError,
        "`ids` must be integers. Received: dtype bool; a mask is no array of ids; np.flatnonzero(mask) gives the ids "
        "where it is True.",
    ),
    "ids masked": (
        {"ids": np.ma.masked_array(IDS)},
        TypeError,
        "`ids` must be a plain integer array. Received: a masked array; fill it, with ids.filled(id).",
    ),
    "bags of bool": (
        {"ids": [np.array([1]), np.array([True, False])]},
        TypeError,
        "`ids` must be integers. Received: dtype bool; a mask is no array of ids; np.flatnonzero(mask) gives the ids "
        "where it is True.",
    ),
    "bags of float": (
        {"ids": [np.array([1]), np.array([1.0, 2.0])]},
        TypeError,
        "`ids` must be integers. Received: dtype float64; convert them, with ids.astype(np.int64), if they are whole "
        "numbers.",
    ),
    "bags masked": (
        {"ids": [np.array([1]), masked([1, 2])]},
        TypeError,
        "`ids` must be a plain integer array. Received: a masked array; fill it, with ids.filled(id).",
    ),
    "bags 2-D": (
        {"ids": [np.array([1]), np.array([[1, 2]])]},
        ValueError,
        "`ids` must be a list of 1-D bags. Received: ids[1] of shape (1, 2).",
    ),
    "bags of lists": (
        {"ids": [[[1, 2]], [[3, 4], [5, 6]]]},
        ValueError,
        "`ids` must be an array or a list of 1-D bags. Received: a list of 2-D bags.",
    ),
    "bag weights of another count": (
        {"ids": [[1], [2, 3]], "weights": [[1.0]]},
        ValueError,
        "`weights` must be a list of 2 sequences, as `ids` is. Received: 1 sequences.",
    ),
    "bag weights an array": (
        {"ids": [[1], [2, 3]], "weights": np.ones(3)},
        ValueError,
        "`weights` must be a list of 2 sequences, as `ids` is. Received: ndarray.",
    ),
    "bag weights flat": (
        {"ids": [[1], [2, 3]], "weights": [1.0, 2.0]},
        ValueError,
        "`weights` must be a list of 2 sequences, as `ids` is. Received: weights[0] = 1.0.",
    ),
    "bag weights of another size": (
        {"ids": [[1], [2, 3]], "weights": [[1.0], [2.0]]},
        ValueError,
        "`weights` must have a number for each id. Received: 1 in weights[1], 2 in ids[1].",
    ),
    "bag weights of bool": (
        {"ids": [[1], [2, 3]], "weights": [np.ones(1), np.ones(2, bool)]},
        TypeError,
        "`weights` must be floats of the shape of `ids`. Received: dtype bool.",
    ),
    "bag weights 2-D": (
        {"ids": [[1], [2, 3]], "weights": [np.ones((1, 1)), np.ones((2, 1))]},
        ValueError,
        "`weights` must be a list of 1-D bags. Received: weights[0] of shape (1, 1).",
    ),
    "both": (
        {"ids": FLAT, "offsets": [0], "lengths": [6]},
        ValueError,
        "`offsets` and `lengths` say the same thing: pass one of them.",
    ),
    "last offset without offsets": (
        {"include_last_offset": True},
        ValueError,
        "`include_last_offset` says how `offsets` are meant; there are none.",
    ),
    "last offset no bool": (
        {"ids": FLAT, "offsets": [0, 6], "include_last_offset": "no"},
        TypeError,
        "`include_last_offset` must be True, False or None. Received: 'no'.",
    ),
    "offsets of 2-D ids": (
        {"offsets": [0, 1]},
        ValueError,
        "`ids` with `offsets` must have 1 dimension. Received: shape (2, 3).",
    ),
    "lengths of 2-D ids": (
        {"lengths": [3, 3]},
        ValueError,
        "`ids` with `lengths` must have 1 dimension. Received: shape (2, 3).",
    ),
    "offsets float": (
        {"ids": FLAT, "offsets": [0.0]},
        TypeError,
        "`offsets` must be integers. Received: dtype float64.",
    ),
    "offsets bool": (
        {"ids": FLAT, "offsets": np.array([False])},
        TypeError,
        "`offsets` must be integers. Received: dtype bool.",
    ),
    "offsets empty float array": (
        {"ids": [], "offsets": np.array([])},
        TypeError,
        "`offsets` must be integers. Received: dtype float64.",
    ),
    "offsets 2-D": (
        {"ids": FLAT, "offsets": [[0, 1]]},
        ValueError,
        "`offsets` must have 1 dimension. Received: shape (1, 2).",
    ),
    "offsets one number": (
        {"ids": FLAT, "offsets": 0},
        ValueError,
        "`offsets` must have 1 dimension. Received: shape ().",
    ),
    "offsets ragged": (
        {"ids": FLAT, "offsets": [[0], [1, 2]]},
        ValueError,
        "`offsets` must have 1 dimension. Received: nested lists of unequal lengths.",
    ),
    "offsets masked": (
        {"ids": FLAT, "offsets": masked([0, 1])},
        TypeError,
        "`offsets` must be plain integers. Received: a masked array.",
    ),
    "offsets past 63 bits": (
        {"ids": FLAT, "offsets": np.array([0, 2**63], np.uint64)},
        ValueError,
        f"`offsets` must fit into 63 bits. Received: {2**63}.",
    ),
    "offsets empty": (
        {"ids": FLAT, "offsets": []},
        ValueError,
        "`offsets` must not be empty when there are ids. Received: 6 ids.",
    ),
    "offsets not from 0": (
        {"ids": FLAT, "offsets": [1, 2]},
        ValueError,
        "`offsets` must begin with 0, where the first bag begins. Received: 1 at the beginning.",
    ),
    "offsets negative": (
        {"ids": FLAT, "offsets": [-1, 2]},
        ValueError,
        "`offsets` must begin with 0, where the first bag begins. Received: -1 at the beginning.",
    ),
    "offsets falling": (
        {"ids": FLAT, "offsets": [0, 4, 3]},
        ValueError,
        "`offsets` must not decrease. Received: offsets[1] = 4, offsets[2] = 3.",
    ),
    "offsets past the end": (
        {"ids": FLAT, "offsets": [0, 7]},
        ValueError,
        "`offsets` must not pass len(ids) = 6. Received: offsets[1] = 7.",
    ),
    "offsets that rise by wrapping": (
        {"ids": FLAT, "offsets": [0, MAX, -MAX - 1, -1, 0]},
        ValueError,
        f"`offsets` must not decrease. Received: offsets[1] = {MAX}, offsets[2] = {-MAX - 1}.",
    ),
    "last offset empty": (
        {"ids": FLAT, "offsets": [], "include_last_offset": True},
        ValueError,
        "`offsets` with `include_last_offset` must have one number at least: the end of the last bag.",
    ),
    "last offset short": (
        {"ids": FLAT, "offsets": [0, 5], "include_last_offset": True},
        ValueError,
        "`offsets` with `include_last_offset` must end with len(ids) = 6. Received: 5 at the end.",
    ),
    "last offset alone": (
        {"ids": FLAT, "offsets": [6], "include_last_offset": True},
        ValueError,
        "`offsets` must begin with 0, where the first bag begins. Received: 6 at the beginning.",
    ),
    "last offset falling": (
        {"ids": FLAT, "offsets": [0, 7, 6], "include_last_offset": True},
        ValueError,
        "`offsets` must not decrease. Received: offsets[1] = 7, offsets[2] = 6.",
    ),
    "lengths float": (
        {"ids": FLAT, "lengths": [6.0]},
        TypeError,
        "`lengths` must be integers. Received: dtype float64.",
    ),
    "lengths negative": (
        {"ids": FLAT, "lengths": [7, -1]},
        ValueError,
        "`lengths` must not be negative. Received: lengths[1] = -1.",
    ),
    "lengths short": (
        {"ids": FLAT, "lengths": [2, 3]},
        ValueError,
        "`lengths` must add up to len(ids) = 6. Received: a sum of 5.",
    ),
    "lengths that add up by wrapping": (
        {"ids": FLAT, "lengths": [MAX, MAX, 8]},
        ValueError,
        f"`lengths` must add up to len(ids) = 6. Received: a sum of {2 * MAX + 8}.",
    ),
    "id too large": ({"ids": [[1, 2], [3, 10]]}, IndexError, f"indices[1,1] = 10 is not in [0, 10): {LARGEST}"),
    "id negative": ({"ids": [[1, -2], [3, 10]]}, IndexError, f"indices[0,1] = -2 is not in [0, 10): {NEGATIVE}"),
    "id with offsets": (
        {"ids": [1, 2, 10], "offsets": [0, 2]},
        IndexError,
        f"indices[2] = 10 is not in [0, 10): {LARGEST}",
    ),
    "id with lengths": (
        {"ids": [1, 2, -1], "lengths": [2, 1]},
        IndexError,
        f"indices[2] = -1 is not in [0, 10): {NEGATIVE}",
    ),
    "id in a list": (
        {"ids": [[], [1, 2], [], [3, 4, -5]]},
        IndexError,
        f"indices[3,2] = -5 is not in [0, 10): {NEGATIVE}",
    ),
    "id first in a list": (
        {"ids": [[1], [], [10, 2], []]},
        IndexError,
        f"indices[2,0] = 10 is not in [0, 10): {LARGEST}",
    ),
    "id in arrays": (
        {"ids": [np.array([1]), np.array([2, 99], np.uint8)]},
        IndexError,
        f"indices[1,1] = 99 is not in [0, 10): {LARGEST}",
    ),
    "id past 64 bits in a list": (
        {"ids": [[1], [2, 2**70]]},
        IndexError,
        f"indices[1,1] = {2**70} is not in [0, 10): {LARGEST}",
    ),
    "id past 64 bits": (
        {"ids": [[1, -(2**70)]]},
        IndexError,
        f"indices[0,1] = {-(2**70)} is not in [0, 10): {NEGATIVE}",
    ),
    "no rows": (
        {"table": np.zeros((0, 4), "f4"), "ids": [[1], [2, 3]]},
        IndexError,
        "indices[0,0] = 1 is not in [0, 0): the table has no rows.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bag_words_what_it_refuses_and_writes_nothing(name: str) -> None:
    arguments, kind, text = REFUSED[name]
    arguments = {"table": TABLE, "ids": IDS} | arguments
    with pytest.raises(kind) as caught:
        embedding_bag(**arguments)
    assert (type(caught.value), str(caught.value)) == (kind, text)
    if kind is not IndexError:
        for bags in (2, 5):
            out = np.full((bags, 4), 7, np.float32)
            with pytest.raises(kind):
                embedding_bag(**arguments, out=out)
            assert (out == 7).all()


def test_bag_refuses_lists_of_unequal_depth_in_words() -> None:
    for ids in ([[[1], [2, 3]], [[4]]], [[1, 2], 3], [1, [2, 3]]):
        with pytest.raises(
            ValueError, match=r"^`ids` must be integers in nested lists of equal lengths, or an array: "
        ):
            embedding_bag(TABLE, ids)


SHARED = np.zeros(64, np.float32)
OUTS: dict[str, tuple[Any, type[Exception], str]] = {
    "list": ([[0.0] * 4] * 2, TypeError, "`out` must be a float32 NumPy array of shape (2, 4). Received: list."),
    "masked": (
        np.ma.zeros((2, 4), np.float32),
        TypeError,
        "`out` must be a float32 NumPy array of shape (2, 4). Received: a masked array.",
    ),
    "float64": (np.zeros((2, 4)), TypeError, "`out` must be a float32 array of shape (2, 4). Received: dtype float64."),
    "int32": (
        np.zeros((2, 4), np.int32),
        TypeError,
        "`out` must be a float32 array of shape (2, 4). Received: dtype int32.",
    ),
    "strided": (
        np.zeros((2, 8), np.float32)[:, ::2],
        ValueError,
        "`out` must be C-contiguous, aligned and of native byte order. Received: one with strides (32, 8).",
    ),
    "Fortran": (
        np.zeros((2, 4), np.float32, order="F"),
        ValueError,
        "`out` must be C-contiguous, aligned and of native byte order. Received: one with strides (4, 8).",
    ),
    "swapped": (
        np.zeros((2, 4), ">f4" if np.little_endian else "<f4"),
        ValueError,
        "`out` must be C-contiguous, aligned and of native byte order. Received: one of foreign byte order.",
    ),
    "unaligned": (
        unaligned(np.zeros((2, 4), np.float32)),
        ValueError,
        "`out` must be C-contiguous, aligned and of native byte order. Received: one that is not aligned.",
    ),
}


@pytest.mark.parametrize("name", OUTS)
def test_bag_refuses_an_output_that_does_not_fit(name: str) -> None:
    out, kind, text = OUTS[name]
    for arguments in ({"ids": IDS}, {"ids": FLAT, "lengths": [3, 3]}, {"ids": [[1], [2, 3]]}):
        with pytest.raises(kind) as caught:
            embedding_bag(TABLE, out=out, **arguments)  # type: ignore[arg-type]
        assert (type(caught.value), str(caught.value)) == (kind, text)
    assert not np.any(out)


@pytest.mark.parametrize("shape", [(2, 5), (3, 4), (8,), (2, 1, 4), ()])
def test_bag_says_where_the_shape_of_the_output_comes_from(shape: tuple[int, ...]) -> None:
    out = np.zeros(shape, np.float32)
    text = f"`out` must have shape (2, 4), ids.shape[:-1] + (D,). Received: {shape}."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        embedding_bag(TABLE, IDS, out=out)
    text = f"`out` must have shape (2, 4), (B, D). Received: {shape}."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        embedding_bag(TABLE, FLAT, lengths=[3, 3], out=out)
    with pytest.raises(ValueError, match=re.escape(text)):
        embedding_bag(TABLE, FLAT, offsets=[0, 2], out=out)


def test_bag_refuses_a_read_only_output() -> None:
    out = np.zeros((2, 4), np.float32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match=r"^`out` must be writable\. Received: a read-only array\.$"):
        embedding_bag(TABLE, IDS, out=out)


@pytest.mark.parametrize(
    "name", ["table", "ids", "weights", "offsets", "lengths", "strided ids", "a bag", "copied weights"]
)
def test_bag_refuses_an_output_over_an_input(name: str) -> None:
    memory = np.zeros(64, np.int32)
    out = memory[4:12].view(np.float32).reshape(2, 4)
    arguments: dict[str, Any] = {"table": TABLE, "ids": FLAT, "lengths": [3, 3]}
    if name == "table":
        arguments["table"] = memory[8:48].view(np.float32).reshape(10, 4)
    elif name == "ids":
        arguments |= {"ids": memory[11:17].reshape(2, 3), "lengths": None}
    elif name == "strided ids":
        arguments |= {"ids": memory[:12].reshape(2, 6)[:, ::2], "lengths": None}
    elif name == "a bag":
        arguments |= {"ids": [IDS[0], memory[5:8]], "lengths": None}
    elif name == "weights":
        arguments["weights"] = memory[10:16].view(np.float32)
    elif name == "copied weights":
        arguments["weights"] = memory[4:16].view(np.float64)
    elif name == "lengths":
        arguments["lengths"] = memory[11:13]
        arguments["lengths"][...] = 3
    else:
        arguments |= {"offsets": memory[10:12], "lengths": None}
        arguments["offsets"][1] = 3
    before = memory.copy()
    which = {"strided ids": "ids", "a bag": "ids", "copied weights": "weights"}.get(name, name)
    text = f"`out` must not share memory with `{which}`: it would be read after it is written."
    with pytest.raises(ValueError, match=f"^{text}$"):
        embedding_bag(**arguments, out=out)
    np.testing.assert_array_equal(memory, before)


# ── Rewritten during the call ─────────────────────────────────────────────────────────────────────────────────────────


def rewriter(array: Any, choices: list[Any], stop: threading.Event) -> threading.Thread:
    def rewrite() -> None:
        while not stop.is_set():
            for values in choices:
                array[...] = values

    thread = threading.Thread(target=rewrite)
    thread.start()
    return thread


@pytest.mark.parametrize("form", ["offsets", "last offset", "lengths", "list"])
def test_raced_bags_give_an_error_or_zeros_and_ones(form: str) -> None:
    """The table holds ones between guard rows of NaN: whatever the bags are, their maximum is one, or zero."""
    memory = np.full((3000, 16), np.nan, np.float32)
    table = memory[1000:2000]
    table[...] = 1
    count = 3000
    ids = np.random.default_rng(0).integers(0, 1000, count)
    wild = [MAX, -MAX - 1, -1, count + 1, count * 1000, 2**40]
    offsets = np.sort(np.random.default_rng(1).integers(0, count, 200))
    offsets[0] = 0
    if form == "lengths":
        good, bad = np.full(200, count // 200), np.full(200, count // 200)
        bad[[3, 4]] = [MAX, -MAX]
    else:
        good, bad = offsets, offsets.copy()
        bad[50:56] = wild
    if form == "last offset":
        good[-1] = bad[-1] = count
    shared = good.copy()
    parts: list[Any] = [ids[k * 15 : k * 15 + 15].tolist() for k in range(200)]
    parts[0].append(3)
    arguments: dict[str, Any] = {
        "offsets": {"ids": ids, "offsets": shared},
        "last offset": {"ids": ids, "offsets": shared, "include_last_offset": True},
        "lengths": {"ids": ids, "lengths": shared},
        "list": {"ids": parts},
    }[form]
    stop = threading.Event()
    if form == "list":
        target, choices = parts, [parts[k:] + parts[:k] for k in range(3)]
        changing = threading.Thread(target=lambda: change_parts(parts, stop))
        changing.start()
    else:
        target, choices = shared, [good, bad]
        changing = rewriter(target, choices, stop)
    seen = {"rows": 0, "errors": 0}
    try:
        deadline = time.monotonic() + 20
        calls = 0
        while calls < 300 or (not seen["rows"] and time.monotonic() < deadline):
            calls += 1
            try:
                rows = embedding_bag(table, reduce="max", num_threads=1 + calls % 3, **arguments)
            except ValueError:
                seen["errors"] += 1
                continue
            assert ((rows == 0) | (rows == 1)).all()
            seen["rows"] += 1
    finally:
        stop.set()
        changing.join()
    assert seen["rows"]


def change_parts(parts: list[Any], stop: threading.Event) -> None:
    while not stop.is_set():
        parts[7].append(1)
        parts[9] = [5] * 40
        parts[7].pop()
        parts[9] = [5]


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="preadv")
@pytest.mark.parametrize("dtype", ["int32", "uint64"])
def test_raced_ids_of_bags_stay_inside_the_table(tmp_path: Any, dtype: str) -> None:
    """One system call after another rewrites the ids without the GIL, while bags of them are pooled."""
    memory = np.full((3000, 64), np.nan, np.float32)
    table = memory[1000:2000]
    table[...] = 1
    ids = np.zeros((40, 2000), dtype)
    rng = np.random.default_rng(0)
    with open(tmp_path / "ids", "wb") as file:
        for batch in range(16):
            values = rng.integers(0, 1000, ids.shape)
            if batch % 4 == 0:
                values[rng.integers(0, 40, 3), rng.integers(0, 2000, 3)] = [1000, 1500, 2**31 - 1]
            file.write(values.astype(dtype).tobytes())
    stop = threading.Event()

    def rewrite(descriptor: int) -> None:
        buffers = [memoryview(ids).cast("B")] * 16
        while not stop.is_set():
            os.preadv(descriptor, buffers, 0)

    descriptor = os.open(tmp_path / "ids", os.O_RDONLY)
    thread = threading.Thread(target=rewrite, args=(descriptor,))
    thread.start()
    seen = {"rows": 0, "errors": 0}
    try:
        deadline = time.monotonic() + 30
        calls = 0
        while calls < 150 or (not all(seen.values()) and time.monotonic() < deadline):
            calls += 1
            # bags short and giant, on one thread and many
            bags = ids.reshape(1 if calls % 2 else 400, -1)
            try:
                rows = embedding_bag(table, bags, num_threads=1 + calls % 4, reduce="mean", padding_id=7)
            except IndexError as error:
                value = int(str(error).partition(" = ")[2].partition(" ")[0])
                assert not 0 <= value < 1000
                seen["errors"] += 1
                continue
            assert (rows == 1).all()
            seen["rows"] += 1
    finally:
        stop.set()
        thread.join()
        os.close(descriptor)
    assert all(seen.values()), seen


def test_bag_takes_an_interrupt_within_a_long_bag_on_one_thread() -> None:
    table = np.ones((1, 64), np.float32)
    ids = np.zeros((1, 400_000_000), np.uint8)  # 100 GB of rows: twenty seconds and more
    began: list[float] = []

    def interrupt(*_: Any) -> None:
        began.append(time.monotonic())
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    sent = time.monotonic() + 0.2
    try:
        with pytest.raises(KeyboardInterrupt):
            embedding_bag(table, ids, num_threads=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert began[0] - sent < 1  # 0.2 s on a machine that nobody else uses
    assert kernels.embedding_bag(table, ids[:, :3]).tolist() == [[1] * 64]
