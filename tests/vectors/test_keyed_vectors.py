"""KeyedVectors: gensim's names for keys and rows; saved and loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fastembed
from fastembed import KeyedVectors
from fastembed.io.keys import PackedKeys
from fastembed.io.mapping import mapping_of

WORDS = ["the", "naïve", "New York", "3"]


def table() -> NDArray[np.float32]:
    return np.arange(12, dtype=np.float32).reshape(4, 3)


def test_keyed_vectors_has_gensims_names() -> None:
    given = table()
    vectors = fastembed.KeyedVectors(given, WORDS)
    assert np.shares_memory(vectors.vectors, given)
    assert vectors.index_to_key == WORDS
    assert type(vectors.index_to_key) is list
    assert vectors.key_to_index == {"the": 0, "naïve": 1, "New York": 2, "3": 3}
    assert (len(vectors), vectors.vector_size) == (4, 3)
    assert repr(vectors) == "KeyedVectors<vector_size=3, 4 keys>"


@pytest.mark.parametrize("with_dict", [False, True])
def test_get_index(with_dict: bool) -> None:
    vectors = KeyedVectors(table(), WORDS)
    if with_dict:
        assert vectors.key_to_index
    assert [vectors.get_index(word) for word in WORDS] == [0, 1, 2, 3]
    assert vectors.get_index(2) == 2
    assert vectors.get_index(np.int64(3)) == 3
    assert type(vectors.get_index(np.int64(3))) is int
    assert vectors.get_index("x", 7) == 7
    assert vectors.get_index("x", default=-1) == -1
    for key in ("x", "The", 4, -1, None, True, 1.0, ["the"], "\ud800"):
        with pytest.raises(KeyError) as caught:
            vectors.get_index(key)  # type: ignore[arg-type]
        assert caught.value.args == (f"Key '{key}' not present",)
        assert key not in vectors
        assert vectors.get_index(key, 9) == 9  # type: ignore[arg-type]
    assert "naïve" in vectors
    assert 0 in vectors


def test_get_vector() -> None:
    vectors = KeyedVectors(table(), WORDS)
    got = vectors.get_vector("naïve")
    assert got.tolist() == [3, 4, 5]
    assert np.shares_memory(got, vectors.vectors)
    assert not got.flags.writeable
    assert vectors.vectors.flags.writeable
    unit = vectors.get_vector("naïve", norm=True)
    np.testing.assert_array_equal(unit, (np.array([3, 4, 5]) / np.sqrt(50)).astype(np.float32), strict=True)
    zeros = KeyedVectors(np.zeros((1, 2), np.float32), ["a"]).get_vector("a", norm=True)
    assert zeros.tolist() == [0, 0]
    with pytest.raises(KeyError, match="Key 'x' not present"):
        vectors.get_vector("x")


def test_getitem_gives_one_or_several() -> None:
    vectors = KeyedVectors(table(), WORDS)
    assert vectors["the"].tolist() == [0, 1, 2]
    assert vectors["3"].tolist() == [9, 10, 11]
    assert vectors[1].tolist() == [3, 4, 5]
    several = vectors[["3", "the", "3"]]
    assert several.tolist() == [[9, 10, 11], [0, 1, 2], [9, 10, 11]]
    several[...] = 0
    assert vectors["3"].tolist() == [9, 10, 11]
    assert vectors[("the",)].shape == (1, 3)
    assert vectors[np.array([1, 0])].tolist() == [[3, 4, 5], [0, 1, 2]]
    assert vectors[[]].shape == (0, 3)
    for key in ("x", ["the", "x"]):
        with pytest.raises(KeyError, match="Key 'x' not present"):
            vectors[key]


def test_keyed_vectors_takes_packed_keys_whose_first_row_counts() -> None:
    keys = PackedKeys.from_strings(["a", "b", "a", "c"])
    vectors = KeyedVectors(table(), keys)
    assert vectors.keys is keys
    assert vectors.get_index("a") == 0
    assert vectors.key_to_index == {"a": 0, "b": 1, "c": 3}
    assert vectors.get_index("a") == 0


def test_keyed_vectors_converts_once() -> None:
    for given in (table().astype(np.float64), table().tolist(), np.asfortranarray(table()), table().astype(np.int16)):
        vectors = KeyedVectors(given, WORDS)
        np.testing.assert_array_equal(vectors.vectors, table(), strict=True)
        assert vectors.vectors.flags.c_contiguous
    assert KeyedVectors(np.empty((0, 3), np.float32), []).most_similar(np.ones(3)) == []


def test_keyed_vectors_refuses() -> None:
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (table(), WORDS[:3], ValueError, "there must be a key for each of the 4 rows. Received: 3 keys."),
        (table(), ["a", "b", "a", "c"], ValueError, "keys must differ. Received: 'a' at positions 0 and 2."),
        (table(), ["a", "b", 3, "c"], TypeError, "keys must be str. Received: 3 (int) at position 2."),
        (table()[0], WORDS, ValueError, "`vectors` must have 2 dimensions (V, D). Received: shape (3,)."),
        (["a"], WORDS, TypeError, "`vectors` must be an array of numbers (V, D). Received: dtype <U1."),
        (
            table() > 1,
            WORDS,
            TypeError,
            "`vectors` must be an array of numbers (V, D). Received: dtype bool.",
        ),
        (
            np.ma.masked_array(table()),
            WORDS,
            TypeError,
            "`vectors` must be an array of numbers (V, D). Received: a masked array; fill it, with .filled().",
        ),
    ]
    for vectors, keys, error, text in cases:
        with pytest.raises(error) as caught:
            KeyedVectors(vectors, keys)
        assert str(caught.value) == text


@pytest.mark.parametrize("mmap", [True, False])
def test_save_and_load(tmp_path: Path, mmap: bool) -> None:
    vectors = KeyedVectors(table(), WORDS)
    vectors.save(tmp_path / "v")
    loaded = KeyedVectors.load(tmp_path / "v", mmap=mmap)
    np.testing.assert_array_equal(loaded.vectors, table(), strict=True)
    assert loaded.index_to_key == WORDS
    assert (mapping_of(loaded.vectors) is not None) == mmap
    assert loaded.vectors.flags.writeable != mmap
    assert loaded.most_similar("the") == vectors.most_similar("the")
    assert loaded["3"].tolist() == [9, 10, 11]
    assert loaded[["3", "the"]].tolist() == [[9, 10, 11], [0, 1, 2]]
    assert fastembed.embedding_bag(loaded.vectors, [[0, 1]], reduce="sum").tolist() == [[3, 5, 7]]
    loaded.save(tmp_path / "v")
    assert KeyedVectors.load(tmp_path / "v").key_to_index == vectors.key_to_index
    assert "manifest.json" in os.listdir(tmp_path / "v")


def test_load_keeps_dictionaries_for_who_asks(tmp_path: Path) -> None:
    KeyedVectors(table(), WORDS).save(tmp_path / "v")
    loaded = KeyedVectors.load(tmp_path / "v")
    assert loaded["the"].tolist() == [0, 1, 2]
    assert "x" not in loaded
    assert loaded.most_similar("the", topn=1)[0][0] == "naïve"
    assert (loaded._key_to_index, loaded._index_to_key) == (None, None)
