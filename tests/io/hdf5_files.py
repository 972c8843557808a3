"""HDF5 files that do harm, for the tests of everything that reads them: name -> (what makes it, what is said of it)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

VALUES = np.arange(12, dtype=np.float32).reshape(6, 2)
TABLE = "embedding/embeddings:0"


def weights(file: Any, values: Any = VALUES, **kwargs: Any) -> Any:
    """A file of an Embedding's weights in Keras 2's layout; returns the layer's group."""
    file.attrs["layer_names"] = [b"embedding"]
    layer = file.create_group("embedding")
    layer.attrs["weight_names"] = [TABLE.encode()]
    if values is not None:
        layer.create_dataset(TABLE, data=values, **kwargs)
    return layer


def _soft_link(file: Any) -> None:
    import h5py

    layer = weights(file, None)
    file["real"] = VALUES
    layer.create_group("embedding")["embeddings:0"] = h5py.SoftLink("/real")


def _external_link(file: Any) -> None:
    import h5py

    layer = weights(file, None)
    layer.create_group("embedding")["embeddings:0"] = h5py.ExternalLink("/etc/passwd", "/x")


def _external_storage(file: Any) -> None:
    layer = weights(file, None)
    layer.create_dataset(TABLE, (6, 2), "<f4", external=[("/etc/passwd", 0, 48)])


def _virtual(file: Any) -> None:
    import h5py

    layer = weights(file, None)
    layout = h5py.VirtualLayout((6, 2), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (6, 2))
    layer.create_virtual_dataset(TABLE, layout)


def _loop(file: Any) -> None:
    layer = weights(file)
    layer["again"] = file["/"]


def _strings(file: Any) -> None:
    import h5py

    weights(file, np.array([["a", "b"]], object), dtype=h5py.string_dtype())


def _references(file: Any) -> None:
    import h5py

    layer = weights(file, None)
    layer.create_dataset(TABLE, (6, 2), h5py.ref_dtype)


def _bomb(file: Any) -> None:
    layer = weights(file, None)
    layer.create_dataset(TABLE, (10**6, 10**4), "<f4", chunks=(1000, 1000), compression="gzip")


def _zeros(file: Any) -> None:
    weights(file, np.zeros((5000, 1000), np.float32), chunks=(5000, 1000), compression="gzip")


def _never_written(file: Any) -> None:
    layer = weights(file, None)
    layer.create_dataset(TABLE, (10**6, 10**5), "<f4")


def _other_filter(file: Any) -> None:
    weights(file, chunks=(6, 2), compression="lzf")


def _shared(file: Any) -> None:
    layer = weights(file, np.zeros((1000, 100), np.float32))
    file.attrs["layer_names"] = [b"embedding", *(f"e{i}".encode() for i in range(20))]
    for number in range(20):
        file[f"e{number}"] = layer


def _missing(file: Any) -> None:
    weights(file, None)


def _names_are_numbers(file: Any) -> None:
    weights(file).attrs["weight_names"] = np.arange(3)


def _a_group(file: Any) -> None:
    weights(file, None).create_group(TABLE)


def _compound(file: Any) -> None:
    weights(file, np.zeros((6, 2), [("a", "<f4"), ("b", "<f4")]))


def _nothing(file: Any) -> None:
    file["table"] = np.arange(3)


PLACE = "/embedding/embedding/embeddings:0"
HARMFUL: dict[str, tuple[Callable[[Any], None], str]] = {
    "soft link": (_soft_link, "'embeddings:0' is a soft link, which is never followed."),
    "external link": (_external_link, "'embeddings:0' is an external link, which is never followed."),
    "external storage": (
        _external_storage,
        f"{PLACE}: external storage, which takes its values from other files, is never read.",
    ),
    "virtual": (_virtual, f"{PLACE}: virtual storage, which takes its values from other files, is never read."),
    "strings": (_strings, f"{PLACE}: values of type text are not read, numbers alone."),
    "references": (_references, f"{PLACE}: values of type reference are not read, numbers alone."),
    "compound": (_compound, f"{PLACE}: values of type compound are not read, numbers alone."),
    "shape bomb": (
        _bomb,
        f"{PLACE}: 40000000000 bytes of values, made of 0 stored ones, are more than 8388608 and 8 times as many.",
    ),
    "never written": (_never_written, f"{PLACE}: shape (1000000, 100000) takes 400000000000 bytes, 0 are stored."),
    "other filter": (_other_filter, f"{PLACE}: filter 32000 is not read, gzip (1) and shuffle (2) alone."),
    "missing": (_missing, "/embedding: there must be a dataset 'embedding/embeddings:0'."),
    "names are numbers": (_names_are_numbers, "/embedding: the attribute 'weight_names' must list strings."),
    "a group": (_a_group, "/embedding: there must be a dataset 'embedding/embeddings:0'."),
    "nothing of Keras": (_nothing, "/: there are no weights of Keras here: neither 'layer_names' nor 'model_weights'."),
}
LOOP, ZEROS, SHARED = _loop, _zeros, _shared


def write(path: Path, content: Callable[[Any], None]) -> Path:
    """Write an HDF5 file."""
    import h5py

    with h5py.File(path, "w") as file:
        content(file)
    return path


def claim_shape(path: Path, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """Change the one shape `old` that the file says into another of as many axes."""
    data = path.read_bytes()
    assert data.count(struct.pack(f"<{len(old)}Q", *old)) >= 1
    path.write_bytes(data.replace(struct.pack(f"<{len(old)}Q", *old), struct.pack(f"<{len(new)}Q", *new)))
