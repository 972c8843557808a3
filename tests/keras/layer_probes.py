"""Small scripts that run alike on the real Keras 2.2.4 and on fastembed; what each gives is compared.

A probe is a few lines that may set `result`. `observe` runs one and returns everything a user could see of it: the
result's repr, the lines printed, the warnings, or the exception's type and arguments.
`record_layers_k224.py` writes what Keras says into data/; tests read only that. Python 3.7 reads this file too.
"""

# ruff: noqa: E501

import contextlib
import inspect
import io
import re
import textwrap
import warnings

import numpy as np

PROBES = {}


def group(prefix, **scripts):
    for name, script in scripts.items():
        PROBES[prefix + "." + name] = textwrap.dedent(script).strip()


group(
    "ctor",
    pos3="Embedding(6, 2, 'uniform')",
    pos8="Embedding(6, 2, 'uniform', None, None, None, True, 3)",
    unknown="Embedding(6, 2, foo=1)",
    unknown_two="Embedding(6, 2, foo=1, bar=2)",
    unknown_training="Embedding(6, 2, training=True)",
    keywords="e = Embedding(input_dim=6, output_dim=2); result = e.input_dim, e.output_dim",
    swapped="e = Embedding(output_dim=6, input_dim=2); result = e.input_dim, e.output_dim",
    one_positional="e = Embedding(6, output_dim=2); result = e.input_dim, e.output_dim",
    signature="result = signature(Embedding.__init__)",
    np_dims="e = Embedding(np.int64(6), np.int32(2)); e.build(None); result = e.get_weights()[0].shape",
    output_dim0="e = Embedding(6, 0); e.build(None); result = e.get_weights()[0].shape",
    unknown_initializer="Embedding(6, 2, embeddings_initializer='foo')",
    unknown_initializer_with_weights="Embedding(6, 2, embeddings_initializer='foo', weights=[W])",
    initializer_none="Embedding(6, 2, embeddings_initializer=None)",
    initializer_number="Embedding(6, 2, embeddings_initializer=5)",
    unknown_regularizer="Embedding(6, 2, embeddings_regularizer='foo')",
    unknown_activity_regularizer="Embedding(6, 2, activity_regularizer='foo')",
    unknown_constraint="Embedding(6, 2, embeddings_constraint='foo')",
    attributes="""
        e = Embedding(6, 2, mask_zero=True, input_length=3)
        result = (e.input_dim, e.output_dim, e.mask_zero, e.input_length, e.input_spec, e.supports_masking, e.stateful,
                  e.trainable, e.built, e.updates, e.losses, e.weights, e.dtype, e.batch_input_shape)
    """,
    mask_zero_raw="result = Embedding(6, 2, mask_zero='yes').supports_masking",
    activity_regularizer="result = Embedding(6, 2).activity_regularizer",
)

group(
    "legacy",
    dropout="Embedding(6, 2, dropout=0.3)",
    dropout_pos3="Embedding(6, 2, 'uniform', dropout=0.3)",
    init="result = type(Embedding(6, 2, init='normal').embeddings_initializer).__name__",
    w_regularizer="result = type(Embedding(6, 2, W_regularizer='l1').embeddings_regularizer).__name__",
    w_constraint="result = type(Embedding(6, 2, W_constraint='maxnorm').embeddings_constraint).__name__",
    several="""
        Embedding(input_dim=4, W_constraint='maxnorm', name='d', init='zero', weights=np.zeros((4, 2)), output_dim=2,
                  W_regularizer='l2')
    """,
    long_value="Embedding(6, 2, init='one', input_shape=(1234, 5678, 9))",
    weights_list="Embedding(6, 2, init='one', weights=[np.zeros((6, 2))])",
    none_value="Embedding(6, 2, init='one', input_length=None, trainable=False)",
    np_dims="Embedding(np.int64(6), 2, init='one')",
    object_value="Embedding(6, 2, init='one', name='abcdefghijklmnop', dtype='float32', batch_size=12345678901)",
    both="Embedding(6, 2, init='one', embeddings_initializer='zero')",
    both_none="Embedding(6, 2, init='one', embeddings_initializer=None)",
    both_regularizer="Embedding(6, 2, W_regularizer='l1', embeddings_regularizer='l2')",
    dropout_and_init="Embedding(6, 2, dropout=0.1, init='one')",
    init_none="Embedding(6, 2, init=None)",
    with_unknown="Embedding(6, 2, init='one', foo=3)",
    init_and_pos3="Embedding(6, 2, 'uniform', init='one')",
    subclass="""
        class Mine(Embedding):
            pass
        result = Mine(6, 2, init='one').name
    """,
)

SHAPES = {
    "none": "",
    "length3": "input_length=3",
    "length0": "input_length=0",
    "shape_and_length": "input_shape=(7,), input_length=3",
    "batch_and_shape": "batch_input_shape=(5, 7), input_shape=(9,)",
    "batch_and_size": "batch_input_shape=(5, 7), batch_size=2",
    "size": "batch_size=4",
    "size_and_length": "batch_size=4, input_length=3",
    "size_and_shape": "batch_size=4, input_shape=(9,)",
    "list_shape": "input_shape=[3]",
    "list_batch": "batch_input_shape=[None, 3]",
    "int_shape": "input_shape=7",
    "none_shape": "input_shape=None",
    "none_batch": "batch_input_shape=None",
    "empty_shape": "input_shape=()",
}
group(
    "shape_kw",
    **{name: f"result = Embedding(6, 2, {kwargs}).batch_input_shape" for name, kwargs in SHAPES.items()},
)
group(
    "shape_kw",
    add_conflict="Sequential().add(Embedding(6, 2, input_shape=(7,), input_length=3))",
    add_list="Sequential([Embedding(6, 2, input_shape=(7,), input_length=3)])",
    bis_batch_mismatch="""
        m = Sequential([Embedding(6, 2, batch_input_shape=(2, 3))])
        result = m.predict(np.zeros((4, 3))).shape
    """,
    dtype="result = [Embedding(6, 2, **k).dtype for k in ({}, {'dtype': 'float64'}, {'input_dtype': 'int32'}, "
    "{'dtype': None, 'input_dtype': 'int64'}, {'dtype': 'foo'})]",
    dtype_class="result = Embedding(6, 2, dtype=np.float32).dtype",
    layer_shape="l = Layer(input_shape=(3,)); result = l.batch_input_shape, l.dtype",
    layer_batch_size_alone="result = hasattr(Layer(batch_size=3), 'batch_input_shape')",
)

group(
    "weights",
    bare="e = Embedding(6, 2, weights=W); Sequential([e])",
    bare_named="e = Embedding(6, 2, weights=W, name='bare'); Sequential([e])",
    list="e = Embedding(6, 2, weights=[W]); Sequential([e]); result = e.get_weights()",
    tuple="e = Embedding(6, 2, weights=(W,)); Sequential([e]); result = e.get_weights()",
    three_d="e = Embedding(6, 2, weights=W[None]); Sequential([e]); result = e.get_weights()",
    wrong_shape="Sequential([Embedding(6, 2, weights=[W.T])])",
    wrong_shape_ctor="result = Embedding(6, 2, weights=[W.T]).get_weights()",
    wrong_rank="Sequential([Embedding(6, 2, weights=[W[0]])])",
    lists="Sequential([Embedding(6, 2, weights=[W.tolist()])])",
    empty="Sequential([Embedding(6, 2, weights=[])])",
    two="Sequential([Embedding(6, 2, weights=[W, W], name='two')])",
    none="e = Embedding(6, 2, weights=None); Sequential([e]); result = e.get_weights()[0].shape",
    integers="e = Embedding(6, 2, weights=[np.arange(12).reshape(6, 2)]); Sequential([e]); result = e.get_weights()",
    number="Sequential([Embedding(6, 2, weights=5)])",
    no_alias="""
        w = np.ones((6, 2), 'float32')
        e = Embedding(6, 2, weights=[w])
        Sequential([e])
        w[:] = 5
        result = e.get_weights()[0][0]
    """,
    not_in_config="result = 'weights' in Embedding(6, 2, weights=[W]).get_config()",
    before_call="result = Embedding(6, 2, weights=[W]).get_weights()",
    one_draw="""
        np.random.seed(3)
        Sequential([Embedding(6, 2, weights=[W])])
        result = np.random.rand()
    """,
    no_draw_zeros="""
        np.random.seed(3)
        Sequential([Embedding(6, 2, weights=[W], embeddings_initializer='zeros')])
        result = np.random.rand()
    """,
    one_draw_without="""
        np.random.seed(3)
        Sequential([Embedding(6, 2)])
        result = np.random.rand()
    """,
    no_draw_seeded="""
        np.random.seed(3)
        Sequential([Embedding(6, 2, embeddings_initializer=initializers.RandomNormal(seed=1), weights=[W])])
        result = np.random.rand()
    """,
)

group(
    "name",
    auto="result = [Embedding(6, 2).name for _ in range(3)]",
    explicit="result = [Embedding(6, 2, name='a').name, Embedding(6, 2).name]",
    empty="result = [Embedding(6, 2, name='').name, Embedding(6, 2, name=None).name]",
    shared_uid="Embedding(6, 2); result = backend.get_uid('Embedding'), Embedding(6, 2).name",
    uid="result = backend.get_uid('x'), backend.get_uid('x'), backend.get_uid(), backend.get_uid('')",
    clear="Embedding(6, 2); backend.clear_session(); result = Embedding(6, 2).name",
    reset="Embedding(6, 2); backend.reset_uids(); result = Embedding(6, 2).name",
    snake="""
        names = 'MyHTTPEmbedding2D _Priv GlobalAveragePooling1D Embedding LSTM MyLayer myLayer A AB ABc X1 _ABC __x HTTPServer2Go'
        result = [type(n, (Layer,), {})().name for n in names.split()]
    """,
    models="result = [Sequential().name, Sequential().name, Sequential(name='m').name, Sequential([], 'n').name]",
    weight="""
        e = Embedding(6, 2)
        f = Embedding(6, 2, name='mine')
        Sequential([e, ]); Sequential([f])
        result = [w.name for w in e.weights + f.weights]
    """,
    weight_manual_build="e = Embedding(6, 2); e.build(None); result = [w.name for w in e.weights]",
    input_name="result = Sequential([Embedding(6, 2, name='emb')]).input_names",
    duplicate="Sequential([Embedding(6, 2, name='x'), Plus(name='x')])",
    duplicate_add="m = Sequential([Embedding(6, 2, name='x')]); m.add(Plus(name='x'))",
    duplicate_thrice="Sequential([Embedding(6, 2, name='x'), Plus(name='y'), Plus(name='y')])",
    slash="result = Embedding(6, 2, name='a/b').name",
)

group(
    "layer",
    base_config="result = Layer().get_config(), Layer(name='n', trainable=0).get_config()",
    base_config_shape="result = Layer(input_shape=(3,)).get_config(), Layer(batch_input_shape=[2, 3], dtype='int32').get_config()",
    unknown="Layer(foo=1)",
    positional="Layer(1)",
    trainable_raw="result = [Layer(trainable=t).trainable for t in (0, None, 'no', True)]",
    from_config="l = Plus.from_config({'name': 'p', 'trainable': False}); result = l.name, l.trainable",
    from_config_unknown="Plus.from_config({'name': 'p', 'foo': 1})",
    count_params_unbuilt="Layer(name='emb').count_params()",
    output_shape_unbuilt="Layer(name='emb').output_shape",
    input_shape_unbuilt="Layer(name='emb').input_shape",
    get_output_shape_at_unbuilt="Layer(name='emb').get_output_shape_at(0)",
    get_input_shape_at_unbuilt="Layer(name='emb').get_input_shape_at(0)",
    set_nothing="l = Layer(); l.set_weights([]); result = l.get_weights(), l.weights",
    set_one="Layer(name='emb').set_weights([W])",
    set_not_list="Layer(name='emb').set_weights(5)",
    set_string="Layer(name='emb').set_weights('abc')",
    compute_output_shape="result = Layer().compute_output_shape((None, 3))",
    compute_mask_none="result = Layer().compute_mask(None), Layer().compute_mask(None, None)",
    compute_mask_refused="Layer(name='f').compute_mask(None, 'MASK')",
    compute_mask_list="Layer(name='f').compute_mask([None, None], [None, 'MASK'])",
    compute_mask_list_nones="result = Layer(name='f').compute_mask([None, None], [None, None])",
    compute_mask_supported="l = Layer(); l.supports_masking = True; result = l.compute_mask(None, 'MASK')",
    built="l = Layer(); before = l.built; l.build((None, 3)); result = before, l.built",
    call_identity="result = Layer().call('x')",
    add_weight="""
        l = Layer(name='l')
        a = l.add_weight(name='a', shape=(2, 3), initializer='ones')
        b = l.add_weight(name='b', shape=[3], initializer='zeros', trainable=False)
        c = l.add_weight('c', (1,), initializer='ones', trainable=True)
        result = ([w.name for w in l.weights], [w.name for w in l.trainable_weights],
                  [w.name for w in l.non_trainable_weights], l.get_weights())
    """,
    add_weight_frozen="""
        l = Layer(name='l', trainable=False)
        l.add_weight(name='b', shape=(3,), initializer='zeros', trainable=False)
        l.add_weight(name='a', shape=(2, 3), initializer='ones')
        result = ([w.name for w in l.weights], [w.name for w in l.trainable_weights],
                  [w.name for w in l.non_trainable_weights])
    """,
    add_weight_not_trainable="""
        l = Layer()
        l.add_weight(name='b', shape=(3,), initializer='zeros', trainable=False)
        l.trainable = True
        result = len(l.trainable_weights), len(l.non_trainable_weights)
    """,
    add_weight_default_initializer="l = Layer(); l.add_weight('k', (2, 2)); result = float(np.abs(l.get_weights()[0]).max()) < 1.3",
    add_weight_unknown_initializer="Layer().add_weight('k', (2, 2), initializer='foo')",
    add_weight_no_initializer="Layer().add_weight('k', (2, 2), initializer=None).shape",
    add_weight_signature="result = signature(Layer.add_weight)",
    add_weight_int_dtype="l = Layer(); l.add_weight('k', (2, 2), dtype='float32', initializer='zeros'); result = l.get_weights()",
    add_weight_scalar="l = Layer(); l.add_weight('k', (), initializer='ones'); result = l.get_weights()",
    weight_regularizer="""
        l = Layer()
        l.add_weight('k', (2, 2), initializer='ones', regularizer=lambda w: 3.0)
        result = len(l.losses)
    """,
    weight_regularizer_none="l = Layer(); l.add_weight('k', (2, 2), initializer='ones'); result = l.losses",
    embedding_regularizer_losses="""
        e = Embedding(6, 2, embeddings_regularizer='l2')
        before = len(e.losses)
        e.build(None)
        result = before, len(e.losses)
    """,
    input_spec="""
        class Two(Layer):
            def __init__(self, **kwargs):
                super(Two, self).__init__(**kwargs)
                self.input_spec = InputSpec(ndim=2)
        Sequential([Embedding(6, 2), Two(name='two')])
    """,
    input_spec_min="""
        class Four(Layer):
            def __init__(self, **kwargs):
                super(Four, self).__init__(**kwargs)
                self.input_spec = InputSpec(min_ndim=4)
        Sequential([Embedding(6, 2), Four(name='four')])
    """,
    input_spec_max="""
        class MaxTwo(Layer):
            def __init__(self, **kwargs):
                super(MaxTwo, self).__init__(**kwargs)
                self.input_spec = InputSpec(max_ndim=2)
        Sequential([Embedding(6, 2), MaxTwo(name='l')])
    """,
    input_spec_axes="""
        class Axes(Layer):
            def __init__(self, **kwargs):
                super(Axes, self).__init__(**kwargs)
                self.input_spec = InputSpec(axes={-1: 5})
        Sequential([Embedding(6, 2), Axes(name='l')])
    """,
    input_spec_shape="""
        class Shape(Layer):
            def __init__(self, **kwargs):
                super(Shape, self).__init__(**kwargs)
                self.input_spec = InputSpec(shape=(None, 4, 2))
        Sequential([Embedding(6, 2, input_length=3), Shape(name='l')])
    """,
    input_spec_fits="""
        class Fits(Layer):
            def __init__(self, **kwargs):
                super(Fits, self).__init__(**kwargs)
                self.input_spec = InputSpec(shape=(None, 3, 2), min_ndim=2, max_ndim=5, axes={-1: 2})
        result = Sequential([Embedding(6, 2, input_length=3), Fits(name='l')]).output_shape
    """,
    input_spec_repr="result = [InputSpec(ndim=2), InputSpec(shape=(None, 3)), InputSpec('int32', axes={1: 2}, min_ndim=1, max_ndim=3)]",
)

group(
    "state",
    before="""
        e = Embedding(6, 2)
        e.set_weights([])
        result = e.weights, e.get_weights(), e.trainable_weights, e.non_trainable_weights, e.built
    """,
    before_set="Embedding(6, 2, name='emb').set_weights([W])",
    before_embeddings="Embedding(6, 2).embeddings",
    before_count="Embedding(6, 2, name='emb').count_params()",
    before_output_shape="Embedding(6, 2).output_shape",
    before_input_shape="Embedding(6, 2).input_shape",
    build_none="e = Embedding(6, 2); e.build(None); result = e.built, e.count_params(), e.get_weights()[0].shape",
    build_in_add="m = Sequential(); e = Embedding(6, 2); m.add(e); result = e.built, m.built, len(m.weights)",
    shapes_in_add="m = Sequential(); e = Embedding(6, 2, input_length=3); m.add(e); result = e.input_shape, e.output_shape",
    shape_at="m = Sequential(); e = Embedding(6, 2, input_length=3); m.add(e); result = e.get_input_shape_at(0), e.get_output_shape_at(0)",
    shape_at_1="m = Sequential(); e = Embedding(6, 2, input_length=3, name='e'); m.add(e); e.get_output_shape_at(1)",
    set_wrong_shape="e = Embedding(6, 2); e.build(None); e.set_weights([W.T])",
    set_wrong_length="e = Embedding(6, 2, name='e'); e.build(None); e.set_weights([W, W])",
    set_empty="e = Embedding(6, 2, name='e'); e.build(None); e.set_weights([])",
    set_bare="e = Embedding(6, 2, name='e'); e.build(None); e.set_weights(W)",
    set_array3="e = Embedding(6, 2, name='e'); e.build(None); e.set_weights(W[None]); result = e.get_weights()",
    set_lists="e = Embedding(6, 2, name='e'); e.build(None); e.set_weights([W.tolist()])",
    set_float64="e = Embedding(6, 2, name='e'); e.build(None); e.set_weights([W]); result = e.get_weights()",
    copies="""
        e = Embedding(6, 2)
        e.build(None)
        e.set_weights([W])
        e.get_weights()[0][:] = 9
        result = e.get_weights()[0][1]
    """,
    toggle="""
        e = Embedding(6, 2)
        e.build(None)
        seen = [(len(e.trainable_weights), len(e.non_trainable_weights), e.count_params())]
        e.trainable = False
        seen.append((len(e.trainable_weights), len(e.non_trainable_weights), e.count_params()))
        result = seen
    """,
    frozen="""
        result = []
        for trainable in (0, None, 'no', False):
            e = Embedding(6, 2, trainable=trainable)
            e.build(None)
            result.append((len(e.trainable_weights), e.get_config()['trainable']))
    """,
    model_trainable="""
        e = Embedding(6, 2)
        m = Sequential([e])
        m.trainable = False
        result = (len(m.trainable_weights), len(m.non_trainable_weights), len(e.trainable_weights), e.trainable,
                  m.count_params())
    """,
    layer_frozen_in_model="""
        e = Embedding(6, 2)
        m = Sequential([e])
        e.trainable = False
        result = len(m.trainable_weights), len(m.non_trainable_weights)
    """,
)

group(
    "config",
    default="result = Embedding(6, 2).get_config()",
    full="""
        result = Embedding(6, 2, embeddings_initializer='zeros', embeddings_constraint='nonneg', mask_zero=True,
                           input_length=(2, 3), input_shape=(2, 3), name='n', trainable=False).get_config()
    """,
    roundtrip="c = Embedding(6, 2, input_length=3).get_config(); result = Embedding.from_config(c).get_config() == c",
    list_length="result = Embedding(6, 2, input_length=[3], input_shape=(3,)).get_config()['input_length']",
    unknown="Embedding.from_config({'input_dim': 6, 'output_dim': 2, 'foo': 3})",
    function="""
        def mine(shape, dtype=None):
            return np.zeros(shape)
        result = Embedding(6, 2, embeddings_initializer=mine).get_config()['embeddings_initializer']
    """,
    lambda_="result = Embedding(6, 2, embeddings_constraint=lambda w: w).get_config()['embeddings_constraint']",
    batch_size="result = Embedding(6, 2, batch_size=4, dtype='float64').get_config()",
    trainable_raw="result = Embedding(6, 2, trainable=None).get_config()['trainable']",
    np_dims="result = Embedding(np.int64(6), 2).get_config()['input_dim']",
)

COS = [
    ("None", "(None, None)"), ("None", "()"), ("None", "(5,)"), ("None", "(5, 4, 3)"), ("3", "(None, None)"),
    ("3", "(5, 3)"), ("3", "(5, 4)"), ("3", "(5, 3, 2)"), ("3", "(5,)"), ("3", "()"), ("(None, 3)", "(5, 7, 3)"),
    ("(None, 3)", "(5, 7, 4)"), ("(None, 3)", "(5, None, None)"), ("(2, 4)", "(5, 2, 3)"), ("(2, 4)", "(5, 2, 4)"),
    ("(2, 4)", "(None, None, 4)"), ("(2, 4)", "(5, 2)"), ("[2, 4]", "(5, 2, 3)"), ("[2, 4]", "(5, None, 4)"),
    ("0", "(5, 2)"), ("0", "(5, 0)"), ("0", "(5, None)"), ("None", "[None, 3]"), ("3", "[None, 3]"), ("(3,)", "(5, 4)"),
    ("(3,)", "(5, 3)"), ("[3]", "(5, 4)"), ("3", "(None, 3)"), ("3.0", "(None, 3)"), ("np.int64(3)", "(None, 3)"),
]  # fmt: skip
group(
    "cos",
    **{
        f"length_{length}_of_{shape}": f"e = Embedding(6, 2, input_shape=(3,), input_length={length}); "
        f"result = e.compute_output_shape({shape})"
        for length, shape in COS
    },
)


def signature(function):
    """Names and defaults of the parameters: what is left of a signature without its annotations."""
    return [
        name if p.default is p.empty else f"{name}={p.default!r}"
        for name, p in inspect.signature(function).parameters.items()
    ]


def _exception(error):
    return {"type": type(error).__name__, "args": [_text(a) for a in error.args]}


def _text(value):
    return value if isinstance(value, str) else repr(value)


def observe(script, namespace):
    """What one probe shows: its result, printed text and warnings, or its exception."""
    scope = dict(namespace, np=np, W=np.arange(12).reshape(6, 2) / 10, signature=signature, result=None)

    class Plus(scope["Layer"]):
        def call(self, inputs):
            return inputs * 1

    scope["Plus"] = Plus
    scope["backend"].clear_session()
    printed = io.StringIO()
    seen = {}
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            exec(script, scope)
            seen["result"] = repr(scope["result"])
        except Exception as error:
            seen["error"] = _exception(error)
    seen["printed"] = re.sub(r"\d+[mu]s/step", "TIME/step", printed.getvalue())
    seen["warnings"] = [[w.category.__name__, str(w.message)] for w in caught if w.category is UserWarning]
    return seen
