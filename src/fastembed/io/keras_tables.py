"""Keras files of every version as what they hold: config texts, layers' weights, tables; nothing is made of them here.

Known are Keras 2's HDF5 files (whole models and weights alone; tf_keras and Keras 3 still write them), and Keras 3's
.weights.h5 and .keras, which tf_keras writes too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastembed.io import hdf5, keras_archive
from fastembed.io._error import FormatError, quoted
from fastembed.io._source import Source
from fastembed.io.atomic import Path
from fastembed.io.detect import hdf5_place
from fastembed.io.hdf5 import Dataset, Group
from fastembed.io.npy import map_array
from fastembed.io.opening import open_regular

# Values in a JSON text, of which a model has some 20 a layer; each takes some 70 bytes of memory.
_MAX_VALUES = 150_000
# Bytes of a JSON text, and as many more as the file has: a compressed one can have more, and takes nine times that when
# it is read. A layer's config has some 2 KB, and its weights take more than that in the HDF5 file.
_FREE_TEXT = 1 << 20


class StoredLayer(NamedTuple):
    """A layer's weights in a file: its name, and their names and arrays in the layer's order."""

    name: str
    weights: list[tuple[str, Dataset]]


class Table(NamedTuple):
    """An array of floats with two axes, and the name of the layer that it seems to belong to."""

    dataset: Dataset
    layer: str


class KerasFile:
    """A Keras file, open for reading; a context manager.

    Args:
        path: of the file.
        check: whether a .keras file's weights are compared with their checksum, which takes a pass over them.

    Attributes:
        name: the path.
        root: the HDF5 file's root group.
        archive: the .keras archive, or None.

    Raises:
        FormatError: if the file is neither HDF5 nor a .keras archive.
        OSError: if it is missing, a folder, not a regular file, or not to be read.
    """

    def __init__(self, path: Path, check: bool = True) -> None:
        self._file = open_regular(path)
        try:
            self.name = os.fsdecode(path)
            source = Source(self._file, self.name)
            self._max_text = _FREE_TEXT + source.size
            start = source.read(0, min(source.size, 8))
            self.archive: keras_archive.Archive | None = None
            if start[:4] == keras_archive.SIGNATURE:
                self.archive = keras_archive.Archive(source)
                source = self.archive.part(keras_archive.WEIGHTS, check)
            elif (place := hdf5_place(self._file, start)) is None:
                found = f"{start!r}" if start else "an empty file"
                raise source.error(0, f"a Keras file is an HDF5 file or a .keras archive. Received: {found}.")
            elif place:  # addresses count from there
                source = Source(self._file, f"{self.name}: from byte {place} on", place)
            self.root = hdf5.root(source)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> KerasFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    # ── configs ──────────────────────────────────────────────────────────────────────────────────

    def config(self) -> tuple[Any, str] | None:
        """The model's config, and where in the file it is; None where there are weights alone."""
        if self.archive is not None:
            return self._json(self.archive.read(keras_archive.CONFIG), keras_archive.CONFIG), keras_archive.CONFIG
        return self._attribute("model_config")

    def training_config(self) -> tuple[Any, str] | None:
        """How the model was compiled, in an HDF5 file of a whole model; None where it was not."""
        return self._attribute("training_config")

    def _attribute(self, name: str) -> tuple[Any, str] | None:
        text = self.root.attribute(name)
        if text is None:
            return None
        if not isinstance(text, bytes):
            raise self.root.error(f"the attribute {name!r} must be a string.")
        return self._json(text, name), name

    def _json(self, text: bytes, place: str) -> Any:
        size = len(text)
        if size > self._max_text:
            raise FormatError(
                f"{self.name}: {place}: a config has at most {self._max_text} bytes in this file. Received: {size}."
            )
        if text.count(b",") + text.count(b"[") + text.count(b"{") > _MAX_VALUES:
            raise FormatError(f"{self.name}: {place}: a config has at most {_MAX_VALUES} values.")
        try:
            return json.loads(text.decode())
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{self.name}: {place}: the text must be JSON: {error}.") from None

    # ── weights ──────────────────────────────────────────────────────────────────────────────────

    def is_later(self) -> bool:
        """Whether the weights are laid out as in Keras 3's .weights.h5: by places in the model, not layers' names."""
        return "layers" in self.root.links or "_layer_checkpoint_dependencies" in self.root.links

    def layers(self) -> list[StoredLayer]:
        """The layers of a file of Keras 2's layout, in their order, those without weights left out."""
        group = self.root
        if not group.strings("layer_names") and "layer_names" not in group:
            if "model_weights" not in group.links:
                raise group.error("there are no weights of Keras here: neither 'layer_names' nor 'model_weights'.")
            group = group.group("model_weights")
        found = []
        for name in group.strings("layer_names"):
            layer = group.group(name)
            names = layer.strings("weight_names")
            if names:
                found.append(StoredLayer(name, [(weight, layer.dataset(weight)) for weight in names]))
        return found

    def variables(self, path: str) -> StoredLayer | None:
        """What Keras 3's layout has at a place in the model, ``layers/embedding`` say; None if there is nothing."""
        group = self.root.get(f"{path}/vars")
        if group is None:
            return None
        if not isinstance(group, Group):
            raise group.error("the variables must be a group.")
        name = group.attribute("name")
        numbers = range(len(group.links))
        return StoredLayer(
            name.decode("utf-8", "replace") if isinstance(name, bytes) else path.rpartition("/")[2],
            [(str(number), group.dataset(str(number))) for number in numbers],
        )

    def tables(self) -> dict[str, Table]:
        """All arrays of floats with two axes but optimizers', by their path in the file."""
        found: dict[str, Table] = {}
        names: dict[str, str] = {}  # that Keras 3 gives its groups of variables
        for node in self.root.walk():
            place, _, last = node.path.rpartition("/")
            if isinstance(node, Group) and last == "vars" and isinstance(name := node.attribute("name"), bytes):
                names[node.path] = name.decode("utf-8", "replace")
            elif isinstance(node, Dataset) and _is_table(node):
                found[node.path] = Table(node, names.get(place) or _layer_name(node.path))
        return found


def list_tables(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """The shape and dtype of each array of floats with two axes in a Keras file, by its path in the file.

    Raises:
        FormatError: if the file is damaged or of another kind.
        OSError: if it is not to be read.
    """
    with KerasFile(path, check=False) as file:
        return {place: (table.dataset.shape, table.dataset.check()) for place, table in file.tables().items()}


def read_table(
    path: Path, *, name: str | None = None, mmap: bool = False, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Read a table of a Keras file: the one of its `Embedding`, the only one, or the one that is named.

    Args:
        path: of the file: .h5, .weights.h5 or .keras.
        name: of the table: its path in the file, or its layer's name; default None.
        mmap: whether the table is mapped, read-only, where it lies in one piece, of the dtype that is asked for, at an
            address that is a multiple of its items' size; else it is read.
        dtype: of the result, a float.

    Returns:
        (V, D).

    Raises:
        FormatError: if the file is damaged or of another kind, or holds no table; or a finite number is infinite in
            `dtype`.
        ValueError: if there are several tables and no name, or none of that name.
        OSError: if the file is not to be read.
    """
    with KerasFile(path, check=not mmap) as file:
        tables = file.tables()
        table = tables[choose(file.name, tables, embeddings(tables) or list(tables), name)].dataset
        if mmap and table.dtype == np.dtype(dtype) and _is_mappable(table):
            return _mapped(table)
        return table.read(dtype=dtype)


def embeddings(tables: Mapping[str, Table]) -> list[str]:
    """Those paths that look like an `Embedding`'s."""
    return [place for place in tables if _is_embeddings(place)]


def choose(file: str, tables: Mapping[str, Table], candidates: Sequence[str], name: str | None) -> str:
    """Return the path of a table: the one named, by path or by layer, or the only candidate.

    Args:
        file: what errors call the file.
        tables: all tables by path.
        candidates: paths among them that are taken without a name.
        name: which; or None.

    Raises:
        FormatError: if there is no table at all.
        ValueError: if there is none of that name, or several.
    """
    if not tables:
        raise FormatError(f"{file}: holds no table: an array of 2 dimensions, of floats.")
    if name is None:
        if len(candidates) == 1:
            return candidates[0]
        count = f"{len(candidates)} tables" if candidates else "no table that is known as an Embedding's"
        found, problem = candidates or list(tables), f"{count}: say which with `name`"
    else:
        path = "/" + name.strip("/")
        named = [path] if path in tables else [place for place, table in tables.items() if table.layer == name]
        if len(named) == 1:
            return named[0]
        found, problem = named or candidates or list(tables), f"{len(named) or 'no'} tables of name {name!r}"
    shown = [(quoted(tables[place].layer), quoted(place), tables[place].dataset.shape) for place in found[:20]]
    known = ", ".join(f"{layer} at {place} {shape}" for layer, place, shape in shown)
    raise ValueError(f"{file}: the file has {problem}. Tables: {known}.")


def _layer_name(path: str) -> str:
    """The layer in a path such as ``/model_weights/words/words/embeddings:0`` or ``/layers/words/vars/0``."""
    parts = path.strip("/").split("/")
    return parts[-3] if len(parts) > 2 and parts[-2] == "vars" else parts[-2] if len(parts) > 1 else parts[0]


def _is_embeddings(path: str) -> bool:
    parts = path.split("/")
    if parts[-2:-1] == ["vars"]:
        return "emb" in _layer_name(path)
    return parts[-1].partition(":")[0] == "embeddings"


def _is_table(dataset: Dataset) -> bool:
    if len(dataset.shape) != 2 or dataset.dtype is None or dataset.dtype.kind != "f":
        return False
    return not dataset.path.startswith(("/optimizer/", "/optimizer_weights/"))


def _is_mappable(table: Dataset) -> bool:
    place, source = table.place, table.file.source
    if place is None or table.dtype is None or not hasattr(source.file, "fileno"):
        return False
    try:
        source.file.fileno()
    except OSError:  # bytes in memory
        return False
    return (source.start + place) % table.dtype.itemsize == 0


def _mapped(table: Dataset) -> NDArray[Any]:
    source, place = table.file.source, table.place
    assert place is not None  # as _is_mappable says
    assert table.dtype is not None
    return map_array(source.file, source.start + place, table.shape, table.dtype)
