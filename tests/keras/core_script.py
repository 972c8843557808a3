"""A script that makes layers to train through and prints what they say, independent of any implementation."""

import warnings

import numpy as np

ARGUMENTS = [
    ("Dense", "4"),
    ("Dense", "4, input_dim=3, name='d', activation='relu', use_bias=False, kernel_initializer='zeros'"),
    ("Dense", "2, input_shape=(None, 3), kernel_regularizer='l2', bias_regularizer='l1', activity_regularizer='l2'"),
    ("Dense", "2, batch_input_shape=(5, 3), kernel_constraint='max_norm', bias_constraint='non_neg', trainable=False"),
    ("Dense", "4, 'relu'"),
    ("Dense", "4, foo=2"),
    ("Dense", "4, activation='foo'"),
    ("Dense", "4, activation=5"),
    ("Dense", "output_dim=4, init='zeros', W_regularizer='l2', b_regularizer='l2', W_constraint='non_neg', bias=False"),
    ("Dense", "4, init='zeros', kernel_initializer='zeros'"),
    ("Activation", "'softmax'"),
    ("Activation", "'tanh', input_shape=(3,), name='a'"),
    ("Activation", "'foo'"),
    ("Activation", "None"),
    ("Dropout", "0.3"),
    ("Dropout", "0.3, (None, 1, 3), 7"),
    ("Dropout", "p=2"),
    ("Dropout", "-1, noise_shape=[2], seed=3, name='x'"),
    ("Dropout", "0.3, None, None, 5"),
    ("SpatialDropout1D", "0.3"),
    ("SpatialDropout1D", "p=0.3, name='s'"),
    ("SpatialDropout1D", "0.3, (None, 1, 3)"),
    ("Flatten", ""),
    ("Flatten", "'channels_first', input_shape=(2, 3)"),
    ("Flatten", "'foo'"),
    ("GlobalAveragePooling1D", ""),
    ("GlobalAveragePooling1D", "'Channels_First', name='g'"),
    ("GlobalMaxPooling1D", ""),
    ("GlobalMaxPooling1D", "data_format='foo'"),
]
SHAPES = [(None, 3), (None, 4, 3), (None, None, 3), (2, 4, 3, 2), (None,)]
STACKS = [
    "Embedding(6, 2), Flatten()",
    "Embedding(6, 2, input_length=3), Flatten(), Dense(2)",
    "Embedding(6, 2, mask_zero=True, input_length=3), Flatten()",
    "Embedding(6, 2, mask_zero=True, input_length=3), GlobalMaxPooling1D()",
    "Embedding(6, 2, mask_zero=True, input_length=3), GlobalAveragePooling1D(), Dense(2, activation='softmax')",
    "Embedding(6, 2, mask_zero=True, input_length=3), Dense(4), Dropout(0.5), SpatialDropout1D(0.5), "
    "Activation('relu')",
    "Embedding(6, 2), GlobalMaxPooling1D(), Flatten()",
    "Embedding(6, 2), GlobalAveragePooling1D(), GlobalAveragePooling1D()",
    "Embedding(6, 2, input_length=3), Dense(4), Dense(2)",
    "Dense(4, input_dim=3), SpatialDropout1D(0.5)",
    "Dense(4, input_shape=(3,)), Dense(1)",
]


def describe(error):
    """An error's words, up to where Keras begins to print a tensor."""
    words = [str(word).split("Tensor(")[0].split("[[")[0] for word in error.args]
    return f"{type(error).__name__} {words}"


def run(k):
    """Print it all, warnings too."""
    names = {name: getattr(k.L, name) for name in dir(k.L)}
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, *_: (
            print(category.__name__, message) if category is UserWarning else None
        )
        for name, arguments in ARGUMENTS:
            print("##", name, arguments)
            k.clear()
            try:
                layer = eval(f"{name}({arguments})", names)
            except (TypeError, ValueError) as error:
                print(describe(error))
                continue
            config = layer.get_config()
            again = type(layer).from_config(config)
            print(list(config.items()), again.get_config() == config)
            print(layer.input_spec, layer.supports_masking)
            for shape in SHAPES[:4]:
                try:
                    print(shape, layer.compute_output_shape(shape))
                except (ValueError, IndexError, AssertionError) as error:
                    print(shape, type(error).__name__)
        for layers in STACKS:
            print("##", layers)
            k.clear()
            try:
                m = k.Sequential(eval(f"[{layers}]", names))
            except (TypeError, ValueError) as error:
                print(describe(error))
                continue
            print([layer.output_shape for layer in m.layers], m.count_params(), [w.name for w in m.weights])
            m.summary()
            m.set_weights([np.arange(w.size).reshape(w.shape) / 10 for w in m.get_weights()])
            inputs = np.ones((2, 3)) if layers.startswith("Dense") else np.array([[1, 2, 0], [3, 0, 0]])
            print(m.predict(inputs).round(3).tolist())
