"""Static-embedding models: a table in a safetensors file and the words of its rows in the tokenizer.json beside it.

The layouts are those that model2vec 0.10 and the StaticEmbedding of sentence-transformers 6.2 write, and any other
safetensors file with a tokenizer.json beside it. Nothing else of the folder is read.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastembed.io import detect, floats, safetensors
from fastembed.io._error import FormatError, quoted
from fastembed.io.atomic import Path, check_path
from fastembed.io.choice import choose
from fastembed.io.npy import file_size
from fastembed.io.opening import open_regular

TOKENIZER = "tokenizer.json"
# Names of the table in the two layouts.
_NAMES = ("embeddings", "embedding.weight")
# The largest in use, of a quarter of a million tokens, take 35 MB.
_MAX_TOKENIZER = 2**28
# Tables are padded with rows for tokens to come: a few thousand at most. Each gets a name, whatever the row takes.
_FREE_ROWS = 2**16
# A quantised vocabulary is multiplied out: a token of 1,024 numbers takes 4,096 bytes of some 30 in the two files, if
# many share a row. Past this a small file fills the memory.
_FREE_BYTES, _MAX_RATIO = 2**24, 200


class _Factors(NamedTuple):
    """Rows of 'embeddings' and what they are multiplied with, a number for each token; None where there are none."""

    mapping: NDArray[Any] | None
    weights: NDArray[Any] | None
    tokens: int


def find_files(path: Path) -> tuple[str, str | None]:
    """The safetensors file at a path, or of a model's folder, and the tokenizer.json beside it or None.

    Raises:
        FormatError: a folder holds no model.safetensors in a known place.
    """
    name = check_path(path)
    if os.path.isdir(name):
        found = [file for file in detect.STATIC_FILES if os.path.isfile(os.path.join(name, file))]
        if not found:
            raise FormatError(f"{name}: a folder of a static-embedding model holds {' or '.join(detect.STATIC_FILES)}.")
        name = os.path.join(name, found[0])
    tokenizer = os.path.join(os.path.dirname(name), TOKENIZER)
    return name, tokenizer if os.path.exists(tokenizer) else None


def list_tables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The tables of the safetensors file, as `safetensors.list_tables`; one that is multiplied out as it is then."""
    file, tokenizer = find_files(path)
    tables, tensors = safetensors.list_tables(file), safetensors.inspect_safetensors(file)
    if _is_factored(tensors):
        _, dtype = tables.get("embeddings", ((), "float32"))
        dim = tensors["embeddings"].shape[-1:]
        tables["embeddings"] = ((_factors(file, tokenizer, tensors).tokens, *dim), dtype)
    return tables


def read_table(path: Path, *, name: str | None = None, mmap: bool = False) -> NDArray[Any]:
    """The table (V, D) float32 with a row for each token; as `read_static`, without the tokens."""
    return read_static(path, name=name, mmap=mmap)[0]


def read_static(
    path: Path, *, name: str | None = None, mmap: bool = False
) -> tuple[NDArray[np.float32], list[str] | None]:
    """Read a model: its table, and the token of each row.

    A model2vec model of fewer rows than tokens has a row number and a factor for each token; the table returned is
    multiplied out, so that the mean of a text's rows is what the model gives for these tokens.

    Args:
        path: of the folder or of its safetensors file.
        name: of the table; None for that of the layout, else the only table, else the only one with as many rows as
            there are tokens.
        mmap: whether to map the table where the file holds it as it is returned.

    Returns:
        The table (V, D) float32, and V tokens, or None where there is no tokenizer.json. Rows past the last token, and
        those between that have none or one that UTF-8 has not, are called "[row i]", in more brackets if a token is.

    Raises:
        ValueError: there are several tables and no `name`, or none of it.
        FormatError: a file is damaged, or the two do not fit each other.
        OSError: a file is missing or not to be read.
    """
    file, tokenizer = find_files(path)
    tensors = safetensors.inspect_safetensors(file)
    tokens = None if tokenizer is None else read_tokens(tokenizer)
    if name in (None, "embeddings") and _is_factored(tensors):
        factors = _factors(file, tokenizer, tensors)
        names = None if tokens is None else _row_names(tokens, factors.tokens, str(tokenizer))
        return _multiplied(file, tensors["embeddings"], factors), names
    tables = safetensors.list_tables(file)
    chosen = _choose(tables, tokens, file) if name is None else choose(tables, name, file)
    names = None if tokens is None else _row_names(tokens, tables[chosen][0][0], str(tokenizer))
    return safetensors.read_table(file, name=chosen, mmap=mmap), names


def read_tokens(path: Path) -> dict[str, int]:
    """The vocabulary of a tokenizer.json, added tokens included: token to row.

    Raises:
        FormatError: the file is no JSON of a tokenizer, or a row is no whole number, or two tokens have one row.
        OSError: the file is missing or not to be read.
    """
    shown = os.fsdecode(path)
    with open_regular(path) as file:
        if file_size(file) > _MAX_TOKENIZER:
            raise FormatError(f"{shown}: a tokenizer takes at most 256 MiB. Received: {file_size(file)} bytes.")
        try:
            fields = json.loads(file.read().decode())
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{shown}: a tokenizer is a JSON object: {error}.") from None
    model = fields.get("model") if isinstance(fields, dict) else None
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, list):
        # a Unigram model's: pairs of token and score, in the order of rows
        vocabulary = {
            pair[0] if isinstance(pair, list) and pair and isinstance(pair[0], str) else None: row
            for row, pair in enumerate(vocabulary)
        }
    if not isinstance(vocabulary, dict) or None in vocabulary:
        raise FormatError(f"{shown}: the vocabulary, model.vocab, must map tokens to rows, or list pairs of them.")
    tokens: dict[str, Any] = dict(vocabulary)
    added = fields.get("added_tokens") or []
    for one in added if isinstance(added, list) else [None]:
        if not isinstance(one, dict) or not isinstance(one.get("content"), str):
            raise FormatError(f"{shown}: added_tokens must list objects with 'id' and 'content'.")
        tokens[one["content"]] = one.get("id")
    taken: dict[int, str] = {}
    for token, row in tokens.items():
        # small ones alone: Python's hash of others, such as multiples of 2**61 - 1, can be chosen to be the same
        if type(row) is not int or not 0 <= row < 2**32:
            raise FormatError(
                f"{shown}: token {token!a}: its row must be a whole number from 0 to 2**32 - 1. "
                f"Received: {quoted(row)}."
            )
        if row in taken:
            raise FormatError(f"{shown}: tokens {taken[row]!a} and {token!a} have the same row, {row}.")
        taken[row] = token
    return tokens


def _choose(tables: dict[str, tuple[tuple[int, ...], str]], tokens: dict[str, int] | None, path: str) -> str:
    for name in _NAMES:
        if name in tables:
            return name
    fitting = [name for name, (shape, _) in tables.items() if tokens and shape[0] == len(tokens)]
    return fitting[0] if len(fitting) == 1 else choose(tables, None, path)


def _is_factored(tensors: dict[str, safetensors.Tensor]) -> bool:
    """Whether 'embeddings' is to be multiplied out."""
    return "embeddings" in tensors and (
        tensors["embeddings"].dtype == "int8" or "mapping" in tensors or "weights" in tensors
    )


def _factors(file: str, tokenizer: str | None, tensors: dict[str, safetensors.Tensor]) -> _Factors:
    """What 'embeddings' is multiplied out with, checked before memory is taken."""
    stored = sum(os.path.getsize(part) for part in (file, tokenizer) if part is not None)
    if len(tensors["embeddings"].shape) != 2:
        raise FormatError(f"{file}: 'embeddings' must have 2 dimensions. Received: {tensors['embeddings'].shape}.")
    rows, dim = tensors["embeddings"].shape
    mapping = _vector(file, tensors, "mapping", "iu")
    weights = _vector(file, tensors, "weights", "f")
    if mapping is not None and len(mapping) and not 0 <= mapping.min() <= mapping.max() < rows:
        raise FormatError(f"{file}: 'mapping' must hold rows of 'embeddings', from 0 to {rows - 1}.")
    count = rows if mapping is None else len(mapping)
    if weights is not None and len(weights) != count:
        raise FormatError(f"{file}: 'weights' must hold a number for each of {count} tokens. Received: {len(weights)}.")
    if 4 * count * dim > _FREE_BYTES + _MAX_RATIO * stored:
        raise FormatError(
            f"{file}: 'embeddings' is multiplied out to at most {_FREE_BYTES:,} bytes and {_MAX_RATIO} times those of "
            f"the model's files. Received: {4 * count * dim:,} bytes of {stored:,}. Save such a table multiplied out."
        )
    return _Factors(mapping, weights, count)


def _multiplied(file: str, tensor: safetensors.Tensor, factors: _Factors) -> NDArray[np.float32]:
    """embeddings[mapping] * weights[:, None], a block of rows at a time."""
    rows = _embeddings(file, tensor)
    mapping, weights, count = factors
    table = rows if mapping is None else np.empty((count, rows.shape[1]), np.float32)
    if not table.size:
        return table  # of rows without elements a header may claim 2**60
    step = max(1, floats.BLOCK_BYTES // rows[:1].nbytes)
    for start in range(0, count, step):
        part = slice(start, start + step)
        if mapping is not None:
            table[part] = rows[mapping[part].astype(np.int64)]
        if weights is None:
            continue
        try:
            with np.errstate(over="raise", invalid="ignore"):
                table[part] *= weights[part, None].astype(np.float32)
        except FloatingPointError:
            raise FormatError(f"{file}: 'embeddings' times 'weights' is too large for float32.") from None
    return table


def _embeddings(file: str, tensor: safetensors.Tensor) -> NDArray[np.float32]:
    if tensor.dtype != "int8":
        return safetensors.read_table(file, name="embeddings")
    shape, place = (tensor.shape[0], tensor.shape[1]), f"{file}: byte {tensor.start}: "
    with open_regular(file) as opened:
        opened.seek(tensor.start)
        return floats.read_floats(opened, shape, "|i1", np.dtype(np.float32), place)


def _vector(file: str, tensors: dict[str, safetensors.Tensor], name: str, kinds: str) -> NDArray[Any] | None:
    if name not in tensors:
        return None
    values = safetensors.read_tensor(file, name)
    if values.ndim != 1 or values.dtype.kind not in kinds:
        raise FormatError(f"{file}: {name!r} must be a list of numbers. Received: {values.dtype} {values.shape}.")
    return values


def _row_names(tokens: dict[str, int], count: int, path: str) -> list[str]:
    largest = max(tokens.values(), default=-1)
    if largest >= count:
        raise FormatError(f"{path}: a token has row {largest}, the table has {count} rows.")
    most = _FREE_ROWS + 2 * len(tokens)
    if count > most:
        raise FormatError(
            f"{path}: a table for {len(tokens)} tokens has at most {most} rows. Received: {count}. "
            "If it is for others, move it to a folder without this file."
        )
    # JSON can spell half of a surrogate pair, which UTF-8 cannot
    words = {
        row: token
        for token, row in tokens.items()
        if token.isascii() or token == token.encode("utf-8", "replace").decode()
    }
    return [words[row] if row in words else _free_name(row, tokens) for row in range(count)]


def _free_name(row: int, tokens: dict[str, int]) -> str:
    name = f"[row {row}]"
    while name in tokens:
        name = f"[{name}]"
    return name
