"""Keras files in and out: what Keras wrote comes back, and what is written comes back, in every layout."""

from __future__ import annotations

import json
import os
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastembed import optimizers
from fastembed.io import FormatError
from fastembed.io.keras_tables import read_table
from fastembed.layers import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    InputLayer,
    Layer,
    SpatialDropout1D,
)
from fastembed.models import Sequential, load_model, save_model

from ..io.test_keras_archive import TRAINED

SAMPLES = Path(__file__).parent / "data" / "samples"
IDS = np.random.RandomState(1).randint(0, 6, (20, 3))
TARGETS = np.random.RandomState(2).rand(20, 1).astype(np.float32)
OPTIMIZERS = ["SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam"]
NOT_COMPILED = "No training configuration found in save file: the model was *not* compiled. Compile it manually."


def expected(name):
    return np.load(SAMPLES / f"{name.split('_')[0]}_embedding_expected.npy")


def make(name="seq"):
    layers = [
        InputLayer((3,), name=f"{name}_ids"),
        Embedding(6, 2, name="words", embeddings_regularizer="l2"),
        SpatialDropout1D(0.1),
        Flatten(),
        Dense(4, activation="relu", name="d1", kernel_constraint="max_norm"),
        Dropout(0.2),
        Dense(1, name="d2", trainable=False),
        Activation("sigmoid"),
    ]
    return Sequential(layers, name=name)


def trained(optimizer="Adam", **kwargs):
    model = make()
    model.compile(getattr(optimizers, optimizer)(**kwargs), "binary_crossentropy", metrics=["acc", "mae"])
    model.fit(IDS, TARGETS, epochs=2, verbose=0)
    return model


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py")


# ── files of the real Keras ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_models_of_many_layers_come_back(tmp_path, h5py, suffix):
    """Each layer is looked up among all others."""
    model = Sequential([Dense(1, input_shape=(1,))] + [Dense(1) for _ in range(299)])
    model.save(tmp_path / f"m.{suffix}")
    with pytest.warns(UserWarning, match="not"):
        again = load_model(tmp_path / f"m.{suffix}")
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", TRAINED)
def test_from_keras_file_reads_every_version(name):
    layer = Embedding.from_keras_file(SAMPLES / name)
    assert (layer.name, layer.input_dim, layer.output_dim) == ("embedding", 6, 2)
    np.testing.assert_array_equal(layer.embeddings, expected(name))
    np.testing.assert_array_equal(layer([[1, 0, 5]]), expected(name)[[[1, 0, 5]]])


@pytest.mark.parametrize("name", TRAINED)
def test_load_weights_reads_every_version(name):
    model = Sequential([Embedding(6, 2, input_length=3, name="embedding")])
    model.load_weights(SAMPLES / name)
    np.testing.assert_array_equal(model.layers[0].embeddings, expected(name))
    other = Sequential([Embedding(6, 2, input_length=3, name="embedding"), Dense(1)])
    before = other.layers[1].get_weights()
    other.load_weights(SAMPLES / name, by_name=True)
    np.testing.assert_array_equal(other.layers[0].embeddings, expected(name))
    np.testing.assert_array_equal(other.layers[1].get_weights()[0], before[0])


COMPILED = [name for name in TRAINED if "weights" not in name and "no_optimizer" not in name]


@pytest.mark.parametrize("name", COMPILED)
def test_load_model_reads_every_version(name):
    model = load_model(SAMPLES / name)
    np.testing.assert_array_equal(model.predict(np.arange(6).reshape(2, 3)).reshape(6, 2), expected(name))
    assert model.name == "seq"
    assert (type(model.optimizer), model.loss) == (optimizers.RMSprop, "mse")
    assert model.optimizer.get_config() == optimizers.RMSprop().get_config()
    (state,) = model.optimizer.get_weights()
    assert state.shape == (6, 2)
    assert state.any()
    assert not model._is_new  # training goes on from that state


def test_load_model_restores_adam():
    model = load_model(SAMPLES / "k224_mlp_adam.h5")
    assert model.optimizer.iterations == 1
    assert [array.shape for array in model.optimizer.get_weights()] == [(), *[(6, 2), (6, 1), (1,)] * 3]
    with np.load(SAMPLES / "k224_mlp_expected.npz") as file:
        for number, array in enumerate(model.get_weights()):
            np.testing.assert_array_equal(array, file[f"arr_{number}"])


@pytest.mark.parametrize("name", ["k224_embedding_no_optimizer.h5", "k224_embedding_uncompiled.h5"])
def test_load_model_warns_of_model_that_is_not_compiled(name):
    with pytest.warns(UserWarning, match="No training") as caught:
        model = load_model(SAMPLES / name)
    assert [str(each.message) for each in caught] == [NOT_COMPILED]
    assert caught[0].filename == __file__
    assert model.optimizer is None


def test_load_model_without_compile_does_not_warn():
    assert load_model(SAMPLES / "k224_embedding_uncompiled.h5", compile=False).optimizer is None
    assert load_model(SAMPLES / "k315_embedding_rmsprop.keras", compile=False).optimizer is None


def test_load_model_of_model_that_is_not_trained():
    model = load_model(SAMPLES / "k224_embedding_compiled_untrained.h5")
    assert model.optimizer.get_weights() == []
    model.train_on_batch(IDS, np.zeros((20, 3, 2)))


def test_load_model_refuses_weights_alone():
    path = SAMPLES / "k224_embedding_weights.h5"
    with pytest.raises(FormatError) as caught:
        load_model(path)
    assert str(caught.value) == (
        f"{path}: No model found in config. The file has weights alone: make the model, then call its `load_weights`."
    )


# ── files of ours ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_save_and_load_model(tmp_path, h5py, optimizer, suffix):
    model = trained(optimizer, **({"schedule_decay": 1.0} if optimizer == "Nadam" else {}))
    path = tmp_path / f"m{suffix}"
    model.save(path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(IDS), model.predict(IDS))
    assert loaded.name == "seq"
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert (loaded.loss, loaded.metrics) == (model.loss, model.metrics)
    if (optimizer, suffix) != ("SGD", ".keras"):  # which keeps no state without momentum
        for array, other in zip(loaded.optimizer.get_weights(), model.optimizer.get_weights(), strict=True):
            np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("optimizer", "arguments"),
    [
        *[(name, {}) for name in OPTIMIZERS if name != "Nadam"],
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("Adam", {"amsgrad": True, "clipnorm": 0.1}),
        ("Nadam", {"schedule_decay": 1.0}),
    ],
)
def test_loaded_model_trains_to_the_same_numbers(tmp_path, h5py, optimizer, arguments, suffix):
    model = Sequential([Embedding(6, 2, input_length=3), Flatten(), Dense(3), Dense(1)])
    model.compile(getattr(optimizers, optimizer)(**arguments), "mse")
    model.fit(IDS, TARGETS, epochs=2, verbose=0)
    model.save(tmp_path / f"m{suffix}")
    loaded = load_model(tmp_path / f"m{suffix}")
    for _ in range(4):
        assert loaded.train_on_batch(IDS, TARGETS) == model.train_on_batch(IDS, TARGETS)
    for array, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("name", ["w.h5", "w.hdf5", "w.weights.h5"])
def test_save_weights_and_load_weights(tmp_path, h5py, name):
    model = trained()
    model.save_weights(tmp_path / name)
    for by_name in (False, True):
        other = make("other")
        other.load_weights(tmp_path / name, by_name=by_name)
        np.testing.assert_array_equal(other.predict(IDS), model.predict(IDS))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_nested_model_is_saved(tmp_path, h5py, suffix):
    inner = Sequential([Embedding(6, 2, input_length=3, name="words"), GlobalAveragePooling1D()], name="inner")
    model = Sequential([inner, Dense(3, name="top"), Dense(1)], name="outer")
    model.compile("adam", "mse")
    model.fit(IDS, TARGETS, verbose=0)
    path = tmp_path / f"m{suffix}"
    model.save(path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(IDS), model.predict(IDS))
    assert type(loaded.layers[0]) is Sequential
    layer = Embedding.from_keras_file(path)
    np.testing.assert_array_equal(layer.embeddings, inner.layers[0].embeddings)
    assert layer.name == "words"


def test_deferred_model_is_saved(tmp_path, h5py):
    model = Sequential([Dense(2), Dense(1)])
    with pytest.raises(ValueError, match="must be built") as caught:
        model.save(tmp_path / "m.h5")
    assert str(caught.value) == (
        "The model must be built before it is saved: its first layer needs an `input_shape` or `input_length`, or the "
        "model a call of `build` or `fit`."
    )
    values = model.predict(np.ones((4, 3)))
    for name in ("m.h5", "m.keras"):
        save_model(model, tmp_path / name)
        with pytest.warns(UserWarning, match="No training"):
            loaded = load_model(tmp_path / name)
        np.testing.assert_array_equal(loaded.predict(np.ones((4, 3))), values)


def test_model_without_layers_is_saved(tmp_path, h5py):
    Sequential([InputLayer((3,))], name="empty").save(tmp_path / "m.h5")
    loaded = load_model(tmp_path / "m.h5", compile=False)
    assert (loaded.name, loaded.layers) == ("empty", [])


def test_h5_has_keras_224_layout(tmp_path, h5py):
    trained("Adam").save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert {key: type(value) for key, value in file.attrs.items() if key != "model_config"} == dict.fromkeys(
            ("keras_version", "backend", "training_config"), str
        )
        for attribute in ("keras_version", "backend", "model_config", "training_config"):
            kind = h5py.h5a.open(file.id, attribute.encode()).get_type()
            assert (kind.is_variable_str(), kind.get_cset()) == (True, h5py.h5t.CSET_ASCII)
        weights = file["model_weights"]
        assert list(weights.attrs["layer_names"]) == [
            *(b"words", b"spatial_dropout1d_" + weights.attrs["layer_names"][1].rpartition(b"_")[2]),
            *weights.attrs["layer_names"][2:],
        ]
        assert weights.attrs["layer_names"].dtype.kind == "S"
        assert list(weights["d1"].attrs["weight_names"]) == [b"d1/kernel:0", b"d1/bias:0"]
        assert weights["d1/d1/kernel:0"].shape == (6, 4)
        assert [name.decode() for name in file["optimizer_weights"].attrs["weight_names"]] == [
            "Adam/iterations:0",
            "training/Adam/Variable:0",
            *(f"training/Adam/Variable_{number}:0" for number in range(1, 9)),
        ]
        config = json.loads(file.attrs["model_config"])
    assert config["config"]["layers"][0]["config"]["batch_input_shape"] == [None, 3]


def test_long_lists_of_names_are_split(tmp_path, h5py):
    layers = [Embedding(6, 2, input_length=3, name="e" * 2000)]
    layers += [Activation("linear", name=f"{number:02}" + "a" * 2000) for number in range(40)]
    model = Sequential(layers)
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert sorted(name for name in file.attrs if name.startswith("layer_names")) == ["layer_names0", "layer_names1"]
    before = model.get_weights()
    model.set_weights([np.zeros((6, 2))])
    model.load_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("name", ["m.h5", "m.keras", "w.weights.h5"])
def test_tables_of_our_files_can_be_mapped(tmp_path, h5py, name):
    model = Sequential([Embedding(600, 20, input_length=3)])
    (model.save_weights if name.startswith("w") else model.save)(tmp_path / name)
    table = read_table(tmp_path / name, mmap=True)
    assert not table.flags.writeable
    assert table.ctypes.data % 64 == 0
    np.testing.assert_array_equal(table, model.layers[0].embeddings)


def test_keras_file_has_keras_3_layout(tmp_path, h5py):
    trained().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        config = json.loads(archive.read("config.json"))
    assert config["module"] == "keras"
    first, second = config["config"]["layers"][:2]
    assert first["config"] == {
        "batch_shape": [None, 3],
        "dtype": "int32",
        "sparse": False,
        "ragged": False,
        "name": "seq_ids",
    }
    assert second["config"].keys() == {
        *("name", "trainable", "input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer"),
        *("activity_regularizer", "embeddings_constraint", "mask_zero"),
    }
    assert config["compile_config"]["optimizer"]["config"] == {
        "name": "adam",
        "learning_rate": 0.0010000000474974513,
        "global_clipnorm": None,
        "clipvalue": None,
        "beta_1": 0.8999999761581421,
        "beta_2": 0.9990000128746033,
        "epsilon": 1e-07,
        "amsgrad": False,
    }


class Scale(Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * np.float32(self.factor)

    def get_config(self):
        return super().get_config() | {"factor": self.factor}


def doubled(y_true, y_pred):
    return 2 * np.square(y_pred - y_true).mean(axis=-1)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_custom_objects_come_back(tmp_path, h5py, suffix):
    model = Sequential([Embedding(6, 2, input_length=3), Flatten(), Dense(1), Scale(3.0)])
    model.compile("sgd", doubled, metrics=[doubled])
    path = tmp_path / f"m{suffix}"
    model.save(path)
    loaded = load_model(path, custom_objects={"Scale": Scale, "doubled": doubled})
    np.testing.assert_array_equal(loaded.predict(IDS), model.predict(IDS))
    assert loaded.loss is doubled
    with pytest.raises(FormatError, match="Unknown layer: Scale"):
        load_model(path)
    with pytest.raises(FormatError, match="Unknown loss function:doubled"):
        load_model(path, custom_objects={"Scale": Scale})
    assert load_model(path, custom_objects={"Scale": Scale}, compile=False).optimizer is None


def test_what_keras_3_lacks_is_said(tmp_path, h5py):
    for optimizer, text in (
        (optimizers.RowwiseAdagrad(), "optimizer RowwiseAdagrad"),
        (optimizers.Adam(lazy=True), "lazy optimizer Adam"),
        (optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "optimizer with both clipnorm and clipvalue"),
        (optimizers.Nadam(), "Nadam with schedule_decay=0.004"),
    ):
        model = make()
        model.compile(optimizer, "mse")
        with pytest.warns(UserWarning, match="without its optimizer") as caught:
            model.save(tmp_path / "m.keras")
        assert str(caught[0].message) == (
            f"The model is saved without its optimizer: Keras 3 has no {text}. A file whose name ends in .h5 keeps it."
        )
        assert caught[0].filename == __file__
        model.save(tmp_path / "m.h5")
        assert load_model(tmp_path / "m.h5").optimizer.get_config() == optimizer.get_config()
    for layers, text in (
        (
            [Embedding(6, 2, name="a/b")],
            "The name of a layer must not contain '/' in a file for Keras 3. Received: 'a/b'.",
        ),
        (
            [Embedding(6, 2, name="a"), Activation("hard_sigmoid", name="b")],
            "Layer b must not have the activation hard_sigmoid in a file for Keras 3, which computes another function "
            "by that name. Save it as .h5 instead.",
        ),
    ):
        with pytest.raises(ValueError, match="Keras 3") as caught:
            Sequential(layers).save(tmp_path / "n.keras")
        assert str(caught.value) == text
        assert not (tmp_path / "n.keras").exists()


@pytest.mark.parametrize("name", ["m.h5", "m.keras", "w.h5", "w.weights.h5"])
def test_overwrite_asks(tmp_path, h5py, name, monkeypatch, capsys):
    path = str(tmp_path / name)
    model = make()

    def write(overwrite):
        (model.save if name.startswith("m") else model.save_weights)(path, overwrite=overwrite)

    write(False)  # nothing to ask for
    before = Path(path).read_bytes()
    asked = []
    answers = iter(["maybe", " N ", "Y"])
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or next(answers))
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    write(False)
    assert asked == [f"[WARNING] {path} already exists - overwrite? [y/n]", 'Enter "y" (overwrite) or "n" (cancel).']
    assert Path(path).read_bytes() == before
    assert capsys.readouterr().out == ""
    write(False)
    assert Path(path).read_bytes() != before
    assert capsys.readouterr().out == "[TIP] Next time specify overwrite=True!\n"
    write(True)


def test_missing_h5py_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for write in (make().save, make().save_weights):
        with pytest.raises(ImportError) as caught:
            write(tmp_path / "m.h5")
        assert str(caught.value) == 'h5py is needed to write Keras files: pip install "fastembed-gather[keras]"'
    assert os.listdir(tmp_path) == []
    assert load_model(SAMPLES / "k224_embedding_rmsprop.h5").built  # reading needs none


# ── what does not fit ────────────────────────────────────────────────────────────────────────────


def test_load_weights_says_what_does_not_fit():
    path = SAMPLES / "k224_mlp_weights.h5"
    model = Sequential([Embedding(6, 2, input_length=3, name="embedding")])
    before = model.get_weights()
    for layers, text in (
        ([], "You are trying to load a weight file containing 2 layers into a model with 1 layers."),
        (
            [Flatten(), Dense(1, use_bias=False, name="d")],
            'Layer #1 (named "d" in the current model) was found to correspond to layer dense in the save file. '
            "However the new layer d expects 1 weights, but the saved weights have 2 elements.",
        ),
        (
            [Flatten(), Dense(5, name="d")],
            'Layer #1 (named "d"), weight d/kernel:0 has shape (6, 5), but the saved weight has shape (6, 1).',
        ),
    ):
        other = Sequential([*model.layers, *layers])
        with pytest.raises(ValueError, match="d") as caught:
            other.load_weights(path)
        assert str(caught.value) == text
        np.testing.assert_array_equal(other.get_weights()[0], before[0])
    with pytest.raises(ValueError, match="variables") as caught:
        Sequential([Embedding(6, 2, name="a"), Embedding(6, 2, name="b")]).load_weights(
            SAMPLES / "k315_embedding.weights.h5"
        )
    assert str(caught.value) == (
        "Layer 'b' expected 1 variables, but received 0 variables during loading. Expected: ['b/embeddings:0']"
    )


def test_load_weights_by_name_says_or_skips_what_does_not_fit():
    path = SAMPLES / "k224_mlp_weights.h5"
    few = Sequential([Embedding(6, 2, input_length=3), Flatten(), Dense(1, use_bias=False, name="dense")])
    wide = Sequential([Embedding(6, 2, input_length=3), Flatten(), Dense(5, name="dense")])
    for model, text in (
        (few, 'Layer #1 (named "dense") expects 1 weight(s), but the saved weights have 2 element(s).'),
        (
            wide,
            'Layer #1 (named "dense"), weight dense/kernel:0 has shape (6, 5), but the saved weight has shape (6, 1).',
        ),
    ):
        with pytest.raises(ValueError, match="dense") as caught:
            model.load_weights(path, by_name=True)
        assert str(caught.value) == text
    for model, texts in (
        (few, ["Skipping loading of weights for layer dense due to mismatch in number of weights (1 vs 2)."]),
        (
            wide,
            [
                f"Skipping loading of weights for layer dense due to mismatch in shape ({own} vs {saved})."
                for own, saved in (((6, 5), (6, 1)), ((5,), (1,)))
            ],
        ),
    ):
        with pytest.warns(UserWarning, match="Skipping") as caught:
            model.load_weights(path, by_name=True, skip_mismatch=True)
        assert [str(each.message) for each in caught] == texts


def test_from_keras_file_asks_which(tmp_path, h5py):
    layers = [Embedding(6, 2, input_length=3, name="first"), Flatten(), Dense(4, name="kernel")]
    path = tmp_path / "m.weights.h5"
    Sequential(layers).save_weights(path)
    np.testing.assert_array_equal(Embedding.from_keras_file(path).embeddings, layers[0].embeddings)
    np.testing.assert_array_equal(Embedding.from_keras_file(path, "kernel").embeddings, layers[2].kernel)
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file.attrs["layer_names"] = [b"left", b"right"]
        for name, size in (("left", 4), ("right", 5)):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/embeddings:0".encode()]
            group[f"{name}/embeddings:0"] = np.ones((size, 3), np.float32)
    with pytest.raises(ValueError, match="2 tables") as caught:
        Embedding.from_keras_file(tmp_path / "two.h5")
    assert str(caught.value) == (
        f"{tmp_path / 'two.h5'}: the file has 2 tables: say which with `name`. Tables: "
        "'left' at '/left/left/embeddings:0' (4, 3), 'right' at '/right/right/embeddings:0' (5, 3)."
    )
    assert Embedding.from_keras_file(tmp_path / "two.h5", "right").input_dim == 5
    assert Embedding.from_keras_file(tmp_path / "two.h5", name="left/left/embeddings:0").name == "left"
    with pytest.raises(ValueError, match="no tables of name 'middle'"):
        Embedding.from_keras_file(tmp_path / "two.h5", "middle")


def test_from_keras_file_lists_tables_where_none_is_an_embedding(tmp_path, h5py):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["dense/kernel:0"] = np.ones((4, 3), np.float32)
    with pytest.raises(ValueError, match="no table that") as caught:
        Embedding.from_keras_file(path)
    assert not isinstance(caught.value, FormatError)
    assert str(caught.value) == (
        f"{path}: the file has no table that is known as an Embedding's: say which with `name`. Tables: "
        "'dense' at '/dense/kernel:0' (4, 3)."
    )
    assert Embedding.from_keras_file(path, "dense").input_dim == 4


def test_from_keras_file_works_beside_unknown_layers(tmp_path, h5py):
    """A functional model with layers that are not here; only the Embedding's config counts."""
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    embedding = {"name": "words", "trainable": False, "mask_zero": True, "input_dim": 4, "output_dim": 2}
    embedding |= {"batch_input_shape": [None, None], "dtype": "float32", "input_length": None}
    embedding |= {"embeddings_initializer": {"class_name": "RandomUniform", "config": {}}}
    layers = [
        {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None], "name": "x"}},
        {"class_name": "Model", "config": {"layers": [{"class_name": "Embedding", "config": embedding}]}},
        {"class_name": "LSTM", "config": {"units": 5}},
    ]
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": layers}}).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"inner", b"lstm_1"]
        for layer, names in (("inner", ["words/embeddings:0"]), ("lstm_1", ["lstm_1/kernel:0"])):
            group = weights.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                group[name] = table
    layer = Embedding.from_keras_file(tmp_path / "m.h5")
    assert (layer.name, layer.trainable, layer.mask_zero, layer.input_length) == ("words", False, True, None)
    np.testing.assert_array_equal(layer.embeddings, table)
    with pytest.raises(FormatError) as caught:
        load_model(tmp_path / "m.h5")
    assert str(caught.value) == (
        f"{tmp_path / 'm.h5'}: model_config: the model is a Model, not a Sequential. `Embedding.from_keras_file` and "
        "`load_table` read its tables."
    )


def test_from_keras_file_leaves_out_what_it_does_not_know(tmp_path, h5py):
    model = Sequential([Embedding(6, 2, name="words", mask_zero=True)])
    model.save(tmp_path / "m.h5")
    data = (tmp_path / "m.h5").read_bytes()
    assert data.count(b"RandomUniform") == 1
    (tmp_path / "m.h5").write_bytes(data.replace(b"RandomUniform", b"RandomUnknown"))
    with pytest.warns(UserWarning, match="made without") as caught:
        layer = Embedding.from_keras_file(tmp_path / "m.h5")
    assert str(caught[0].message) == (
        "The layer was made without its embeddings_initializer: Unknown initializer: RandomUnknown"
    )
    assert layer.mask_zero is True


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_other_floats_become_float32(tmp_path, h5py, dtype):
    table = np.array([[1.5, 2.5], [1e-7, -3]], dtype)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"e"]
        file.create_group("e").attrs["weight_names"] = [b"e/embeddings:0"]
        file["e/e/embeddings:0"] = table
    model = Sequential([Embedding(2, 2)])
    model.load_weights(tmp_path / "w.h5")
    for layer in (model.layers[0], Embedding.from_keras_file(tmp_path / "w.h5")):
        np.testing.assert_array_equal(layer.embeddings, table.astype(np.float32))


def test_numbers_too_large_for_float32_are_refused(tmp_path, h5py):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"e"]
        file.create_group("e").attrs["weight_names"] = [b"e/embeddings:0"]
        file["e/e/embeddings:0"] = np.array([[1.5, 2.5], [1e300, -3]])
    model = Sequential([Embedding(2, 2, name="e")])
    before = model.get_weights()[0]
    for load in (model.load_weights, Embedding.from_keras_file):
        with pytest.raises(FormatError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: /e/e/embeddings:0: a number of float64 is too large for float32."
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_state_that_does_not_fit_is_keras_warning(tmp_path, h5py):
    trained("RMSprop").save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        names = file["optimizer_weights"].attrs["weight_names"]
        file["optimizer_weights"].attrs["weight_names"] = names[1:]
    with pytest.warns(UserWarning, match="optimizer state") as caught:
        model = load_model(tmp_path / "m.h5")
    assert [str(each.message) for each in caught] == [
        "Error in loading the saved optimizer state. As a result, your model is starting with a freshly initialized "
        "optimizer."
    ]
    assert not any(array.any() for array in model.optimizer.get_weights())


LATER = {
    "momentum": ("RMSprop with momentum=0.9", {"momentum": 0.9}),
    "weight decay": ("RMSprop with weight_decay=0.1", {"weight_decay": 0.1}),
    "clipnorm": ("RMSprop with clipnorm=1.0", {"clipnorm": 1.0}),
    "schedule": ("a schedule as the learning rate", {"learning_rate": {"class_name": "ExponentialDecay"}}),
}


@pytest.mark.parametrize("name", LATER)
def test_what_keras_224_lacks_is_said(tmp_path, name):
    text, changes = LATER[name]
    with zipfile.ZipFile(SAMPLES / "k315_embedding_rmsprop.keras") as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    config = json.loads(members["config.json"])
    config["compile_config"]["optimizer"]["config"] |= changes
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for member, data in (members | {"config.json": json.dumps(config)}).items():
            archive.writestr(member, data)
    with pytest.warns(UserWarning, match="compiled") as caught:
        model = load_model(tmp_path / "m.keras")
    assert str(caught[0].message) == (
        f"The model was *not* compiled: its file has {text}, which Keras 2.2.4 has not. Compile it manually."
    )
    assert caught[0].filename == __file__
    assert model.optimizer is None


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_failed_save_leaves_the_old_file(tmp_path, h5py, name, monkeypatch):
    path = tmp_path / name
    model = make()
    model.save(path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space") as caught:
        model.save(path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [name]


def test_error_of_the_system_names_the_path(tmp_path, h5py):
    for name in ("none/m.h5", "none/m.keras"):
        with pytest.raises(FileNotFoundError) as caught:
            make().save(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        make().save(tmp_path)


def test_loading_draws_from_numpy_what_keras_draws():
    np.random.seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_model(SAMPLES / "k224_embedding_uncompiled.h5")
    after = np.random.randint(10**6)
    np.random.seed(3)
    np.random.randint(10**7)
    assert np.random.randint(10**6) == after
