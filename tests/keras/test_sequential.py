"""Sequential: building, predicting, weights and configs, beyond what `test_recorded_layers` compares with Keras."""

import copy
import json
import pickle
import re

import numpy as np
import pytest

from fastembed import _progress, backend
from fastembed.layers import Embedding, InputLayer, Layer
from fastembed.models import Sequential, model_from_config, model_from_json
from fastembed.optimizers import SGD, Adam

from .helpers import raises

W = (np.arange(12).reshape(6, 2) / 10).astype(np.float32)
IDS = np.array([[1, 2, 3], [2, 1, 0], [1, 0, 0], [3, 2, 1]])


class Scale(Layer):
    """Multiplies by a weight; counts its calls."""

    calls = 0

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs):
        self.calls += 1
        self.last_dtype = inputs.dtype
        return inputs * self.scale


class Sum(Layer):
    """Sums the rows that count."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        self.mask = mask
        return (inputs if mask is None else inputs * mask[..., None]).sum(axis=1)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])


@pytest.fixture(autouse=True)
def _session():
    backend.clear_session()


def embedding(**kwargs):
    return Embedding(6, 2, weights=[W], **kwargs)


# ── building ─────────────────────────────────────────────────────────────────────────────────────


def test_add_of_a_layer_that_does_not_fit_leaves_the_model_as_it_was():
    model = Sequential([embedding(input_shape=(4,))])
    with raises(ValueError, '"input_length" is 3, but received input has shape (None, 4, 2)'):
        model.add(Embedding(6, 2, input_length=3))
    assert len(model.layers) == 1
    assert model.output_shape == (None, 4, 2)
    first = Embedding(6, 2, input_shape=(4,), input_length=3)
    model = Sequential()
    with raises(ValueError, '"input_length" is 3, but received input has shape (None, 4)'):
        model.add(first)
    assert (model.layers, model.built) == ([], False)


def test_build_of_layers_that_do_not_fit_leaves_the_model_unbuilt():
    model = Sequential([Scale(), Embedding(6, 2, input_length=3)])
    with raises(ValueError, '"input_length" is 3, but received input has shape (None, 4)'):
        model.build((None, 4))
    assert not model.built
    model.build((None, 3))
    assert model.output_shape == (None, 3, 2)


def test_deferred_model_is_built_by_a_call():
    model = Sequential([Scale(name="s")])
    np.testing.assert_array_equal(model(np.ones((2, 3))), np.ones((2, 3)))
    assert model.built
    assert model.layers[0].scale.shape == (3,)


def test_layers_keep_working_outside_their_model():
    layer = embedding()
    model = Sequential([layer, Scale()])
    np.testing.assert_array_equal(layer(IDS), W[IDS])
    assert model.layers[0].output_shape == (None, None, 2)


def test_empty_model_is_refused_anywhere_in_a_model():
    model = Sequential([embedding()])
    with raises(ValueError, "Cannot add an empty model to a `Sequential` model."):
        model.add(Sequential())


def test_masks_refused_by_a_layer_are_refused_when_it_is_added():
    model = Sequential([embedding(mask_zero=True)])
    with pytest.raises(TypeError, match=r"^Layer plain does not support masking, but was passed an input_mask: "):
        model.add(Scale(name="plain"))
    assert len(model.layers) == 1


def test_masks_refused_by_a_layer_are_refused_through_nested_models():
    model = Sequential([Sequential([embedding(mask_zero=True)])])
    with pytest.raises(TypeError, match=r"^Layer plain does not support masking, but was passed an input_mask: "):
        model.add(Sequential([Scale(name="plain", input_shape=(None, 2))]))


# ── predict ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch_size", [None, 1, 3, 4, 100])
@pytest.mark.parametrize("more", [0, 1], ids=["embedding", "two layers"])
def test_predict_gives_all_rows_whatever_the_batch_size(batch_size, more):
    model = Sequential([embedding(), *[Scale() for _ in range(more)]])
    rows = model.predict(IDS, batch_size=batch_size)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, W[IDS])


def test_predict_runs_in_batches_of_32():
    model = Sequential([embedding(), Scale()])
    model.predict(np.zeros((70, 3), int))
    assert model.layers[1].calls == 3
    model.predict(np.zeros((70, 3), int), batch_size=70)
    assert model.layers[1].calls == 4


@pytest.mark.parametrize("more", [0, 1], ids=["embedding", "two layers"])
@pytest.mark.parametrize(("shape", "length"), [((0, 3), None), ((0, 3), 3), ((0,), None)])
def test_predict_of_0_samples_is_empty_with_the_right_shape(shape, length, more):
    model = Sequential([embedding(input_length=length), *[Scale() for _ in range(more)]])
    rows = model.predict(np.zeros(shape, int))
    assert rows.shape == (0, shape[1] if len(shape) > 1 else 1, 2)
    assert rows.dtype == np.float32


@pytest.mark.parametrize("more", [0, 1], ids=["embedding", "two layers"])
def test_predict_with_a_negative_batch_size_predicts_nothing(more):
    model = Sequential([embedding(), *[Scale() for _ in range(more)]])
    assert model.predict(IDS, batch_size=-1).shape == (0, 3, 2)


@pytest.mark.parametrize("more", [0, 1], ids=["embedding", "two layers"])
@pytest.mark.parametrize("x", [IDS, IDS[:0]])
def test_predict_with_batch_size_0_divides_by_zero(x, more):
    model = Sequential([embedding(), *[Scale() for _ in range(more)]])
    with raises(ZeroDivisionError, "integer division or modulo by zero"):
        model.predict(x, batch_size=0)


def test_predict_gives_a_new_array_each_time():
    model = Sequential([embedding()])
    model.predict(IDS)[...] = 7
    np.testing.assert_array_equal(model.predict(IDS), W[IDS])


def test_predict_feeds_other_layers_in_the_inputs_dtype():
    model = Sequential([Scale(input_shape=(3,))])
    assert model.predict(IDS).dtype == np.float32
    assert model.layers[0].last_dtype == np.float32
    model = Sequential([InputLayer((3,), dtype="int64"), Scale()])
    model.predict(IDS.astype(np.int8))
    assert model.layers[0].last_dtype == np.int64


def test_predict_takes_the_outputs_own_shape():
    class Halves(Layer):  # says nothing of its output shape
        def call(self, inputs):
            return inputs[:, :1]

    assert Sequential([embedding(), Halves()]).predict(IDS).shape == (4, 1, 2)


def test_predict_names_the_place_of_a_bad_id():
    with pytest.raises(IndexError, match=r"^indices\[1,2\] = 9 is not in \[0, 6\): "):
        Sequential([embedding()]).predict(np.array([[0, 1, 2], [3, 4, 9]]))


@pytest.mark.parametrize("ids", [[1, 2], [[1, 2]]])
def test_predict_refuses_masked_ids(ids):
    ids = np.ma.array(ids)
    ids[..., 1] = np.ma.masked
    words = "`ids` must be a plain integer array. Received: a masked array; fill it, with ids.filled(id)."
    for given in (ids, [ids]):
        with raises(TypeError, words):
            Sequential([embedding()]).predict(given)


def test_masks_reach_the_layers_behind():
    model = Sequential([embedding(mask_zero=True), Sum()])
    expected = (W[IDS] * (IDS != 0)[..., None]).sum(axis=1)
    np.testing.assert_array_equal(model.predict(IDS), expected)
    np.testing.assert_array_equal(model.layers[1].mask, IDS != 0)
    np.testing.assert_array_equal(model(IDS), expected)
    assert model.compute_mask(IDS) is None


def test_masks_leave_a_nested_model():
    inner = Sequential([embedding(mask_zero=True)])
    model = Sequential([inner, Sum()])
    np.testing.assert_array_equal(inner.compute_mask(IDS), IDS != 0)
    np.testing.assert_array_equal(model.predict(IDS), (W[IDS] * (IDS != 0)[..., None]).sum(axis=1))


def test_ids_for_a_nested_embedding_stay_integers():
    num_rows = 2**24 + 2
    table = np.zeros((num_rows, 1), np.float32)
    table[-1] = 5
    model = Sequential([Sequential([Embedding(num_rows, 1, weights=[table])]), Scale()])
    np.testing.assert_array_equal(model.predict(np.array([[num_rows - 1]])), [[[5.0]]])


@pytest.mark.parametrize("x", [np.zeros((2, 3, 1), int), np.zeros((), int)])
def test_predict_refuses_the_wrong_number_of_dimensions(x):
    with raises(
        ValueError,
        f"Error when checking input: expected e_input to have 2 dimensions, but got array with shape {x.shape}",
    ):
        Sequential([embedding(name="e")]).predict(x)


def test_predict_cuts_a_long_list_of_arrays_short():
    arrays = [np.arange(100)] * 3
    shown = str([a[:, None] for a in arrays])[:200]
    with raises(
        ValueError,
        "Error when checking model input: the list of Numpy arrays that you are passing to your model is not the size "
        "the model expected. Expected to see 1 array(s), but instead got the following list of 3 arrays: "
        f"{shown}...",
    ):
        Sequential([embedding()]).predict(arrays)


def test_predict_on_a_terminal_rewrites_its_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    Sequential([embedding()]).predict(np.zeros((70, 3), int), verbose=1)
    first = "32/70 [============>.................] - ETA: 0s"
    out = re.sub(r"\d+us", "TIMEus", capsys.readouterr().out)
    assert out == f"\r{first}" + "\b" * len(first) + f"\r70/70 [{'=' * 30}] - 0s TIMEus/step\n"


@pytest.mark.parametrize(
    ("seconds", "first", "last"),
    [
        (0.001, "ETA: 0s", "0s 100us/step"),
        (1.0, "ETA: 4s", "5s 100ms/step"),
        (20.0, "ETA: 1:20", "100s 2s/step"),
        (1000.0, "ETA: 1:06:40", "5000s 100s/step"),
    ],
)
def test_progress_bar_shows_the_time(seconds, first, last, capsys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(_progress.time, "time", lambda: now[0])
    bar = _progress.ProgressBar(50)
    for current in (10, 11, 50):
        now[0] = 1000.0 + seconds * current / 10
        if current == 11:
            now[0] = 1000.0 + seconds + 0.04  # too soon for another line
        bar.update(current)
    begun = f"\n10/50 [=====>........................] - {first}"
    assert capsys.readouterr().out == f"{begun}\n50/50 [{'=' * 30}] - {last}\n"


# ── weights ──────────────────────────────────────────────────────────────────────────────────────


def test_get_weights_copies_and_set_weights_copies_in():
    model = Sequential([embedding(), Scale()])
    table = model.layers[0].embeddings
    model.get_weights()[0][...] = 9
    np.testing.assert_array_equal(table, W)
    model.set_weights([W * 2, np.ones(2)])
    assert model.layers[0].embeddings is table
    np.testing.assert_array_equal(model.predict(IDS), W[IDS] * 2)


def test_set_weights_reads_all_before_it_writes_any():
    model = Sequential([Scale(input_shape=(2,)), Scale()])
    first, second = (layer.scale for layer in model.layers)
    model.set_weights([[1, 2], [3, 4]] @ np.eye(2))
    model.set_weights([second[::-1], first])
    assert [weight.tolist() for weight in model.get_weights()] == [[4, 3], [1, 2]]


@pytest.mark.parametrize("given", [[], [W], [W, W, W]], ids=len)
def test_set_weights_refuses_another_number_of_arrays(given):
    model = Sequential([embedding(), Embedding(6, 2)], name="m")
    with raises(
        ValueError,
        f'You called `set_weights(weights)` on layer "m" with a  weight list of length {len(given)}, but the layer was '
        f"expecting 2 weights. Provided weights: {str(given)[:50]}...",
    ):
        model.set_weights(given)
    np.testing.assert_array_equal(model.get_weights()[0], W)


def test_a_layer_used_twice_counts_once():
    layer = Embedding(6, 2, input_shape=(3,))
    model = Sequential([layer, layer])
    assert model.count_params() == 12
    assert len(model.get_weights()) == len(model.weights) == 1
    assert model.output_shape == (None, 3, 2, 2)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_whole_and_separate(duplicate):
    model = Sequential([embedding(mask_zero=True), Sum()], name="m")
    model.compile("sgd", "mse", metrics=["acc"])
    other = duplicate(model)
    assert other.get_config() == model.get_config()
    assert (type(other.optimizer), other.loss, other.metrics) == (SGD, "mse", ["acc"])
    np.testing.assert_array_equal(other.predict(IDS), model.predict(IDS))
    other.set_weights([np.zeros((6, 2))])
    assert not other.predict(IDS).any()
    assert model.predict(IDS).any()


# ── compile ──────────────────────────────────────────────────────────────────────────────────────


def test_compile_keeps_what_it_is_given():
    model = Sequential([embedding()])
    assert model.optimizer is None

    def loss(y_true, y_pred):
        return y_pred

    model.compile("Adam", loss, ["acc", loss], [1.0], "temporal", [loss])
    assert (type(model.optimizer), model.loss, model.metrics) == (Adam, loss, ["acc", loss])
    assert (model.loss_weights, model.sample_weight_mode, model.weighted_metrics) == ([1.0], "temporal", [loss])


def test_failed_compile_keeps_what_was():
    model = Sequential([embedding()])
    model.compile("sgd", "mse")
    with raises(ValueError, "Unknown metric function:foo"):
        model.compile("adam", "mae", metrics=["foo"])
    assert (type(model.optimizer), model.loss) == (SGD, "mse")


def test_compile_refuses_target_tensors():
    with raises(ValueError, "`target_tensors` must be None: targets are arrays. Received: [1]."):
        Sequential([embedding()]).compile("sgd", "mse", target_tensors=[1])


# ── configs ──────────────────────────────────────────────────────────────────────────────────────


def test_from_config_reads_a_nested_model_with_custom_layers():
    model = Sequential([Sequential([embedding(name="e")], name="inner"), Scale(name="s")], name="outer")
    again = Sequential.from_config(model.get_config(), custom_objects={"Scale": Scale})
    assert again.get_config() == model.get_config()
    again = model_from_json(model.to_json(), {"Scale": Scale})
    assert again.output_shape == (None, None, 2)


def test_from_config_reads_a_frozen_later_model():
    config = {
        "name": "m",
        "trainable": False,
        "layers": [{"class_name": "Embedding", "config": {"input_dim": 6, "output_dim": 2}}],
    }
    model = model_from_config({"class_name": "Sequential", "config": config})
    assert (model.trainable, len(model.trainable_weights), len(model.non_trainable_weights)) == (False, 0, 1)


def test_from_config_does_not_modify_the_config():
    config = Sequential([embedding(name="e")], name="m").get_config()
    before = copy.deepcopy(config)
    Sequential.from_config(config)
    assert config == before


def test_to_json_writes_numpy_values_as_plain_ones():
    layer = Embedding(np.int64(6), 2, dtype=np.dtype("float32"), trainable=np.bool_(True), name="e")
    config = json.loads(Sequential([layer]).to_json())["config"]["layers"][0]["config"]
    assert (config["input_dim"], config["dtype"], config["trainable"]) == (6, "float32", True)


def test_to_json_refuses_what_json_cannot_say():
    layer = Embedding(6, 2, mask_zero=1j, embeddings_initializer="zeros", name="e")
    with pytest.raises(TypeError) as caught:
        Sequential([layer]).to_json()
    assert caught.value.args == ("Not JSON Serializable:", 1j)
