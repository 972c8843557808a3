"""KeyedVectors.most_similar and similarity: gensim's meanings, exactly."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed import KeyedVectors, _similarity
from fastembed.io import mapping
from tests.ops.helpers import assert_clean, run_python


def random_vectors(rows: int = 500, dim: int = 20, seed: int = 0) -> KeyedVectors:
    table = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    return KeyedVectors(table, [f"w{i}" for i in range(rows)])


def expected(vectors: KeyedVectors, weights: dict[Any, float], topn: int, begin: int = 0, end: int = 10**9) -> Any:
    """gensim's rule in float64: the mean of unit vectors by weight, cosines with it, without the words themselves."""
    table = vectors.vectors.astype(np.float64)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    mean = sum(weight * unit[vectors.key_to_index[word]] for word, weight in weights.items())
    cosines = unit @ (mean / np.linalg.norm(mean))
    end = min(end, len(table))
    rows = [row for row in np.argsort(-cosines, kind="stable") if vectors.keys[row] not in weights]
    rows = [row for row in rows if begin <= row < end][:topn]
    return [(vectors.keys[row], cosines[row]) for row in rows]


def assert_same(got: list[tuple[str, float]], wanted: list[tuple[str, float]]) -> None:
    assert [word for word, _ in got] == [word for word, _ in wanted]
    # float32 scores of float64 sums
    np.testing.assert_allclose([score for _, score in got], [score for _, score in wanted], rtol=1e-6, atol=1e-7)
    assert all(type(score) is float for _, score in got)


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 16, 33, 300])
@pytest.mark.parametrize("topn", [1, 10, 499, 2000])
def test_most_similar_is_the_cosine(dim: int, topn: int) -> None:
    vectors = random_vectors(dim=dim)
    got = vectors.most_similar("w7", topn=topn)
    if dim == 1:  # cosines are 1 or -1: ties, the lower row first
        signs = np.sign(vectors.vectors[:, 0]) * np.sign(vectors.vectors[7, 0])
        rows = [row for row in np.argsort(-signs, kind="stable") if row != 7][:topn]
        assert got == [(f"w{row}", float(signs[row])) for row in rows]
    else:
        assert_same(got, expected(vectors, {"w7": 1.0}, topn))


def test_most_similar_adds_and_subtracts() -> None:
    vectors = random_vectors()
    got = vectors.most_similar(positive=["w1", "w2"], negative=["w3"])
    assert_same(got, expected(vectors, {"w1": 1, "w2": 1, "w3": -1}, 10))
    got = vectors.most_similar(["w1", ("w2", 0.25), ("w4", -2)], [("w3", -0.5)], topn=3)
    # a weight that is given is the weight, in `negative` too
    assert_same(got, expected(vectors, {"w1": 1, "w2": 0.25, "w4": -2, "w3": -0.5}, 3))
    assert_same(vectors.most_similar(negative="w3", topn=2), expected(vectors, {"w3": -1}, 2))


def test_most_similar_takes_indices() -> None:
    vectors = random_vectors()
    assert vectors.most_similar(5) == vectors.most_similar("w5")
    assert vectors.most_similar([np.int64(5), "w6"]) == vectors.most_similar(["w5", "w6"])


def test_most_similar_takes_vectors_as_they_are() -> None:
    vectors = random_vectors()
    row = vectors.vectors[5]
    assert vectors.most_similar(row, topn=1) == [("w5", 1.0)]  # a vector is nobody's word: none is left out
    assert vectors.most_similar(row * 2, topn=4) == vectors.most_similar([row], topn=4)
    lengths = np.linalg.norm(vectors.vectors, axis=1)
    got = vectors.most_similar([row, "w6"], topn=5)
    wanted = expected(vectors, {"w5": float(lengths[5]), "w6": 1.0}, 6)
    got = [pair for pair in got if pair[0] != "w5"]
    assert_same(got, wanted[: len(got)])
    assert vectors.most_similar(vectors.vectors[:2], topn=5) == vectors.most_similar(list(vectors.vectors[:2]), topn=5)


def test_most_similar_range_and_topn() -> None:
    vectors = random_vectors()
    assert vectors.most_similar("w7", topn=0) == []
    assert vectors.most_similar("w7", topn=-3) == []
    assert_same(vectors.most_similar("w7", clip_start=100, clip_end=300), expected(vectors, {"w7": 1}, 10, 100, 300))
    assert_same(vectors.most_similar("w7", restrict_vocab=50), expected(vectors, {"w7": 1}, 10, 0, 50))
    assert vectors.most_similar("w7", clip_start=300, clip_end=200) == []
    cosines = vectors.most_similar("w7", topn=None)
    assert (cosines.dtype, cosines.shape) == (np.float32, (500,))
    by_word = dict(expected(vectors, {"w7": 1}, 499))
    wanted = [by_word.get(f"w{i}", 1.0) for i in range(500)]
    np.testing.assert_allclose(cosines, wanted, atol=1e-6)  # float32 products
    assert vectors.most_similar("w7", topn=None, clip_start=490).shape == (10,)


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_most_similar_is_the_same_for_every_block(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    whole = random_vectors().most_similar(["w1", "w3"], topn=40)
    monkeypatch.setattr(_similarity, "block_rows", lambda table, queries: block)
    assert random_vectors().most_similar(["w1", "w3"], topn=40) == whole


def test_most_similar_ties_lower_index_first() -> None:
    generator = np.random.default_rng(1)
    some = generator.standard_normal((7, 300)).astype(np.float32)
    table = some[generator.integers(0, 7, 10_000)]
    table[9000] = some[3] * 2  # the same direction
    vectors = KeyedVectors(table, [f"w{i}" for i in range(len(table))])
    for row in (0, 9000):
        got = vectors.most_similar(f"w{row}", topn=30)
        turned = table / table[:, :1]
        same = [i for i in range(10_000) if i != row and np.array_equal(turned[i], turned[row])]
        assert [word for word, _ in got] == [f"w{i}" for i in same[:30]]
        assert {score for _, score in got} == {1.0}


def test_most_similar_of_one_direction_settles_ties_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_similarity, "_SPARE", 16)
    monkeypatch.setattr(_similarity, "block_rows", lambda table, queries: 100)
    vectors = KeyedVectors(np.ones((2000, 3), np.float32), [str(i) for i in range(2000)])
    assert vectors.most_similar("5", topn=6) == [(word, 1.0) for word in ("0", "1", "2", "3", "4", "6")]


def test_most_similar_zero_rows_come_last_as_nan() -> None:
    table = np.array([[0, 0], [1, 0], [0, 0], [0, 1]], np.float32)
    vectors = KeyedVectors(table, list("abcd"))
    got = vectors.most_similar("b", topn=10)
    assert [word for word, _ in got] == ["d", "a", "c"]
    assert got[0][1] == 0.0
    assert np.isnan([got[1][1], got[2][1]]).all()
    assert np.isnan(vectors.most_similar("b", topn=None)).tolist() == [True, False, True, False]
    # a query without a direction is equally far from all
    assert vectors.most_similar("a", topn=1) == [("b", 0.0)]
    assert vectors.most_similar("b", "b", topn=1) == [("d", 0.0)]


def test_most_similar_large_and_small_numbers() -> None:
    table = np.array([[3e18, 4e18], [3e-20, 4e-20], [4, -3], [3e18, 4.1e18]], np.float32)
    vectors = KeyedVectors(table, list("abcd"))
    assert [word for word, _ in vectors.most_similar("a")] == ["b", "d", "c"]
    np.testing.assert_array_equal(vectors.norms, np.float32([5e18, 5e-20, 5, np.hypot(3e18, np.float64(table[3, 1]))]))


def test_most_similar_batch_is_one_by_one() -> None:
    vectors = random_vectors(3000, 50)
    positive: list[Any] = ["w1", ["w2", "w3"], ("w4", "w5"), vectors.vectors[9], [("w6", 0.5), "w7"], 8]
    negative = [None, "w9", None, ["w1", "w2"], [], None]
    got = vectors.most_similar_batch(positive, negative, topn=7)
    assert got == [vectors.most_similar(p, n, topn=7) for p, n in zip(positive, negative, strict=True)]
    table = vectors.vectors[:300]
    assert vectors.most_similar_batch(table, topn=2) == [vectors.most_similar(row, topn=2) for row in table]
    assert vectors.most_similar_batch([]) == []
    assert vectors.most_similar_batch(["w1"], topn=0) == [[]]
    cosines = vectors.most_similar_batch(["w1", "w2"], topn=None)
    np.testing.assert_allclose(cosines[1], vectors.most_similar("w2", topn=None), atol=1e-6)  # float32 products


def test_most_similar_batch_of_ties_is_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(0).integers(-1, 2, (5000, 3)).astype(np.float32)
    table[(table == 0).all(axis=1)] = 1
    vectors = KeyedVectors(table, [f"w{i}" for i in range(5000)])
    words = [f"w{i}" for i in range(0, 5000, 50)]
    assert vectors.most_similar_batch(words) == [vectors.most_similar(word) for word in words]


def test_most_similar_refuses() -> None:
    vectors = random_vectors(5, 3)
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: vectors.most_similar("x"), KeyError, "\"Key 'x' not present in vocabulary\""),
        (lambda: vectors.most_similar(["w1"], ["x"]), KeyError, "\"Key 'x' not present in vocabulary\""),
        (lambda: vectors.most_similar(5), KeyError, "\"Key '5' not present in vocabulary\""),
        (lambda: vectors.most_similar(-1), KeyError, "\"Key '-1' not present in vocabulary\""),
        (lambda: vectors.most_similar(), ValueError, "cannot compute mean with no input"),
        (lambda: vectors.most_similar([]), ValueError, "cannot compute mean with no input"),
        (lambda: vectors.most_similar(np.ones(4)), ValueError, "a vector must have shape (3,). Received: (4,)."),
        (
            lambda: vectors.most_similar([("w1", 1, 2)]),
            TypeError,
            "a query must be made of keys, vectors and pairs (key or vector, weight). Received: ('w1', 1, 2).",
        ),
        (lambda: vectors.most_similar([("w1", "2")]), TypeError, "`weight` must be a number. Received: '2' (str)."),
        (lambda: vectors.most_similar("w1", topn=1.5), TypeError, "`topn` must be an integer. Received: 1.5 (float)."),
        (
            lambda: vectors.most_similar("w1", clip_start=-1),
            ValueError,
            "`clip_start` must be an integer >= 0. Received: -1.",
        ),
        (
            lambda: vectors.most_similar_batch(["w1", "w2"], ["w3"]),
            ValueError,
            "`positive` and `negative` must be of one length, the number of queries. Received: 2 and 1.",
        ),
    ]
    for call, error, text in cases:
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == text
        assert type(caught.value) is error


def test_similarity_is_the_cosine() -> None:
    vectors = KeyedVectors(np.array([[3, 4], [4, 3], [-3, -4], [0, 0]], np.float32), list("abcd"))
    assert vectors.similarity("a", "b") == np.float32(24 / 25)
    assert vectors.similarity("a", "c") == -1
    assert vectors.similarity("a", "d") == 0
    assert vectors.similarity(0, 1) == np.float32(24 / 25)
    assert type(vectors.similarity("a", "b")) is np.float32
    with pytest.raises(KeyError, match="Key 'x' not present"):
        vectors.similarity("a", "x")


def test_norms_are_lengths_and_follow_a_change_when_told() -> None:
    table = np.array([[3, 4], [0, 0], [5, 12]], np.float32)
    vectors = KeyedVectors(table, list("abc"))
    assert vectors.norms.tolist() == [5, 0, 13]
    assert not vectors.norms.flags.writeable
    vectors.vectors[0] = [6, 8]
    vectors.fill_norms()
    assert vectors.norms.tolist() == [5, 0, 13]
    vectors.fill_norms(force=True)
    assert vectors.norms.tolist() == [10, 0, 13]


def test_most_similar_never_writes_to_the_table() -> None:
    vectors = random_vectors()
    before = vectors.vectors.copy()
    vectors.vectors.flags.writeable = False
    vectors.most_similar_batch(["w1", "w2"])
    np.testing.assert_array_equal(vectors.vectors, before)


def test_most_similar_mapped_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(3000, 50)
    np.save(tmp_path / "t.npy", vectors.vectors)
    mapped = KeyedVectors(np.load(tmp_path / "t.npy", mmap_mode="r"), vectors.keys)
    assert type(mapped.vectors) is np.ndarray
    assert mapping.mapping_of(mapped.vectors) is not None
    wanted = vectors.most_similar("w1")
    assert mapped.most_similar("w1") == wanted
    monkeypatch.setattr(mapping, "memory_bytes", lambda: 1000)  # larger than memory: released behind the reader
    assert mapped.most_similar("w1") == wanted
    # what was written to a copy-on-write mapping is nowhere else
    private = np.load(tmp_path / "t.npy", mmap_mode="c")
    private[...] = vectors.vectors[::-1]
    assert KeyedVectors(private, vectors.keys).most_similar(vectors.vectors[0], topn=1) == [("w2999", 1.0)]
    np.testing.assert_array_equal(private, vectors.vectors[::-1])


def test_most_similar_threads_share_norms() -> None:
    vectors = random_vectors(20_000, 30)
    wanted = random_vectors(20_000, 30).most_similar("w1")
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(vectors.most_similar("w1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [wanted] * 8


# In a process of its own: an interrupt that comes late would end the tests.
INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from fastembed import KeyedVectors
table = np.random.default_rng(0).standard_normal((40_000, 100)).astype(np.float32)
vectors = KeyedVectors(table, [str(i) for i in range(len(table))])
queries = np.random.default_rng(1).standard_normal((40_000, 100))
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
started = time.perf_counter()
try:
    vectors.most_similar_batch(queries)
except KeyboardInterrupt:
    # it would take ten; 0.2 s on a quiet machine
    print(time.perf_counter() - started < 3, vectors.most_similar("1", topn=1)[0][0] != "1")
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_most_similar_feels_ctrl_c() -> None:
    assert_clean(run_python(INTERRUPTED), "True True\n")


def test_rows_that_float32_products_cannot_tell_apart_come_in_their_order() -> None:
    rng = np.random.default_rng(2)
    base = rng.standard_normal(300)
    table = (base + 1e-6 * rng.standard_normal((3000, 300))).astype(np.float32)
    vectors = KeyedVectors(table, [str(row) for row in range(3000)])
    assert vectors.most_similar(base, topn=5) == [(str(row), 1.0) for row in range(5)]


def test_rows_without_a_direction_come_last_among_those_asked_for() -> None:
    table = np.eye(8, dtype=np.float32)
    table[[1, 4, 6]] = 0
    vectors = KeyedVectors(table, [str(row) for row in range(8)])
    found = vectors.most_similar(table[5], topn=10, clip_start=3, clip_end=7)
    assert [key for key, _ in found] == ["5", "3", "4", "6"]
    assert np.isnan([score for _, score in found[2:]]).all()
