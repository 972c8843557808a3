"""The formats whose loaders are fuzzed: a few small whole files of each, and everything that reads them.

A format of folders is fuzzed through one file of the folder at a time: the first byte of an input says which.
"""

from __future__ import annotations

import io
import json
import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastembed
from fastembed import Embedding, KeyedVectors
from fastembed.io import FormatError, npz, open_npy, safetensors, static_embedding
from fastembed.io.directory import open_directory, verify
from fastembed.io.directory_writer import write_directory
from fastembed.io.keras_tables import KerasFile
from fastembed.io.keys import PackedKeys
from fastembed.io.word_vectors import read_vectors
from fastembed.models import load_model
from tests.io.vector_files import binary_of, compressed, random_text, text_of

SAMPLES = Path(__file__).parents[1] / "keras" / "data" / "samples"
TABLE = np.arange(12, dtype=np.float32).reshape(4, 3) / 8
WORDS = ["the", "größe", "a b", "of"]


class Format(NamedTuple):
    """A format: whole files to damage; how an input becomes a file or folder; what reads that, in one of many ways."""

    seeds: Callable[[Path], Sequence[bytes]]
    read: Callable[[Path, int], object]
    place: Callable[[Path, bytes], Path]


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def _saved(save: Callable[..., Any], *arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


# ── arrays ───────────────────────────────────────────────────────────────────────────────────────


def _npy_seeds(folder: Path) -> list[bytes]:
    arrays = [TABLE, TABLE.astype(">f8"), np.asfortranarray(TABLE.astype(np.float16)), np.arange(3)]
    return [_saved(np.save, array) for array in arrays]


def _read_npy(path: Path, way: int) -> object:
    array = open_npy(path)
    assert array.nbytes <= path.stat().st_size
    return array.tobytes(), fastembed.load_table(path, mmap=way % 2 == 0)


def _npz_seeds(folder: Path) -> list[bytes]:
    return [
        _saved(np.savez, t=TABLE, other=np.arange(3)),
        _saved(np.savez_compressed, t=TABLE.astype(np.float16), u=TABLE),
        _saved(np.savez_compressed, t=TABLE),
    ]


def _read_npz(path: Path, way: int) -> object:
    if way % 4 == 0:
        npz.verify(path)
    return npz.read_table(path, name="t") if way % 2 else fastembed.load_table(path)


def _safetensors_of(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _tensor(dtype: str, shape: Sequence[int], start: int, stop: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


def _safetensors_seeds(folder: Path) -> list[bytes]:
    two = {"__metadata__": {"a": "b"}, "x": _tensor("F32", (4, 3), 0, 48), "y": _tensor("BF16", (3, 2), 48, 60)}
    one = {"embeddings": _tensor("F16", (4, 3), 0, 24), "m": _tensor("I64", (2,), 24, 40)}
    much = {"x": _tensor("F32", (32, 4), 0, 512)}  # most of its damage is to numbers, and is read
    return [
        _safetensors_of(two, bytes(60)),
        _safetensors_of(one, TABLE.astype(np.float16).tobytes() + bytes(16)),
        _safetensors_of(much, bytes(range(256)) * 2),
    ]


def _read_safetensors(path: Path, way: int) -> object:
    if way % 4 == 0:
        return safetensors.read_table(path, name="x", mmap=way % 8 == 0)
    if way % 4 == 1:
        return safetensors.read_tensor(path, "m").tobytes()
    return fastembed.load_table(path, mmap=way % 4 == 2)


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _text_seeds(folder: Path) -> list[bytes]:
    words, rows = random_text(0, 8, 3)
    text = text_of([*words, "a b c", "größe"], [*rows, *rows[:2]])
    return [text, text_of(words, rows, header=True), b"\xef\xbb\xbf" + text.replace(b"\n", b" \r\n")]


def _binary_seeds(folder: Path) -> list[bytes]:
    words = [word.encode() for word in WORDS]
    return [binary_of(words, TABLE), binary_of(words, TABLE, b"\n")]


def _compressed_seeds(folder: Path) -> list[bytes]:
    contents = [_text_seeds(folder)[0], _binary_seeds(folder)[0]]
    return [compressed(kind, data, folder).read_bytes() for kind in ("gz", "bz2", "xz", "zip") for data in contents]


def _read_words(path: Path, way: int) -> object:
    if way % 4 == 0:
        return fastembed.load_table(path)
    loaded = read_vectors(
        path,
        format=("auto", "auto", "glove", "word2vec", "word2vec-binary")[way // 4 % 5],
        limit=(None, 3)[way // 20 % 2],
        vocab=(None, None, ["w3", "a b c", "x", "of"])[way // 40 % 3],
        errors=("strict", "replace", "ignore")[way // 120 % 3],
    )
    assert np.isfinite(loaded.table).all()
    assert len(set(loaded.keys)) == len(loaded.table)
    return loaded


# ── folders ──────────────────────────────────────────────────────────────────────────────────────

_PARTS = ("manifest.json", "keys.utf8", "offsets.npy", "index.npy", "table.npy")
_MODEL = ("tokenizer.json", "model.safetensors")


def _directory_seeds(folder: Path) -> list[bytes]:
    write_directory(folder / "vectors", TABLE, PackedKeys.from_strings(WORDS))
    return [bytes([number]) + (folder / "vectors" / name).read_bytes() for number, name in enumerate(_PARTS)]


def _in_directory(folder: Path, data: bytes) -> Path:
    """One part is another; where its size is, the manifest says so, for the part to be read at all."""
    path = folder / "vectors"
    if not path.exists():
        _directory_seeds(folder)
    whole = _whole(path, _PARTS)
    name = _PARTS[data[0] % len(_PARTS) if data else 0]
    manifest = whole["manifest.json"]
    if name != "manifest.json":
        fields = json.loads(manifest)
        part = next(part for part in fields["files"].values() if part["name"] == name)
        if part["bytes"] != len(data) - 1:
            part["bytes"] = len(data) - 1
            if name == "keys.utf8":
                part["shape"] = [len(data) - 1]
            manifest = json.dumps(fields).encode()
    _put(path, whole | {"manifest.json": manifest} | {name: data[1:]})
    return path


_wholes: dict[Path, dict[str, bytes]] = {}
_there: dict[Path, dict[str, bytes]] = {}


def _whole(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The undamaged content of a folder's files, kept from the first time on."""
    if path not in _wholes:
        _wholes[path] = {name: (path / name).read_bytes() for name in names}
        _there[path] = dict(_wholes[path])
    return _wholes[path]


def _put(path: Path, contents: dict[str, bytes]) -> None:
    """Write those files whose content is another than before."""
    for name, data in contents.items():
        if _there[path][name] != data:
            (path / name).write_bytes(data)
            _there[path][name] = data


def _read_directory(path: Path, way: int) -> object:
    if way % 4 == 0:
        verify(path)
    if way % 4 < 2:  # which opens the folder as below
        vectors = KeyedVectors.load(path, mmap=way % 8 < 4)
        return "of" in vectors, vectors.vectors.tobytes()
    table, keys = open_directory(path, mmap=way % 8 < 4)
    assert len(table) == len(keys)
    return keys.find_many(WORDS), list(keys), table.tobytes()


def _static_seeds(folder: Path) -> list[bytes]:
    tokens = {"model": {"vocab": {word: row for row, word in enumerate(WORDS)}}, "added_tokens": []}
    tokens["added_tokens"] = [{"id": 3, "content": "of"}]
    pairs = {"model": {"vocab": [[word, -1.5] for word in WORDS]}}
    plain = {"embeddings": _tensor("F32", (4, 3), 0, 48)}
    short = {
        "embeddings": _tensor("I8", (2, 3), 0, 6),
        "mapping": _tensor("I32", (4,), 6, 22),
        "weights": _tensor("F32", (4,), 22, 38),
    }
    mapping = np.array([0, 1, 1, 0], np.int32).tobytes()
    models = [
        _safetensors_of(plain, TABLE.tobytes()),
        _safetensors_of(short, bytes(6) + mapping + np.ones(4, np.float32).tobytes()),
    ]
    seeds = [b"\0" + json.dumps(kind).encode() for kind in (tokens, pairs)] + [b"\1" + model for model in models]
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / _MODEL[0]).write_bytes(seeds[0][1:])
    (folder / "model" / _MODEL[1]).write_bytes(seeds[2][1:])
    return seeds


def _in_model(folder: Path, data: bytes) -> Path:
    path = folder / "model"
    if not path.exists():
        _static_seeds(folder)
    _put(path, _whole(path, _MODEL) | {_MODEL[data[0] % 2 if data else 0]: data[1:]})
    return path


def _read_static(path: Path, way: int) -> object:
    table, tokens = static_embedding.read_static(path, mmap=way % 2 == 0)
    assert tokens is not None
    assert len(tokens) == len(table)
    return table.tobytes(), fastembed.load_table(path) if way % 4 == 0 else None


# ── Keras's files ────────────────────────────────────────────────────────────────────────────────


def _hdf5_seeds(folder: Path) -> list[bytes]:
    names = ("k224_embedding_weights.h5", "k224_embedding_rmsprop.h5", "k315_embedding.weights.h5")
    return [(SAMPLES / name).read_bytes() for name in names]


def _keras_seeds(folder: Path) -> list[bytes]:
    whole = [
        (SAMPLES / name).read_bytes() for name in ("k315_embedding_rmsprop.keras", "tfk221_embedding_rmsprop.keras")
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole[0])) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as again:
        for name in archive.namelist():
            again.writestr(name, archive.read(name))
    return [*whole, packed.getvalue()]


def _read_keras(path: Path, way: int) -> object:
    match way % 8:
        case 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return load_model(path).get_weights()
        case 1:
            return Embedding.from_keras_file(path).get_weights()
        case 2 | 3:
            return fastembed.load_table(path, mmap=way % 8 == 3)
    with KerasFile(path) as file:
        return (
            file.config(),
            file.training_config(),
            [weight.read() for layer in ([] if file.is_later() else file.layers()) for _, weight in layer.weights],
            [table.dataset.read() for table in file.tables().values()],
        )


FORMATS = {
    "npy": Format(_npy_seeds, _read_npy, _file),
    "npz": Format(_npz_seeds, _read_npz, _file),
    "safetensors": Format(_safetensors_seeds, _read_safetensors, _file),
    "text": Format(_text_seeds, _read_words, _file),
    "word2vec": Format(_binary_seeds, _read_words, _file),
    "compressed": Format(_compressed_seeds, _read_words, _file),
    "directory": Format(_directory_seeds, _read_directory, _in_directory),
    "static": Format(_static_seeds, _read_static, _in_model),
    "hdf5": Format(_hdf5_seeds, _read_keras, _file),
    "keras": Format(_keras_seeds, _read_keras, _file),
}


def is_refusal(error: Exception, path: Path) -> bool:
    """Whether a loader may say this of a damaged file."""
    text = str(error)
    if isinstance(error, FormatError):
        return text.startswith(str(path))
    if isinstance(error, ValueError):  # several tables, or none of that name: not the file's fault
        return text.startswith(str(path)) and ("`name`" in text or "is named" in text or "tables of name" in text)
    # a part's name in the manifest is another file's
    return isinstance(error, FileNotFoundError) and os.path.dirname(str(error.filename)) == str(path)
