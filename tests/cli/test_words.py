"""The commands about words: info, convert, lookup, neighbors, embed and plot, as a user runs them."""

from __future__ import annotations

import importlib.util
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed import KeyedVectors, load_table, save_table
from fastembed._cli import embed, main
from fastembed._word_pictures import principal_components
from fastembed.io.keys import PackedKeys

Capture = pytest.CaptureFixture[str]
WORDS = ["king", "queen", "man", "woman", "Paris", "the", "\u00e4pfel"]
TABLE = np.random.default_rng(8).standard_normal((7, 4)).astype(np.float32)
TABLE[1] = TABLE[0] + 0.1 * TABLE[3]
needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The same vectors in every format that holds words."""
    (tmp_path / "model").mkdir()
    save_table(tmp_path / "model" / "model.safetensors", TABLE)
    vocabulary = {"model": {"vocab": {word: row for row, word in enumerate(WORDS)}}}
    (tmp_path / "model" / "tokenizer.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = [" ".join([word, *map(str, row)]) for word, row in zip(WORDS, TABLE, strict=True)]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    KeyedVectors(TABLE, WORDS).save(tmp_path / "folder")
    return {
        "folder": tmp_path / "folder",
        "text": tmp_path / "glove.txt",
        "static": tmp_path / "model",
        "safetensors": tmp_path / "model" / "model.safetensors",
    }


def run(capsys: Capture, *argv: object) -> str:
    assert main([str(one) for one in argv]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def fails(capsys: Capture, *argv: object) -> str:
    assert main([str(one) for one in argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err[:-1]


@pytest.mark.parametrize("kind", ["folder", "text", "static", "safetensors"])
def test_lookup_prints_vectors(files: dict[str, Path], kind: str, capsys: Capture) -> None:
    lines = run(capsys, "lookup", files[kind], "queen", "\u00e4pfel").splitlines()
    assert [line.split()[0] for line in lines] == ["queen", "\u00e4pfel"]
    np.testing.assert_array_equal(np.array([line.split()[1:] for line in lines], np.float32), TABLE[[1, 6]])


@pytest.mark.parametrize("command", ["lookup", "neighbors", "plot"])
def test_unknown_word_is_named(files: dict[str, Path], command: str, capsys: Capture, tmp_path: Path) -> None:
    extra = ["-o", tmp_path / "a.png"] if command == "plot" else []
    said = fails(capsys, command, files["folder"], "king", "nope", "nay", *extra)
    assert said == f"fastembed {command}: {files['folder']}: holds no vector for 'nope', 'nay'."
    said = fails(capsys, command, files["folder"], *(f"w{i}" for i in range(12)), *extra)
    assert said.endswith("'w9' and 2 more.")
    assert not (tmp_path / "a.png").exists()


def test_neighbors_prints_most_similar(files: dict[str, Path], capsys: Capture) -> None:
    vectors = KeyedVectors(TABLE, WORDS)
    for argv, expected in (
        (["king"], vectors.most_similar("king")),
        (["king", "-n", "2"], vectors.most_similar("king", topn=2)),
        (["--minus", "man", "king", "woman"], vectors.most_similar(["king", "woman"], ["man"])),
        (["king", "--minus", "man", "--minus", "the"], vectors.most_similar(["king"], ["man", "the"])),
    ):
        shown = run(capsys, "neighbors", files["text"], *argv)
        assert shown == "".join(f"{cosine:7.4f}  {word}\n" for word, cosine in expected)
    assert run(capsys, "neighbors", files["folder"], "king", "-n", "1").endswith("  queen\n")


def test_control_characters_of_a_file_are_not_printed(capsys: Capture, tmp_path: Path) -> None:
    KeyedVectors(TABLE, ["a", "\x1b[31m\n\x9b\u00e4", *WORDS[2:]]).save(tmp_path / "folder")
    assert run(capsys, "neighbors", tmp_path / "folder", "a", "-n", "1").endswith("  \\x1b[31m\\n\\x9b\u00e4\n")
    np.savez(tmp_path / "n.npz", **{"\x1b[31m\n\x9b\u00e4": TABLE})
    assert "tables  \\x1b[31m\\n\\x9b\u00e4 (7, 4) float32\n" in run(capsys, "info", tmp_path / "n.npz")


def test_neighbors_refuses_count(files: dict[str, Path], capsys: Capture) -> None:
    for count in ("0", "-1", "x", "1.5"):
        with pytest.raises(SystemExit) as caught:
            main(["neighbors", str(files["folder"]), "king", "-n", count])
        assert caught.value.code == 2
        assert f"a whole number >= 1 is needed, not {count!r}" in capsys.readouterr().err


def test_files_without_words_are_refused(tmp_path: Path, capsys: Capture) -> None:
    save_table(tmp_path / "t.npy", TABLE)
    assert fails(capsys, "lookup", tmp_path / "t.npy", "a") == (
        f"fastembed lookup: {tmp_path / 't.npy'}: holds tables and no words (npy)."
    )
    save_table(tmp_path / "t.safetensors", TABLE)
    assert fails(capsys, "neighbors", tmp_path / "t.safetensors", "a") == (
        f"fastembed neighbors: {tmp_path / 't.safetensors'}: holds no words, and no tokenizer.json lies beside it."
    )


@pytest.mark.parametrize("kind", ["folder", "text", "static", "safetensors"])
def test_convert_writes_each_destination(files: dict[str, Path], kind: str, tmp_path: Path, capsys: Capture) -> None:
    for name in ("out.npy", "out.safetensors"):
        said = run(capsys, "convert", files[kind], tmp_path / name)
        assert said.startswith(f"wrote the table alone, 7 rows of 4 columns, to {tmp_path / name} in ")
        np.testing.assert_array_equal(load_table(tmp_path / name), TABLE)
    said = run(capsys, "convert", files[kind], tmp_path / "out")
    assert said.startswith(f"wrote the table and its words, 7 rows of 4 columns, to {tmp_path / 'out'} in ")
    opened = KeyedVectors.load(tmp_path / "out")
    assert list(opened.keys) == WORDS
    np.testing.assert_array_equal(opened.vectors, TABLE)
    assert run(capsys, "info", "--verify", tmp_path / "out").endswith("checksums  right\n")


def test_convert_refuses_destination(files: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    said = fails(capsys, "convert", files["text"], tmp_path / "out.h5")
    assert said == (
        "fastembed convert: DST must end in .npy or .safetensors, or have no suffix and be a folder. "
        f"Received: {str(tmp_path / 'out.h5')!r}."
    )
    before = files["safetensors"].read_bytes()
    said = fails(capsys, "convert", files["safetensors"], files["safetensors"])
    assert "DST must not be the same file as SRC" in said
    assert files["safetensors"].read_bytes() == before
    save_table(tmp_path / "t.npy", TABLE)
    assert "holds tables and no words" in fails(capsys, "convert", tmp_path / "t.npy", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_convert_asks_which_member_of_a_zip(files: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as file:
        for name in ("a.txt", "b.txt"):
            file.write(files["text"], name)
    said = fails(capsys, "convert", tmp_path / "z.zip", tmp_path / "z")
    assert said.endswith("z.zip: the zip holds 2 files; choose one with --name: 'a.txt', 'b.txt'.")
    run(capsys, "convert", tmp_path / "z.zip", tmp_path / "z", "--name", "b.txt")
    assert "queen" in KeyedVectors.load(tmp_path / "z")


def plain_embed(lines: list[str], how: str) -> Any:
    rows = []
    for line in lines:
        split = "".join(" " if c in embed_punctuation() else c for c in line).split(" ")
        found = [w if w in WORDS else w.lower() for w in split if w in WORDS or w.lower() in WORDS]
        picked = TABLE[[WORDS.index(word) for word in found]].astype(np.float64)
        total = picked.sum(axis=0)
        count = max(len(picked), 1)
        largest = picked.max(axis=0) if len(picked) else total
        rows.append({"sum": total, "mean": total / count, "sqrtn": total / count**0.5, "max": largest}[how])
    return np.array(rows, np.float32).reshape(len(lines), 4)


def embed_punctuation() -> str:
    return '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


TEXT = ["The king, the queen.", "", "nothing here", "PARIS \u00c4pfel Paris;man", "woman"]


@pytest.mark.parametrize("how", ["mean", "sum", "sqrtn", "max"])
@pytest.mark.parametrize("kind", ["folder", "text", "safetensors"])
def test_embed_pools_each_line(files: dict[str, Path], kind: str, how: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "t.txt").write_text("\ufeff" + "\r\n".join(TEXT), encoding="utf-8", newline="")
    said = run(capsys, "embed", files[kind], tmp_path / "t.txt", tmp_path / "o.npy", "--reduce", how)
    out = np.load(tmp_path / "o.npy")
    # PARIS is looked up as it stands and as paris; only Paris is there
    expected = plain_embed(TEXT, how)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)
    assert said.startswith("embedded 5 lines, 11 words of which 72.7% are known, in ")
    assert " lines/s, " in said


def test_embed_streams_batches(files: dict[str, Path], tmp_path: Path, capsys: Capture,
                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "_BATCH", 3)
    lines = [f"{WORDS[i % 7]} {WORDS[i * i % 7]}" for i in range(20)]
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(capsys, "embed", files["folder"], tmp_path / "t.txt", tmp_path / "o.npy")
    np.testing.assert_allclose(np.load(tmp_path / "o.npy"), plain_embed(lines, "mean"), rtol=1e-6, atol=1e-6)
    (tmp_path / "empty.txt").write_bytes(b"")
    run(capsys, "embed", files["folder"], tmp_path / "empty.txt", tmp_path / "o.npy")
    assert np.load(tmp_path / "o.npy").shape == (0, 4)


def test_embed_refuses_text_and_leaves_nothing(files: dict[str, Path], tmp_path: Path, capsys: Capture,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    text, out = tmp_path / "t.txt", tmp_path / "o.npy"
    text.write_bytes(b"king\nab\xffc\n")
    before = set(os.listdir(tmp_path))
    said = fails(capsys, "embed", files["folder"], text, out)
    assert said == f"fastembed embed: {text}: line 2: byte 2 is not UTF-8."
    monkeypatch.setattr(embed, "_MAX_LINE", 10)
    text.write_bytes(b"king\nking queen man\n")
    said = fails(capsys, "embed", files["folder"], text, out)
    assert said == f"fastembed embed: {text}: line 2: a line takes at most 10 bytes."
    said = fails(capsys, "embed", files["folder"], text, text)
    rule = "fastembed embed: OUT.npy must not be the same file as TEXT.txt."
    assert said == f"{rule} Received: {str(text)!r} and {str(text)!r}."
    assert "No such file" in fails(capsys, "embed", files["folder"], tmp_path / "missing", out)
    assert set(os.listdir(tmp_path)) == before


def test_embed_notices_text_that_changes(files: dict[str, Path], tmp_path: Path, capsys: Capture,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    text, out = tmp_path / "t.txt", tmp_path / "o.npy"
    text.write_bytes(b"king\n")
    whole = embed.open_vectors

    def growing(*args: Any) -> Any:
        text.write_bytes(b"king\nqueen\n")
        return whole(*args)

    monkeypatch.setattr(embed, "open_vectors", growing)
    said = fails(capsys, "embed", files["folder"], text, out)
    assert said == f"fastembed embed: {text}: held 1 lines, then 2: it changed meanwhile."
    assert not out.exists()


@needs_matplotlib
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot_draws_words(files: dict[str, Path], suffix: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / f"w.{suffix}"
    assert run(capsys, "plot", files["folder"], "-o", path, "king") == f"drew 1 word: {path}\n"
    assert run(capsys, "plot", files["folder"], "-o", path, *WORDS[:4], "king") == f"drew 4 words: {path}\n"
    raw = path.read_bytes()
    assert raw.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")
    if suffix == "svg":
        assert all(f"<!-- {word} -->".encode() in raw for word in WORDS[:4])
    said = fails(capsys, "plot", files["folder"], "king", "-o", tmp_path / "w.foo")
    assert said.startswith(f"fastembed plot: {tmp_path / 'w.foo'}: a picture ends in one of .")
    run(capsys, "plot", files["folder"], "king", "-o", tmp_path / "one.png")
    assert not (tmp_path / "w.foo").exists()


@needs_matplotlib
def test_plot_draws_the_first_words_that_no_index_finds(
    files: dict[str, Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, path = PackedKeys.find, tmp_path / "w.png"
    monkeypatch.setattr(PackedKeys, "find", lambda keys, key: find(keys, key) if key == WORDS[0] else -1)
    assert run(capsys, "plot", files["folder"], "-o", path, WORDS[0], "--first", 3) == f"drew 3 words: {path}\n"


def test_plot_writes_projector_files(files: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "p"
    said = run(capsys, "plot", files["folder"], "man", "--first", "2", "--projector", folder)
    assert said == f"wrote 3 words: vectors.tsv and metadata.tsv in {folder}\n"
    assert (folder / "metadata.tsv").read_text(encoding="utf-8") == "man\nking\nqueen\n"
    numbers = [line.split("\t") for line in (folder / "vectors.tsv").read_text().splitlines()]
    np.testing.assert_array_equal(np.array(numbers, np.float32), TABLE[[2, 0, 1]])


def test_plot_needs_a_destination(files: dict[str, Path], capsys: Capture) -> None:
    assert fails(capsys, "plot", files["folder"], "king") == (
        "fastembed plot: say where the picture goes, with -o, or the projector's files, with --projector."
    )


def test_plot_without_matplotlib_names_the_extra(files: dict[str, Path], tmp_path: Path, capsys: Capture,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = fails(capsys, "plot", files["folder"], "king", "-o", tmp_path / "a.png")
    assert said == 'fastembed plot: pictures need matplotlib: pip install "fastembed-gather[plot]"'


def test_principal_components_are_those_of_the_covariance() -> None:
    vectors = np.random.default_rng(4).standard_normal((30, 5)) * [5, 3, 1, 1, 0.1]
    points, shares = principal_components(vectors)
    values, directions = np.linalg.eigh(np.cov(vectors.T))
    expected = (vectors - vectors.mean(axis=0)) @ directions[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(shares, values[::-1][:2] / values.sum(), rtol=1e-9)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()
    for few in (vectors[:1], np.ones((3, 4)), np.ones((2, 1))):
        points, shares = principal_components(few)
        np.testing.assert_array_equal(points, np.zeros((len(few), 2)))
        np.testing.assert_array_equal(shares, [0, 0])


def test_info_shows_tables_and_words(files: dict[str, Path], capsys: Capture, tmp_path: Path) -> None:
    size = files["safetensors"].stat().st_size
    assert run(capsys, "info", files["safetensors"]) == (
        f"format  safetensors\ntables  embeddings (7, 4) float32\nwords   7\nbytes   {size}\n"
    )
    total = size + (tmp_path / "model" / "tokenizer.json").stat().st_size
    assert json.loads(run(capsys, "info", "--json", files["static"])) == {
        "format": "static",
        "tables": {"embeddings": {"shape": [7, 4], "dtype": "float32"}},
        "words": 7,
        "bytes": total,
    }
    size = files["text"].stat().st_size
    assert run(capsys, "info", files["text"]) == (
        f"format  words\nshape   (7, 4)\ndtype   float32\nwords   7\nbytes   {size}\n"
    )
    np.savez(tmp_path / "n.npz", a=TABLE, b=TABLE.astype(np.float64), c=np.arange(3))
    assert run(capsys, "info", "--verify", tmp_path / "n.npz") == (
        "format     npz\ntables     a (7, 4) float32\n           b (7, 4) float64\n"
        f"bytes      {(tmp_path / 'n.npz').stat().st_size:,}\nchecksums  right\n"
    )


def test_info_verify_says_what_is_wrong(files: dict[str, Path], capsys: Capture, tmp_path: Path) -> None:
    assert run(capsys, "info", "--verify", files["folder"]).endswith("checksums  right\n")
    assert run(capsys, "info", "--verify", files["safetensors"]).endswith(
        "checksums  none in this format; lengths and header fit the file\n"
    )
    table = files["folder"] / "table.npy"
    raw = bytearray(table.read_bytes())
    raw[-1] ^= 1
    table.write_bytes(raw)
    assert fails(capsys, "info", "--verify", files["folder"]).startswith(f"fastembed info: {table}: its SHA-256 is ")
    assert fails(capsys, "info", "--verify") == "fastembed info: --verify needs a FILE."
