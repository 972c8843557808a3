"""What the array functions refuse, in which words, and that nothing is written then."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed.ops import _bags, _check, embedding_bag, gather, gather_with_mask

from .helpers import bad_id_text, random_table, same_bits, unaligned

FIX = "convert it once, with np.ascontiguousarray(table, dtype=np.float32)."
FUNCTIONS = pytest.mark.parametrize("function", [gather, gather_with_mask])
Function = Callable[..., Any]


@FUNCTIONS
@pytest.mark.parametrize(
    ("table", "kind", "text"),
    [
        ([[1.0]], TypeError, f"`table` must be a float32 NumPy array (V, D). Received: list; {FIX}"),
        (None, TypeError, f"`table` must be a float32 NumPy array (V, D). Received: NoneType; {FIX}"),
        (np.float32(1), TypeError, f"`table` must be a float32 NumPy array (V, D). Received: float32; {FIX}"),
        (np.eye(3), TypeError, f"`table` must be a float32 array (V, D). Received: dtype float64; {FIX}"),
        (np.eye(3, dtype="f2"), TypeError, f"`table` must be a float32 array (V, D). Received: dtype float16; {FIX}"),
        (np.eye(3, dtype=int), TypeError, f"`table` must be a float32 array (V, D). Received: dtype int64; {FIX}"),
        (np.eye(3, dtype=object), TypeError, f"`table` must be a float32 array (V, D). Received: dtype object; {FIX}"),
        (
            np.ma.array(np.eye(3, dtype="f4")),
            TypeError,
            "`table` must be a plain float32 array. Received: a masked array; fill it, with table.filled().",
        ),
        (np.zeros(3, "f4"), ValueError, "`table` must have 2 dimensions (V, D). Received: shape (3,)."),
        (np.array(3, "f4"), ValueError, "`table` must have 2 dimensions (V, D). Received: shape ()."),
        (np.zeros((3, 1, 2), "f4"), ValueError, "`table` must have 2 dimensions (V, D). Received: shape (3, 1, 2)."),
        (
            np.zeros((3, 2), "f4").T,
            ValueError,
            "`table` must be C-contiguous, aligned and of native byte order. Received: one with strides (4, 8); " + FIX,
        ),
        (
            np.zeros((6, 2), "f4")[::-2],
            ValueError,
            "`table` must be C-contiguous, aligned and of native byte order. Received: one with strides (-16, 4); "
            + FIX,
        ),
        (
            np.zeros((3, 2), "f4").view(np.dtype("f4").newbyteorder()),
            ValueError,
            "`table` must be C-contiguous, aligned and of native byte order. Received: one of foreign byte order; "
            + FIX,
        ),
        (
            unaligned(np.zeros((3, 2), "f4")),
            ValueError,
            "`table` must be C-contiguous, aligned and of native byte order. Received: one that is not aligned; "
            'convert it once, with np.require(table, np.float32, ["C", "A"]).',
        ),
    ],
    ids=str,
)
def test_table_that_needs_a_conversion_is_refused(function: Function, table: Any, kind: type, text: str) -> None:
    with pytest.raises(kind) as error:
        function(table, [0])
    assert (type(error.value), str(error.value)) == (kind, text)


NO_ARRAY = "convert them to an integer dtype."
FLOATS = "convert them, with ids.astype(np.int64), if they are whole numbers."
MASK = "a mask is no array of ids; np.flatnonzero(mask) gives the ids where it is True."


@FUNCTIONS
@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (1.0, f"`ids` must be integers. Received: dtype float64; {FLOATS}"),
        ([1, 2.0], f"`ids` must be integers. Received: dtype float64; {FLOATS}"),
        (np.array([], "f4"), f"`ids` must be integers. Received: dtype float32; {FLOATS}"),
        (np.float16(1), f"`ids` must be integers. Received: dtype float16; {FLOATS}"),
        ([2**63, -1, 0.5], f"`ids` must be integers. Received: dtype float64; {FLOATS}"),
        (True, f"`ids` must be integers. Received: dtype bool; {MASK}"),
        ([True, False], f"`ids` must be integers. Received: dtype bool; {MASK}"),
        (np.zeros((0, 2), bool), f"`ids` must be integers. Received: dtype bool; {MASK}"),
        (1j, f"`ids` must be integers. Received: dtype complex128; {NO_ARRAY}"),
        ("ab", f"`ids` must be integers. Received: dtype <U2; {NO_ARRAY}"),
        (["1", "22"], f"`ids` must be integers. Received: dtype <U2; {NO_ARRAY}"),
        (b"ab", f"`ids` must be integers. Received: dtype |S2; {NO_ARRAY}"),
        (np.array([1], "m8[s]"), f"`ids` must be integers. Received: dtype timedelta64[s]; {NO_ARRAY}"),
        (np.array([1], "M8[s]"), f"`ids` must be integers. Received: dtype datetime64[s]; {NO_ARRAY}"),
        (np.zeros(1, "i4,i4"), f"`ids` must be integers. Received: dtype [('f0', '<i4'), ('f1', '<i4')]; {NO_ARRAY}"),
        (
            np.ma.array([1, 2]),
            "`ids` must be a plain integer array. Received: a masked array; fill it, with ids.filled(id).",
        ),
        (None, "`ids` must be an integer. Received: None (NoneType)."),
        ([1, None], "`ids` must be an integer. Received: None (NoneType)."),
        ({1}, "`ids` must be an integer. Received: {1} (set)."),
        ({1: 2}, "`ids` must be an integer. Received: {1: 2} (dict)."),
        (np.array([1, "a"], object), "`ids` must be an integer. Received: 'a' (str)."),
        (np.array([1, True], object), "`ids` must be an integer. Received: True (bool)."),
        (np.array([1, 2.0], object), "`ids` must be an integer. Received: 2.0 (float)."),
        ([2**70, True], "`ids` must be an integer. Received: True (bool)."),
        ([2**70, 1.5], "`ids` must be an integer. Received: 1.5 (float)."),
    ],
    ids=repr,
)
def test_ids_that_are_no_integers_are_refused(function: Function, ids: Any, text: str) -> None:
    with pytest.raises(TypeError) as error:
        function(random_table(3, 2), ids)
    assert str(error.value) == text


@FUNCTIONS
@pytest.mark.parametrize("ids", [[[1], [1, 2]], [1, [2]], [2**70, [1]]], ids=repr)
def test_ragged_lists_of_ids_are_refused(function: Function, ids: Any) -> None:
    with pytest.raises(ValueError, match="inhomogeneous") as numpys:
        np.asarray(ids)
    with pytest.raises(ValueError, match="nested") as error:
        function(random_table(3, 2), ids)
    assert str(error.value) == f"`ids` must be integers in nested lists of equal lengths, or an array: {numpys.value}"


@FUNCTIONS
@pytest.mark.parametrize(
    ("ids", "where", "value", "num_rows"),
    [
        (np.array(6), (), 6, 6),
        (6, (), 6, 6),
        (-1, (), -1, 6),
        ([5, 6, 7], (1,), 6, 6),
        (np.array([5, -6, 6], np.int8), (1,), -6, 6),
        ([[0, 6], [7, 0]], (0, 1), 6, 6),
        ([[0, 5], [-3, 6]], (1, 0), -3, 6),
        (np.asfortranarray([[0, 1, 9], [8, 0, 0]]), (0, 2), 9, 6),
        (np.array([[0, 1], [7, 8]]).T, (0, 1), 7, 6),
        (np.zeros((2, 3, 4, 5), np.uint8) + np.uint8(200), (0, 0, 0, 0), 200, 6),
        (np.array([2**63 + 5], np.uint64), (0,), 2**63 + 5, 6),
        (np.array([2**64 - 1], np.uint64), (0,), 2**64 - 1, 6),
        (np.array([-(2**63)]), (0,), -(2**63), 6),
        (np.array([2**32], np.int64), (0,), 2**32, 6),
        (np.array([2**32 + 1], np.uint64), (0,), 2**32 + 1, 6),
        (np.array([3], ">i4"), (0,), 3, 3),
        ([2**63], (0,), 2**63, 6),
        ([1, 2**70, 9], (1,), 2**70, 6),
        ([1, 9, 2**70], (1,), 9, 6),
        ([[0, 1], [-1, 2**63]], (1, 0), -1, 6),
        (np.array([0, -(2**65)], object), (1,), -(2**65), 6),
        ([0], (0,), 0, 0),
        ([-1], (0,), -1, 0),
        (0, (), 0, 0),
    ],
    ids=repr,
)
def test_first_id_outside_the_table_is_named(
    function: Function, ids: Any, where: tuple[int, ...], value: int, num_rows: int
) -> None:
    with pytest.raises(IndexError) as error:
        function(random_table(num_rows, 2), ids, **({"padding_id": 1} if function is gather_with_mask else {}))
    assert str(error.value) == bad_id_text(where, value, num_rows)


def test_texts_of_the_three_kinds_of_bad_id() -> None:
    table = random_table(6, 2)
    with pytest.raises(IndexError) as error:
        gather(table, [[0, 6]])
    assert str(error.value) == (
        "indices[0,1] = 6 is not in [0, 6): the table has 6 rows; it needs (an Embedding's input_dim must be) at least "
        'the largest id + 1. gather\'s mode="clip", "wrap" or "zero" accepts any id.'
    )
    with pytest.raises(IndexError) as error:
        gather(table, [-1])
    assert str(error.value) == (
        "indices[0] = -1 is not in [0, 6): negative ids do not count from the end. If it marks padding, name it to "
        'gather_with_mask as padding_id; gather\'s mode="clip", "wrap" or "zero" accepts any id.'
    )
    with pytest.raises(IndexError) as error:
        gather(table[:0], 0, mode="clip")
    assert str(error.value) == "indices = 0 is not in [0, 0): the table has no rows."


@pytest.mark.parametrize("mode", ["clip", "wrap"])
@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, 2**70])
def test_empty_table_has_no_row_to_clip_or_wrap_to(mode: str, value: int) -> None:
    with pytest.raises(IndexError) as error:
        gather(random_table(0, 3), [value], mode=mode)
    assert str(error.value) == bad_id_text((0,), value, 0)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "int16"])
@pytest.mark.parametrize("dim", [1, 16])
def test_first_bad_id_is_named_for_any_number_of_threads(dtype: str, dim: int) -> None:
    rng = np.random.default_rng(5)
    table = random_table(1000, dim)
    good = rng.integers(0, 1000, 200_000).astype(dtype)
    edges = [0, 255, 256, 257, 199_999, 963, 964, 13_106, 13_107]
    for round_ in range(30):
        ids = good.copy()
        places = rng.choice(200_000, rng.integers(1, 6), replace=False)
        if round_ < len(edges):
            places[0] = edges[round_]
        ids[places] = rng.integers(1000, 30_000, len(places))
        first = int(places.min())
        for threads in range(1, 9):
            with pytest.raises(IndexError) as error:
                gather(table, ids, num_threads=threads)
            assert str(error.value) == bad_id_text((first,), int(ids[first]), 1000)


@FUNCTIONS
def test_unknown_mode_is_refused(function: Function) -> None:
    for mode in ("x", "", "RAISE", "raise "):
        with pytest.raises(ValueError, match="mode") as error:
            function(random_table(2, 2), 0, mode=mode)
        assert str(error.value) == f'`mode` must be one of "raise", "clip", "wrap", "zero". Received: {mode!r}.'
    for other in (None, 0, b"raise", ["raise"], {}):
        with pytest.raises(TypeError) as kind_error:
            function(random_table(2, 2), 0, mode=other)
        assert str(kind_error.value) == f'`mode` must be one of "raise", "clip", "wrap", "zero". Received: {other!r}.'
    made_here = "".join(["cl", "ip"])
    assert same_bits(gather(random_table(2, 2), [9], mode=made_here), random_table(2, 2)[1:])


@FUNCTIONS
def test_unfit_num_threads_is_refused(function: Function) -> None:
    for number in (0, -1, 257, 2**70):
        with pytest.raises(ValueError, match="num_threads") as error:
            function(random_table(2, 2), 0, num_threads=number)
        assert str(error.value) == f"`num_threads` must be from 1 to 256. Received: {number}."
    for other, kind in ((True, "bool"), (2.0, "float"), ("2", "str"), (np.bool_(True), "bool")):
        with pytest.raises(TypeError) as kind_error:
            function(random_table(2, 2), 0, num_threads=other)
        kind = type(other).__name__
        assert str(kind_error.value) == f"`num_threads` must be an integer. Received: {other!r} ({kind})."
    function(random_table(2, 2), 0, num_threads=np.uint8(2))


def test_padding_id_that_is_no_integer_is_refused() -> None:
    for other in (True, np.True_, 1.0, None, "0", np.array(1)):
        with pytest.raises(TypeError) as error:
            gather_with_mask(random_table(2, 2), 0, padding_id=other)
        assert str(error.value) == f"`padding_id` must be an integer. Received: {other!r} ({type(other).__name__})."


def test_options_are_keywords() -> None:
    for function in (gather, gather_with_mask):
        with pytest.raises(TypeError, match=re.escape(f"{function.__name__}() takes exactly 2 positional arguments")):
            function(random_table(2, 2), 0, None)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="axis"):
            function(random_table(2, 2), 0, axis=0)  # type: ignore[call-arg]


def read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array


def bad_outputs() -> list[tuple[str, Any, type, str]]:
    """Outputs for ids of shape (2, 3) and 4 columns: what they are named, what they are, and what is said of them."""
    layout = "`out` must be C-contiguous, aligned and of native byte order. Received: "
    return [
        ("list", [[0.0]], TypeError, "`out` must be a float32 NumPy array of shape (2, 3, 4). Received: list."),
        (
            "scalar",
            np.float32(1),
            TypeError,
            "`out` must be a float32 NumPy array of shape (2, 3, 4). Received: float32.",
        ),
        (
            "masked",
            np.ma.zeros((2, 3, 4), "f4"),
            TypeError,
            "`out` must be a float32 NumPy array of shape (2, 3, 4). Received: a masked array.",
        ),
        (
            "float64",
            np.zeros((2, 3, 4)),
            TypeError,
            "`out` must be a float32 array of shape (2, 3, 4). Received: dtype float64.",
        ),
        (
            "int32",
            np.zeros((2, 3, 4), "i4"),
            TypeError,
            "`out` must be a float32 array of shape (2, 3, 4). Received: dtype int32.",
        ),
        ("flat", np.zeros(24, "f4"), ValueError, "`out` must have shape (2, 3, 4), ids.shape + (D,). Received: (24,)."),
        (
            "wide",
            np.zeros((2, 3, 5), "f4"),
            ValueError,
            "`out` must have shape (2, 3, 4), ids.shape + (D,). Received: (2, 3, 5).",
        ),
        (
            "turned",
            np.zeros((3, 2, 4), "f4"),
            ValueError,
            "`out` must have shape (2, 3, 4), ids.shape + (D,). Received: (3, 2, 4).",
        ),
        ("0-d", np.zeros((), "f4"), ValueError, "`out` must have shape (2, 3, 4), ids.shape + (D,). Received: ()."),
        ("fortran", np.zeros((2, 3, 4), "f4", "F"), ValueError, layout + "one with strides (4, 8, 24)."),
        ("strided", np.zeros((2, 3, 8), "f4")[..., ::2], ValueError, layout + "one with strides (96, 32, 8)."),
        ("reversed", np.zeros((2, 3, 4), "f4")[::-1], ValueError, layout + "one with strides (-48, 16, 4)."),
        (
            "swapped",
            np.zeros((2, 3, 4), np.dtype("f4").newbyteorder()),
            ValueError,
            layout + "one of foreign byte order.",
        ),
        ("unaligned", unaligned(np.zeros((2, 3, 4), "f4")), ValueError, layout + "one that is not aligned."),
        (
            "read-only",
            read_only(np.zeros((2, 3, 4), "f4")),
            ValueError,
            "`out` must be writable. Received: a read-only array.",
        ),
    ]


@FUNCTIONS
@pytest.mark.parametrize(("name", "out", "kind", "text"), bad_outputs(), ids=[case[0] for case in bad_outputs()])
def test_unfit_out_is_refused_and_left_alone(function: Function, name: str, out: Any, kind: type, text: str) -> None:
    before = np.array(out).tobytes()
    for ids in (np.ones((2, 3), np.int64), [[1, 2, 1], [2, 1, 2]]):
        with pytest.raises(kind) as error:
            function(random_table(6, 4), ids, out=out)
        assert (type(error.value), str(error.value)) == (kind, text)
        assert np.array(out).tobytes() == before


@pytest.mark.parametrize(
    ("mask_out", "kind", "text"),
    [
        ([True], TypeError, "`mask_out` must be a bool NumPy array of shape (2, 3). Received: list."),
        (np.zeros((2, 3), "u1"), TypeError, "`mask_out` must be a bool array of shape (2, 3). Received: dtype uint8."),
        (
            np.zeros((2, 3), "f4"),
            TypeError,
            "`mask_out` must be a bool array of shape (2, 3). Received: dtype float32.",
        ),
        (
            np.ma.zeros((2, 3), bool),
            TypeError,
            "`mask_out` must be a bool NumPy array of shape (2, 3). Received: a masked array.",
        ),
        (np.zeros(6, bool), ValueError, "`mask_out` must have shape (2, 3), ids.shape. Received: (6,)."),
        (np.zeros((2, 3, 1), bool), ValueError, "`mask_out` must have shape (2, 3), ids.shape. Received: (2, 3, 1)."),
        (
            np.zeros((3, 2), bool).T,
            ValueError,
            "`mask_out` must be C-contiguous, aligned and of native byte order. Received: one with strides (1, 2).",
        ),
        (read_only(np.zeros((2, 3), bool)), ValueError, "`mask_out` must be writable. Received: a read-only array."),
    ],
    ids=str,
)
def test_unfit_mask_out_is_refused_and_nothing_written(mask_out: Any, kind: type, text: str) -> None:
    before = np.array(mask_out).tobytes()
    out = np.full((2, 3, 4), 7, np.float32)
    with pytest.raises(kind) as error:
        gather_with_mask(random_table(6, 4), np.ones((2, 3), np.int64), out=out, mask_out=mask_out)
    assert (type(error.value), str(error.value)) == (kind, text)
    assert np.array(mask_out).tobytes() == before
    assert (out == 7).all()


def test_out_over_the_table_is_refused() -> None:
    memory = random_table(1, 200).reshape(-1)
    before = memory.tobytes()
    table = memory[40:64].reshape(6, 4)
    ids = np.zeros(3, np.int64)
    for start in (29, 40, 45, 63):  # an element of overlap, all of it, the middle, an element at the other end
        for function in (gather, gather_with_mask):
            with pytest.raises(ValueError, match="table") as error:
                function(table, ids, out=memory[start : start + 12].reshape(3, 4))
            assert str(error.value) == "`out` must not share memory with `table`: it would be read after it is written."
        mask_out = memory.view(bool)[start * 4 + 44 : start * 4 + 47] if start < 40 else memory.view(bool)[160:163]
        with pytest.raises(ValueError, match="table") as error:
            gather_with_mask(table, ids, mask_out=mask_out)
        assert (
            str(error.value) == "`mask_out` must not share memory with `table`: it would be read after it is written."
        )
    assert memory.tobytes() == before
    for start in (28, 64):  # next to it
        out = memory[start : start + 12].reshape(3, 4)
        assert gather(table, ids, out=out) is out
        assert same_bits(out, table[[0, 0, 0]])


@pytest.mark.parametrize("layout", ["plain", "strided", "swapped", "small", "list of views"])
def test_out_over_the_ids_is_refused(layout: str) -> None:
    memory = np.zeros(64, np.int64)
    dtype = np.dtype(np.int64)
    ids: Any = {
        "plain": memory[10:14],
        "strided": memory[10:18:2],
        "swapped": memory[10:14].view(dtype.newbyteorder()),
        "small": memory.view(np.int8)[80:84],
        "list of views": memory[10:14].view(np.recarray),
    }[layout]
    out = memory.view(np.float32)[24 - 4 : 24 + 4].reshape(4, 2)
    for function in (gather, gather_with_mask):
        with pytest.raises(ValueError, match="ids") as error:
            function(random_table(6, 2), ids, out=out)
        assert str(error.value) == "`out` must not share memory with `ids`: it would be read after it is written."
    with pytest.raises(ValueError, match="ids") as error:
        gather_with_mask(random_table(6, 2), ids, mask_out=memory.view(bool)[82:86])
    assert str(error.value) == "`mask_out` must not share memory with `ids`: it would be read after it is written."
    assert not memory.any()


def test_outputs_over_each_other_are_refused() -> None:
    memory = np.full(100, 7, np.float32)
    out = memory[10:18].reshape(4, 2)
    for start in (37, 40, 71):
        with pytest.raises(ValueError, match="share") as error:
            gather_with_mask(random_table(6, 2), [1, 2, 3, 0], out=out, mask_out=memory.view(bool)[start : start + 4])
        assert str(error.value) == "`out` and `mask_out` must not share memory."
    assert (memory == 7).all()


def test_given_out_is_returned_itself(tmp_path: Path) -> None:
    table = random_table(6, 4)
    ids = np.array([[5, 0, 3], [2, 2, 1]])
    mapped = np.memmap(tmp_path / "out", np.float32, "w+", shape=(2, 3, 4))
    for out in (np.empty((2, 3, 4), np.float32), mapped, np.empty((2, 3, 4), np.float32).view(np.recarray)):
        assert gather(table, ids, out=out) is out
        assert same_bits(np.asarray(out), table[ids])
        rows, mask = gather_with_mask(table, ids, out=out)
        assert rows is out
        np.testing.assert_array_equal(mask, ids != 0)
    flat = np.empty((3, 4), np.float32).view(np.matrix)
    assert gather(table, [3, 4, 5], out=flat) is flat
    assert same_bits(np.asarray(flat), table[3:])
    one = np.empty(4, np.float32)
    assert gather(table, 3, out=one) is one
    assert same_bits(one, table[3])
    none = np.empty((0, 4), np.float32)
    assert gather(table, [], out=none) is none


def test_refused_ids_leave_the_table_and_the_next_call_alone() -> None:
    table = random_table(6, 4)
    before = table.tobytes()
    out = np.empty((200, 4), np.float32)
    ids = np.full(200, 5)
    ids[150] = 6
    with pytest.raises(IndexError):
        gather(table, ids, out=out)
    assert table.tobytes() == before
    ids[150] = 4
    assert same_bits(gather(table, ids, out=out), table[ids])


def change(array: Any, attribute: str, value: Any) -> None:
    with warnings.catch_warnings():  # NumPy 2.5 deprecates it, and still does it
        warnings.simplefilter("ignore", DeprecationWarning)
        setattr(array, attribute, value)


def test_array_that_changes_its_shape_during_the_call_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # `_check.output` is Python: while it runs, another thread may assign to ids.dtype. Here it does so itself.
    memory = np.full((10, 8, 2), 7, np.float32)
    table = np.zeros((6, 2), np.float32)
    output = _check.output
    planned: list[Any] = []

    def and_change(*given: Any, **inputs: Any) -> Any:
        out = output(*given, **inputs)
        change(*planned)
        return out

    monkeypatch.setattr(_check, "output", and_change)
    for name, dtype in (("ids", np.int8), ("table", np.int8), ("table", np.float64)):
        ids = np.zeros(8, np.int64)
        arrays = {"ids": ids, "table": table.copy()}
        planned[:] = arrays[name], "dtype", dtype
        with pytest.raises(ValueError, match="changed") as error:
            gather(arrays["table"], ids, out=memory[5].view(np.recarray))
        assert str(error.value) == "the shape or dtype of an argument was changed during the call."
        assert (memory == 7).all()
    # the size of the output tells nothing of these
    value: Any
    for dim, name, attribute, value in (
        (4, "table", "shape", (24,)),
        (1, "table", "shape", ()),
        (0, "ids", "dtype", complex),
        (4, "ids", "dtype", complex),
    ):
        rows = 1 if value == () else 6
        for function in (gather, embedding_bag):
            ids = np.zeros((4, 2), np.int64)
            arrays = {"ids": ids, "table": np.zeros((rows, dim), np.float32)}
            planned[:] = arrays[name], attribute, value
            out = np.zeros((4, 2, dim) if function is gather else (4, dim), np.float32)
            with pytest.raises(ValueError, match="changed") as error:
                function(arrays["table"], ids, out=out.view(np.recarray))
            assert str(error.value) == "the shape or dtype of an argument was changed during the call."


def test_array_that_changes_its_shape_while_it_is_checked_is_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    # as above; these come after the checks of a shape
    callers: list[Any] = []
    for name in ("watch", "apart"):
        monkeypatch.setattr(_check, name, lambda *_, **__: change(callers[-1], "shape", (12,)))
    checks: list[tuple[Function, Any]] = [
        (_check.table, np.float32),
        (lambda array: _check.output("out", array, False, (6, 2), "(B, D)"), np.float32),
        (lambda array: _check.grads("output_grad", array, (6,)), np.float32),
        (lambda array: _check.ids(array, 12, "raise")[0], np.int64),
        (lambda array: _bags._weights(array, (6, 2)), np.float32),
    ]
    for check, dtype in checks:
        callers.append(np.zeros((6, 2), dtype))
        assert check(callers[-1]).shape == (6, 2)
        assert callers[-1].shape == (12,)


@pytest.mark.parametrize(
    ("floats", "place", "bits"),
    [
        ([[1.0, 0.5]], "indices[0,1] = 0.5", 53),
        (np.array([np.nan], np.float32), "indices[0] = nan", 24),
        (np.float16(np.inf), "indices = inf", 11),
        (np.array([1, 2**24 + 2], np.float32), "indices[1] = 16777218.0", 24),
    ],
    ids=str,
)
def test_whole_ids_refuses_what_floats_do_not_hold(floats: Any, place: str, bits: int) -> None:
    array = np.asarray(floats)
    with pytest.raises(ValueError, match="is no id") as error:
        _check.whole_ids(array)
    assert str(error.value) == (
        f"{place} is no id: it is not a whole number, or is past 2**{bits}, from where {array.dtype} does not hold "
        "every one; pass integer ids."
    )


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="longdouble holds every int64")
@pytest.mark.parametrize("value", [2**63, -(2**63), 2**64])
def test_whole_ids_refuses_what_int64_does_not_hold(value: int) -> None:
    array = np.array([1, value], np.longdouble)
    with pytest.raises(ValueError, match="is no id") as error:
        _check.whole_ids(array)
    assert str(error.value) == (
        f"indices[1] = {array[1]} is no id: it is not a whole number, or is past 2**63 - 1, from where int64 does not "
        "hold every one; pass integer ids."
    )
    largest = np.array([2**63 - 1, 1 - 2**63])
    assert _check.whole_ids(largest.astype(np.longdouble)).tolist() == largest.tolist()


def test_whole_ids_takes_every_whole_number_that_floats_hold() -> None:
    for dtype, largest in (("f2", 2**11), ("f4", 2**24), ("f8", 2**53)):
        floats = np.array([[0, -0.0, 1, -1], [largest, -largest, largest - 1, 3]], dtype)
        ids = _check.whole_ids(floats)
        assert ids.dtype == np.int64
        assert ids.tolist() == [[0, 0, 1, -1], [largest, -largest, largest - 1, 3]]
    assert _check.whole_ids(np.empty((0, 2))).shape == (0, 2)


def test_ids_past_64_bits_leave_the_first_bad_one_first() -> None:
    table = np.eye(6, 2, dtype=np.float32)
    for ids in ([5, 6, 2**70], [5, 6, -(2**70)]):
        with pytest.raises(IndexError, match=r"indices\[1\] = 6 is not in \[0, 6\)"):
            gather(table, ids)


@pytest.mark.parametrize(("padding", "other"), [(2**63 - 1, 2**70), (-(2**63), -(2**70))])
def test_ids_past_64_bits_are_not_taken_for_padding_at_their_end(padding: int, other: int) -> None:
    table = np.arange(1, 13, dtype=np.float32).reshape(6, 2)
    rows, mask = gather_with_mask(table, [other, padding, 1], padding_id=padding, mode="clip")
    assert mask.tolist() == [True, False, True]
    assert rows.tolist() == [table[-1 if other > 0 else 0].tolist(), [0, 0], table[1].tolist()]


def test_id_past_64_bits_that_wraps_to_the_padding_id_is_none() -> None:
    table = np.arange(1, 13, dtype=np.float32).reshape(6, 2)
    assert 2**70 % 6 == 4
    rows, mask = gather_with_mask(table, [2**70, 4], padding_id=4, mode="wrap")
    assert mask.tolist() == [True, False]
    assert rows.tolist() == [table[4].tolist()] * 2
