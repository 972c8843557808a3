"""fastembed.load_vectors: what it takes, warns of and refuses; its memory, and Ctrl-C."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastembed
from fastembed.io import FormatError
from fastembed.io.mapping import mapping_of
from fastembed.vectors import KeyedVectors
from tests.ops.helpers import assert_clean, run_python

CONTENT = b"the 1 2\nof 3 4\n"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "vectors.txt"
    place.write_bytes(CONTENT)
    return place


def test_load_vectors_gives_keyed_vectors(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = fastembed.load_vectors(path)
    assert type(vectors) is KeyedVectors
    assert vectors.index_to_key == ["the", "of"]
    assert vectors["of"].tolist() == [3, 4]
    assert "off" not in vectors
    np.testing.assert_array_equal(vectors.vectors, [[1, 2], [3, 4]])
    assert fastembed.load_vectors(str(path), dtype=np.float32, limit=np.int64(1)).index_to_key == ["the"]  # type: ignore[arg-type]
    assert fastembed.load_vectors(path, limit=2**64).index_to_key == ["the", "of"]
    assert capsys.readouterr() == ("", "")


def test_load_vectors_reports_coverage(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fastembed.load_vectors(path, vocab={"of": 1, "nothing": 2}).index_to_key == ["of"]
    assert capsys.readouterr() == ("", "found 1 of 2 words\n")
    fastembed.load_vectors(path, vocab=["of"], verbose=False)
    assert capsys.readouterr() == ("", "")


def test_load_vectors_shows_progress_when_asked(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fastembed.load_vectors(path, verbose=True)
    assert capsys.readouterr().err.startswith("\r100%  15 of 15 B")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            b"the 5 6\n",
            "1 row has a word that came before; the first vector of each word is kept. The first such row is 3: 'the'.",
        ),
        (
            b"of 5 6\nthe 5 6\n",
            "2 rows have words that came before; the first vector of each word is kept. The first such row is 3: 'of'.",
        ),
    ],
)
def test_load_vectors_warns_of_words_that_come_again(path: Path, more: bytes, words: str) -> None:
    path.write_bytes(CONTENT + more)
    with pytest.warns(UserWarning, match="came before") as caught:
        vectors = fastembed.load_vectors(path)
    assert [str(warning.message) for warning in caught] == [f"{path}: {words}"]
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(vectors.vectors, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        (
            {"format": "text"},
            ValueError,
            "`format` must be one of 'auto', 'glove', 'word2vec', 'fasttext', 'word2vec-binary'. Received: 'text'.",
        ),
        (
            {"errors": "surrogateescape"},
            ValueError,
            "`errors` must be one of 'strict', 'replace', 'ignore'. Received: 'surrogateescape'.",
        ),
        ({"dtype": "float16"}, ValueError, "`dtype` must be 'float32', which is what tables are. Received: 'float16'."),
        ({"verbose": "yes"}, ValueError, "`verbose` must be True, False or 'auto'. Received: 'yes'."),
        ({"limit": 0}, ValueError, "`limit` must be at least 1, or None for all rows. Received: 0."),
        ({"limit": True}, TypeError, "`limit` must be an integer. Received: True (bool)."),
        ({"vocab": "the"}, TypeError, "`vocab` must be an iterable of words, not one str. Received: 'the'."),
        ({"vocab": ["the", 3]}, TypeError, "`vocab` must be an iterable of str. Received: 3 in it."),
    ],
)
def test_load_vectors_refuses_arguments(path: Path, kwargs: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        fastembed.load_vectors(path, **kwargs)
    assert str(caught.value) == words


def test_load_vectors_refuses_to_map(path: Path) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fastembed.load_vectors(path, mmap=True)
    assert str(caught.value) == (
        "`mmap=True` needs a file that holds the table as it is in memory, which files of word vectors do not. "
        f"Convert it once: load_vectors({str(path)!r}).save(folder); KeyedVectors.load(folder) is mapped."
    )


def test_load_vectors_opens_directory(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    fastembed.load_vectors(path).save(folder)
    for mapped in (False, True):
        vectors = fastembed.load_vectors(folder, mmap=mapped)
        assert vectors.index_to_key == ["the", "of"]
        np.testing.assert_array_equal(vectors.vectors, [[1, 2], [3, 4]])
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fastembed.load_vectors(folder, limit=1)
    assert str(caught.value) == (
        f"{folder}: `name`, `limit` and `vocab` are for files; this is a KeyedVectors directory."
    )


def test_load_vectors_opens_static_embeddings(tmp_path: Path) -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    tokens = json.dumps({"model": {"vocab": {"[PAD]": 0, "the": 1, "##s": 2}}})
    nested = tmp_path / "0_StaticEmbedding"
    nested.mkdir()
    fastembed.save_table(nested / "model.safetensors", table)
    (nested / "tokenizer.json").write_text(tokens, encoding="utf-8")
    for place in (tmp_path, nested, nested / "model.safetensors"):
        for mapped in (False, True):
            vectors = fastembed.load_vectors(place, mmap=mapped)
            assert vectors.index_to_key == ["[PAD]", "the", "##s"]
            np.testing.assert_array_equal(vectors.vectors, table)
            assert vectors["##s"].tolist() == [4, 5]
            assert (mapping_of(vectors.vectors) is not None) is mapped
        np.testing.assert_array_equal(fastembed.Embedding.from_pretrained(place).embeddings, table)
        for chosen in ({"limit": 1}, {"vocab": ["the"]}):
            with pytest.raises(ValueError) as caught:  # noqa: PT011
                fastembed.load_vectors(place, **chosen)
            assert str(caught.value) == (
                f"{place}: `limit` and `vocab` are for files of word vectors; this is a static embedding."
            )


def test_load_vectors_refuses_what_has_no_words(tmp_path: Path) -> None:
    table = np.ones((3, 2), np.float32)
    for suffix in ("npy", "safetensors"):
        fastembed.save_table(tmp_path / f"t.{suffix}", table)
    np.savez(tmp_path / "t.npz", table)
    static = os.path.join("0_StaticEmbedding", "model.safetensors")
    for place, words in (
        (tmp_path / "t.npy", "holds tables and no words (npy)."),
        (tmp_path / "t.npz", "holds tables and no words (npz)."),
        (tmp_path / "t.safetensors", "holds no words, and no tokenizer.json lies beside it."),
        (tmp_path, f"a folder of vectors holds manifest.json, or model.safetensors or {static}."),
    ):
        with pytest.raises(FormatError) as caught:
            fastembed.load_vectors(place)
        assert str(caught.value) == f"{place}: {words}"


def test_load_vectors_raises_format_error_that_is_a_value_error(path: Path) -> None:
    path.write_bytes(CONTENT + b"a 1 nan\n")
    with pytest.raises(FormatError) as caught:
        fastembed.load_vectors(path)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == f"{path}: line 3, number 2: a vector's numbers are finite. Received: 'nan'."


# ── memory and signals ───────────────────────────────────────────────────────────────────────────

PEAK = """
import sys
import fastembed
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before = peak()
try:
    size = fastembed.load_vectors(sys.argv[1]).vectors.nbytes
except ValueError:
    size = 0
print(peak() - before, size / 2**20)
"""


def peak_of(path: Path) -> tuple[float, float]:
    """Megabytes by which loading a file raises the process's peak, and those of the table."""
    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    before, table = map(float, done.stdout.split())
    return before, table


@linux
def test_load_vectors_takes_little_more_than_the_table(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    row = b" -0.12345" * 300 + b"\n"
    path.write_bytes(b"".join(b"word%d" % k + row for k in range(20_000)))  # 54 MB of text, 23 MB of table
    peak, table = peak_of(path)
    assert peak < table + 40


@linux
@pytest.mark.parametrize(
    "content",
    [b"2 3\n", b"999999999 300\nthe 1 2\n", b"x" * 20_000_000, b"a 1 2\nb 1\n", gzip.compress(bytes(100_000_000))],
    ids=["short", "huge header", "one line", "ragged", "bomb"],
)
def test_load_vectors_takes_little_for_malformed_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    started = time.monotonic()
    peak, _ = peak_of(path)
    assert peak < 16 + 2 * len(content) / 2**20
    assert time.monotonic() - started < 5


# In a process of its own: an interrupt that comes late would end the tests.
INTERRUPTED = """
import os, signal, sys, threading, time
import fastembed
path = sys.argv[1]
threads = threading.active_count()
delays = []
for _ in range(4):
    sent = []
    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(0.05, interrupt)
    try:
        timer.start()
        while True:
            fastembed.load_vectors(path)
    except KeyboardInterrupt:
        delays.append(time.monotonic() - sent[0])
    timer.join()
while threading.active_count() > threads:  # one may just have been started; it ends by itself
    time.sleep(0.01)
# on a busy machine the signal or this thread may have to wait for others
print(min(delays) < 0.2 or delays, len(fastembed.load_vectors(path, limit=10)))
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("packed", [False, True])
def test_load_vectors_is_interrupted_at_once(tmp_path: Path, packed: bool) -> None:
    # rows that differ: others would compress so well that the file is refused as a bomb, if it is read so far in time
    numbers = np.random.default_rng(0).integers(0, 1000, (997, 100))
    rows = [b"".join(b" 0.%03d" % number for number in row) + b"\n" for row in numbers]
    content = b"".join(b"word%d" % k + rows[k % 997] for k in range(80_000))  # 49 MB
    path = tmp_path / "vectors"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    assert_clean(run_python(INTERRUPTED, str(path)), "True 10\n")


def test_load_vectors_reads_words_beside_arrays_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("glove.txt", "the 0.5 1\nof 2 3\n")
        np.save(tmp_path / "x.npy", np.ones((2, 2), np.float32))
        archive.write(tmp_path / "x.npy", "x.npy")
    loaded = fastembed.load_vectors(path, name="glove.txt", verbose=False)
    assert list(loaded.index_to_key) == ["the", "of"]
    assert np.array_equal(loaded.vectors, np.array([[0.5, 1], [2, 3]], np.float32))
    for name in (None, "x.npy"):
        with pytest.raises(FormatError) as caught:
            fastembed.load_vectors(path, name=name)
        assert str(caught.value) == f"{path}: holds tables and no words (npz)."


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"verbose": "x"}, "`verbose` must be True, False or 'auto'. Received: 'x'."),
        ({"limit": -4}, "`limit` must be at least 1, or None for all rows. Received: -4."),
    ],
)
def test_load_vectors_checks_what_it_does_not_need(tmp_path: Path, arguments: dict[str, Any], text: str) -> None:
    KeyedVectors(np.ones((1, 2), np.float32), ["a"]).save(tmp_path / "v")
    with pytest.raises(ValueError, match="must be") as caught:
        fastembed.load_vectors(tmp_path / "v", **arguments)
    assert str(caught.value) == text
