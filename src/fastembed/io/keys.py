"""Keys without Python's strings: UTF-8 bytes, offsets, and a hash index that finds a row by its key.

A million words take 8 MB of bytes, 8 MB of offsets and 16 MB of index, in memory or mapped from files; as a Python
dict they take 150 MB and a third of a second.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fastembed._native import keys as native
from fastembed.io._error import FormatError
from fastembed.io.mapping import release

# One slot holds a row in 32 bits, from 1 on.
MOST_KEYS = 2**32 - 2
# Linux maps 16 pages around each that is touched, or as much as 2 MiB of a file that was read in sequence. So few
# lookups as these give it back at once and leave little resident; from there on speed counts.
FRUGAL_LOOKUPS = 64
# Seeds tried for the index. Keys can be chosen to collide under the first, 0; of the others nobody knows any before all
# keys are chosen.
_SEEDS = 4


class PackedKeys(Sequence[str]):
    """An immutable sequence of str over UTF-8 bytes; keys[i] is a new str each time.

    Args:
        blob: uint8 (bytes,), the UTF-8 of all keys, one after the other.
        offsets: int64 (n + 1,): key i is blob[offsets[i]:offsets[i + 1]].
        hash_index: uint64 (a power of two > n,), `hash_index` of the same keys; default None, made when first needed.
        seed: what the index was made with.
        source: what messages call the keys, a path for instance.

    The arrays are kept, not copied. Only the ends of the offsets are looked at here: nothing is read that is not asked
    for, and what is read is checked each time.

    Raises:
        TypeError: an array has another dtype or is not contiguous.
        ValueError: there are too many keys. FormatError: the offsets do not begin at 0 or do not end with the bytes.
    """

    def __init__(
        self,
        blob: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        hash_index: NDArray[np.uint64] | None = None,
        seed: int = 0,
        source: str = "keys",
    ) -> None:
        self.blob, self.offsets, self.source = blob, offsets, source
        self._index, self._seed = hash_index, seed
        self._duplicates: NDArray[np.int64] | None = None
        self._finder: native.Finder | None = None
        self._lookups = 0
        if blob.dtype != np.uint8 or blob.ndim != 1 or offsets.dtype != np.int64 or offsets.ndim != 1:
            raise TypeError(
                f"`blob` must be uint8 (bytes,) and `offsets` int64 (n + 1,). Received: {blob.dtype} {blob.shape} and "
                f"{offsets.dtype} {offsets.shape}."
            )
        if len(offsets) > MOST_KEYS:
            raise ValueError(f"there may be at most {MOST_KEYS} keys. Received: {len(offsets) - 1}.")
        if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(blob):
            ends = f"{offsets[0]} and {offsets[-1]}" if len(offsets) else "no offsets"
            raise FormatError(f"{source}: the offsets must begin at 0 and end at {len(blob)}. Received: {ends}.")

    @classmethod
    def from_strings(cls, words: Iterable[str], source: str = "keys") -> PackedKeys:
        """Pack words.

        Raises:
            TypeError: one is not a str.
            ValueError: UTF-8 has no such word; it holds half a surrogate pair.
        """
        return cls._packed(words, "strict", source)

    @classmethod
    def _packed(cls, words: Iterable[str], errors: str, source: str) -> PackedKeys:
        blob, offsets = bytearray(), array("q", [0])
        for position, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(f"keys must be str. Received: {word!r} ({type(word).__name__}) at position {position}.")
            try:
                blob += word.encode("utf-8", errors)
            except UnicodeEncodeError:
                raise ValueError(
                    f"keys must have a UTF-8 form. Received: {word!r} at position {position}, which holds half a "
                    "surrogate pair."
                ) from None
            offsets.append(len(blob))
        return cls(np.frombuffer(blob, np.uint8), np.frombuffer(offsets, np.int64), source=source)

    # ── rows to keys ─────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, item: int) -> str: ...
    @overload
    def __getitem__(self, item: slice) -> list[str]: ...
    def __getitem__(self, item: Any) -> str | list[str]:
        if isinstance(item, slice):
            return [self._decoded(row) for row in range(*item.indices(len(self)))]
        row = range(len(self))[item]  # raises what a list raises, and counts negative ones from the end
        return self._decoded(row)

    def __iter__(self) -> Iterator[str]:
        return (self._decoded(row) for row in range(len(self)))

    def bytes_at(self, row: int) -> bytes:
        """The UTF-8 of the key of a row in [0, n).

        Raises:
            FormatError: the offsets lead out of the bytes, or run backwards.
        """
        begin, end = int(self.offsets[row]), int(self.offsets[row + 1])
        if not 0 <= begin <= end <= len(self.blob):
            raise FormatError(
                f"{self.source}: key {row}: the offsets must rise from 0 to {len(self.blob)}. "
                f"Received: {begin} and {end}."
            )
        return self.blob[begin:end].tobytes()

    def _decoded(self, row: int) -> str:
        raw = self.bytes_at(row)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"{self.source}: key {row}: not UTF-8 from its byte {error.start} on.") from None

    # ── keys to rows ─────────────────────────────────────────────────────────────────────────────

    def find(self, word: str) -> int:
        """The first row with this key, or -1.

        Raises:
            FormatError: the index or the offsets are damaged.
        """
        try:
            row = self._ready().find(word)
        except UnicodeEncodeError:
            return -1
        if row == -2:
            raise self._damaged()
        if self._lookups < FRUGAL_LOOKUPS:
            self._lookups += 1
            for part in (self.hash_index, self.offsets, self.blob):
                release(part)
        return row

    def find_many(self, words: Iterable[str]) -> NDArray[np.int64]:
        """The first row with each of these keys, or -1: int64, one for each word.

        Raises:
            TypeError: one is not a str. FormatError: the index or the offsets are damaged.
        """
        # half a surrogate pair becomes bytes that no key has
        packed = words if isinstance(words, PackedKeys) else self._packed(words, "surrogatepass", "words")
        rows = self._ready().find_many(packed.blob, packed.offsets)
        if (rows == -2).any():
            raise self._damaged()
        return rows

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.find(word) >= 0

    @property
    def hash_index(self) -> NDArray[np.uint64]:
        """The hash index, uint64 (a power of two,), for storing; `keys.hpp` describes it."""
        if self._index is None:
            self._build()
        assert self._index is not None
        return self._index

    @property
    def seed(self) -> int:
        """What the index was made with: 0, except for keys that were chosen to collide."""
        _ = self.hash_index  # finds the seed
        return self._seed

    @property
    def duplicates(self) -> NDArray[np.int64]:
        """The rows whose key an earlier row has, rising; `find` never gives them."""
        if self._duplicates is None:
            self._build()
        assert self._duplicates is not None
        return self._duplicates

    def _ready(self) -> native.Finder:
        if self._finder is None:
            index = self.hash_index  # first: it sets the seed
            self._finder = native.Finder(self.blob, self.offsets, index, self._seed)
        return self._finder

    def _build(self) -> None:
        slots = 1 << (len(self) * 3 // 2).bit_length()
        for attempt in range(_SEEDS):
            seed = self._seed_of(attempt)
            index = np.zeros(slots, np.uint64)
            taken, repeated = native.build_index(self.blob, self.offsets, index, seed)
            if taken == len(self):
                break
            self.bytes_at(taken)  # raises, unless it was the chain
        if taken < len(self):
            raise self._damaged()
        if self._index is None:
            self._index, self._seed = index, seed
        self._duplicates = repeated

    def _seed_of(self, attempt: int) -> int:
        """0, then 63 bits that hang on every key: the same keys have the same index."""
        if attempt == 0:
            return 0
        import hashlib

        digest = hashlib.sha256(bytes([attempt]))
        digest.update(self.blob.data)
        return int.from_bytes(digest.digest()[:8], "little") >> 1

    def _damaged(self) -> FormatError:
        return FormatError(f"{self.source}: the hash index and the offsets of the keys do not fit each other.")

    # ── the rest of a sequence ───────────────────────────────────────────────────────────────────

    def __eq__(self, other: object) -> bool:
        """Whether a sequence other than a str has the same keys in the same order."""
        if isinstance(other, PackedKeys):
            return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.blob, other.blob)
        if isinstance(other, Sequence) and not isinstance(other, str):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(repr(key) for key in self[:5])
        return f"PackedKeys([{shown}{', ...' if len(self) > 5 else ''}], {len(self)} keys)"
