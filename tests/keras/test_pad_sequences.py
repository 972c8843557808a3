"""pad_sequences' compiled rows are NumPy's, whatever the dtype and the items."""

import random
import sys
import warnings

import numpy as np
import pytest

from fastembed._native.sequences import fill_rows
from fastembed.preprocessing.sequence import pad_sequences

DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]


def plain(sequences, maxlen, dtype, padding, truncating, value):
    """The meaning, a row at a time."""
    out = np.full((len(sequences), maxlen), value, dtype)
    for row, sequence in zip(out, sequences, strict=True):
        kept = np.asarray(sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], dtype)
        if len(kept):
            row[: len(kept)] = kept if padding == "post" else row[: len(kept)]
            row[maxlen - len(kept) :] = kept if padding == "pre" else row[maxlen - len(kept) :]
    return out


@pytest.mark.parametrize("dtype", DTYPES)
def test_pad_sequences_gives_what_numpy_gives(dtype):
    generator = random.Random(dtype)
    largest = 2.0**120 if dtype[0] == "f" else float(min(np.iinfo(dtype).max, 2**53))
    for _ in range(60):
        sequences = []
        for _ in range(generator.randint(1, 12)):
            length = generator.choice([0, 1, 2, 3, 7, 8, 20])
            items = [generator.choice([0, 1, 2, 100, 127]) for _ in range(length)]
            if dtype[0] == "f" and generator.random() < 0.5:
                items = [generator.uniform(-1, 1) * generator.choice([1, 1e-40, largest]) for _ in range(length)]
            elif generator.random() < 0.3 and length:
                items[generator.randrange(length)] = generator.choice([True, np.int8(5), int(largest)])
            kind = generator.choice([list, tuple, np.array, lambda x: np.array(x, dtype), lambda x: np.array(x)[::-1]])
            sequences.append(kind(items))
        arguments = [generator.choice([1, 2, 5, 30]), dtype, *generator.choices(["pre", "post"], k=2), 7]
        np.testing.assert_array_equal(pad_sequences(sequences, *arguments), plain(sequences, *arguments))


@pytest.mark.parametrize("dtype", DTYPES)
def test_pad_sequences_refuses_or_wraps_as_numpy(dtype):
    numbers = (2**7, 2**8, -1, -(2**7) - 1, 2**31, -(2**31) - 1, 2**32, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63)
    for value in (*numbers, 2**64, 2**200, 1.5, float("nan"), 1e300, "x", None):
        expected, said = attempt(lambda value=value: np.asarray([1, value], dtype))
        padded, ours = attempt(lambda value=value: pad_sequences([[1, value]], dtype=dtype)[0])
        assert ours == said
        np.testing.assert_array_equal(padded, expected)


def attempt(call):
    """What a call returns, or what it says."""
    try:
        with np.errstate(over="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy 1's, of what NumPy 2 refuses
            return call(), None
    except (ValueError, TypeError, OverflowError) as error:
        return None, (type(error), str(error))


def test_pad_sequences_keeps_int64_bits_as_numpy():
    array = np.array([2**62 + 1, -(2**62) - 1, 2**31, -1])
    for dtype in DTYPES:
        np.testing.assert_array_equal(pad_sequences([array], dtype=dtype), [array.astype(dtype)])


def test_pad_sequences_leaves_no_references():
    item = 10**15
    before = sys.getrefcount(item)
    for _ in range(10):
        pad_sequences([[item, 1.5], (item,)], dtype="float64")
    assert sys.getrefcount(item) == before


def test_pad_sequences_survives_lists_that_change():
    rows = [[1, 2, 3], None, [4, 5, 6]]

    class Emptying(list):
        def __len__(self):
            del rows[2][:]
            return 1

        def __getitem__(self, item):
            return [9]

    rows[1] = Emptying()
    np.testing.assert_array_equal(pad_sequences(rows, 3, padding="post"), [[1, 2, 3], [9, 0, 0], [0, 0, 0]])


def test_fill_rows_refuses_output_that_does_not_fit():
    for out in (np.zeros(3), np.zeros((2, 3)), np.zeros((1, 3))[:, ::2], np.zeros((1, 3), ">i4")):
        with pytest.raises(ValueError, match="`out` must be") as caught:
            fill_rows(([1],), out, np.zeros(1), True, True, print)
        assert str(caught.value) == "`out` must be writable, C-contiguous and native, with a row for each sequence."
    for padding in (np.zeros(2), np.zeros(1, int), np.zeros((1, 1))):
        with pytest.raises(ValueError, match="`padding`") as caught:
            fill_rows(([1],), np.zeros((1, 3)), padding, True, True, print)
        assert str(caught.value) == "`out` must be of a compiled dtype, and `padding` one number of it."
