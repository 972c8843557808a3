"""io.keys: packed keys are the list they were made from, and no index or offsets make them read elsewhere."""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastembed._native import keys as native
from fastembed.io import FormatError
from fastembed.io import keys as keys_module
from fastembed.io.keys import PackedKeys

WORDS = ["the", "", "naïve", "日本語", "New York", "\n", "\0", "a" * 1000, "🙂", "the "]


def test_packed_keys_are_a_sequence() -> None:
    keys = PackedKeys.from_strings(WORDS)
    assert isinstance(keys, Sequence)
    assert len(keys) == len(WORDS)
    assert list(keys) == WORDS
    assert keys[3] == "日本語"
    assert keys[-1] == "the "
    assert keys[1:8:3] == WORDS[1:8:3]
    assert keys == WORDS
    assert keys == PackedKeys.from_strings(WORDS)
    assert keys != [*WORDS[:-1], "other"]
    assert keys != WORDS[:-1]
    assert keys != "the"
    assert keys.bytes_at(2) == "naïve".encode()
    assert "naïve" in keys
    assert "naive" not in keys
    assert 3 not in keys
    for position in (len(WORDS), -len(WORDS) - 1):
        with pytest.raises(IndexError):
            keys[position]
    assert repr(keys) == "PackedKeys(['the', '', 'naïve', '日本語', 'New York', ...], 10 keys)"
    assert repr(PackedKeys.from_strings(["a"])) == "PackedKeys(['a'], 1 keys)"


def test_packed_keys_find_first_row() -> None:
    keys = PackedKeys.from_strings([*WORDS, "the", "new", "", "the"])
    assert [keys.find(word) for word in WORDS] == list(range(len(WORDS)))
    assert keys.find("new") == 11
    assert keys.find("missing") == -1
    assert keys.find("\ud800") == -1
    assert keys.find_many(["the", "missing", "\ud800", "new"]).tolist() == [0, -1, -1, 11]
    assert keys.find_many([]).tolist() == []
    assert keys.duplicates.tolist() == [10, 12, 13]


def test_packed_keys_empty() -> None:
    keys = PackedKeys.from_strings([])
    assert (len(keys), list(keys), keys.find(""), keys.find_many(["a"]).tolist()) == (0, [], -1, [-1])
    assert keys.duplicates.tolist() == []
    assert len(keys.hash_index) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=60), st.text(max_size=3))
def test_packed_keys_are_a_list_and_a_dict(words: list[str], other: str) -> None:
    keys = PackedKeys.from_strings(words)
    assert list(keys) == words
    expected = {word: words.index(word) for word in words}
    assert [keys.find(word) for word in words] == [expected[word] for word in words]
    assert keys.find(other) == expected.get(other, -1)
    assert keys.find_many([*words, other]).tolist() == [*(expected[word] for word in words), expected.get(other, -1)]
    assert keys.duplicates.tolist() == [row for row, word in enumerate(words) if expected[word] != row]


def test_packed_keys_of_many_words() -> None:
    words = [f"word{i}" for i in range(50_000)]
    keys = PackedKeys.from_strings(words)
    assert keys.find_many(words).tolist() == list(range(len(words)))
    assert (keys.find_many([f"other{i}" for i in range(50_000)]) == -1).all()
    assert keys.find("word49999") == 49_999


def test_packed_keys_refuse_what_is_no_key() -> None:
    with pytest.raises(TypeError) as caught:
        PackedKeys.from_strings(["a", 3])  # type: ignore[list-item]
    assert str(caught.value) == "keys must be str. Received: 3 (int) at position 1."
    with pytest.raises(ValueError, match="surrogate") as caught_value:
        PackedKeys.from_strings(["a\ud800"])
    assert str(caught_value.value) == (
        "keys must have a UTF-8 form. Received: 'a\\ud800' at position 0, which holds half a surrogate pair."
    )


def packed(blob: bytes, offsets: list[int], index: list[int] | None = None) -> PackedKeys:
    entries = None if index is None else np.array(index, np.uint64)
    return PackedKeys(np.frombuffer(blob or bytearray(), np.uint8), np.array(offsets, np.int64), entries, 0, "k.utf8")


@pytest.mark.parametrize(
    ("offsets", "received"), [([], "no offsets"), ([1, 3], "1 and 3"), ([0, 2], "0 and 2"), ([0, 4], "0 and 4")]
)
def test_packed_keys_refuse_offsets_with_wrong_ends(offsets: list[int], received: str) -> None:
    with pytest.raises(FormatError) as caught:
        packed(b"abc", offsets)
    assert str(caught.value) == f"k.utf8: the offsets must begin at 0 and end at 3. Received: {received}."


def test_packed_keys_refuse_wrong_arrays() -> None:
    with pytest.raises(TypeError) as caught:
        PackedKeys(np.zeros(0, np.int8), np.zeros(1, np.int64))  # type: ignore[arg-type]
    assert str(caught.value) == (
        "`blob` must be uint8 (bytes,) and `offsets` int64 (n + 1,). Received: int8 (0,) and int64 (1,)."
    )
    keys = PackedKeys(np.zeros(0, np.uint8), np.zeros(6, np.int64)[::2])
    with pytest.raises(TypeError, match=r"`offsets` must be a contiguous 1-D array of int64\."):
        keys.find("a")


@pytest.mark.parametrize("offsets", [[0, 2, 1, 3], [0, -1, 2, 3], [0, 2, 99, 3], [0, 2**62, -(2**62), 3]])
def test_packed_keys_refuse_offsets_that_do_not_rise(offsets: list[int]) -> None:
    for use in (list, lambda keys: keys.find("a"), lambda keys: keys.duplicates):
        with pytest.raises(FormatError, match=r"^k.utf8: key \d: the offsets must rise from 0 to 3. Received: "):
            use(packed(b"abc", offsets))
    # with an index of a file, whose every slot names a row of each kind
    for row in (1, 2, 3):
        keys = packed(b"abc", offsets, [native.siphash(b"ab", 0) >> 32 << 32 | row] * 4)
        try:
            assert keys.find("ab") in (-1, 0)
        except FormatError as error:
            assert str(error) == "k.utf8: the hash index and the offsets of the keys do not fit each other."  # noqa: PT017


def test_packed_keys_message_of_an_offset() -> None:
    with pytest.raises(FormatError) as caught:
        packed(b"abc", [0, 2, 1, 3])[1]
    assert str(caught.value) == "k.utf8: key 1: the offsets must rise from 0 to 3. Received: 2 and 1."


def test_packed_keys_refuse_bad_utf8() -> None:
    keys = packed(b"ab\xffc", [0, 1, 4])
    assert keys[0] == "a"
    with pytest.raises(FormatError) as caught:
        keys[1]
    assert str(caught.value) == "k.utf8: key 1: not UTF-8 from its byte 1 on."


@pytest.mark.parametrize("row", [0, 3, 2**32 - 1])
def test_packed_keys_refuse_index_out_of_range(row: int) -> None:
    entry = native.siphash(b"abc", 0) >> 32 << 32 | row
    keys = packed(b"abc", [0, 1, 3], [entry] * 4)
    for find in (keys.find, lambda word: keys.find_many([word])):
        with pytest.raises(FormatError) as caught:
            find("abc")
        assert str(caught.value) == "k.utf8: the hash index and the offsets of the keys do not fit each other."


def test_packed_keys_refuse_index_without_an_end() -> None:
    keys = packed(b"abc", [0, 1, 3], [1, 1, 1, 1])  # no slot is empty, and none has the hash
    with pytest.raises(FormatError, match="do not fit"):
        keys.find("x")


def test_packed_keys_survive_any_index_and_offsets() -> None:
    generator = random.Random(3)
    words = ["ab", "c", "def", ""]
    good = PackedKeys.from_strings(words)
    refused = 0
    for _ in range(3000):
        offsets, index = good.offsets.copy(), good.hash_index.copy()
        for array in (offsets[1:-1], index):
            if generator.random() < 0.7:
                array[generator.randrange(len(array))] = generator.choice([0, 1, 3, 6, 9, 2**32 - 1, 2**62])
        keys = PackedKeys(good.blob, offsets, index)
        for use in (lambda k: [k.find(w) for w in [*words, "zz"]], list, lambda k: k.find_many(words)):
            try:
                use(keys)
            except FormatError:
                refused += 1
    assert refused > 1000


def test_siphash_is_siphash() -> None:
    # SipHash-2-4 of b"" under the key 0, and that of its reference's key with the upper half zero, from another program
    assert native.siphash(b"", 0) == 0x1E924B9D737700D7
    assert native.siphash(bytes(range(15)), 0) == python_siphash(bytes(range(15)), 0, 0)
    for size in range(40):
        data = bytes(random.Random(size).randbytes(size))
        for seed in (0, 1, 2**64 - 1):
            assert native.siphash(data, seed) == python_siphash(data, seed, 0)


def python_siphash(data: bytes, key0: int, key1: int) -> int:
    """SipHash-2-4 as its paper has it; its example is checked below."""
    most = 2**64 - 1
    v = [key0 ^ 0x736F6D6570736575, key1 ^ 0x646F72616E646F6D, key0 ^ 0x6C7967656E657261, key1 ^ 0x7465646279746573]

    def rotate(x: int, by: int) -> int:
        return (x << by | x >> (64 - by)) & most

    def mix() -> None:
        v[0] = (v[0] + v[1]) & most
        v[2] = (v[2] + v[3]) & most
        v[1] = rotate(v[1], 13) ^ v[0]
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[1]) & most
        v[0] = (v[0] + v[3]) & most
        v[1] = rotate(v[1], 17) ^ v[2]
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = rotate(v[2], 32)

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) % 256])
    for start in range(0, len(padded), 8):
        m = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= m
        mix()
        mix()
        v[0] ^= m
    v[2] ^= 0xFF
    for _ in range(4):
        mix()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_python_siphash_gives_the_example_of_the_paper() -> None:
    key = int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")
    assert python_siphash(bytes(range(15)), *key) == 0xA129CA6149BE45E5


def test_packed_keys_take_another_seed_for_keys_that_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    build = native.build_index
    asked: list[int] = []
    most = 2

    def colliding(blob: Any, offsets: Any, index: Any, seed: int) -> tuple[int, Any]:
        asked.append(seed)
        return (1, np.empty(0, np.int64)) if len(asked) <= most else build(blob, offsets, index, seed)

    monkeypatch.setattr(native, "build_index", colliding)
    for _ in range(2):  # the same for the same keys
        asked.clear()
        keys = PackedKeys.from_strings(["a", "b", "c"])
        assert (keys.find("c"), keys.seed) == (2, 903196720092040520)
        assert asked == [0, 8250654583102213135, keys.seed]
    # and others for others: nobody can choose keys for them
    asked.clear()
    most = 4
    with pytest.raises(FormatError) as caught:
        PackedKeys.from_strings(["a", "b", "d"]).find("c")
    assert str(caught.value) == "keys: the hash index and the offsets of the keys do not fit each other."
    assert len({keys.seed, *asked}) == 5
    assert min(asked[1:]) > 2**32


def test_build_index_stops_at_a_long_chain() -> None:
    # keys whose hashes begin in the same 64 of 4096 slots share a chain
    numbers = (str(k).encode() for k in itertools.count())
    words = list(itertools.islice((word for word in numbers if native.siphash(word, 0) & 4095 < 64), 1100))
    offsets = np.cumsum([0, *map(len, words)])
    blob = np.frombuffer(b"".join(words), np.uint8)
    index = np.zeros(4096, np.uint64)
    taken, _ = native.build_index(blob, offsets, index, 0)
    assert 1000 <= taken <= 1064
    assert native.build_index(blob, offsets, np.zeros(4096, np.uint64), 1)[0] == 1100


def words_from(slots: Sequence[int]) -> tuple[Any, Any]:
    """A key for each of these slots of 4096, in packed form."""
    found: dict[int, bytes] = {}
    numbers = (str(k).encode() for k in itertools.count())
    while not found.keys() >= set(slots):
        word = next(numbers)
        found.setdefault(native.siphash(word, 0) & 4095, word)
    words = [found[slot] for slot in slots]
    return np.frombuffer(b"".join(words), np.uint8), np.cumsum([0, *map(len, words)])


@pytest.mark.parametrize(("run", "taken"), [(999, 999), (1000, 999)])
def test_build_index_refuses_a_long_run_of_keys_in_their_own_slots(run: int, taken: int) -> None:
    # a key that is missing would need as many steps, from the end of the slots to their beginning
    blob, offsets = words_from([(3500 + k) % 4096 for k in range(run)])
    index = np.zeros(4096, np.uint64)
    assert native.build_index(blob, offsets, index, 0)[0] == taken
    keys = PackedKeys(blob, offsets, index, 0)
    if taken == run:
        assert keys.find_many(str(k) for k in range(100_000, 110_000)).tolist() == [-1] * 10_000
    made = PackedKeys(blob, offsets)
    assert made.find_many(keys).tolist() == list(range(run))
    assert (made.seed == 0) == (taken == run)


def full_index() -> PackedKeys:
    """One key, and an index of a file whose 4096 slots all look taken but for the first."""
    index = np.full(4096, 0x12345678 << 32 | 1, np.uint64)
    index[0] = 0
    return PackedKeys(np.frombuffer(b"a", np.uint8), np.array([0, 1]), index)


def test_packed_keys_refuse_index_with_a_chain_that_no_seed_makes() -> None:
    word = next(word for word in map(str, itertools.count()) if native.siphash(word.encode(), 0) & 4095 == 3000)
    keys = full_index()
    for find in (keys.find, lambda word: keys.find_many([word])):
        with pytest.raises(FormatError) as caught:
            find(word)
        assert str(caught.value) == "keys: the hash index and the offsets of the keys do not fit each other."
    word = next(word for word in map(str, itertools.count()) if native.siphash(word.encode(), 0) & 4095 == 3100)
    assert keys.find(word) == -1


class Stopped(Exception):
    pass


@pytest.fixture
def alarm() -> Iterator[Callable[[float], Any]]:
    """Sets a time after which a signal handler raises Stopped."""

    def stop(*arguments: Any) -> None:
        raise Stopped

    before = signal.signal(signal.SIGALRM, stop)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX signals")
def test_find_many_is_interrupted_at_once(alarm: Callable[[float], Any]) -> None:
    # each word, of no bytes, takes 999 steps
    index = np.zeros(4096, np.uint64)
    index[(native.siphash(b"", 0) + np.arange(998, dtype=np.uint64)) % np.uint64(4096)] = 0x12345678 << 32 | 1
    keys = PackedKeys(np.frombuffer(b"a", np.uint8), np.array([0, 1]), index)
    words = PackedKeys(np.empty(0, np.uint8), np.zeros(10_000_001, np.int64))  # whose search takes 5 s
    assert keys.find("") == -1
    started = time.monotonic()
    alarm(0.1)
    with pytest.raises(Stopped):
        keys.find_many(words)
    assert time.monotonic() - started < 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX signals")
def test_build_index_is_interrupted_at_once(alarm: Callable[[float], Any]) -> None:
    count = 2**22
    blob, offsets = np.arange(count, dtype=np.uint32).view(np.uint8), np.arange(0, 4 * count + 1, 4)
    index = np.zeros(2 * count, np.uint64)
    alarm(0.01)
    with pytest.raises(Stopped):
        native.build_index(blob, offsets, index, 0)
    assert np.count_nonzero(index) < count


def test_build_index_refuses_what_does_not_fit() -> None:
    blob, offsets = np.zeros(0, np.uint8), np.zeros(5, np.int64)
    for slots, text in (
        (4, "`index` must be writable and have more slots than there are keys."),
        (6, "`index` must have a power of two of slots. Received: 6."),
        (0, "`index` must have a power of two of slots. Received: 0."),
    ):
        with pytest.raises(ValueError, match="`index`") as caught:
            native.build_index(blob, offsets, np.zeros(slots, np.uint64), 0)
        assert str(caught.value) == text
    with pytest.raises(ValueError, match="one number more"):
        native.Finder(blob, np.zeros(0, np.int64), np.zeros(1, np.uint64), 0)


def test_the_first_lookups_give_pages_back_and_later_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    monkeypatch.setattr(keys_module, "release", lambda part: released.append(id(part)))
    keys = PackedKeys.from_strings(["a", "b"])
    parts = {id(part) for part in (keys.hash_index, keys.offsets, keys.blob)}
    keys.find("b")
    assert set(released) == parts
    for _ in range(2 * keys_module.FRUGAL_LOOKUPS):
        keys.find("a")
    assert len(released) == 3 * keys_module.FRUGAL_LOOKUPS
