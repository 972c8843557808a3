"""Sequences of ids: padded to one length, and word pairs out of them, as in Keras 2.2.4."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed._native.sequences import fill_rows, is_compiled
from fastembed.ops._tables import new_table

__all__ = ["make_sampling_table", "pad_sequences", "skipgrams"]

# Bytes from where on an array's memory is worth keeping.
_LARGE = 2**20


def pad_sequences(
    sequences: Any,
    maxlen: Any = None,
    dtype: DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> NDArray[Any]:
    """Make one array of sequences of different lengths: short ones are padded, long ones cut.

        pad_sequences([[1, 2, 3], [4]], maxlen=2)       # [[2, 3], [0, 4]]

    Lists, tuples and 1-D arrays of numbers take compiled code; every other sequence that Keras takes gives what it
    gives there.

    Args:
        sequences: a list (anything with a length) of sequences: of numbers, or of arrays of one shape.
        maxlen: int, the length of each row; None for the longest sequence's.
        dtype: of the result; ``object`` for strings of any length.
        padding: 'pre' or 'post', on which side of a short sequence the padding stands.
        truncating: 'pre' or 'post', which side of a long sequence is cut off.
        value: what the padding is, a float or a string.

    Returns:
        A new array (len(sequences), maxlen, *shape of an item); all padding for empty sequences.

    Raises:
        ValueError: `sequences` has no length, or an item of it; an item has another shape than the first sequence's;
            `padding` or `truncating` is unknown; `value` is a string and `dtype` holds none; there are no sequences
            and no `maxlen`.

    Source: Keras 2.2.4, `keras.preprocessing.sequence.pad_sequences`.
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    lengths, item_shape = _measure(sequences)
    # np.max words the error for no sequences; max takes a quarter of its time
    width = maxlen if maxlen is not None else max(lengths) if lengths else np.max(lengths)
    holds_strings = np.dtype(dtype).kind in "OU"
    if isinstance(value, str) and not holds_strings:
        raise ValueError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\n"
            "You should set `dtype=object` for variable length strings."
        )
    cell: NDArray[Any] = np.full(1, value, dtype=dtype)
    understood = padding in ("pre", "post") and truncating in ("pre", "post")
    compiled = understood and not item_shape and is_compiled(cell.dtype)
    shape = (len(sequences), width, *item_shape)
    out: NDArray[Any] = _new_rows(shape, cell.dtype) if compiled else np.full(shape, value, dtype=dtype)

    def place(position: int, sequence: Any) -> None:
        if not len(sequence):
            return
        if truncating not in ("pre", "post"):
            raise ValueError(f'Truncating type "{truncating}" not understood')
        kept = np.asarray(sequence[-width:] if truncating == "pre" else sequence[:width], dtype=dtype)
        if kept.shape[1:] != item_shape:
            raise ValueError(
                f"Shape of sample {kept.shape[1:]} of sequence at position {position} is different from expected "
                f"shape {item_shape}"
            )
        if padding not in ("pre", "post"):
            raise ValueError(f'Padding type "{padding}" not understood')
        out[position, slice(len(kept)) if padding == "post" else slice(-len(kept), None)] = kept

    # a row of length 0 is Keras's affair: sequence[-0:] is all of it
    if compiled and out.shape[1]:
        fill_rows(tuple(sequences), out, cell, truncating == "post", padding == "post", place)
    else:
        for position, sequence in enumerate(sequences):
            place(position, sequence)
    return out


def _new_rows(shape: tuple[Any, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An uninitialised array; a large one over memory that is used again, as the lookups' outputs are."""
    rows, width = shape
    if not isinstance(width, (int, np.integer)) or width < 0 or rows * int(width) * dtype.itemsize < _LARGE:
        return np.empty(shape, dtype)
    size = rows * int(width) * dtype.itemsize
    return new_table([-(-size // 4)]).view(np.uint8)[:size].view(dtype).reshape(shape)


def _measure(sequences: Any) -> tuple[list[int], tuple[int, ...]]:
    """The length of each sequence, and the shape of an item of the first that has any."""
    try:
        lengths = list(map(len, sequences))
        first = next((i for i, length in enumerate(lengths) if length), None)
        if first is None or isinstance(sequences, (list, tuple)):
            return lengths, () if first is None else np.asarray(sequences[first]).shape[1:]
    except TypeError:
        pass
    # what is wrong with which sequence, in Keras's order
    lengths = []
    item_shape: tuple[int, ...] | None = None
    for sequence in sequences:
        try:
            lengths.append(len(sequence))
            if item_shape is None and lengths[-1]:
                item_shape = np.asarray(sequence).shape[1:]
        except TypeError:
            raise ValueError(
                f"`sequences` must be a list of iterables. Found non-iterable: {sequence!s}"
            ) from None
    return lengths, item_shape or ()


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> NDArray[np.float64]:
    """Give each rank of word the probability with which word2vec keeps a word of it.

    Ranks follow Zipf's law: the word of rank r occurs about 1 / (r (log r + 0.577) + 1/2 - 1/(12 r)) of the time.

    Args:
        size: int, how many ranks; rank 0 counts as rank 1.
        sampling_factor: float, word2vec's: the smaller, the fewer frequent words are kept.

    Returns:
        (size,) float64, for `skipgrams`.

    Source: Keras 2.2.4, `keras.preprocessing.sequence.make_sampling_table`.
    """
    ranks = np.arange(size)
    ranks[0] = 1
    scaled = sampling_factor * (ranks * (np.log(ranks) + 0.577) + 0.5 - 1.0 / (12.0 * ranks))
    kept: NDArray[np.float64] = np.minimum(1.0, scaled / np.sqrt(scaled))
    return kept


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: Any = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pair each word with those around it (label 1) and with random words (label 0).

    Random numbers are those of Python's `random`: `random.seed` makes the pairs the same each time.

    Args:
        sequence: ids of words; 0 is no word and is left out.
        vocabulary_size: int, the largest id + 1.
        window_size: int, how far apart two words may stand.
        negative_samples: float >= 0, random pairs for each real one.
        shuffle: whether to shuffle the pairs.
        categorical: whether labels are [0, 1] and [1, 0] instead of 1 and 0.
        sampling_table: (vocabulary_size,) probabilities of keeping a word of this id; None to keep all.
        seed: what the shuffling is seeded with; random when None.

    Returns:
        The pairs, lists of two ids, and their labels.

    Source: Keras 2.2.4, `keras.preprocessing.sequence.skipgrams`.
    """
    pairs: list[list[int]] = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        around = range(max(0, i - window_size), min(len(sequence), i + window_size + 1))
        pairs += [[word, sequence[j]] for j in around if j != i and sequence[j]]
    labels: list[Any] = [[0, 1] if categorical else 1 for _ in pairs]
    if negative_samples > 0:
        words = [word for word, _ in pairs]
        count = int(len(words) * negative_samples)
        random.shuffle(words)
        pairs += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)]
        labels += [[1, 0] if categorical else 0 for _ in range(count)]
    if shuffle:
        if seed is None:
            seed = random.randint(0, 10_000_000)
        for items in (pairs, labels):
            # the same order for both
            random.seed(seed)
            random.shuffle(items)
    return pairs, labels
