"""The small scripts of `layer_probes` about models: Sequential, predict, compile, summary and JSON."""

# ruff: noqa: E501

from .layer_probes import PROBES, group, observe

__all__ = ["PROBES", "observe"]

PREDICT = "m = Sequential([Embedding(6, 2, weights=[W], name='emb'{})]); result = m.predict({})"
group(
    "predict",
    **{
        name: PREDICT.format("", x)
        for name, x in {
            "two_d": "np.array([[1, 2, 3], [5, 0, 1]])",
            "one_d": "np.array([1, 2, 3])",
            "flat_list": "[1, 2, 3]",
            "flat_list_one": "[1]",
            "lists": "[[1, 2, 3], [2, 1, 0], [1, 0, 0], [3, 2, 1]]",
            "lists_ragged": "[[1, 2, 3], [2, 1]]",
            "lists_one": "[[1, 2, 3]]",
            "list_of_array": "[np.array([[1, 2, 3]])]",
            "list_of_1d_array": "[np.array([1, 2, 3])]",
            "list_of_two_arrays": "[np.array([[1, 2, 3]]), np.array([[1, 2, 3]])]",
            "list_of_1d_arrays": "[np.array([1, 2]), np.array([1, 2])]",
            "dict": "{'emb_input': np.array([[1, 2, 3]])}",
            "dict_1d": "{'emb_input': np.array([1, 2, 3])}",
            "dict_wrong": "{'foo': np.array([[1, 2, 3]])}",
            "dict_extra": "{'emb_input': np.array([[1, 2, 3]]), 'foo': np.array([[1]])}",
            "dict_of_list": "{'emb_input': [[1, 2, 3]]}",
            "tuple": "(np.array([[1, 2, 3]]),)",
            "tuple_ints": "(1, 2, 3)",
            "three_d": "np.zeros((1, 4, 3), int)",
            "zero_d": "np.array(3)",
            "none": "None",
            "string": "'abc'",
            "number": "5",
            "empty_list": "[]",
            "batch0": "np.zeros((4, 3)), batch_size=0",
            "batch_none": "np.zeros((4, 3)), batch_size=None",
            "batch3": "np.array([[1, 2, 3]] * 4), batch_size=3",
            "float_whole": "np.array([[1.0, 2.0]])",
            "int8": "np.array([[1, 2]], 'int8')",
            "steps": "np.zeros((4, 3)), steps=2",
            "steps_and_batch": "np.zeros((4, 3)), batch_size=2, steps=2",
            "none_steps": "None, steps=2",
            "unknown": "np.zeros((4, 3)), foo=3",
        }.items()
    },
)
group(
    "predict",
    length_wrong=PREDICT.format(", input_length=3", "np.zeros((4, 2), int)"),
    length_one_d=PREDICT.format(", input_length=3", "np.array([1, 2, 3])"),
    length_one=PREDICT.format(", input_length=1", "np.array([1, 2, 3])"),
    length_tuple=PREDICT.format(", input_length=(2, 3), input_shape=(2, 3)", "np.zeros((1, 2, 3), int)"),
    length_tuple_wrong=PREDICT.format(", input_length=(2, 3), input_shape=(2, 3)", "np.zeros((1, 2, 4), int)"),
    batch_shape=PREDICT.format(", batch_input_shape=(2, 3)", "np.ones((4, 3), int)"),
    batch_shape_wrong=PREDICT.format(", batch_input_shape=(2, 3)", "np.ones((4, 4), int)"),
    batch_shape_3d=PREDICT.format(", batch_input_shape=(2, 3)", "np.ones((4, 4, 3), int)"),
    scalar_shape=PREDICT.format(", input_shape=()", "np.array([1, 2, 3])"),
    signature="result = signature(Sequential.predict)",
    verbose="m = Sequential([Embedding(6, 2, weights=[W])]); result = m.predict(np.zeros((4, 3)), verbose=1).shape",
    verbose_batches="m = Sequential([Embedding(6, 2, weights=[W])]); result = m.predict(np.zeros((70, 3)), verbose=1).shape",
    verbose_batch1="m = Sequential([Embedding(6, 2, weights=[W])]); result = m.predict(np.zeros((3, 3)), 1, 1).shape",
    verbose2="m = Sequential([Embedding(6, 2, weights=[W])]); result = m.predict(np.zeros((3, 3)), 2, 2).shape",
    no_layers="Sequential().predict(np.zeros((3, 3)))",
    deferred="""
        class Mul(Layer):
            def call(self, x):
                return x * 2
        m = Sequential([Mul()])
        before = m.built, m.weights, m.layers[0].built
        result = before, m.predict(np.ones((2, 3))), m.built
    """,
    deferred_embedding_second="m = Sequential([Plus(), Embedding(6, 2, weights=[W])]); result = m.predict(np.ones((2, 3), int))",
    custom="""
        class Scale(Layer):
            def build(self, input_shape):
                self.seen = input_shape
                self.scale = self.add_weight(name='scale', shape=(input_shape[-1],), initializer='ones')
                super(Scale, self).build(input_shape)
            def call(self, x):
                return x * (self.scale + 1.0)
        m = Sequential([Embedding(6, 2, weights=[W], input_length=3), Scale(name='s')])
        result = (m.predict(np.array([[1, 2, 3]])), m.layers[1].seen, m.count_params(), [w.name for w in m.weights],
                  m.output_shape, m.input_shape)
    """,
    custom_weights="""
        class Scale(Layer):
            def build(self, input_shape):
                self.scale = self.add_weight(name='scale', shape=(input_shape[-1],), initializer='ones')
                super(Scale, self).build(input_shape)
            def call(self, x):
                return x * self.scale
        m = Sequential([Embedding(6, 2, weights=[W]), Scale(weights=[np.array([2.0, 3.0])])])
        result = m.predict(np.array([[1, 2, 3]]))
    """,
    custom_no_built="""
        class Half(Layer):
            def build(self, input_shape):
                pass
            def call(self, x):
                return x / 2
        m = Sequential([Embedding(6, 2, weights=[W]), Half()])
        result = m.predict(np.array([[1, 2, 3]])), m.layers[1].built
    """,
    mask_refused="""
        class Plain(Layer):
            pass
        Sequential([Embedding(6, 2, mask_zero=True), Plain(name='plain')])
    """,
    mask_passed="""
        class Masked(Layer):
            supports = True
            def __init__(self, **kwargs):
                super(Masked, self).__init__(**kwargs)
                self.supports_masking = True
            def call(self, x, mask=None):
                self.got = mask is not None
                return x * 2
        m = Sequential([Embedding(6, 2, mask_zero=True, weights=[W]), Masked(), Masked()])
        result = m.predict(np.array([[1, 0]])), [l.got for l in m.layers[1:]]
    """,
    mask_not_taken="""
        class Ignores(Layer):
            def __init__(self, **kwargs):
                super(Ignores, self).__init__(**kwargs)
                self.supports_masking = True
            def call(self, x):
                return x * 2
        m = Sequential([Embedding(6, 2, mask_zero=True, weights=[W]), Ignores(), Ignores()])
        result = m.predict(np.array([[1, 0]]))
    """,
    mask_dropped="""
        class Drops(Layer):
            def call(self, x, mask=None):
                self.got = mask is not None
                return x * 2
            def compute_mask(self, x, mask=None):
                return None
        class Plain(Layer):
            def call(self, x, mask=None):
                self.got = mask is not None
                return x * 2
        m = Sequential([Embedding(6, 2, mask_zero=True, weights=[W]), Drops(), Plain()])
        result = m.predict(np.array([[1, 0]])), [l.got for l in m.layers[1:]]
    """,
    mask_of_embedding="m = Sequential([Embedding(6, 2, mask_zero=True, weights=[W]), Embedding(6, 2)])",
    call_kwargs="""
        class Kw(Layer):
            def call(self, x, factor=1):
                return x * factor
        Kw(name='k')
        result = None
    """,
)

group(
    "sequential",
    add_string="Sequential().add('foo')",
    add_string_list="Sequential(['foo'])",
    add_none="Sequential().add(None)",
    add_class="Sequential().add(Embedding)",
    layers_not_list="Sequential(5)",
    one_layer="Sequential(Embedding(6, 2))",
    tuple="result = len(Sequential((Embedding(6, 2),)).layers)",
    empty="m = Sequential(); result = m.layers, m.weights, m.built, m.get_weights(), m.trainable, m.name, m.losses, m.updates",
    empty_list="m = Sequential([]); result = m.layers, m.built",
    empty_shape="Sequential().output_shape",
    empty_count="Sequential(name='m').count_params()",
    deferred="m = Sequential([Plus()]); result = m.built, m.weights, [l.built for l in m.layers], len(m.layers)",
    deferred_output_shape="Sequential([Plus()]).output_shape",
    deferred_count="Sequential([Plus()], name='m').count_params()",
    deferred_build="""
        m = Sequential([Plus(), Embedding(6, 2)])
        m.build((None, 3))
        result = m.built, len(m.weights), m.layers[1].built
    """,
    deferred_build_shapes="m = Sequential([Plus()]); m.build((None, 3)); result = m.layers[0].output_shape",
    deferred_build_none="Sequential([Plus()]).build()",
    build_empty="Sequential().build()",
    build_empty_shape="Sequential().build((None, 3))",
    build_again="m = Sequential([Embedding(6, 2)]); m.build(); m.build((None, 4)); result = len(m.weights), m.built",
    deferred_duplicate="Sequential([Plus(name='x'), Plus(name='x')])",
    input_shape_first="m = Sequential([Plus(input_shape=(3,))]); result = m.built, m.input_shape, m.output_shape, m.input_names",
    input_layer="""
        m = Sequential([InputLayer(input_shape=(3,), name='in'), Embedding(6, 2)])
        result = [type(l).__name__ for l in m.layers], m.input_shape, m.output_shape, m.input_names
    """,
    input_layer_add="m = Sequential(); m.add(InputLayer((3,))); result = m.layers, m.built, m.input_shape, m.output_shape, m.input_names",
    input_layer_only="m = Sequential([InputLayer(input_shape=(3,), name='in')]); result = m.layers, m.weights, m.count_params()",
    input_layer_second="Sequential([Embedding(6, 2), InputLayer(input_shape=(3,))])",
    input_layer_auto="result = [InputLayer(input_shape=(3,)).name, InputLayer(input_shape=(3,)).name, Embedding(6, 2).name]",
    input_layer_batch="l = InputLayer(batch_input_shape=(2, 3)); result = l.batch_input_shape, l.dtype, l.get_config()",
    input_layer_batch_size="l = InputLayer((3,), batch_size=5); result = l.batch_input_shape, l.name",
    input_layer_config="result = InputLayer(input_shape=(3,), dtype='int32', name='in').get_config()",
    input_layer_both="InputLayer(input_shape=(3,), batch_input_shape=(2, 3))",
    input_layer_none="InputLayer()",
    input_layer_state="l = InputLayer((3,)); result = l.built, l.trainable, l.weights, l.input_shape, l.output_shape, l.sparse",
    input_layer_call="result = InputLayer((3,)).count_params()",
    input_layer_unknown="InputLayer((3,), foo=1)",
    input_layer_signature="result = signature(InputLayer.__init__)",
    input_layer_predict="m = Sequential([InputLayer((3,), name='in'), Embedding(6, 2, weights=[W])]); result = m.predict(np.array([[1, 2, 3]]))",
    input_layer_wrong="m = Sequential([InputLayer((3,), name='in'), Embedding(6, 2)]); m.predict(np.array([[1, 2]]))",
    input_layer_conflict="Sequential([InputLayer((4,)), Embedding(6, 2, input_length=3)])",
    second_conflict="Sequential([Plus(input_shape=(4,)), Embedding(6, 2, input_length=3)])",
    same_twice="""
        p = Plus(name='p')
        m = Sequential([Embedding(6, 2)])
        m.add(p)
        m.add(p)
        result = [l.name for l in m.layers], m.predict(np.ones((1, 2))).shape
    """,
    same_twice_shapes="""
        class Grow(Layer):
            def compute_output_shape(self, s):
                return s[:-1] + (s[-1] * 1,)
        g = Grow(name='g')
        m = Sequential([Embedding(6, 2, input_length=3), g, g])
        result = g.output_shape
    """,
    shared_models="""
        e = Embedding(6, 2, name='e', weights=[W], input_shape=(None,))
        a = Sequential([InputLayer((3,)), e])
        b = Sequential([InputLayer((4,)), e])
        result = e.get_output_shape_at(0), e.get_output_shape_at(1), len(e.weights)
    """,
    shared_ill="""
        e = Embedding(6, 2, name='e')
        Sequential([InputLayer((3,)), e])
        Sequential([InputLayer((4,)), e])
        e.output_shape
    """,
    shared_ill_input="""
        e = Embedding(6, 2, name='e')
        Sequential([InputLayer((3,)), e])
        Sequential([InputLayer((4,)), e])
        e.input_shape
    """,
    pop_empty="Sequential().pop()",
    pop="""
        m = Sequential([Embedding(6, 2, input_length=3), Plus(name='p')])
        m.pop()
        result = [l.name for l in m.layers], m.output_shape, m.built, len(m.weights)
    """,
    pop_last="m = Sequential([Embedding(6, 2)]); result = m.pop(), m.layers, m.built, m.weights",
    pop_last_add="m = Sequential([Embedding(6, 2)]); m.pop(); m.add(Embedding(4, 3)); result = m.built, m.output_shape, m.input_names",
    pop_twice="m = Sequential([Embedding(6, 2)]); m.pop(); m.pop()",
    pop_input="m = Sequential([InputLayer((3,)), Embedding(6, 2)]); m.pop(); result = m.layers, m.built",
    pop_deferred="m = Sequential([Plus(), Plus()]); m.pop(); result = [l.name for l in m.layers], m.built",
    pop_add="m = Sequential([Embedding(6, 2), Plus()]); m.pop(); m.add(Plus(name='z')); result = [l.name for l in m.layers], m.output_shape",
    nested="""
        inner = Sequential([Embedding(6, 2, input_length=3, weights=[W])], name='inner')
        m = Sequential([inner, Plus(name='p')])
        result = ([l.name for l in m.layers], m.input_names, m.input_shape, m.output_shape, len(m.weights),
                  m.predict(np.array([[1, 2, 3]])))
    """,
    nested_second="""
        inner = Sequential([Plus(input_shape=(3, 2))], name='inner')
        m = Sequential([Embedding(6, 2, input_length=3, weights=[W]), inner])
        result = [l.name for l in m.layers], m.output_shape, m.count_params(), m.predict(np.array([[1, 2, 3]])).shape
    """,
    nested_deferred="Sequential([Sequential([Plus()])])",
    nested_empty="Sequential([Sequential()])",
    nested_summary="""
        inner = Sequential([Embedding(6, 2, input_length=3, weights=[W])], name='inner')
        Sequential([inner, Plus(name='p')]).summary()
    """,
    nested_config="""
        inner = Sequential([Embedding(6, 2, input_length=3, name='e')], name='inner')
        result = Sequential([inner, Plus(name='p')], name='outer').get_config()
    """,
    add_input_twice="m = Sequential([Embedding(6, 2)]); m.add(Embedding(3, 4, input_shape=(None,))); result = m.output_shape",
    layers_list="m = Sequential([Embedding(6, 2)]); m.layers.append(3); result = len(m.layers)",
    model_signature="result = [signature(f) for f in (Sequential.__init__, Sequential.add, Sequential.build, Sequential.pop, Sequential.get_layer, Sequential.summary, Sequential.compile, Sequential.to_json, Sequential.from_config)]",
    model_attributes="""
        m = Sequential([Embedding(6, 2, name='e')], name='m')
        result = (m.trainable, m.stateful, m.built, m.name, m.input_names, m.output_names, m.supports_masking, m.losses,
                  m.updates, m.input_shape, m.output_shape)
    """,
    model_call_shape="result = Sequential([Embedding(6, 2)]).compute_output_shape((None, 4))",
    regularizer_losses="result = len(Sequential([Embedding(6, 2, embeddings_regularizer='l2')]).losses)",
)

GET_LAYER = "m = Sequential([Embedding(6, 2, name='a'), Plus(name='b')]); result = m.get_layer({}).name"
group(
    "get_layer",
    **{
        name: GET_LAYER.format(args)
        for name, args in {
            "name": "'a'",
            "index": "index=1",
            "both": "'a', index=1",
            "negative": "index=-1",
            "unknown": "'foo'",
            "far": "index=5",
            "far_negative": "index=-5",
            "equal": "index=2",
            "nothing": "",
            "zero": "0",
            "one": "1",
            "empty": "''",
            "index0": "index=0",
        }.items()
    },
)
group("get_layer", empty_model="Sequential().get_layer('a')", deferred="result = Sequential([Plus(name='q')]).get_layer('q').name",
      deferred_far="Sequential([Plus(name='q')]).get_layer(index=3)")  # fmt: skip

group(
    "model_weights",
    get="result = Sequential([Embedding(6, 2, weights=[W]), Embedding(3, 1, embeddings_initializer='zeros')]).get_weights()",
    set="m = Sequential([Embedding(6, 2)]); m.set_weights([W]); result = m.get_weights()",
    set_wrong_shape="m = Sequential([Embedding(6, 2)]); m.set_weights([W.T])",
    order="""
        class Two(Layer):
            def build(self, s):
                self.b = self.add_weight(name='b', shape=(1,), initializer='zeros', trainable=False)
                self.a = self.add_weight(name='a', shape=(1,), initializer='ones')
                self.built = True
            def call(self, x):
                return x
        m = Sequential([Two(input_shape=(3,), name='t'), Two(name='u')])
        names = [w.name for w in m.weights]
        m.layers[0].trainable = False
        result = names, [w.name for w in m.weights], [w.name for w in m.trainable_weights], [w.name for w in m.non_trainable_weights]
    """,
    order_get="""
        class Two(Layer):
            def build(self, s):
                self.b = self.add_weight(name='b', shape=(1,), initializer='zeros', trainable=False)
                self.a = self.add_weight(name='a', shape=(1,), initializer='ones')
                self.built = True
            def call(self, x):
                return x
        m = Sequential([Two(input_shape=(3,), name='t'), Two(name='u')])
        result = m.get_weights()
    """,
)

COMPILE = "m = Sequential([Embedding(6, 2)]); m.compile({})"
group(
    "compile",
    **{
        name: COMPILE.format(args)
        for name, args in {
            "ok": "'rmsprop', 'mse'",
            "upper": "'ADAM', 'mse'",
            "optimizer_unknown": "'foo', 'mse'",
            "optimizer_number": "5, 'mse'",
            "optimizer_none": "None, 'mse'",
            "optimizer_only": "'sgd'",
            "loss_none": "'sgd', None",
            "loss_unknown": "'sgd', 'foo'",
            "loss_number": "'sgd', 5",
            "loss_upper": "'sgd', 'Mse'",
            "loss_list": "'sgd', ['mse']",
            "loss_list_two": "'sgd', ['mse', 'mse']",
            "loss_list_unknown": "'sgd', ['foo']",
            "loss_dict_unknown_output": "'sgd', {'foo': 'mse'}",
            "loss_callable": "'sgd', lambda t, p: p",
            "loss_empty": "'sgd', ''",
            "metrics": "'sgd', 'mse', metrics=['acc', 'mae']",
            "metrics_unknown": "'sgd', 'mse', metrics=['foo']",
            "metrics_string": "'sgd', 'mse', metrics='acc'",
            "metrics_string_unknown": "'sgd', 'mse', metrics='foo'",
            "metrics_number": "'sgd', 'mse', metrics=[5]",
            "metrics_number_alone": "'sgd', 'mse', metrics=5",
            "metrics_none": "'sgd', 'mse', metrics=None",
            "metrics_callable": "'sgd', 'mse', metrics=[lambda t, p: p]",
            "metrics_dict_unknown": "'sgd', 'mse', metrics={'foo': 'acc'}",
            "metrics_both_unknown": "'foo', 'bar', metrics=['baz']",
            "loss_before_metrics": "'sgd', 'bar', metrics=['baz']",
            "weighted_metrics": "'sgd', 'mse', weighted_metrics=['acc']",
            "weighted_metrics_unknown": "'sgd', 'mse', weighted_metrics=['foo']",
            "loss_weights_bad": "'sgd', 'mse', loss_weights='foo'",
            "loss_weights_list": "'sgd', 'mse', loss_weights=[1.0, 2.0]",
            "loss_weights_ok": "'sgd', 'mse', loss_weights=[2.0]",
            "loss_weights_dict": "'sgd', 'mse', loss_weights={'foo': 1.0}",
            "sample_weight_mode": "'sgd', 'mse', sample_weight_mode='temporal'",
            "sample_weight_mode_bad": "'sgd', 'mse', sample_weight_mode='foo'",
            "sample_weight_mode_list": "'sgd', 'mse', sample_weight_mode=['temporal', None]",
            "unknown_kwarg": "'sgd', 'mse', foo=3",
            "no_arguments": "",
        }.items()
    },
)
group(
    "compile",
    attributes="""
        m = Sequential([Embedding(6, 2)])
        m.compile('sgd', 'mse', metrics=['acc'])
        result = m.loss, m.metrics, m.loss_weights, m.sample_weight_mode, m.weighted_metrics
    """,
    attributes_default="m = Sequential([Embedding(6, 2)]); m.compile('sgd', 'mse'); result = m.loss, m.metrics",
    before="m = Sequential([Embedding(6, 2)]); m.optimizer",
    before_loss="m = Sequential([Embedding(6, 2)]); m.loss",
    deferred="m = Sequential([Plus()]); m.compile('sgd', 'mse'); result = m.loss",
    deferred_bad_loss="m = Sequential([Plus()]); m.compile('sgd', 'foo')",
    deferred_bad_optimizer="m = Sequential([Plus()]); m.compile('foo', 'foo')",
    deferred_bad_then_build="m = Sequential([Plus()]); m.compile('sgd', 'foo'); m.build((None, 3))",
    deferred_bad_then_predict="m = Sequential([Plus()]); m.compile('sgd', 'foo'); m.predict(np.ones((2, 3)))",
    empty_model="m = Sequential(); m.compile('sgd', 'mse')",
)

group(
    "summary",
    plain="Sequential([Embedding(6, 2, input_length=3, name='embedding')]).summary()",
    empty="Sequential().summary()",
    deferred="Sequential([Plus()]).summary()",
    no_length="Sequential([Embedding(1000, 64), Plus()]).summary()",
    long_name="Sequential([Embedding(1000, 8, input_length=5, name='a_very_long_embedding_layer_name')]).summary()",
    name_28="Sequential([Embedding(1000, 8, input_length=5, name='a' * 16)]).summary()",
    name_29="Sequential([Embedding(1000, 8, input_length=5, name='a' * 17)]).summary()",
    name_30="Sequential([Embedding(1000, 8, input_length=5, name='a' * 18)]).summary()",
    frozen="Sequential([Embedding(1000, 8, trainable=False), Embedding(8, 1000000)]).summary()",
    big="Sequential([Embedding(1000000, 8, embeddings_initializer='zeros')]).summary()",
    line_length="Sequential([Embedding(10, 8), Plus()]).summary(line_length=100)",
    short_line="Sequential([Embedding(10, 8), Plus()]).summary(line_length=30)",
    positions="Sequential([Embedding(10, 8), Plus()]).summary(positions=[30, 60, 70])",
    positions_relative="Sequential([Embedding(10, 8), Plus()]).summary(line_length=80, positions=[.3, .6, 1.])",
    positions_above="Sequential([Embedding(10, 8), Plus()]).summary(positions=[.3, .6, 1.1])",
    positions_two="Sequential([Embedding(10, 8)]).summary(positions=[.3, .6])",
    positions_one="Sequential([Embedding(10, 8)]).summary(line_length=50, positions=[40])",
    print_fn="lines = []; r = Sequential([Embedding(10, 8, name='e')]).summary(print_fn=lines.append); result = r, lines",
    input_layer="Sequential([InputLayer((4,)), Embedding(10, 8)]).summary()",
    shared="""
        e = Embedding(6, 2, name='e')
        m = Sequential([InputLayer((3,)), e])
        Sequential([InputLayer((4,)), e])
        m.summary()
    """,
    same_twice="p = Embedding(3, 2, name='p'); Sequential([InputLayer((4,)), p, p]).summary()",
    model_frozen="m = Sequential([Embedding(6, 2)]); m.trainable = False; m.summary()",
    compiled="m = Sequential([Embedding(6, 2)]); m.compile('sgd', 'mse'); m.summary()",
    compiled_toggled="""
        m = Sequential([Embedding(6, 2, name='e'), Embedding(7, 1, name='f')])
        m.compile('sgd', 'mse')
        m.layers[0].trainable = False
        m.summary()
    """,
    compiled_model_toggled="m = Sequential([Embedding(6, 2)]); m.compile('sgd', 'mse'); m.trainable = False; m.summary()",
    toggled_recompiled="""
        m = Sequential([Embedding(6, 2)])
        m.compile('sgd', 'mse')
        m.layers[0].trainable = False
        m.compile('sgd', 'mse')
        m.summary()
    """,
    toggled_predict="""
        m = Sequential([Embedding(6, 2, weights=[W])])
        m.compile('sgd', 'mse')
        m.layers[0].trainable = False
        m.predict(np.ones((1, 2)))
    """,
    compiled_frozen="""
        m = Sequential([Embedding(6, 2, trainable=False, name='e'), Embedding(7, 1, name='f')])
        m.compile('sgd', 'mse')
        m.summary()
    """,
    added_after_compile="""
        m = Sequential([Embedding(6, 2, name='e')])
        m.compile('sgd', 'mse')
        m.add(Embedding(7, 1, name='f'))
        m.summary()
    """,
    tuple_length="Sequential([Embedding(6, 2, input_length=(2, 3), input_shape=(2, 3))]).summary()",
    batch="Sequential([Embedding(6, 2, batch_input_shape=(4, 3))]).summary()",
    popped="m = Sequential([Embedding(6, 2), Plus()]); m.pop(); m.summary()",
)

group(
    "json",
    to_json="result = Sequential([Embedding(6, 2, input_length=3, name='e')], name='m').to_json()",
    indent="result = Sequential([Embedding(6, 2, name='e')], name='m').to_json(indent=1, sort_keys=True)",
    np_dims="result = Sequential([Embedding(np.int64(6), np.int32(2), input_length=np.int64(3), name='e')], name='m').to_json()",
    get_config="result = Sequential([Embedding(6, 2, name='e'), Plus(name='p')], name='m').get_config()",
    get_config_empty="result = Sequential(name='m').get_config()",
    get_config_input_layer="result = Sequential([InputLayer((3,), name='in'), Embedding(6, 2, name='e')], name='m').get_config()",
    get_config_deferred="result = Sequential([Plus(name='p')], name='m').get_config()",
    get_config_deferred_built="m = Sequential([Plus(name='p')], name='m'); m.build((None, 3)); result = m.get_config()",
    from_config="""
        c = Sequential([Embedding(6, 2, name='e', input_length=3)], name='m').get_config()
        m = Sequential.from_config(c)
        result = m.name, m.get_config() == c, m.built, m.output_shape
    """,
    from_config_list="""
        m = Sequential.from_config([{'class_name': 'Embedding', 'config': {'input_dim': 6, 'output_dim': 2, 'name': 'e'}}])
        result = m.name, [l.name for l in m.layers], m.built
    """,
    from_config_custom="""
        c = Sequential([Embedding(6, 2, name='e'), Plus(name='p')], name='m').get_config()
        m = Sequential.from_config(c, custom_objects={'Plus': Plus})
        result = m.name, [l.name for l in m.layers]
    """,
    from_config_unknown="""
        c = Sequential([Embedding(6, 2, name='e'), Plus(name='p')], name='m').get_config()
        Sequential.from_config(c)
    """,
    from_config_missing="Sequential.from_config({'name': 'm'})",
    deferred_roundtrip="""
        m = Sequential([Plus(name='p')], name='m'); m.build((None, 3))
        n = Sequential.from_config(m.get_config(), custom_objects={'Plus': Plus})
        result = n.built, n.layers[0].built
    """,
    model_from_json="m = models.model_from_json(Sequential([Embedding(6, 2, name='e')], name='m').to_json()); result = m.name, m.layers[0].get_config()",
    model_from_json_input_length_tuple="""
        text = Sequential([Embedding(6, 2, name='e', input_shape=(2, 3), input_length=(2, 3))], name='m').to_json()
        m = models.model_from_json(text)
        result = m.layers[0].input_length, m.layers[0].batch_input_shape, m.output_shape
    """,
    model_from_json_custom="text = Sequential([Plus(name='p', input_shape=(3,))]).to_json(); result = models.model_from_json(text, {'Plus': Plus}).layers[0].name",
    model_from_json_unknown='models.model_from_json(\'{"class_name": "Foo", "config": {}}\')',
    model_from_json_layer='result = models.model_from_json(\'{"class_name": "Embedding", "config": {"input_dim": 3, "output_dim": 2, "name": "e"}}\').name',
    model_from_json_bad="models.model_from_json('{}')",
    model_from_config="m = models.model_from_config({'class_name': 'Sequential', 'config': {'name': 'm', 'layers': []}}); result = m.name",
    model_from_config_list="models.model_from_config([])",
    model_from_config_no_class="models.model_from_config({'config': {}})",
    layers_deserialize="result = layers.deserialize({'class_name': 'Embedding', 'config': {'input_dim': 3, 'output_dim': 2}}).name",
    layers_serialize="result = layers.serialize(Embedding(3, 2, name='e'))",
    layers_deserialize_unknown="layers.deserialize({'class_name': 'Foo', 'config': {}})",
    config_is_copy="m = Sequential([Embedding(6, 2, name='e')]); m.get_config()['layers'].clear(); result = len(m.get_config()['layers'])",
)

group(
    "corner",
    empty_count="result = Sequential(name='m').count_params(), Sequential([Plus()]).count_params()",
    unbuilt_in_nested="m = Sequential([Plus(), Sequential([Plus()])]); result = m.built",
    optimizer_before="result = hasattr(Sequential([Embedding(6, 2)]), 'optimizer')",
    compiled_result="m = Sequential([Embedding(6, 2)]); result = m.compile('sgd', 'mse')",
    loss_dict_empty="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', {})",
    loss_dict="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', {'e': 'mse'}); result = m.loss",
    loss_dict_value="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', {'e': 'foo'})",
    metrics_dict="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics={'e': 'acc'}); result = m.metrics",
    metrics_dict_list="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics={'e': ['acc', 'foo']})",
    metrics_dict_value="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics={'e': 'foo'})",
    metrics_nested="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=[['acc']])",
    metrics_tuple="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=('acc',))",
    metrics_empty_string="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=[''])",
    metrics_empty="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=''); result = m.metrics",
    weighted_string="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', weighted_metrics='acc')",
    metrics_none_inside="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=[None])",
    metrics_accuracy="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=['accuracy', 'crossentropy', 'ce', 'acc'])",
    metrics_upper="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=['Acc'])",
    order_loss_weights_mode="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', loss_weights=5, sample_weight_mode=[1, 2])",
    order_mode_metrics="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', sample_weight_mode=[1, 2], metrics=5)",
    order_weights_metrics="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', loss_weights=5, metrics=5)",
    order_loss_weights_loss="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'foo', loss_weights=5)",
    order_metrics_kinds="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=['foo'], weighted_metrics=5)",
    order_metric_names="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', metrics=['foo'], weighted_metrics=['bar'])",
    mode_dict="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', sample_weight_mode={'foo': 'temporal'})",
    mode_dict_ok="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', sample_weight_mode={'e': 'temporal'}); result = m.sample_weight_mode",
    mode_dict_empty="m = Sequential([Embedding(6, 2, name='e')]); m.compile('sgd', 'mse', sample_weight_mode={})",
    mode_temporal_flat="m = Sequential([Embedding(6, 2, name='e', input_shape=())]); m.compile('sgd', 'mse', sample_weight_mode='temporal')",
    optimizer_dict="m = Sequential([Embedding(6, 2)]); m.compile({'class_name': 'SGD', 'config': {'lr': 0.5}}, 'mse')",
    optimizer_dict_unknown="m = Sequential([Embedding(6, 2)]); m.compile({'class_name': 'foo', 'config': {}}, 'mse')",
    optimizer_dict_bad="m = Sequential([Embedding(6, 2)]); m.compile({}, 'mse')",
    optimizer_empty="m = Sequential([Embedding(6, 2)]); m.compile('', 'mse')",
    optimizer_case="m = Sequential([Embedding(6, 2)]); m.compile('Foo', 'mse')",
    deferred_one_d="m = Sequential([Plus()]); result = m.predict(np.array([1.0, 2.0]))",
    deferred_list="m = Sequential([Plus()]); result = m.predict([np.ones((2, 2))])",
    deferred_ints="m = Sequential([Plus()]); result = m.predict([1, 2])",
    deferred_none="m = Sequential([Plus()]); m.predict(None)",
    deferred_names="m = Sequential([Plus(name='p')], name='m'); m.build((None, 3)); result = m.input_names, m.output_names, m.input_shape",
    deferred_predict_names="m = Sequential([Plus(name='p')], name='m'); m.predict(np.ones((2, 3))); result = m.input_names, m.input_shape, m.get_config()",
    deferred_wrong="m = Sequential([Plus(name='p')], name='m'); m.predict(np.ones((2, 3))); m.predict(np.ones((2, 4)))",
    deferred_dict="m = Sequential([Plus(name='p')], name='m'); result = m.predict({'x': np.ones((2, 3))})",
    deferred_list_shape="m = Sequential([Plus(name='p')], name='m'); m.build([None, 3]); result = m.input_shape, m.get_config()",
    unbuilt_input_shape="Sequential([Plus()]).input_shape",
    unbuilt_summary_after_pop="m = Sequential([Embedding(6, 2)]); m.pop(); m.summary()",
    deferred_embedding_after="m = Sequential([Plus()]); m.add(Embedding(6, 2)); result = m.built, m.layers[1].built",
    deferred_input_later="m = Sequential(); m.add(Plus()); m.add(InputLayer((3,))); result = m.built, len(m.layers)",
    deferred_then_dup="m = Sequential([Plus(name='x'), Plus(name='x')]); m.build((None, 3))",
    predict_one_output="m = Sequential([Embedding(6, 2, weights=[W])]); result = type(m.predict([1])).__name__",
    predict_strings="m = Sequential([Embedding(6, 2, weights=[W], name='e')]); m.predict(np.array([['a']]))",
    predict_bool="m = Sequential([Embedding(6, 2, weights=[W], name='e')]); result = m.predict(np.array([[True]]))",
    predict_two_inputs_dims="m = Sequential([Embedding(6, 2, batch_input_shape=(None, 3, None), name='e')]); m.predict(np.zeros((2, 4, 5)))",
    predict_shape_dims_ok="m = Sequential([Embedding(6, 2, batch_input_shape=(None, 3, None), name='e')]); result = m.predict(np.zeros((2, 3, 5))).shape",
    predict_three_d_one="m = Sequential([Embedding(6, 2, input_shape=(None, None), name='e')]); m.predict(np.array([1, 2]))",
    predict_classes="m = Sequential([Embedding(6, 2, weights=[W])]); r = m.predict_classes(np.array([[1, 2]])); result = r, r.dtype",
    predict_classes_binary="m = Sequential([Embedding(6, 1, weights=[W[:, :1]])]); r = m.predict_classes(np.array([[1, 5]])); result = r, r.dtype",
    predict_proba="m = Sequential([Embedding(6, 2, weights=[W])]); result = m.predict_proba(np.array([[1, 2]]))",
    predict_proba_above="m = Sequential([Embedding(6, 2, weights=[W])]); result = m.predict_proba(np.array([[1, 5]]))",
    predict_proba_below="m = Sequential([Embedding(6, 2, weights=[-W])]); result = m.predict_proba(np.array([[1, 5]]))",
    predict_signatures="result = [signature(f) for f in (Sequential.predict_classes, Sequential.predict_proba)]",
    predict_classes_verbose="m = Sequential([Embedding(6, 2, weights=[W])]); m.predict_classes(np.array([[1, 2]]), 32, 1)",
    constant_array_json="result = Sequential([Embedding(2, 2, embeddings_initializer=initializers.Constant(np.ones((2, 2))), name='e')], name='m').to_json()",
    lambda_json="result = Sequential([Embedding(2, 2, embeddings_initializer=lambda shape, dtype=None: np.zeros(shape), name='e')], name='m').to_json()",
    dtype_class_json="result = Sequential([Embedding(2, 2, dtype=np.float32, embeddings_initializer='zeros', name='e')], name='m').to_json()",
    subclass_model_json="M = type('M', (Sequential,), {}); result = M([Embedding(2, 2, name='e')], name='m').to_json()",
    updates="result = Sequential([Embedding(2, 2)]).updates, Layer().updates, Layer().losses",
    loss_values_none="result = Layer().losses",
    activity_regularizer="result = len(Sequential([Embedding(6, 2, activity_regularizer='l2')]).losses)",
    build_twice_names="e = Embedding(6, 2, name='e'); e.build((None, 3)); result = e.built, e.embeddings.shape[1] == 2",
    set_weights_count="m = Sequential([Embedding(6, 2, name='e')], name='m'); m.set_weights([]); m.set_weights([W, W])",
    nested_input_layer="m = Sequential([Sequential([InputLayer((3,)), Embedding(6, 2)])]); result = m.input_shape, m.output_shape",
    nested_names="m = Sequential([Sequential([Embedding(6, 2, name='a')], name='x'), Plus(name='a')]); result = m.output_names",
    name_number="result = Embedding(6, 2, name=5).name",
    trainable_setter="m = Sequential([Embedding(6, 2)]); m.layers[0].trainable = False; m.trainable = False; m.trainable = True; result = len(m.trainable_weights)",
    layer_weights_kwarg_after_build="e = Embedding(6, 2, weights=[W]); Sequential([e]); e.set_weights([W * 2]); Sequential([e]); result = e.get_weights()[0][1]",
    input_dim_kwarg="Layer(input_dim=3)",
    get_layer_nested="m = Sequential([Sequential([Embedding(6, 2, name='a')], name='x')]); result = m.get_layer('x').get_layer('a').name",
    count_nested="m = Sequential([Sequential([Embedding(6, 2, name='a')], name='x'), Plus()]); result = m.count_params(), m.layers[0].count_params()",
    frozen_nested="i = Sequential([Embedding(6, 2, name='a')], name='x'); i.trainable = False; m = Sequential([i, Plus()]); result = len(m.trainable_weights), len(m.non_trainable_weights)",
    sequential_from_config_trainable="m = Sequential([Embedding(6, 2, trainable=False)]); result = Sequential.from_config(m.get_config()).layers[0].trainable",
    call_on_number="Embedding(6, 2, name='e')(5)",
    input_spec_list="result = InputSpec(shape=[None, 3]).shape, InputSpec(ndim=2).axes, InputSpec(ndim=2).dtype",
    input_spec_signature="result = signature(InputSpec.__init__)",
    input_spec_dtype="""
        class D(Layer):
            def __init__(self, **kwargs):
                super(D, self).__init__(**kwargs)
                self.input_spec = InputSpec(dtype='int32')
        Sequential([Embedding(6, 2), D(name='l')])
    """,
    input_spec_list_of_two="""
        class D(Layer):
            def __init__(self, **kwargs):
                super(D, self).__init__(**kwargs)
                self.input_spec = [InputSpec(ndim=2), InputSpec(ndim=2)]
        Sequential([Embedding(6, 2), D(name='l')])
    """,
)
