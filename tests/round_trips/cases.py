"""Models for round trips, independent of any implementation; read by Python 3.7 too."""

import collections
import os

import numpy as np

VOC, DIM, LENGTH, STEPS = 8, 3, 4, 4
_random = np.random.RandomState(7)
IDS = _random.randint(1, VOC, (10, LENGTH))
IDS[::3, -2:] = 0
TARGETS = _random.randint(0, 2, (10, 1)).astype("float32")

# name -> class, arguments beside the rate, rate
OPTIMIZERS = collections.OrderedDict(
    [
        ("sgd", ("SGD", {}, 0.1)),
        ("momentum", ("SGD", {"momentum": 0.9, "nesterov": True}, 0.1)),
        ("rmsprop", ("RMSprop", {}, 0.01)),
        ("adagrad", ("Adagrad", {}, 0.1)),
        ("adadelta", ("Adadelta", {}, 1.0)),
        ("adam", ("Adam", {}, 0.05)),
        ("amsgrad", ("Adam", {"amsgrad": True}, 0.05)),
        ("adamax", ("Adamax", {}, 0.05)),
        ("nadam", ("Nadam", {}, 0.05)),
    ]
)
# whose equations are others in tf_keras and Keras 3, or that lose part of their state in those Keras's files
DIFFERENT = {"keras2": ["nadam"], "tf_keras": ["rmsprop", "adagrad", "nadam"], "keras3": ["rmsprop", "adagrad"]}
CASES = [("flat", name) for name in OPTIMIZERS] + [(model, "adam") for model in ("masked", "frozen", "nested", "odd")]


def build(k, model, optimizer):
    """Make a model with fixed weights, compiled. k: `version`, `Sequential`, `L`ayers, `O`ptimizers of a Keras."""
    later = k.version in ("tf_keras", "keras3")

    def entrance(**kwargs):
        kwargs.update({} if k.version == "keras3" else {"input_length": LENGTH})
        start = [k.L.InputLayer(shape=(LENGTH,), dtype="int32")] if k.version == "keras3" else []
        return [*start, k.L.Embedding(VOC, DIM, **kwargs)]

    if model == "flat":
        layers = [*entrance(name="words"), k.L.Flatten(), k.L.Dense(1, name="top")]
    elif model == "masked":
        layers = entrance(name="words", mask_zero=True)
        layers += [k.L.GlobalAveragePooling1D(), k.L.Dense(1, activation="sigmoid", name="top")]
    elif model == "frozen":
        layers = entrance(name="words", trainable=False)
        layers += [k.L.Flatten(), k.L.Dense(3, activation="relu", name="mid"), k.L.Dense(1, name="top")]
    elif model == "nested":
        inner = k.Sequential([*entrance(name="words"), k.L.GlobalAveragePooling1D(name="means")], name="inner")
        layers = [inner, k.L.Dense(1, name="top")]
    else:  # arguments and layers that the others lack
        layers = entrance(name="words", embeddings_initializer="he_normal", embeddings_constraint="non_neg")
        layers += [k.L.SpatialDropout1D(0.0), k.L.Dropout(0.0), k.L.Flatten()]
        layers += [k.L.Dense(2, kernel_regularizer="l2", bias_constraint="max_norm", activation="tanh")]
        layers += [k.L.Dense(1, use_bias=False, name="top"), k.L.Activation("sigmoid")]
    made = k.Sequential(layers, name="model")
    values = np.random.RandomState(3)
    made.set_weights([values.uniform(0.1, 0.5, array.shape).astype("float32") for array in made.get_weights()])
    kind, arguments, rate = OPTIMIZERS[optimizer]
    arguments = dict(arguments, **{"learning_rate" if later else "lr": rate})
    if kind == "Nadam" and k.version == "fastembed":
        arguments["schedule_decay"] = k.schedule_decay
    if kind == "Adagrad" and later:
        arguments["initial_accumulator_value"] = 0.0
    loss = "binary_crossentropy" if model in ("masked", "odd") else "mse"
    made.compile(getattr(k.O, kind)(**arguments), loss, metrics=["mae"])
    return made


def train(model):
    """Take some steps; return the loss before each."""
    losses = []
    for _ in range(STEPS):
        if hasattr(model, "reset_metrics"):  # later versions tell the mean since then
            model.reset_metrics()
        losses.append(float(np.ravel(model.train_on_batch(IDS, TARGETS))[0]))
    return losses


def predict(model):
    return np.asarray(model.predict(IDS, verbose=0))


def compare(path, model, trains):
    """Compare a model that was loaded with what was noted; `trains`: its next steps too."""
    with np.load(path + ".npz") as noted:
        np.testing.assert_allclose(predict(model), noted["predicted"], atol=1e-6, rtol=0, err_msg=path)
        for number, array in enumerate(model.get_weights()):
            np.testing.assert_array_equal(array, noted[f"w{number}"], err_msg=path)
        if trains:
            np.testing.assert_allclose(train(model), noted["losses"], atol=2e-5, rtol=0, err_msg=path)


def is_same(version, case):
    """Whether a model of a case, once it is loaded by this Keras, trains to the numbers of the one that was saved."""
    return case[1] not in DIFFERENT[version]


def save(model, paths):
    """Save a model in all these files, and write down beside each what it gives and what its next steps give."""
    for path in paths:
        (model.save_weights if path.endswith((".w.h5", ".weights.h5")) else model.save)(path)
    arrays = {f"w{number}": array for number, array in enumerate(model.get_weights())}
    predicted = predict(model)
    losses = train(model)
    for path in paths:
        np.savez(path + ".npz", predicted=predicted, losses=losses, **arrays)


def path_of(folder, writer, case, suffix):
    return os.path.join(folder, "{}-{}-{}{}".format(writer, *case, suffix))
