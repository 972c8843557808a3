"""Keras files that do harm: a FormatError, nothing executed, no other file opened, little memory taken."""

import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastembed import _loading, _stack
from fastembed.io import FormatError
from fastembed.io.hdf5 import Dataset
from fastembed.layers import Activation, Dense, Embedding
from fastembed.models import Sequential, load_model

from ..io.hdf5_files import HARMFUL, SHARED, ZEROS, weights, write

SCALE = int(os.environ.get("FASTEMBED_TEST_SCALE", "1"))
SAMPLES = Path(__file__).parent / "data" / "samples"
KERAS = SAMPLES / "k315_embedding_rmsprop.keras"
H5 = SAMPLES / "k224_embedding_rmsprop.h5"
pytestmark = pytest.mark.filterwarnings("ignore:No training configuration")


def with_config(path, change):
    """The sample .keras file with another config."""
    with zipfile.ZipFile(KERAS) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (members | {"config.json": json.dumps(config)}).items():
            archive.writestr(name, data)
    return path


def layer(class_name, **config):
    def change(model):
        model["config"]["layers"].append({"module": "keras.layers", "class_name": class_name, "config": config})

    return change


def own(**config):
    def change(model):
        model["config"]["layers"][1]["config"] |= config

    return change


def compiled(**config):
    def change(model):
        model["compile_config"] |= config

    return change


LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wEAAAAA"}}
CONFIGS = {
    "lambda layer": (layer("Lambda", function=LAMBDA), "Unknown layer: Lambda"),
    "TFSMLayer": (layer("TFSMLayer", filepath="/etc"), "Unknown layer: TFSMLayer"),
    "StringLookup": (layer("StringLookup", vocabulary="/etc/passwd"), "Unknown layer: StringLookup"),
    "TorchModuleWrapper": (layer("TorchModuleWrapper", module="x"), "Unknown layer: TorchModuleWrapper"),
    "class of another module": (layer("Popen", args=["true"]), "Unknown layer: Popen"),
    "lambda as activation": (layer("Dense", units=1, activation=LAMBDA), "Could not interpret activation function"),
    "named function": (layer("Activation", activation="os.system"), "Unknown activation function:os.system"),
    "dunder": (layer("Activation", activation="__import__"), "Unknown activation function:__import__"),
    "initializer": (
        own(embeddings_initializer={"class_name": "eval", "config": {"source": "1"}}),
        "Unknown initializer: eval",
    ),
    "initializer's name": (own(embeddings_initializer="exec"), "Unknown initializer: exec"),
    "regularizer": (own(embeddings_regularizer=LAMBDA), "Unknown regularizer: __lambda__"),
    "constraint": (own(embeddings_constraint="Keras"), "Unknown constraint: Keras"),
    "loss": (compiled(loss="os.system"), "Unknown loss function:os.system"),
    "loss by module": (
        compiled(loss={"module": "os", "class_name": "function", "config": "system"}),
        "Unknown loss function:system",
    ),
    "lambda as loss": (compiled(loss=LAMBDA), "Unknown loss function:__lambda__"),
    "metric": (compiled(metrics=["eval"]), "Unknown metric function:eval"),
    "optimizer": (
        compiled(optimizer={"module": "os", "class_name": "system", "config": {"learning_rate": 0.1}}),
        "Unknown optimizer: system",
    ),
    "table": (own(input_dim=10**9), "Weight embedding/embeddings of shape (1000000000, 2) has more values than the"),
    "endless": (own(input_dim=10**40), "has more values than the file."),
    "kernel": (layer("Dense", units=10**9), "has more values than the file."),
    "negative": (own(output_dim=-1), "`output_dim` must be an integer >= 0. Received: -1."),
    "not a number": (own(input_dim="6"), "`input_dim` must be an integer >= 0. Received: '6' (str)."),
    "unknown argument": (own(secret=1), "Keyword argument not understood: secret"),
    "quantized": (own(quantization_config={"mode": "int8"}), "Keyword argument not understood: quantization_config"),
    "weights in the config": (own(weights=[[1]]), "AttributeError: 'list' object has no attribute 'shape'"),
    "float64": (own(dtype="float64"), "must be float32"),
    "name that is a list": (own(name=["a"]), "unhashable type: 'list'"),
    "layers missing": (lambda model: model["config"].pop("layers"), "KeyError: layers"),
    "layers a number": (lambda model: model["config"].update(layers=5), "'int' object is not iterable"),
    "config a list of numbers": (lambda model: model.update(config=[1, 2]), "Could not interpret serialized layer: 1"),
    "no class": (
        lambda model: model.pop("class_name"),
        "the config must be that of a Sequential. Received: class None.",
    ),
    "functional": (lambda model: model.update(class_name="Functional"), "the model is a Functional, not a Sequential."),
    "another shape": (
        own(input_dim=5),
        "weight embedding/embeddings:0 has shape (5, 2), but the saved weight has shape",
    ),
    "more layers": (layer("Dense", units=1, name="d"), "has more values than the file."),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_config_is_refused(tmp_path, name):
    change, text = CONFIGS[name]
    path = with_config(tmp_path / "m.keras", change)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as caught:
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < (16 << 20) + 2 * path.stat().st_size
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)


def test_names_of_layers_are_no_paths(tmp_path):
    """A name is what a group is looked up by, and nothing else."""
    data = H5.read_bytes()
    for name in (b"../../..", b"/etc/pas"):
        for old in (b"embedding\0", b'"embedding"', b"embedding/embeddings:0"):
            assert old in data
        (tmp_path / "m.h5").write_bytes(data.replace(b"embedding", name + b"x"))
        try:
            model = load_model(tmp_path / "m.h5")
        except FormatError as error:
            assert str(error).startswith(f"{tmp_path / 'm.h5'}: ")  # noqa: PT017
        else:
            assert model.layers[0].embeddings.shape == (6, 2)
    assert os.listdir(tmp_path) == ["m.h5"]


@pytest.mark.parametrize("name", HARMFUL)
def test_harmful_hdf5_is_refused(tmp_path, name):
    pytest.importorskip("h5py")
    content, text = HARMFUL[name]
    path = write(tmp_path / "a.h5", content)
    model = Sequential([Embedding(6, 2, input_length=3, name="embedding")])
    before = model.get_weights()[0]
    tracemalloc.start()
    try:
        for by_name in (False, True):
            with pytest.raises(FormatError) as caught:
                model.load_weights(path, by_name)
            assert str(caught.value).startswith(f"{path}: ")
            assert str(caught.value).endswith(text)
        if name != "names are numbers":  # which it does not go by
            with pytest.raises(ValueError, match=re.escape(str(path))):
                Embedding.from_keras_file(path)
        assert tracemalloc.get_traced_memory()[1] < (16 << 20) + 2 * path.stat().st_size
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(model.get_weights()[0], before)


@pytest.mark.parametrize("content", [ZEROS, SHARED])
def test_values_that_take_more_than_the_file_are_refused(tmp_path, content):
    pytest.importorskip("h5py")
    path = write(tmp_path / "a.h5", content)
    model = Sequential([Embedding(1000, 100, name="embedding")])
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=r"more than 8388608 and 8 times|arrays share their bytes"):
            model.load_weights(path)
        assert tracemalloc.get_traced_memory()[1] < (16 << 20) + 2 * path.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("is_bomb", [True, False])
def test_layers_that_share_an_array_in_chunks_are_refused(tmp_path, is_bomb):
    """Each of them would be a weight of its own."""
    pytest.importorskip("h5py")
    kernel = np.zeros((1000, 1000), np.float32) if is_bomb else np.random.default_rng(0).random((100, 200), np.float32)

    def content(file):
        file.attrs["layer_names"] = [b"e0", b"e1", b"e2"]
        file.create_dataset("array", data=kernel, chunks=kernel.shape, compression="gzip")
        for name in ("e0", "e1", "e2"):
            group = file.create_group(name)
            group.attrs["weight_names"] = [b"kernel"]
            group["kernel"] = file["array"]

    path = write(tmp_path / "a.h5", content)
    size = path.stat().st_size
    text = "/e1/kernel: arrays share their bytes: together they take more than the file."
    if is_bomb:
        text = f"/e2/kernel: 12000000 bytes of values up to here, in a file of {size}, are more than"
        text += " 8388608 and 8 times as many."
    model = Sequential([Dense(4, name="e0")])
    tracemalloc.start()
    try:
        for by_name in (False, True):
            with pytest.raises(FormatError) as caught:
                model.load_weights(path, by_name)
            assert str(caught.value) == f"{path}: {text}"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def nested(levels):
    def change(model):
        for _ in range(levels - 1):
            model["config"]["layers"] = [{"class_name": "Sequential", "config": {"layers": model["config"]["layers"]}}]

    return change


def test_models_inside_each_other_are_counted(tmp_path):
    path = with_config(tmp_path / "m.keras", nested(17))
    with pytest.raises(FormatError) as caught:
        load_model(path)
    assert str(caught.value) == f"{path}: config.json: at most 16 models may lie inside each other."
    with pytest.raises(FormatError, match=r"weights: .*expected 1 variables, but received 0"):
        load_model(with_config(path, nested(16)))  # whose weights lie elsewhere


def test_layers_of_a_model_inside_others_are_asked_once(monkeypatch):
    asked = []
    monkeypatch.setattr(Activation, "compute_output_shape", lambda self, shape: asked.append(1) or shape)
    model = Sequential([Activation("linear", input_shape=(1,))])
    for _ in range(15):
        model = Sequential([model])
    assert len(asked) < 60


def test_names_of_many_layers_are_looked_at_once(monkeypatch):
    looked = []

    def count(names):
        looked.append(list(names))
        return Counter(looked[-1])

    monkeypatch.setattr(_stack, "Counter", count)
    activations = [{"class_name": "Activation", "config": {"activation": "linear", "name": f"a{i}"}} for i in range(50)]
    activations[0]["config"]["batch_input_shape"] = [None, 1]
    assert len(Sequential.from_config(activations).layers) == 50
    assert looked == [["a0_input", "a0"]]
    for name in ("a7", "a0_input"):
        activations[9]["config"]["name"] = name
        with pytest.raises(ValueError, match=f'The name "{name}" is used 2 times in the model'):
            Sequential.from_config(activations)


def test_texts_of_a_file_are_cut_and_printable(tmp_path):
    path = with_config(tmp_path / "m.keras", layer("\x1b[2J" + "x" * 5000))
    with pytest.raises(FormatError) as caught:
        load_model(path)
    assert str(caught.value) == rf"{path}: config.json: Unknown layer: \x1b[2J{'x' * 981}... (5019 characters)"


@pytest.mark.parametrize("error", [MemoryError("an output of 9 bytes"), OSError(5, "Input/output error")])
def test_memory_and_disks_are_no_fault_of_the_file(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(Dataset, "read", fail)
    monkeypatch.setattr(Embedding, "build", fail)
    for read in (load_model, Embedding.from_keras_file):
        for path in (H5, KERAS):
            with pytest.raises(type(error)) as caught:
                read(path)
            assert caught.value is error


def test_tables_are_counted_by_shape_once():
    class Shape(tuple):
        compared = 0

        def __eq__(self, other):
            Shape.compared += 1
            return tuple.__eq__(self, other)

        __hash__ = tuple.__hash__

    tables = {str(i): SimpleNamespace(dataset=SimpleNamespace(shape=Shape((i // 2, 1)))) for i in range(201)}
    configs = [{"input_dim": size, "output_dim": 1} for size in range(50, 150)] + [{"input_dim": [1]}, {}]
    assert _loading._by_config(tables, configs) == ["200"]
    assert Shape.compared < 1000


_AUDITED = """
import json, os, sys
import numpy as np
from fastembed import Embedding
from fastembed.models import load_model, Sequential
import fastembed._loading, fastembed._later_keras, fastembed._stored_weights, warnings
warnings.simplefilter("ignore")
paths = sys.argv[1:]
model = Sequential([Embedding(6, 2, input_length=3, name="embedding")])
events = []
watched = ("open", "exec", "compile", "import", "os.", "subprocess", "socket", "ctypes", "pickle", "marshal", "mmap")
def hook(event, arguments):
    if event.startswith(watched):
        events.append((event, str(arguments[0]) if arguments else ""))
sys.addaudithook(hook)
for path in paths:
    for read in (load_model, Embedding.from_keras_file, model.load_weights):
        try:
            read(path)
        except ValueError:
            pass
sys.addaudithook(lambda *args: None)
print(json.dumps(sorted(set(map(tuple, events)))))
"""


def test_loading_opens_its_file_alone_and_executes_nothing(tmp_path):
    paths = [str(H5), str(KERAS), str(SAMPLES / "tfk221_embedding_legacy.h5")]
    for name in ("lambda layer", "StringLookup", "TFSMLayer", "named function", "loss by module", "initializer"):
        paths.append(str(with_config(tmp_path / f"{len(paths)}.keras", CONFIGS[name][0])))
    if "h5py" in sys.modules:
        for name in ("external link", "external storage", "virtual"):
            paths.append(str(write(tmp_path / f"{len(paths)}.h5", HARMFUL[name][0])))
    done = subprocess.run([sys.executable, "-c", _AUDITED, *paths], capture_output=True, text=True, check=True)
    events = {tuple(event) for event in json.loads(done.stdout)}
    opened = {name for event, name in events if event == "open" and not name.isdigit()}  # a number is an open file's
    assert opened == set(paths)
    assert {event for event, _ in events} <= {"open", "import"}
    assert not {name for event, name in events if event == "import"} & {"pickle", "marshal", "ctypes", "subprocess"}


def test_damaged_models_give_format_errors(tmp_path):
    files = {}
    for sample in (H5, KERAS, SAMPLES / "tfk221_embedding_legacy.h5"):
        data = sample.read_bytes()
        files[sample.suffix, data] = [place for place, byte in enumerate(data) if byte]
    chosen = random.Random(0)
    for (suffix, data), used in files.items():
        for _ in range(40 * SCALE):
            damaged = bytearray(data)
            for _ in range(chosen.choice([1, 1, 2, 4])):
                damaged[chosen.choice(used)] = chosen.choice([0, 1, 255, chosen.randrange(256)])
            if suffix == ".keras":
                _mend_checksums(damaged)
            for read in (load_model, Embedding.from_keras_file):
                _read_or_refuse(read, bytes(damaged), tmp_path / "damaged")


def _mend_checksums(data):
    """Make the archive's checksums right again, for the damage to be found by who comes next."""
    try:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            for info in archive.infolist():
                size, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
                start = info.header_offset + 30 + size + extra
                crc = struct.pack("<I", zlib.crc32(bytes(data[start : start + info.file_size])))
                place = data.rfind(info.filename.encode())
                data[place - 30 : place - 26] = crc
    except Exception:
        return


def _read_or_refuse(read, data, path):
    path.write_bytes(data)
    try:
        read(path)
    except FormatError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
    except ValueError as error:
        assert " tables" in str(error)  # noqa: PT017 (no Embedding is left, or there are several)
    except UserWarning as warning:
        assert "compiled" in str(warning) or "optimizer" in str(warning) or "made without" in str(warning)  # noqa: PT017


def test_weights_of_a_hostile_file_do_not_change_the_model(tmp_path):
    pytest.importorskip("h5py")

    def content(file):
        weights(file)
        file.attrs["layer_names"] = [b"embedding", b"embedding/embedding"]
        file["embedding/embedding"].attrs["weight_names"] = [b"missing"]

    model = Sequential([Embedding(6, 2, name="embedding")])
    before = model.get_weights()[0]
    with pytest.raises(FormatError, match="there must be a dataset 'missing'"):
        model.load_weights(write(tmp_path / "a.h5", content), by_name=True)
    np.testing.assert_array_equal(model.get_weights()[0], before)
