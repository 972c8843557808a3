"""Layers and models do to the letter what the real Keras 2.2.4 does, but for the differences listed here."""

import json
from pathlib import Path

import pytest

from fastembed import backend, initializers, layers, losses, metrics, models, optimizers

from .model_probes import PROBES, observe

DATA = Path(__file__).parent / "data"
RECORDED = json.loads((DATA / "layers_k224.json").read_text())
NAMESPACE = {
    "backend": backend,
    "initializers": initializers,
    "layers": layers,
    "models": models,
    "Embedding": layers.Embedding,
    "InputLayer": layers.InputLayer,
    "InputSpec": layers.InputSpec,
    "Layer": layers.Layer,
    "Sequential": models.Sequential,
}


def result(text):
    return {"result": text, "printed": "", "warnings": []}


def error(kind, *args):
    return {"error": {"type": kind, "args": list(args)}, "printed": "", "warnings": []}


UNKNOWN_LOSS = error("ValueError", "Unknown loss function:foo")
INPUT_LAYER = ["self", "input_shape=None", "batch_size=None", "batch_input_shape=None", "dtype=None"]
COMPILE = ["self", "optimizer", "loss=None", "metrics=None", "loss_weights=None", "sample_weight_mode=None"]
MODEL_SIGNATURES = [
    ["self", "layers=None", "name=None"],
    ["self", "layer"],
    ["self", "input_shape=None"],
    ["self"],
    ["self", "name=None", "index=None"],
    ["self", "line_length=None", "positions=None", "print_fn=None"],
    [*COMPILE, "weighted_metrics=None", "target_tensors=None"],
    ["self", "kwargs"],
    ["config", "custom_objects=None"],
]

DIFFERS = {
    # Python's own words, which name the class since 3.10
    "layer.positional": error("TypeError", "Layer.__init__() takes 1 positional argument but 2 were given"),
    "predict.unknown": error("TypeError", "Sequential.predict() got an unexpected keyword argument 'foo'"),
    "sequential.input_layer_unknown": error(
        "TypeError", "InputLayer.__init__() got an unexpected keyword argument 'foo'"
    ),
    "compile.no_arguments": error(
        "TypeError", "BatchTrainer.compile() missing 1 required positional argument: 'optimizer'"
    ),
    "sequential.add_class": error(
        "TypeError",
        "The added layer must be an instance of class Layer. Found: <class 'fastembed.layers.embedding.Embedding'>",
    ),
    # a weight has its layer's name whoever builds the layer: in Keras a TensorFlow scope that only a call opens
    "name.weight_manual_build": result("['embedding_1/embeddings:0']"),
    "layer.add_weight": result(
        "(['l/a:0', 'l/c:0', 'l/b:0'], ['l/a:0', 'l/c:0'], ['l/b:0'], [array([[1., 1., 1.],\n       [1., 1., 1.]], "
        "dtype=float32), array([1.], dtype=float32), array([0., 0., 0.], dtype=float32)])"
    ),
    "layer.add_weight_frozen": result("(['l/a:0', 'l/b:0'], [], ['l/a:0', 'l/b:0'])"),
    "layer.add_weight_scalar": result("[array(1., dtype=float32)]"),
    # no tensors: no steps, no input tensor, no arguments for TensorFlow's session, no names of its scopes
    "predict.none_steps": error(
        "ValueError", "If predicting from data tensors, you should specify the `steps` argument."
    ),
    "sequential.input_layer_signature": result(repr([*INPUT_LAYER, "sparse=False", "name=None"])),
    "sequential.model_signature": result(repr(MODEL_SIGNATURES)),
    "compile.unknown_kwarg": error("TypeError", "BatchTrainer.compile() got an unexpected keyword argument 'foo'"),
    "compile.metrics_callable": result("None"),
    "corner.call_on_number": result("None"),
    "corner.input_spec_dtype": result("None"),
    "corner.input_spec_list_of_two": error(
        "ValueError",
        "Layer l expects 2 inputs, but it received 1 input tensors. Input received: one of shape (None, None, 2)",
    ),
    "predict.mask_refused": error(
        "TypeError", "Layer plain does not support masking, but was passed an input_mask: [[False]]"
    ),
    # an error of TensorFlow's, or none
    "predict.no_layers": error("ValueError", "There are no layers in the model: add() one before predict()."),
    "model_weights.set_wrong_shape": error(
        "ValueError", "Layer weight shape (6, 2) not compatible with provided weight shape (2, 6)"
    ),
    "corner.set_weights_count": error(
        "ValueError",
        'You called `set_weights(weights)` on layer "m" with a  weight list of length 0, but the layer was expecting '
        "1 weights. Provided weights: []...",
    ),
    "get_layer.one": error("ValueError", "No such layer: 1"),
    # ids are integers: neither strings nor bool
    "corner.predict_strings": error(
        "TypeError", "`ids` must be integers. Received: dtype <U1; convert them to an integer dtype."
    ),
    "corner.predict_bool": error(
        "TypeError",
        "`ids` must be integers. Received: dtype bool; a mask is no array of ids; np.flatnonzero(mask) gives the ids "
        "where it is True.",
    ),
    # a loss's name is checked at once, not when the model is built
    "compile.deferred_bad_loss": UNKNOWN_LOSS,
    "compile.deferred_bad_then_build": UNKNOWN_LOSS,
    "compile.deferred_bad_then_predict": UNKNOWN_LOSS,
    # a model that lost all its layers begins anew
    "sequential.pop_last_add": result("(True, (None, None, 3), ['embedding_2_input'])"),
    # a model without an input shape takes a 1-D array as one with a shape does
    "corner.deferred_one_d": result("array([[1.],\n       [2.]], dtype=float32)"),
    "corner.deferred_ints": result("array([[1.],\n       [2.]], dtype=float32)"),
    # a nested model's own input shape counts, not its first layer's
    "corner.nested_input_layer": result("((None, 3), (None, 3, 2))"),
    # the penalty of outputs comes with training
    "corner.activity_regularizer": result("0"),
}


@pytest.mark.parametrize("name", PROBES)
def test_layers_and_models_do_what_keras_does(name):
    seen = observe(PROBES[name], NAMESPACE)
    assert seen == DIFFERS.get(name, RECORDED[name])


def test_every_difference_is_one():
    assert [name for name in DIFFERS if DIFFERS[name] == RECORDED[name]] == []


def test_compile_knows_exactly_the_names_keras_knows():
    names = json.loads((DATA / "names_k224.json").read_text())
    ours = {"rowwiseadagrad"}  # documented as not Keras's
    assert sorted(set(optimizers._NAMES) - ours) == sorted(names["optimizers"])
    assert sorted(losses._NAMES) == names["losses"]
    assert sorted(metrics._NAMES) == names["metrics"]
