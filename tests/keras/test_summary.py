"""summary: what `test_recorded_layers` compares with Keras, here as one sees it, and what it leaves out."""

import numpy as np
import pytest

from fastembed import backend
from fastembed.layers import Embedding, Layer
from fastembed.models import Sequential

from .helpers import raises


@pytest.fixture(autouse=True)
def _session():
    backend.clear_session()


def test_summary_prints_the_table_to_the_byte(capsys):
    model = Sequential([Embedding(1000, 8, input_length=5), Embedding(1000, 8, name="a" * 17, trainable=False)])
    assert model.summary() is None
    assert capsys.readouterr().out == (
        "_________________________________________________________________\n"
        "Layer (type)                 Output Shape              Param #   \n"
        "=================================================================\n"
        "embedding_1 (Embedding)      (None, 5, 8)              8000      \n"
        "_________________________________________________________________\n"
        "aaaaaaaaaaaaaaaaa (Embedding (None, 5, 8, 8)           8000      \n"
        "=================================================================\n"
        "Total params: 16,000\n"
        "Trainable params: 8,000\n"
        "Non-trainable params: 8,000\n"
        "_________________________________________________________________\n"
    )


def test_summary_cuts_the_output_shape_at_its_column(capsys):
    Sequential([Layer(input_shape=(10**9, 10**9), name="l")]).summary()
    row = capsys.readouterr().out.splitlines()[3]
    assert row == "l (Layer)                    (None, 1000000000, 100000 0         "


def test_summary_gives_print_fn_each_line():
    lines = []
    Sequential([Embedding(10, 8)]).summary(line_length=40, positions=[0.5, 0.75, 1.0], print_fn=lines.append)
    assert lines == [
        "_" * 40,
        "Layer (type)        Output Sh Param #   ",
        "=" * 40,
        "embedding_1 (Embedd (None, No 80        ",
        "=" * 40,
        "Total params: 80",
        "Trainable params: 80",
        "Non-trainable params: 0",
        "_" * 40,
    ]


def test_summary_of_an_unbuilt_model_is_refused():
    with raises(
        ValueError,
        "This model has not yet been built. Build the model first by calling build() or calling fit() with some data. "
        "Or specify input_shape or batch_input_shape in the first layer for automatic build. ",
    ):
        Sequential([Layer()]).summary()


def test_summary_of_a_model_built_later_is_printed(capsys):
    model = Sequential([Layer(name="l")])
    model.predict(np.zeros((2, 3)))
    model.summary()
    assert (
        capsys.readouterr().out.splitlines()[3] == "l (Layer)                    (None, 3)                 0         "
    )


def test_summary_after_a_toggle_warns_where_it_was_called():
    model = Sequential([Embedding(6, 2)])
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    with pytest.warns(UserWarning, match="^Discrepancy between trainable weights") as caught:
        model.summary(print_fn=lambda line: None)
    assert caught[0].filename == __file__
