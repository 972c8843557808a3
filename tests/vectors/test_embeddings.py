"""KeyedVectors.to_embedding and Embedding.from_pretrained: which row has which vector, and how often it is copied."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastembed import Embedding, KeyedVectors, Sequential
from fastembed.layers import Flatten

WORDS = ["the", "cat", "sat"]


def table() -> NDArray[np.float32]:
    return np.arange(1, 10, dtype=np.float32).reshape(3, 3)


@pytest.fixture
def vectors() -> KeyedVectors:
    return KeyedVectors(table(), WORDS)


def test_to_embedding_is_a_frozen_copy(vectors: KeyedVectors) -> None:
    layer = vectors.to_embedding()
    assert type(layer) is Embedding
    assert (layer.input_dim, layer.output_dim, layer.trainable, layer.mask_zero) == (3, 3, False, False)
    np.testing.assert_array_equal(layer(np.array([[2, 0]])), table()[[[2, 0]]], strict=True)
    assert not np.shares_memory(layer.embeddings, vectors.vectors)
    layer.embeddings[0] = 0
    assert vectors["the"].tolist() == [1, 2, 3]
    assert layer.get_config()["embeddings_initializer"]["class_name"] == "RandomUniform"
    other = vectors.to_embedding(trainable=True, mask_zero=True, name="words", input_length=2)
    assert (other.trainable, other.mask_zero, other.name, other.input_length) == (True, True, "words", 2)
    assert other.compute_mask(np.array([[0, 1]])).tolist() == [[False, True]]


def test_to_embedding_with_padding_and_unknown_rows(vectors: KeyedVectors) -> None:
    layer = vectors.to_embedding(mask_zero=True, padding_row=True, unknown_row=True)
    assert layer.embeddings.tolist() == [[0, 0, 0], *table().tolist(), [0, 0, 0]]
    ids = [vectors.get_index(word, len(vectors)) + 1 for word in ("cat", "dog", "the")]
    assert ids == [2, layer.input_dim - 1, 1]
    assert vectors.to_embedding(padding_row=True).embeddings.tolist() == [[0, 0, 0], *table().tolist()]
    mean = vectors.vectors.mean(axis=0)
    layer = vectors.to_embedding(unknown_row=True, missing=mean)
    assert layer.embeddings.tolist() == [*table().tolist(), [4, 5, 6]]
    assert vectors.to_embedding(unknown_row=True, missing="ones").embeddings[3].tolist() == [1, 1, 1]


def test_to_embedding_by_word_index(vectors: KeyedVectors, capsys: pytest.CaptureFixture[str]) -> None:
    word_index = {"sat": 1, "dog": 2, "the": 3, "mouse": 5, "\ud800": 6}
    layer = vectors.to_embedding(word_index=word_index)
    assert layer.embeddings.tolist() == [[0, 0, 0], [7, 8, 9], [0, 0, 0], [1, 2, 3], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "found 2 of 5 words\n")
    layer = vectors.to_embedding(word_index=word_index, missing="ones", verbose=False)
    assert layer.embeddings[:, 0].tolist() == [0, 7, 1, 1, 0, 1, 1]  # no word has indices 0 and 4
    assert capsys.readouterr().err == ""
    layer = vectors.to_embedding(word_index=word_index, num_words=4)
    assert layer.embeddings[:, 0].tolist() == [0, 7, 0, 1]
    assert capsys.readouterr().err == "found 2 of 3 words\n"
    assert vectors.to_embedding(word_index={}).embeddings.shape == (0, 3)


def test_to_embedding_by_word_index_initialises_missing_words_alike(vectors: KeyedVectors) -> None:
    word_index = {f"word{i}": i for i in range(10_000)} | {"the": 4999}
    layer = vectors.to_embedding(word_index=word_index, missing="uniform", verbose=False)
    rows = layer.embeddings[:4999]
    assert (np.abs(rows) <= 0.05).all()
    assert len(np.unique(rows, axis=0)) == 4999


def test_coverage(vectors: KeyedVectors) -> None:
    coverage = vectors.coverage({"the": 1, "dog": 2, "cat": 3})
    assert coverage == (2, 3, ["dog"])
    assert str(coverage) == "found 2 of 3 words"
    many = [*map(str, range(40_000)), "the"]
    assert str(vectors.coverage(many)) == "found 1 of 40,001 words"


def test_to_embedding_refuses(vectors: KeyedVectors) -> None:
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        (
            {"word_index": {"a": 1}, "padding_row": True},
            ValueError,
            "`word_index` says which word each row has: `padding_row` and `unknown_row` must be left out. Keras's "
            "Tokenizer leaves index 0 to padding, and with oov_token= counts the unknown word among its words.",
        ),
        ({"num_words": 4}, ValueError, "`num_words` goes with `word_index`, whose words it limits."),
        ({"word_index": {"a": -1}}, ValueError, "`word_index['a']` must be an integer >= 0. Received: -1."),
        ({"word_index": {"a": 1.0}}, TypeError, "`word_index['a']` must be an integer. Received: 1.0 (float)."),
        ({"word_index": {3: 1}}, TypeError, "keys must be str. Received: 3 (int) at position 0."),
        (
            {"unknown_row": True, "missing": np.zeros(2)},
            ValueError,
            "`missing` must be an initializer or a vector (3,). Received: shape (2,).",
        ),
        ({"nonsense": 1}, TypeError, "('Keyword argument not understood:', 'nonsense')"),
    ]
    for kwargs, error, text in cases:
        with pytest.raises(error) as caught:
            vectors.to_embedding(**kwargs)
        assert str(caught.value) == text


def test_to_embedding_predicts_and_trains(vectors: KeyedVectors) -> None:
    for trainable in (False, True):
        model = Sequential([vectors.to_embedding(trainable=trainable, input_length=2), Flatten()])
        model.compile("sgd", "mse")
        ids = np.array([[0, 1], [1, 2]])
        assert model.predict(ids).tolist() == table()[ids].reshape(2, 6).tolist()
        model.train_on_batch(ids, np.zeros((2, 6)))
        assert np.array_equal(model.predict(ids), table()[ids].reshape(2, 6)) is not trainable


@pytest.mark.parametrize(
    "given",
    [
        table(),
        table().astype(np.float64),
        np.asfortranarray(table()),
        table().astype(">f4"),
        table().astype(np.float16),
        table().astype(np.int64),
        table().tolist(),
        KeyedVectors(table(), WORDS),
        types.SimpleNamespace(vectors=table()),  # gensim's
    ],
    ids=lambda given: getattr(getattr(given, "dtype", None), "str", type(given).__name__),
)
def test_from_pretrained_takes_tables(given: Any) -> None:
    layer = Embedding.from_pretrained(given)
    assert (layer.trainable, layer.mask_zero, layer.built) == (False, False, True)
    np.testing.assert_array_equal(layer.embeddings, table(), strict=True)
    layer.embeddings[...] = 0
    assert np.asarray(getattr(given, "vectors", given))[0, 0] == 1


def test_from_pretrained_keywords_and_subclass() -> None:
    class Own(Embedding):
        pass

    layer = Own.from_pretrained(table(), trainable=True, mask_zero=True, name="e", embeddings_regularizer="l2")
    assert type(layer) is Own
    assert (layer.trainable, layer.mask_zero, layer.name, len(layer.losses)) == (True, True, "e", 1)
    config = layer.get_config()
    assert (config["input_dim"], config["output_dim"]) == (3, 3)
    assert type(Own.from_config(config)) is Own


def test_from_pretrained_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", table())
    layer = Embedding.from_pretrained(np.load(tmp_path / "t.npy", mmap_mode="r"), trainable=True)
    np.testing.assert_array_equal(layer.embeddings, table(), strict=True)
    assert layer.embeddings.flags.writeable


def test_from_pretrained_path_goes_through_load_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    loaded = table()

    def load_table(path: Any, *, name: Any = None, mmap: bool = False) -> NDArray[np.float32]:
        asked.append((path, name, mmap))
        return loaded

    monkeypatch.setitem(sys.modules, "fastembed.tables", types.SimpleNamespace(load_table=load_table))
    layer = Embedding.from_pretrained(tmp_path / "t.npz", tensor="words")
    assert asked == [(tmp_path / "t.npz", "words", True)]
    assert np.shares_memory(layer.embeddings, loaded)  # read for this layer alone: not copied again
    loaded.flags.writeable = False  # the array of a mapping is
    assert not np.shares_memory(Embedding.from_pretrained("t.npy").embeddings, loaded)


def test_from_pretrained_asks_for_its_own_argument(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", a=table(), b=table())
    with pytest.raises(ValueError, match="`tensor`") as caught:
        Embedding.from_pretrained(tmp_path / "t.npz")
    shape, dtype = table().shape, table().dtype
    assert str(caught.value) == (
        f"{tmp_path / 't.npz'}: holds 2 tables; pass `tensor`, one of them: 'a' {shape} {dtype}, 'b' {shape} {dtype}."
    )
    np.testing.assert_array_equal(Embedding.from_pretrained(tmp_path / "t.npz", tensor="b").embeddings, table())


def test_from_pretrained_refuses() -> None:
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (table()[0], {}, ValueError, "`pretrained` must have 2 dimensions (V, D). Received: shape (3,)."),
        (
            table() > 1,
            {},
            TypeError,
            "`pretrained` must be numbers (V, D), word vectors or a path. Received: ndarray of dtype bool.",
        ),
        (
            None,
            {},
            TypeError,
            "`pretrained` must be numbers (V, D), word vectors or a path. Received: NoneType of dtype object.",
        ),
        (
            np.ma.masked_array(table()),
            {},
            TypeError,
            "`pretrained` must be a plain array. Received: a masked array; fill it, with .filled().",
        ),
        (table(), {"tensor": "a"}, ValueError, "`tensor` names a table of a file: `pretrained` must then be a path."),
        (
            table(),
            {"weights": [table()]},
            TypeError,
            "`from_pretrained` takes the table as `pretrained`: `weights` must be left out.",
        ),
    ]
    for given, kwargs, error, text in cases:
        with pytest.raises(error) as caught:
            Embedding.from_pretrained(given, **kwargs)
        assert str(caught.value) == text
