"""Layer: calling on arrays, masks, weights and shapes, beyond what `test_recorded_layers` compares with Keras."""

import copy
import pickle
import warnings

import numpy as np
import pytest

from fastembed import backend, initializers
from fastembed.layers import Embedding, InputLayer, InputSpec, Layer, Weight, deserialize
from fastembed.models import Sequential

from .helpers import raises

ROWS = np.arange(6, dtype=np.float32).reshape(1, 3, 2)


class Scale(Layer):
    """The smallest layer with a weight."""

    def build(self, input_shape):
        self.seen = input_shape
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs):
        return inputs * self.scale


class Masked(Layer):
    """Remembers the mask it was given."""

    got = None

    def call(self, inputs, mask=None):
        self.got = mask
        return inputs


@pytest.fixture(autouse=True)
def _session():
    backend.clear_session()


def test_backend_constants_are_keras_defaults():
    assert backend.floatx() == "float32"
    assert backend.epsilon() == 1e-7


def test_call_builds_once_with_the_arrays_shape():
    layer = Scale()
    assert not layer.built
    rows = layer(ROWS)
    assert layer.seen == (1, 3, 2)
    assert layer.built
    np.testing.assert_array_equal(rows, ROWS)
    scale = layer.scale
    layer(np.ones((4, 2), np.float32))
    assert layer.scale is scale
    assert len(layer.weights) == 1


def test_call_takes_what_makes_an_array():
    np.testing.assert_array_equal(Scale()([[1.0, 2.0]]), [[1.0, 2.0]])


def test_call_applies_weights_given_to_the_constructor():
    layer = Scale(weights=[np.array([2.0, 3.0])])
    np.testing.assert_array_equal(layer(ROWS), ROWS * np.array([2, 3], np.float32))


def test_call_after_manual_build_applies_weights_given_to_the_constructor():
    layer = Scale(weights=[np.array([2.0, 3.0])])
    layer.build((None, 2))
    np.testing.assert_array_equal(layer(ROWS), ROWS * np.array([2, 3], np.float32))


def test_set_weights_after_manual_build_wins_over_weights_given_to_the_constructor():
    layer = Scale(weights=[np.array([2.0, 3.0])])
    layer.build((None, 2))
    layer.set_weights([np.array([5.0, 5.0])])
    np.testing.assert_array_equal(layer(ROWS), ROWS * 5)


def test_call_with_weights_that_do_not_fit_says_so():
    with raises(ValueError, "Layer weight shape (2,) not compatible with provided weight shape (3,)"):
        Scale(weights=[np.ones(3)])(ROWS)


def test_call_passes_keywords_on():
    class Power(Layer):
        def call(self, inputs, power=1):
            return inputs**power

    np.testing.assert_array_equal(Power()(ROWS, power=2), ROWS**2)


def test_call_gives_the_mask_to_a_call_that_takes_one():
    layer = Masked()
    layer.supports_masking = True
    mask = np.array([[True, False, True]])
    layer(ROWS, mask=mask)
    assert layer.got is mask
    layer(ROWS)
    assert layer.got is None


def test_call_with_a_mask_keeps_it_from_a_call_that_takes_none():
    layer = Scale()
    layer.supports_masking = True
    np.testing.assert_array_equal(layer(ROWS, mask=np.array([[True, False, True]])), ROWS)


@pytest.mark.parametrize("layer_class", [Scale, Masked])
def test_call_with_a_mask_is_refused_without_masking_support(layer_class):
    with raises(
        TypeError,
        "Layer plain does not support masking, but was passed an input_mask: [[ True False  True]]",
    ):
        layer_class(name="plain")(ROWS, mask=np.array([[True, False, True]]))


def test_call_checks_the_input_spec():
    layer = Layer(name="l")
    layer.input_spec = InputSpec(ndim=2)
    with raises(ValueError, "Input 0 is incompatible with layer l: expected ndim=2, found ndim=3"):
        layer(ROWS)
    assert layer(np.ones((2, 2))).shape == (2, 2)


def test_input_spec_in_a_list_of_one_is_checked():
    layer = Layer(name="l")
    layer.input_spec = [InputSpec(axes={-1: 7})]
    with raises(
        ValueError,
        "Input 0 is incompatible with layer l: expected axis -1 of input shape to have value 7 but got shape (1, 3, 2)",
    ):
        layer(ROWS)


def test_shapes_outside_a_model_are_the_first_calls():
    layer = Scale()
    layer(ROWS)
    layer(np.ones((4, 2)))
    assert layer.input_shape == layer.output_shape == (1, 3, 2)
    assert layer.get_input_shape_at(0) == layer.get_output_shape_at(0) == (1, 3, 2)


def test_shapes_in_a_model_win_over_those_of_a_call():
    layer = Embedding(6, 2)
    layer(np.zeros((4, 5), int))
    Sequential([layer])
    assert layer.output_shape == (None, None, 2)


def test_dtype_is_always_there():
    assert Layer().dtype == "float32"
    assert Layer(dtype="float64").dtype == "float64"
    assert Layer(dtype="float64").get_config() == {"name": "layer_3", "trainable": True}


def test_numpy_integers_in_shapes_become_int():
    assert str(Layer(input_shape=(np.int64(3),)).batch_input_shape) == "(None, 3)"


def test_add_weight_returns_the_array_that_set_weights_changes():
    layer = Layer(name="l")
    array = layer.add_weight("k", (2,), initializer="zeros")
    assert array.dtype == np.float32
    (weight,) = layer.weights
    assert isinstance(weight, Weight)
    assert weight.value is array
    assert (weight.name, weight.shape) == ("l/k:0", (2,))
    layer.set_weights([[np.float64(1), np.float64(2)] @ np.eye(2)])
    np.testing.assert_array_equal(array, [1.0, 2.0])


def test_add_weight_keeps_regularizer_and_constraint():
    def regularizer(w):
        return float(w.sum())

    layer = Layer()
    layer.add_weight("k", (2,), initializer="ones", regularizer=regularizer, constraint=np.abs)
    layer.add_weight("f", (3,), initializer="ones", regularizer=regularizer, trainable=False)
    assert layer.weights[0].regularizer is regularizer
    assert layer.weights[0].constraint is np.abs
    assert layer.losses == [2.0, 3.0]
    layer.trainable = False
    assert layer.losses == [2.0, 3.0]


def test_add_weight_copies_what_a_callable_holds():
    held = np.ones((2, 2), np.float32)
    array = Layer().add_weight("k", (2, 2), initializer=lambda shape: held)
    array[...] = 5
    assert held[0, 0] == 1


def test_add_weight_refuses_another_shape():
    with raises(
        ValueError,
        "The initializer of l/k must return an array of shape (2, 2). Received: shape (3,).",
    ):
        Layer(name="l").add_weight("k", (2, 2), initializer=lambda shape: np.zeros(3))


@pytest.mark.parametrize("dtype", ["float64", "int32", "foo", np.float16])
def test_add_weight_refuses_another_dtype(dtype):
    with raises(ValueError, f'The dtype of layer "l" must be float32: tables are float32. Received: {dtype!r}.'):
        Layer(name="l").add_weight("k", (2,), dtype=dtype, initializer="zeros")


@pytest.mark.parametrize("dtype", [None, "float32", np.float32, np.dtype("float32")])
def test_add_weight_takes_float32_by_any_name(dtype):
    assert Layer().add_weight("k", (2,), dtype=dtype, initializer="zeros").dtype == np.float32


def test_set_weights_changes_nothing_when_one_does_not_fit():
    layer = Layer()
    layer.add_weight("a", (2,), initializer="zeros")
    layer.add_weight("b", (3,), initializer="zeros")
    with pytest.raises(ValueError, match="not compatible"):
        layer.set_weights([np.ones(2), np.ones(2)])
    assert not layer.get_weights()[0].any()


@pytest.mark.parametrize("bad", [np.array(["x", "y"]), np.array([None, object()])], ids=["text", "objects"])
def test_set_weights_changes_nothing_when_one_is_not_of_numbers(bad):
    layer = Layer()
    layer.add_weight("a", (2,), initializer="zeros")
    layer.add_weight("b", (2,), initializer="zeros")
    with pytest.raises((ValueError, TypeError)):
        layer.set_weights([np.ones(2), bad])
    assert not layer.get_weights()[0].any()


@pytest.mark.filterwarnings("always")
def test_set_weights_changes_all_when_a_signal_comes_in_between(monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    layer = Layer()
    layer.add_weight("a", (2,), initializer="zeros")
    layer.add_weight("b", (2,), initializer="zeros")
    monkeypatch.setattr(warnings, "showwarning", interrupt)
    with pytest.raises(KeyboardInterrupt):
        layer.set_weights([np.full(2, 1e300), np.ones(2)])  # infinite in float32, which NumPy warns of
    assert layer.get_weights()[1].all()


def test_set_weights_shortens_what_it_shows():
    with raises(
        ValueError,
        'You called `set_weights(weights)` on layer "l" with a  weight list of length 1, but the layer was expecting '
        "0 weights. Provided weights: ['" + "x" * 48 + "...",
    ):
        Layer(name="l").set_weights(["x" * 100])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_whole_and_separate(duplicate):
    layer = Embedding(6, 2, embeddings_initializer=initializers.RandomNormal(seed=1), mask_zero=True, input_length=3)
    layer(np.zeros((1, 3), int))
    other = duplicate(layer)
    assert other.get_config() == layer.get_config()
    np.testing.assert_array_equal(other(np.array([[1, 2, 3]])), layer(np.array([[1, 2, 3]])))
    other.set_weights([np.zeros((6, 2))])
    assert not other.embeddings.any()
    assert other.weights[0].value is other.embeddings
    assert layer.embeddings.any()


def test_copies_of_unbuilt_layers_keep_their_weights_for_later():
    layer = copy.deepcopy(Scale(weights=[np.array([2.0, 3.0])]))
    np.testing.assert_array_equal(layer(ROWS), ROWS * np.array([2, 3], np.float32))


def test_config_of_a_later_keras_is_read():
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    layer = deserialize(
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"batch_shape": [None, 3], "dtype": policy, "sparse": False, "ragged": False, "optional": False},
            "registered_name": None,
        }
    )
    assert isinstance(layer, InputLayer)
    assert (layer.batch_input_shape, layer.dtype, layer.name) == ((None, 3), "float32", "input_1")


def test_config_of_a_later_keras_with_a_meaning_we_lack_is_refused():
    with pytest.raises(TypeError) as caught:
        Embedding.from_config({"input_dim": 6, "output_dim": 2, "quantization_config": {"mode": "int8"}})
    assert caught.value.args == ("Keyword argument not understood:", "quantization_config")


def test_input_layer_refuses_sparse_inputs():
    with raises(ValueError, "`sparse` must be False: inputs are dense arrays. Received: True."):
        InputLayer((3,), sparse=True)
