"""Texts to ids, by a vocabulary that is learned or by hashing, as in Keras 2.2.4."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(
    text: str, filters: Iterable[str] = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Cut a text into words.

        text_to_word_sequence("To be, or not.")     # ['to', 'be', 'or', 'not']

    Args:
        text: str.
        filters: characters that part words as `split` does; by default punctuation without ``'``, tab and line feed.
        lower: whether to make the text lower case first.
        split: str, what words are parted by.

    Returns:
        The words, none of them empty.

    Source: Keras 2.2.4, `keras.preprocessing.text.text_to_word_sequence`.
    """
    if lower:
        text = text.lower()
    table: dict[str, str | int | None] = dict.fromkeys(filters, split)
    text = text.translate(str.maketrans(table))
    return list(filter(None, text.split(split)))


def one_hot(
    text: str, n: int, filters: Iterable[str] = _FILTERS, lower: bool = True, split: str = " "
) -> list[int]:
    """Hash the words of a text to ids from 1 to n - 1, with Python's `hash`, which differs from process to process.

    Args:
        text, filters, lower, split: as for `text_to_word_sequence`.
        n: int, how many ids there are, with 0, which no word gets.

    Source: Keras 2.2.4, `keras.preprocessing.text.one_hot`.
    """
    return hashing_trick(text, n, hash, filters, lower, split)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: Iterable[str] = _FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """Hash the words of a text to ids from 1 to n - 1; different words may get the same.

    Args:
        text, filters, lower, split: as for `text_to_word_sequence`.
        n: int, how many ids there are, with 0, which no word gets.
        hash_function: 'md5', the same in every process; a function of a word that gives an int; None for `hash`.

    Source: Keras 2.2.4, `keras.preprocessing.text.hashing_trick`.
    """
    function: Any = hash if hash_function is None else _md5 if hash_function == "md5" else hash_function
    return [function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def _md5(word: str) -> int:
    # a spreading of words over ids, not a secret
    return int.from_bytes(hashlib.md5(word.encode(), usedforsecurity=False).digest(), "big")


class Tokenizer:
    """Learns the words of texts, numbers them by how often they occur, and turns texts into ids or counts.

        tokenizer = Tokenizer(num_words=10_000)
        tokenizer.fit_on_texts(["the cat", "the dog"])
        tokenizer.texts_to_sequences(["the dog ran"])       # [[1, 3]]

    Id 0 is no word's. A list in place of a text is taken as its words.

    Args:
        num_words: int, ids from this on are left out; None for no limit.
        filters, lower, split: as for `text_to_word_sequence`.
        char_level: whether each character is a word.
        oov_token: str, the word that takes the place of unknown ones and gets id 1; None to leave them out.
        document_count: int, how many texts have been learned already.

    Attributes:
        word_counts: how often each word occurred, in the order of first occurrence.
        word_docs: in how many texts each word occurred.
        word_index, index_word: word to id, id to word.
        index_docs: in how many texts the word of each id occurred.

    Raises:
        TypeError: an unknown keyword argument.

    Source: Keras 2.2.4, `keras.preprocessing.text.Tokenizer`.
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: Iterable[str] = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
        **kwargs: Any,
    ) -> None:
        if "nb_words" in kwargs:
            warnings.warn("The `nb_words` argument in `Tokenizer` has been renamed `num_words`.", stacklevel=2)
            num_words = kwargs.pop("nb_words")
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        self.word_counts: dict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = defaultdict(int)
        self.filters = filters
        self.split = split
        self.lower = lower
        self.num_words = num_words
        self.document_count = document_count
        self.char_level = char_level
        self.oov_token = oov_token
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Learn the words of texts, beside those known.

        Args:
            texts: strings, or lists of words.
        """
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in dict.fromkeys(words):
                self.word_docs[word] = self.word_docs.get(word, 0) + 1
        # a stable sort: of words that are as frequent, the first seen comes first
        ranked = sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        if self.oov_token is not None:
            ranked.insert(0, self.oov_token)
        # an oov_token that also occurs in the texts has the place of the latter
        self.word_index = {word: i for i, word in enumerate(ranked, 1)}
        self.index_word = {i: word for word, i in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Any) -> None:
        """Count in how many sequences each id occurs, for `sequences_to_matrix` with mode 'tfidf'.

        Args:
            sequences: a list of lists of ids.
        """
        self.document_count += len(sequences)
        for sequence in sequences:
            for i in set(sequence):
                self.index_docs[i] = self.index_docs.get(i, 0) + 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Turn each text into the ids of its words; unknown ones are left out, or are the `oov_token`'s.

        Args:
            texts: strings, or lists of words.
        """
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """As `texts_to_sequences`, one after the other."""
        stand_in = self.word_index.get(self.oov_token)  # type: ignore[arg-type]
        for text in texts:
            ids: list[Any] = []
            for word in self._words(text):
                i = self.word_index.get(word)
                if i is None:
                    # Keras's None for an oov_token before anything is learned
                    ids += [] if self.oov_token is None else [stand_in]
                elif self._is_rare(i):
                    ids += [] if stand_in is None else [stand_in]
                else:
                    ids.append(i)
            yield ids

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Turn ids back into words, with a blank between them; unknown ones are left out, or are the `oov_token`.

        Args:
            sequences: of ids.
        """
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """As `sequences_to_texts`, one after the other."""
        stand_in: Any = self.word_index.get(self.oov_token)  # type: ignore[arg-type]
        for sequence in sequences:
            words = []
            for i in sequence:
                word = self.index_word.get(i)
                if word is None:
                    words += [] if self.oov_token is None else [self.index_word[stand_in]]
                elif self._is_rare(i):
                    words += [] if stand_in is None else [self.index_word[stand_in]]
                else:
                    words.append(word)
            yield " ".join(words)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> NDArray[np.float64]:
        """As `sequences_to_matrix`, of the texts' ids."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode=mode)

    def sequences_to_matrix(self, sequences: Any, mode: str = "binary") -> NDArray[np.float64]:
        """Make a row of each sequence, with a column for each id.

        Args:
            sequences: a list of lists of ids.
            mode: what an id's column holds: 'binary', 1 where it occurs; 'count', how often; 'freq', its share;
                'tfidf', (1 + log count) log(1 + documents / (1 + documents with the id)).

        Returns:
            (len(sequences), num_words) float64; without `num_words`, that many columns as there are words, and one.

        Raises:
            ValueError: `mode` is unknown; there is neither `num_words` nor a vocabulary; 'tfidf' before learning.
        """
        if not self.num_words and not self.word_index:
            raise ValueError("Specify a dimension (`num_words` argument), or fit on some text data first.")
        width = self.num_words or len(self.word_index) + 1
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences, strict=True):
            if not sequence:
                continue
            for i, count in Counter(i for i in sequence if i < width).items():
                if mode == "binary":
                    row[i] = 1
                elif mode == "count":
                    row[i] = count
                elif mode == "freq":
                    row[i] = count / len(sequence)
                elif mode == "tfidf":
                    rarity = np.log(1 + self.document_count / (1 + self.index_docs.get(i, 0)))
                    row[i] = (1 + np.log(count)) * rarity
                else:
                    raise ValueError("Unknown vectorization mode:", mode)
        return matrix

    def get_config(self) -> dict[str, Any]:
        """What was set and what was learned, the latter as texts of JSON."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            "word_counts": json.dumps(self.word_counts),
            "word_docs": json.dumps(self.word_docs),
            "index_docs": json.dumps(self.index_docs),
            "index_word": json.dumps(self.index_word),
            "word_index": json.dumps(self.word_index),
        }

    def to_json(self, **kwargs: Any) -> str:
        """The config as a text of JSON, for `tokenizer_from_json` (ours and Keras's).

        Args:
            kwargs: for `json.dumps`.
        """
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)

    def _words(self, text: Any) -> Any:
        if isinstance(text, list):
            return [word.lower() for word in text] if self.lower else text
        if self.char_level:
            return text.lower() if self.lower else text
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def _is_rare(self, i: int) -> bool:
        return bool(self.num_words) and i >= self.num_words  # type: ignore[operator]


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` wrote, ours or Keras's.

    Source: `keras_preprocessing.text.tokenizer_from_json` 1.1.2, which Keras 2.2.4 uses.
    """
    config = json.loads(json_string)["config"]
    learned = {name: json.loads(config.pop(name)) for name in ("word_counts", "word_docs", "word_index")}
    # JSON's keys are strings
    for name in ("index_docs", "index_word"):
        learned[name] = {int(i): value for i, value in json.loads(config.pop(name)).items()}
    tokenizer = Tokenizer(**config)
    vars(tokenizer).update(learned)
    return tokenizer
