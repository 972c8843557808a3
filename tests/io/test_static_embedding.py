"""io.static_embedding: the tables and tokens of model2vec's and sentence-transformers' folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed.io import FormatError, static_embedding
from fastembed.io.static_embedding import find_files, list_tables, read_static, read_table, read_tokens

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)
TOKENS = {"[PAD]": 0, "the": 1, "k\u00f6nig": 2, "##s": 3}


def model(folder: Path, name: str = "embeddings", tokenizer: Any = None, inside: str = ".", **tensors: Any) -> Path:
    place = folder / inside
    place.mkdir(parents=True, exist_ok=True)
    write_raw(place / "model.safetensors", {name: TABLE, **tensors})
    given = {"model": {"type": "WordPiece", "vocab": TOKENS}} if tokenizer is None else tokenizer
    (place / "tokenizer.json").write_text(json.dumps(given), encoding="utf-8")
    return folder


def write_raw(path: Path, tensors: dict[str, Any]) -> None:
    """Tensors of any dtype and shape, as the library writes them."""
    names = {"float32": "F32", "float64": "F64", "int8": "I8", "int32": "I32", "int64": "I64"}
    header, data = {}, b""
    for name, array in tensors.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": names[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize(
    ("name", "inside"),
    [("embeddings", "."), ("embedding.weight", "."), ("embedding.weight", "0_StaticEmbedding")],
)
def test_read_static_reads_each_layout(tmp_path: Path, name: str, inside: str) -> None:
    folder = model(tmp_path / "m", name, inside=inside)
    for mmap in (False, True):
        table, tokens = read_static(folder, mmap=mmap)
        np.testing.assert_array_equal(table, TABLE)
        assert tokens == ["[PAD]", "the", "k\u00f6nig", "##s"]
        assert table.flags.writeable is not mmap
    assert list_tables(folder) == {name: ((4, 3), "float32")}
    np.testing.assert_array_equal(read_table(folder), TABLE)
    file = folder / inside / "model.safetensors"
    assert find_files(file) == (str(file), str(folder / inside / "tokenizer.json"))
    assert read_static(file)[1] == tokens


def test_read_static_multiplies_a_quantised_vocabulary_out(tmp_path: Path) -> None:
    mapping, weights = np.array([3, 0, 0, 2, 1]), np.array([1.0, 0.5, 2.0, 0.0, -1.0])
    tokens = {"model": {"vocab": {f"w{i}": i for i in range(5)}}}
    expected = (TABLE[mapping] * weights[:, None]).astype(np.float32)
    table, words = read_static(model(tmp_path / "a", tokenizer=tokens, mapping=mapping, weights=weights))
    np.testing.assert_array_equal(table, expected)
    np.testing.assert_array_equal(read_table(tmp_path / "a", name="embeddings"), expected)
    assert list_tables(tmp_path / "a") == {"embeddings": ((5, 3), "float32")}
    assert words == ["w0", "w1", "w2", "w3", "w4"]
    table, _ = read_static(model(tmp_path / "b", tokenizer=tokens, mapping=mapping.astype(np.int32)))
    np.testing.assert_array_equal(table, TABLE[mapping])
    table, _ = read_static(model(tmp_path / "c", weights=weights[:4]))
    np.testing.assert_array_equal(table, TABLE * weights[:4, None].astype(np.float32))
    folder = model(tmp_path / "d")
    write_raw(folder / "model.safetensors", {"embeddings": TABLE.astype(np.int8)})
    np.testing.assert_array_equal(read_static(folder)[0], TABLE)
    assert list_tables(folder) == {"embeddings": ((4, 3), "float32")}


@pytest.mark.timeout(60)
def test_read_static_of_many_rows_without_elements_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    raw = json.dumps({"embeddings": {"dtype": "I8", "shape": [2**60, 0], "data_offsets": [0, 0]}}).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw)
    assert read_table(tmp_path).shape == (2**60, 0)


def test_read_static_is_what_the_libraries_read(tmp_path: Path) -> None:
    model2vec = pytest.importorskip("model2vec")
    tokenizers = pytest.importorskip("tokenizers")
    words = {"a": 0, "b": 1, "[UNK]": 2, "c": 3}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    mapping, weights = np.array([3, 0, 0, 1]), np.array([1.0, 0.5, 2.0, 3.0], np.float32)
    theirs = model2vec.StaticModel(TABLE, tokenizer, weights=weights, token_mapping=mapping)
    theirs.save_pretrained(tmp_path / "m")
    table, tokens = read_static(tmp_path / "m")
    assert tokens == ["a", "b", "[UNK]", "c"]
    np.testing.assert_allclose(table[[0, 1, 3]].mean(axis=0), theirs.encode("a b c"), rtol=1e-6)


def test_read_static_takes_the_table_of_the_vocabularys_length(tmp_path: Path) -> None:
    folder = model(tmp_path / "m", "bert.words", other=TABLE[:2], square=TABLE[:, :2].T.copy())
    table, tokens = read_static(folder)
    np.testing.assert_array_equal(table, TABLE)
    assert tokens is not None
    assert len(tokens) == 4
    assert read_static(model(tmp_path / "n", "x", y=TABLE), name="y")[0].shape == (4, 3)
    with pytest.raises(ValueError, match=r"pass `name`, one of them: 'x' \(4, 3\) float32, 'y'"):
        read_static(tmp_path / "n")


def test_read_static_without_tokenizer_has_no_words(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "tokenizer.json").unlink()
    table, tokens = read_static(folder)
    np.testing.assert_array_equal(table, TABLE)
    assert tokens is None


def test_rows_without_token_have_names(tmp_path: Path) -> None:
    folder = model(tmp_path / "m", tokenizer={"model": {"vocab": {"b": 2, "a": 0}}})
    assert read_static(folder)[1] == ["a", "[row 1]", "b", "[row 3]"]
    # no token is hidden by a name of another row
    folder = model(tmp_path / "n", tokenizer={"model": {"vocab": {"[row 1]": 3, "?": 2, "\ud800": 0}}})
    assert read_static(folder)[1] == ["[row 0]", "[[row 1]]", "?", "[row 1]"]


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        ({"model": {"vocab": {"a": 0}}, "added_tokens": None}, {"a": 0}),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 2, "content": "<s>"}]}, {"a": 0, "<s>": 2}),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 0, "content": "a"}]}, {"a": 0}),
        ({"model": {"type": "Unigram", "vocab": [["<unk>", 0.0], ["\u2581a", -3.5]]}}, {"<unk>": 0, "\u2581a": 1}),
        ({"model": {"vocab": {}}}, {}),
    ],
)
def test_read_tokens_takes_every_kind(tmp_path: Path, tokenizer: Any, expected: dict[str, int]) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    assert read_tokens(path) == expected


VOCABULARY_RULE = "the vocabulary, model.vocab, must map tokens to rows, or list pairs of them."
ROW_RULE = "its row must be a whole number from 0 to 2**32 - 1. Received: "
ADDED_RULE = "added_tokens must list objects with 'id' and 'content'."


@pytest.mark.parametrize(
    ("tokenizer", "text"),
    [
        ([], VOCABULARY_RULE),
        ({}, VOCABULARY_RULE),
        ({"model": {"vocab": 3}}, VOCABULARY_RULE),
        ({"model": {"vocab": [["a", 0.0], [1, 2]]}}, VOCABULARY_RULE),
        ({"model": {"vocab": [[]]}}, VOCABULARY_RULE),
        ({"model": {"vocab": {}}, "added_tokens": 3}, ADDED_RULE),
        ({"model": {"vocab": {}}, "added_tokens": [{"id": 1}]}, ADDED_RULE),
        ({"model": {"vocab": {"a": 1.0}}}, "token 'a': " + ROW_RULE + "1.0."),
        ({"model": {"vocab": {"a": True}}}, "token 'a': " + ROW_RULE + "True."),
        ({"model": {"vocab": {"a": -1}}}, "token 'a': " + ROW_RULE + "-1."),
        ({"model": {"vocab": {"a": 2**32 - 1, "b": 2**32}}}, "token 'b': " + ROW_RULE + "4294967296."),
        ({"model": {"vocab": {"\u00e4": 1, "b": 1}}}, "tokens '\\xe4' and 'b' have the same row, 1."),
    ],
)
def test_read_tokens_refuses_bad_vocabulary(tmp_path: Path, tokenizer: Any, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(FormatError) as caught:
        read_tokens(path)
    assert str(caught.value) == f"{path}: {text}"


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a":' + b"[" * 100_000])
def test_read_tokens_refuses_what_is_no_json(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(raw)
    with pytest.raises(FormatError) as caught:
        read_tokens(path)
    assert str(caught.value).startswith(f"{path}: a tokenizer is a JSON object: ")


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tokenizer": {"model": {"vocab": {"a": 4}}}}, "tokenizer.json: a token has row 4, the table has 4 rows."),
        ({"mapping": np.array([4])}, "model.safetensors: 'mapping' must hold rows of 'embeddings', from 0 to 3."),
        ({"mapping": np.array([-1])}, "model.safetensors: 'mapping' must hold rows of 'embeddings', from 0 to 3."),
        (
            {"mapping": np.array([0.0])},
            "model.safetensors: 'mapping' must be a list of numbers. Received: float64 (1,).",
        ),
        (
            {"weights": np.ones(3)},
            "model.safetensors: 'weights' must hold a number for each of 4 tokens. Received: 3.",
        ),
    ]
    for i, (parts, text) in enumerate(cases):
        folder = model(tmp_path / str(i), **parts)
        with pytest.raises(FormatError) as caught:
            read_static(folder)
        assert str(caught.value) == f"{folder}/{text}"


@pytest.mark.parametrize(
    ("number", "weight"), [(2, np.float64(1e300)), (np.float32(3e38), np.float32(10)), (-3e38, np.float64(1e39))]
)
def test_products_that_become_infinite_are_refused(tmp_path: Path, number: Any, weight: Any) -> None:
    folder = model(tmp_path / "m", embeddings=np.full((4, 1), number, np.float32), weights=np.full(4, weight))
    with pytest.raises(FormatError) as caught:
        read_static(folder)
    assert str(caught.value) == f"{folder}/model.safetensors: 'embeddings' times 'weights' is too large for float32."
    # what is infinite in the file stays so
    folder = model(tmp_path / "n", embeddings=np.full((4, 1), np.inf, np.float32), weights=np.arange(4.0))
    np.testing.assert_array_equal(read_static(folder)[0][:, 0], [np.nan, np.inf, np.inf, np.inf])


def test_no_rows_of_more_than_numpy_counts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    raw = json.dumps({"embeddings": {"dtype": "I8", "shape": [0, 2**62], "data_offsets": [0, 0]}}).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw)
    with pytest.raises(FormatError) as caught:
        read_table(tmp_path)
    assert str(caught.value) == (
        f"{path}: byte {8 + len(raw)}: 'shape' must stay below 2**63 bytes. Received: (0, {2**62}) of float32."
    )


def test_small_file_that_fills_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_embedding, "_embeddings", lambda *arguments: pytest.fail("takes memory"))
    wide = np.zeros((1, 10_000), np.float32)
    folder = model(tmp_path / "m", embeddings=wide, mapping=np.zeros(3_000, np.int8))
    stored = sum(file.stat().st_size for file in folder.iterdir())
    with pytest.raises(FormatError) as caught:
        read_static(folder)
    assert str(caught.value) == (
        f"{folder}/model.safetensors: 'embeddings' is multiplied out to at most 16,777,216 bytes and 200 times those "
        f"of the model's files. Received: 120,000,000 bytes of {stored:,}. Save such a table multiplied out."
    )
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FormatError, match="is multiplied out to at most"):
        read_table(folder)


def test_quantised_vocabulary_of_few_rows_is_read(tmp_path: Path) -> None:
    # 1,024 numbers a token, and many tokens a row: the most that a model in use may be multiplied out to
    tokens = {"model": {"vocab": {f"token{i}": i for i in range(20_000)}}}
    mapping, weights = np.arange(20_000, dtype=np.int32) % 50, np.ones(20_000, np.float32)
    rows = np.arange(50 * 1024).reshape(50, 1024).astype(np.int8)
    folder = model(tmp_path / "m", tokenizer=tokens, embeddings=rows, mapping=mapping, weights=weights)
    table, names = read_static(folder)
    np.testing.assert_array_equal(table[::9_999], rows[mapping[::9_999]])
    assert names == [f"token{i}" for i in range(20_000)]


def test_rows_far_beyond_the_tokens_are_refused(tmp_path: Path) -> None:
    for i, parts in enumerate(
        ({"embeddings": np.zeros((65_545, 0), np.float32)}, {"mapping": np.zeros(65_545, np.int8)})
    ):
        folder = model(tmp_path / str(i), **parts)
        with pytest.raises(FormatError) as caught:
            read_static(folder)
        assert str(caught.value) == (
            f"{folder}/tokenizer.json: a table for 4 tokens has at most 65544 rows. Received: 65545. If it is for "
            "others, move it to a folder without this file."
        )
    assert len(read_static(model(tmp_path / "m", embeddings=np.zeros((65_544, 0), np.float32)))[1] or ()) == 65_544


def test_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        read_static(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: a folder of a static-embedding model holds model.safetensors or "
        "0_StaticEmbedding/model.safetensors."
    )
