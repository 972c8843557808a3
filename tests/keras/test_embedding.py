"""Embedding: ids to rows, masks, and what its arguments may be, beyond what `test_recorded_layers` compares."""

import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fastembed import backend, initializers
from fastembed.layers import Embedding
from fastembed.models import Sequential, model_from_json

from .helpers import raises

DATA = Path(__file__).parent / "data"
W = (np.arange(12).reshape(6, 2) / 10).astype(np.float32)


@pytest.fixture(autouse=True)
def _session():
    backend.clear_session()


def embedding(**kwargs):
    return Embedding(6, 2, weights=[W], **kwargs)


SHAPED_IDS = [
    np.array(3),
    np.array([1, 2, 3]),
    np.array([[1, 2], [5, 0]]),
    np.array([[[1, 2], [5, 0]]]),
    np.zeros((0, 3), int),
    np.zeros((4, 0), int),
]


@pytest.mark.parametrize("ids", SHAPED_IDS, ids=lambda ids: str(ids.shape))
def test_call_gives_the_rows_of_ids_of_any_shape(ids):
    layer = embedding()
    for _ in range(2):  # the call that builds, and one on the built layer
        rows = layer(ids)
        assert rows.dtype == np.float32
        assert rows.shape == (*ids.shape, 2)
        np.testing.assert_array_equal(rows, W[ids])


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", "f2", "f4", "f8"])
def test_call_takes_every_integer_dtype_and_whole_floats(dtype):
    ids = np.array([[1, 2], [5, 0]], dtype)
    layer = embedding()
    for _ in range(2):
        np.testing.assert_array_equal(layer(ids), W[ids.astype(int)])
    np.testing.assert_array_equal(layer.call(ids), W[ids.astype(int)])
    np.testing.assert_array_equal(Sequential([layer]).predict(ids), W[ids.astype(int)])


@pytest.mark.parametrize("ids", [[[1, 2], [5, 0]], [], 3, [1.0, 2.0], [[]], (1, 2)])
def test_call_takes_lists_and_numbers(ids):
    layer = embedding()
    for _ in range(2):
        np.testing.assert_array_equal(layer(ids), W[np.asarray(ids, int)])


def test_call_does_not_modify_ids():
    ids = np.array([[1.0, 2.0]])
    ids.flags.writeable = False
    np.testing.assert_array_equal(embedding()(ids), W[[[1, 2]]])


@pytest.mark.parametrize(
    ("value", "shown"), [(1.9, "1.9"), (0.9999, "0.9999"), (-0.9, "-0.9"), (np.nan, "nan"), (np.inf, "inf")]
)
def test_call_refuses_floats_that_are_no_whole_numbers(value, shown):
    layer = embedding()
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"^indices\[0,1\] = {re.escape(shown)} is no id: "):
            layer(np.array([[0.0, value]]))


@pytest.mark.parametrize("value", [-1, 6, 2**31, 2**32 + 1, -(2**40)])
@pytest.mark.parametrize("dtype", ["i8", "f8"])
def test_call_refuses_ids_outside_the_table(value, dtype):
    layer = embedding()
    for _ in range(2):
        with pytest.raises(IndexError) as caught:
            layer(np.array([[0, value], [value, 0]], dtype))
        assert str(caught.value).startswith(f"indices[0,1] = {value} is not in [0, 6): ")
    with pytest.raises(IndexError) as caught:
        Sequential([layer]).predict(np.array([[0, value]], dtype))
    assert str(caught.value).startswith(f"indices[0,1] = {value} is not in [0, 6): ")


def test_call_on_a_table_without_rows_refuses_every_id():
    with pytest.raises(IndexError, match=r"^indices\[0,0\] = 0 is not in \[0, 0\): the table has no rows\.$"):
        Embedding(0, 2)(np.array([[0]]))


@pytest.mark.parametrize("ids", [np.array([True, False]), [True], np.array(["a"])], ids=["bool", "list", "str"])
def test_call_refuses_what_is_no_number(ids):
    layer = embedding()
    for _ in range(2):
        with pytest.raises(TypeError, match=r"^`ids` must be integers\. Received: dtype"):
            layer(ids)


def test_call_refuses_masked_arrays():
    layer = embedding()
    for _ in range(2):
        with pytest.raises(TypeError, match="a masked array"):
            layer(np.ma.masked_array([1, 2], [True, False]))


def test_ids_beyond_float32_reach_their_rows_through_predict():
    num_rows = 2**24 + 4
    table = np.zeros((num_rows, 1), np.float32)
    ids = np.array([[2**24 - 1, 2**24, 2**24 + 1, 2**24 + 3]])
    table[ids[0], 0] = [1, 2, 3, 4]
    model = Sequential([Embedding(num_rows, 1, weights=[table])])
    np.testing.assert_array_equal(model.predict(ids)[0, :, 0], [1, 2, 3, 4])
    model.add(Embedding(5, 1, embeddings_initializer=lambda shape: np.arange(5.0)[:, None]))
    np.testing.assert_array_equal(model.predict(ids)[0, :, 0, 0], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("length", "shape"), [(3, (2, 4)), (3, (3,)), (3, ()), ((2, 3), (1, 2, 4)), ((2, None), (1, 3, 3))]
)
def test_call_checks_input_length(length, shape):
    layer = embedding(input_length=length)
    for _ in range(2):
        with raises(ValueError, f'"input_length" is {length}, but received input has shape {shape}'):
            layer(np.zeros(shape, int))
    good = (5, *[size or 7 for size in (length if isinstance(length, tuple) else (length,))])
    for _ in range(2):
        assert layer(np.zeros(good, int)).shape == (*good, 2)
    with pytest.raises(ValueError, match=r"^.input_length. is"):
        layer(np.zeros(shape, int))


@pytest.mark.parametrize("length", [(2, 3), [2, 3]])
def test_input_length_of_two_axes_begins_a_model(length):
    layer = embedding(input_length=length)
    assert layer.batch_input_shape == (None, 2, 3)
    model = Sequential([layer])
    assert model.output_shape == (None, 2, 3, 2)
    assert model.predict(np.zeros((5, 2, 3), int)).shape == (5, 2, 3, 2)


def test_input_length_with_none_is_not_modified():
    length = [None, 3]
    layer = embedding(input_length=length)
    assert layer.compute_output_shape((5, 7, 3)) == (5, 7, 3, 2)
    assert length == [None, 3]
    assert layer.get_config()["input_length"] == [None, 3]
    assert layer.compute_output_shape((5, 9, 3)) == (5, 9, 3, 2)


def test_input_length_as_numpy_integer_prints_as_int():
    layer = embedding(input_length=np.int64(3))
    assert str(layer.batch_input_shape) == "(None, 3)"
    assert str(layer.compute_output_shape((None, 3))) == "(None, 3, 2)"


@pytest.mark.parametrize("ids", SHAPED_IDS, ids=lambda ids: str(ids.shape))
def test_compute_mask_is_where_ids_are_not_0(ids):
    mask = embedding(mask_zero=True).compute_mask(ids)
    assert isinstance(mask, np.ndarray)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, ids != 0)


def test_compute_mask_counts_negative_and_fractional_ids():
    layer = embedding(mask_zero=True)
    np.testing.assert_array_equal(layer.compute_mask([[-1.0, 0.5, 0.0, -0.0]]), [[True, True, False, False]])


def test_compute_mask_ignores_the_mask_that_comes_in():
    layer = embedding(mask_zero=True)
    np.testing.assert_array_equal(layer.compute_mask([1, 0], mask=np.array([False, False])), [True, False])


@pytest.mark.parametrize("mask_zero", [False, 0, None])
def test_compute_mask_without_mask_zero_is_none(mask_zero):
    assert embedding(mask_zero=mask_zero).compute_mask([1, 0]) is None


@pytest.mark.parametrize(("ids", "dtype"), [([True], "bool"), (["a"], "<U1")])
def test_compute_mask_refuses_what_is_no_number(ids, dtype):
    with raises(TypeError, f"`ids` must be integers. Received: dtype {dtype}."):
        embedding(mask_zero=True).compute_mask(np.array(ids))


def test_call_with_a_mask_ignores_it():
    layer = embedding()
    for _ in range(2):
        np.testing.assert_array_equal(layer([1, 2], mask=np.array([True, False])), W[[1, 2]])


@pytest.mark.parametrize("name", ["input_dim", "output_dim"])
@pytest.mark.parametrize("value", [-1, 6.0, 6.5, np.float32(2), np.int64(-3), float("nan")])
def test_dims_that_are_no_sizes_are_refused(name, value):
    with raises(ValueError, f"`{name}` must be an integer >= 0. Received: {value!r}."):
        Embedding(**{"input_dim": 6, "output_dim": 2, name: value})


@pytest.mark.parametrize("name", ["input_dim", "output_dim"])
@pytest.mark.parametrize(("value", "kind"), [(True, "bool"), ("6", "str"), (None, "NoneType"), ([6], "list")])
def test_dims_that_are_no_numbers_are_refused(name, value, kind):
    with raises(TypeError, f"`{name}` must be an integer >= 0. Received: {value!r} ({kind})."):
        Embedding(**{"input_dim": 6, "output_dim": 2, name: value})


def test_numpy_dims_become_int():
    layer = Embedding(np.int64(6), np.uint8(2))
    assert (layer.input_dim, layer.output_dim) == (6, 2)
    assert type(layer.input_dim) is type(layer.output_dim) is int


def test_output_dim_0_gives_empty_rows():
    assert Embedding(6, 0)(np.array([[1, 2]])).shape == (1, 2, 0)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "foo"])
def test_dtype_is_kept_and_refused_when_the_table_is_made(dtype):
    layer = Embedding(6, 2, dtype=dtype)
    assert layer.dtype == layer.get_config()["dtype"] == dtype
    with raises(
        ValueError,
        f'The dtype of layer "embedding_1" must be float32: tables are float32. Received: {dtype!r}.',
    ):
        layer.build(None)
    assert not layer.built


def test_input_dtype_is_not_the_tables():
    layer = embedding(input_dtype="int32")
    assert layer.dtype == "int32"
    np.testing.assert_array_equal(layer([1]), W[[1]])
    again = Embedding.from_config(layer.get_config())
    assert again([1]).dtype == np.float32


def test_weights_are_applied_by_a_manual_build():
    layer = embedding()
    layer.build(None)
    np.testing.assert_array_equal(layer.embeddings, W)


def test_second_build_keeps_the_table():
    layer = Embedding(6, 2)
    layer.build(None)
    table = layer.embeddings
    layer.build((None, 3))
    assert layer.embeddings is table
    assert len(layer.weights) == 1


def test_weights_that_do_not_fit_leave_the_layer_unbuilt():
    layer = Embedding(6, 2, weights=[W.T])
    with raises(ValueError, "Layer weight shape (6, 2) not compatible with provided weight shape (2, 6)"):
        layer.build(None)
    assert not layer.built
    assert layer.weights == []


@pytest.mark.parametrize(
    "given", [W.astype(np.float64), np.asfortranarray(W), W[::-1][::-1], (W * 10).astype(int) / 10], ids=str
)
def test_weights_of_any_layout_become_an_exact_table(given):
    layer = Embedding(6, 2, weights=[given])
    layer.build(None)
    assert layer.embeddings.flags.c_contiguous
    assert layer.embeddings.dtype == np.float32
    np.testing.assert_array_equal(layer.embeddings, given.astype(np.float32))


def test_embeddings_is_the_one_table():
    layer = embedding()
    layer.build(None)
    assert type(layer.embeddings) is np.ndarray
    assert layer.weights[0].value is layer.embeddings
    table = layer.embeddings
    layer.set_weights([W * 2])
    assert layer.embeddings is table
    np.testing.assert_array_equal(layer([5]), W[[5]] * 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_cost_one_table_and_set_weights_none(dtype):
    given = np.ones((100_000, 16), dtype)
    size = given.size * 4
    tracemalloc.start()
    try:
        layer = Embedding(*given.shape, weights=[given])
        layer.build(None)
        assert tracemalloc.get_traced_memory()[1] < 1.1 * size
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        layer.set_weights([given])
        assert tracemalloc.get_traced_memory()[1] - before < 0.1 * size
    finally:
        tracemalloc.stop()


def test_initializer_table_is_made_without_a_second_one():
    tracemalloc.start()
    try:
        layer = Embedding(100_000, 16)
        layer.build(None)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * layer.embeddings.nbytes
    finally:
        tracemalloc.stop()


def test_built_layer_lets_go_of_the_given_weights():
    layer = embedding()
    layer.build(None)
    assert layer._initial_weights is None


def test_np_random_seed_repeats_the_table():
    tables = []
    for _ in range(2):
        np.random.seed(7)
        layer = Embedding(6, 2)
        layer.build(None)
        tables.append(layer.embeddings)
    np.testing.assert_array_equal(*tables)


def test_regularizer_gives_a_loss_frozen_or_not():
    layer = Embedding(6, 2, weights=[W], embeddings_regularizer="l2", trainable=False)
    layer.build(None)
    assert layer.losses == pytest.approx([0.01 * float((W.astype(float) ** 2).sum())], rel=1e-6)  # float32 factor


def test_legacy_warning_points_at_the_caller():
    with pytest.warns(UserWarning, match="Keras 2 API") as caught:
        Embedding(6, 2, init="one")
    assert caught[0].filename == __file__


def test_subclass_call_is_used():
    class Doubled(Embedding):
        def call(self, inputs):
            return super().call(inputs) * 2

    layer = Doubled(6, 2, weights=[W])
    for _ in range(2):
        np.testing.assert_array_equal(layer([1, 2]), W[[1, 2]] * 2)
    np.testing.assert_array_equal(Sequential([layer]).predict(np.array([[1, 2]])), W[[[1, 2]]] * 2)


@pytest.mark.parametrize("version", ["k224", "tfk221", "k315"])
def test_model_json_of_every_keras_is_read(version):
    model = model_from_json((DATA / f"model_{version}.json").read_text())
    (layer,) = model.layers
    assert model.name == "seq"
    assert model.output_shape == (None, 3, 2)
    assert (layer.name, layer.dtype, layer.trainable) == ("embedding", "float32", True)
    assert initializers.serialize(layer.embeddings_initializer) == {
        "class_name": "RandomUniform",
        "config": {"minval": -0.05, "maxval": 0.05, "seed": None},
    }
    assert model.predict(np.array([[1, 2, 3]])).shape == (1, 3, 2)
    # and written as Keras 2.2.4 writes it
    assert list(json.loads(model.to_json())) == ["class_name", "config", "keras_version", "backend"]
