"""`KeyedVectors`: a table whose rows have words, under gensim's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._native.kernels import check_whole
from ._similarity import RowNorms, best, lengths, scores, unit
from ._word_query import mean_of
from ._word_rows import Coverage, word_rows
from .io.atomic import Path
from .io.directory import open_directory
from .io.directory_writer import write_directory
from .io.keys import FRUGAL_LOOKUPS, PackedKeys
from .io.mapping import mapping_of, release
from .layers import Embedding
from .ops import _check, gather


class KeyedVectors:
    """Word vectors: a table and a key for each row, with gensim's names and results::

        vectors = KeyedVectors(table, ["the", "king", "queen"])
        vectors["king"]  # its row
        vectors.most_similar(positive=["king", "woman"], negative=["man"], topn=3)  # [(word, cosine), ...]

    Args:
        vectors: float32 (V, D), C-contiguous, mapped ones too: kept, not copied. Other numbers are converted, once.
        keys: V different str, or the `PackedKeys` of a reader, of which the first row of a key counts.

    Attributes:
        vectors: the table. Who changes it calls ``fill_norms(force=True)`` afterwards.
        keys: `PackedKeys`: the keys without Python's strings, so that a million of them cost 32 MB.

    Raises:
        TypeError: `vectors` is no array of numbers, or a key no str.
        ValueError: `vectors` has not two dimensions, there are not V keys, or one occurs twice.
    """

    vectors: NDArray[np.float32]
    keys: PackedKeys

    def __init__(self, vectors: Any, keys: PackedKeys | Iterable[str]) -> None:
        array = np.asarray(vectors)
        # numpy.ma takes longer to import than a small table to read: only for what may be one
        masked = type(vectors) is not np.ndarray and isinstance(vectors, np.ma.MaskedArray)
        if array.dtype.kind not in "fiu" or masked:
            kind = f"dtype {array.dtype}."
            if masked:
                kind = "a masked array; fill it, with .filled()."
            raise TypeError(f"`vectors` must be an array of numbers (V, D). Received: {kind}")
        if array.ndim != 2:
            raise ValueError(f"`vectors` must have 2 dimensions (V, D). Received: shape {array.shape}.")
        _check.watch(array)
        self.vectors = np.require(array, np.float32, ["C", "A"]).view(np.ndarray)
        if not np.may_share_memory(self.vectors, array):
            check_whole(array)
        self.keys = keys if isinstance(keys, PackedKeys) else PackedKeys.from_strings(keys)
        if len(self.keys) != len(array):
            raise ValueError(f"there must be a key for each of the {len(array)} rows. Received: {len(self.keys)} keys.")
        if self.keys is not keys and len(self.keys.duplicates):
            row = int(self.keys.duplicates[0])
            key = self.keys[row]
            raise ValueError(f"keys must differ. Received: {key!r} at positions {self.keys.find(key)} and {row}.")
        self._norms = RowNorms(self.vectors)
        self._frugal_lookups = 0 if mapping_of(self.vectors) is None else FRUGAL_LOOKUPS
        self._index_to_key: list[str] | None = None
        self._key_to_index: dict[str, int] | None = None

    def __repr__(self) -> str:
        return f"KeyedVectors<vector_size={self.vector_size}, {len(self)} keys>"

    # ── keys and rows ────────────────────────────────────────────────────────────────────────────

    @property
    def vector_size(self) -> int:
        """D, the length of a vector."""
        return int(self.vectors.shape[1])

    @property
    def index_to_key(self) -> list[str]:
        """The keys in the order of their rows, as a list that is made when first asked for."""
        if self._index_to_key is None:
            self._index_to_key = list(self.keys)
        return self._index_to_key

    @property
    def key_to_index(self) -> dict[str, int]:
        """The row of each key, as a dict that is made when first asked for; `get_index` does without."""
        if self._key_to_index is None:
            rows: dict[str, int] = {}
            for row, key in enumerate(self.index_to_key):
                rows.setdefault(key, row)
            self._key_to_index = rows
        return self._key_to_index

    def __len__(self) -> int:
        return len(self.vectors)

    def __contains__(self, key: Any) -> bool:
        """Whether there is such a key; an integer counts as one where it is the index of a row."""
        return self._find(key) >= 0

    def get_index(self, key: str | int | np.integer[Any], default: int | None = None) -> int:
        """Return the row of a key.

        Args:
            key: str, or an integer in [0, V), which is returned.
            default: returned for a key that is missing, unless None.

        Raises:
            KeyError: there is no such key, and no default.
        """
        row = self._find(key)
        if row >= 0:
            return row
        if default is None:
            raise KeyError(f"Key '{key}' not present")
        return default

    def get_vector(self, key: str | int | np.integer[Any], norm: bool = False) -> NDArray[np.float32]:
        """Return the vector of a key, (D,), read-only, a view of the table mostly; with `norm` a copy of length 1.

        Raises:
            KeyError: there is no such key.
        """
        vector = self._frugally(self.get_index(key))
        if norm:
            given, length = vector, lengths(vector[np.newaxis])[0]
            vector = (given / length).astype(np.float32) if length > 0 else given.copy()
            check_whole(given)
        vector.flags.writeable = False
        return vector

    def __getitem__(self, key_or_keys: Any) -> NDArray[np.float32]:
        """Return the vector of one key, (D,), as `get_vector`; of a list of keys a new array (N, D).

        Raises:
            KeyError: a key is missing.
        """
        if isinstance(key_or_keys, (str, int, np.integer)):
            return self.get_vector(key_or_keys)
        rows = [self.get_index(key) for key in key_or_keys]
        if len(rows) > self._frugal_lookups:
            return gather(self.vectors, np.array(rows, np.int64))
        result = np.empty((len(rows), self.vector_size), np.float32)
        for place, row in enumerate(rows):
            result[place] = self._frugally(row)
        return result

    def _frugally(self, row: int) -> NDArray[np.float32]:
        """A row; of a mapped table the first few are copied, and what was mapped for them is given back."""
        view: NDArray[np.float32] = self.vectors[row]
        if not self._frugal_lookups:
            return view
        self._frugal_lookups -= 1
        vector = view.copy()
        check_whole(view)
        release(self.vectors)
        return vector

    def _find(self, key: Any) -> int:
        if isinstance(key, str):
            return self.keys.find(key) if self._key_to_index is None else self._key_to_index.get(key, -1)
        is_row = isinstance(key, (int, np.integer)) and not isinstance(key, bool) and 0 <= key < len(self)
        return int(key) if is_row else -1

    # ── similarity ───────────────────────────────────────────────────────────────────────────────

    @property
    def norms(self) -> NDArray[np.float32]:
        """The length of each vector, (V,), read-only."""
        return self._norms.all()

    def fill_norms(self, force: bool = False) -> None:
        """Compute what is missing of `norms`; all of them with `force`, after `vectors` has changed."""
        if force:
            self._norms = RowNorms(self.vectors)
        self._norms.all()

    def similarity(self, w1: str | int | np.integer[Any], w2: str | int | np.integer[Any]) -> np.float32:
        """Return the cosine of the vectors of two keys.

        Raises:
            KeyError: a key is missing.
        """
        vectors = [self.get_vector(key) for key in (w1, w2)]
        first, second = (unit(vector.astype(np.float64)) for vector in vectors)
        check_whole(*vectors)
        return np.float32((first * second).sum())

    def most_similar(
        self,
        positive: Any = None,
        negative: Any = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
    ) -> Any:
        """Return the keys whose vectors have the highest cosine with a mean: of `positive` less `negative`.

        The mean is that of vectors divided by their lengths, and those keys themselves are left out. The result is
        exact; of equal cosines the lower row comes first, and vectors of zeros come last, with NaN. The table is read
        once, in blocks, and may be mapped and larger than the memory.

        Args:
            positive: a key, a vector (D,), or a list of them; a pair (key or vector, weight) counts `weight` times.
                Vectors that are given are not divided by their lengths.
            negative: the same, with -1 for the weight where none is given.
            topn: how many; None for the cosines of all vectors, in the order of their rows.
            clip_start, clip_end: only rows in [clip_start, clip_end) are candidates; default all.
            restrict_vocab: the same as ``clip_start=0, clip_end=restrict_vocab``.

        Returns:
            list of (key, float), the highest first; [] for a `topn` below 1. For None an array float32.

        Raises:
            KeyError: a key is missing. ValueError: nothing is given, or a vector has another length than D.
        """
        return self.most_similar_batch([positive], [negative], topn, clip_start, clip_end, restrict_vocab)[0]

    def most_similar_batch(
        self,
        positive: Sequence[Any] | NDArray[Any],
        negative: Sequence[Any] | None = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
    ) -> list[Any]:
        """Return what `most_similar` returns for each of many queries, which share the passes over the table::

            vectors.most_similar_batch(["king", "queen", ["paris", "germany"]], [None, None, "france"])

        Args:
            positive: of each query what `most_similar` takes; or an array (Q, D), each row a query.
            negative: of each query; default None, nothing for all.
            topn, clip_start, clip_end, restrict_vocab: as for `most_similar`.

        Returns:
            list of Q results.

        Raises:
            KeyError, ValueError: as `most_similar`; or `positive` and `negative` are not equally long.
        """
        if restrict_vocab is not None:
            clip_start, clip_end = 0, restrict_vocab
        begin = min(_check.size("clip_start", clip_start), len(self))
        end = min(_check.size("clip_end", clip_end or len(self)), len(self))
        count = None if topn is None else _check.integer("topn", topn)
        if negative is None:
            negative = [None] * len(positive)
        if len(negative) != len(positive):
            raise ValueError(
                f"`positive` and `negative` must be of one length, the number of queries. Received: {len(positive)} "
                f"and {len(negative)}."
            )
        if count is not None and count < 1:
            return [[] for _ in positive]
        self._frugal_lookups = 0
        queries = np.empty((len(positive), self.vector_size))
        inputs = []
        for place, (more, less) in enumerate(zip(positive, negative, strict=True)):
            queries[place], rows = mean_of(self, more, less)
            inputs.append(rows)
        if len(queries) == 0:
            return []
        if count is None:
            return list(scores(self.vectors, self._norms, queries, begin, max(begin, end)))
        most = count + max(map(len, inputs))
        found = best(self.vectors, self._norms, queries, most, begin, max(begin, end))
        return [
            [
                (self.keys[row], score)
                for row, score in zip(rows.tolist(), cosines.tolist(), strict=True)
                if row not in left_out
            ][:count]
            for (rows, cosines), left_out in zip(found, inputs, strict=True)
        ]

    # ── layers ───────────────────────────────────────────────────────────────────────────────────

    def coverage(self, words: Iterable[str]) -> Coverage:
        """Return how many of these words have a vector, and which have none. A word index counts as its words."""
        wanted = list(words)
        missing = [word for word, row in zip(wanted, self.keys.find_many(wanted).tolist(), strict=True) if row < 0]
        return Coverage(len(wanted) - len(missing), len(wanted), missing)

    def to_embedding(
        self,
        trainable: bool = False,
        mask_zero: bool = False,
        *,
        word_index: Mapping[str, int] | None = None,
        num_words: int | None = None,
        padding_row: bool = False,
        unknown_row: bool = False,
        missing: Any = "zeros",
        verbose: bool = True,
        **kwargs: Any,
    ) -> Embedding:
        """Return an `Embedding` with these vectors, copied once, or with those of the words of a word index::

            layer = vectors.to_embedding(mask_zero=True, word_index=tokenizer.word_index)  # row i: the word of index i
            layer = vectors.to_embedding(padding_row=True, unknown_row=True, mask_zero=True)
            ids = [vectors.get_index(word, len(vectors)) + 1 for word in words]  # for that layer

        Args:
            trainable, mask_zero, kwargs: as for `Embedding`. With `mask_zero` id 0 is padding, whatever its row is.
            word_index: word -> index, Keras's ``tokenizer.word_index``; the table has as many rows as the largest
                index + 1, and rows that no word has are zeros. Default None: one row for each vector, in their order.
            num_words: leave out words with an index of this or more; default None, none.
            padding_row: put a row of zeros, 0, before the vectors; their ids are then one more than their indices.
            unknown_row: put a row behind the vectors, whose id is the layer's ``input_dim - 1``.
            missing: what fills the rows of words without a vector and of `unknown_row`: an initializer, or a vector
                (D,), the mean of all for instance; default ``"zeros"``.
            verbose: with `word_index`, print on stderr how many words were found. `coverage` tells which.

        Raises:
            ValueError: `word_index` comes with `padding_row` or `unknown_row`, which it leaves no place for, or
                `num_words` without it; an index is negative; `missing` has another shape.
            TypeError: an index is not an integer.
        """
        table = word_rows(self, word_index, num_words, padding_row, unknown_row, missing, verbose)
        return Embedding.holding(table, trainable=trainable, mask_zero=mask_zero, **kwargs)

    # ── files ────────────────────────────────────────────────────────────────────────────────────

    def save(self, path: Path) -> None:
        """Write a directory that `load` opens at once: manifest.json, table.npy, keys.utf8, offsets.npy, index.npy.

        An older one of that name is replaced: whatever happens meanwhile, there is the old one or the new one, whole.

        Raises:
            FileExistsError: the path is a file, or a directory with other things in it.
            FormatError: its manifest is damaged; remove it first. OSError: what the system says.
        """
        write_directory(path, self.vectors, self.keys)

    @classmethod
    def load(cls, path: Path, mmap: bool = True) -> KeyedVectors:
        """Open a directory that `save` wrote.

        Args:
            path: the directory.
            mmap: map the files, so that only what is used is read; its vectors are read-only. False reads all.

        Raises:
            FormatError: a file is not what the manifest says; names it. OSError: something is missing.
        """
        return cls(*open_directory(path, mmap))
