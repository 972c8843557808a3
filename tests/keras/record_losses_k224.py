"""Record losses, metrics, activations and layers of the real Keras 2.2.4: python -m tests.keras.record_losses_k224
(Python 3.7, from the repository's root, see CONTRIBUTING.md).

Needs the environment of record_layers_k224; nothing here is trained, so TensorFlow's races do not matter.
"""

import contextlib
import json
import os
import types

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
from keras import activations, layers, losses, metrics, models
from keras import backend as K

from . import core_script

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
R = np.random.RandomState(3)
SHAPE = (4, 5)
TARGETS = {
    "unit": R.uniform(0.05, 0.95, SHAPE),
    "sign": np.sign(R.uniform(-1, 1, SHAPE)),
    "hot": np.eye(5)[R.randint(0, 5, 4)],
    "bin": R.randint(0, 2, SHAPE).astype(float),
    "classes": R.randint(0, 5, (4, 1)).astype(float),
    "real": R.uniform(-2, 2, SHAPE),
}
SCALED = R.uniform(0.05, 1, SHAPE)
OUTPUTS = {
    "prob": R.uniform(0.02, 0.98, SHAPE),
    "real": R.uniform(-2, 2, SHAPE),
    "soft": SCALED / SCALED.sum(1, keepdims=True),
    "scaled": SCALED,
    "edge": np.array([[0, 1, 0.5, 0.2, 1e-9]] * 4),
    "zero": np.array([[0.0, 0.1, 0.5, 0.2, 0.2]] * 4),
    "half": np.full(SHAPE, 0.5),
    "ties": np.array(
        [[0.1, 0.1, 0.3, 0.3, 0.2], [0.5, 0.5, 0, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2], [0, 0.1, 0.2, 0.3, 0.4]]
    ),
}
LOSSES = [
    ("mean_squared_error", "real", "real"),
    ("mean_absolute_error", "real", "real"),
    ("mean_absolute_percentage_error", "real", "real"),
    ("mean_squared_logarithmic_error", "unit", "real"),
    ("squared_hinge", "sign", "real"),
    ("hinge", "sign", "real"),
    ("categorical_hinge", "hot", "real"),
    ("logcosh", "real", "real"),
    ("categorical_crossentropy", "hot", "soft"),
    ("categorical_crossentropy", "unit", "scaled"),
    ("categorical_crossentropy", "hot", "zero"),
    ("sparse_categorical_crossentropy", "classes", "soft"),
    ("binary_crossentropy", "bin", "prob"),
    ("binary_crossentropy", "unit", "prob"),
    ("binary_crossentropy", "bin", "edge"),
    ("kullback_leibler_divergence", "unit", "prob"),
    ("kullback_leibler_divergence", "bin", "edge"),
    ("poisson", "unit", "prob"),
    ("cosine_proximity", "real", "real"),
]
METRICS = [
    ("binary_accuracy", "bin", "prob", None),
    ("binary_accuracy", "bin", "half", None),
    ("categorical_accuracy", "hot", "soft", None),
    ("categorical_accuracy", "hot", "ties", None),
    ("sparse_categorical_accuracy", "classes", "soft", None),
    ("sparse_categorical_accuracy", "classes", "ties", None),
]
for outputs in ("soft", "ties"):
    for k in (1, 2, 3):
        METRICS += [("top_k_categorical_accuracy", "hot", outputs, k)]
        METRICS += [("sparse_top_k_categorical_accuracy", "classes", outputs, k)]
ACTIVATIONS = [
    *("softmax", "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "hard_sigmoid", "exponential"),
    "linear",
]
ARGUMENTS = [
    ("relu", {"alpha": 0.1}),
    ("relu", {"max_value": 1.0}),
    ("relu", {"threshold": 1.0}),
    ("relu", {"alpha": 0.2, "max_value": 1.5, "threshold": 0.5}),
    ("elu", {"alpha": 0.5}),
]


def plain(array):
    return np.asarray(array).astype("float64").tolist()


def record_losses():
    for name, targets, outputs in LOSSES:
        y_true, y_pred = np.float32(TARGETS[targets]), np.float32(OUTPUTS[outputs])
        places = [K.placeholder(shape=y_true.shape), K.placeholder(shape=y_pred.shape)]
        scores = getattr(losses, name)(*places)
        value, gradient = K.function(places, [scores, *K.gradients(K.sum(scores), places[1:])])([y_true, y_pred])
        yield {
            "name": name,
            "y_true": plain(y_true),
            "y_pred": plain(y_pred),
            "value": plain(value),
            "gradient": plain(gradient),
        }


def record_metrics():
    for name, targets, outputs, k in METRICS:
        y_true, y_pred = np.float32(TARGETS[targets]), np.float32(OUTPUTS[outputs])
        places = [K.placeholder(shape=y_true.shape), K.placeholder(shape=y_pred.shape)]
        scores = getattr(metrics, name)(*places, *([] if k is None else [k]))
        value = K.function(places, [scores])([y_true, y_pred])[0]
        yield {"name": name, "k": k, "y_true": plain(y_true), "y_pred": plain(y_pred), "value": plain(value)}


def record_activations():
    extremes = [[-100, -2.5, 0, 2.5, 100, 1e-3]]
    for name in ACTIVATIONS:
        limit = 50 if name == "exponential" else 100
        x = np.float32(np.clip(np.concatenate([R.uniform(-4, 4, (6, 6)), extremes]), -limit, limit))
        weights = np.float32(R.uniform(-1, 1, x.shape))
        place = K.placeholder(shape=x.shape)
        outputs = getattr(activations, name)(place) * 1.0
        gradients = K.gradients(K.sum(outputs * weights), [place])
        value, gradient = K.function([place], [outputs, *gradients])([x])
        yield {
            "name": name,
            "x": plain(x),
            "weights": plain(weights),
            "value": plain(value),
            "gradient": plain(gradient),
        }
    for name, kwargs in ARGUMENTS:
        x = np.float32(extremes)
        place = K.placeholder(shape=x.shape)
        value = K.function([place], [getattr(activations, name)(place, **kwargs)])([x])[0]
        yield {"name": name, "kwargs": kwargs, "x": plain(x), "value": plain(value)}


if __name__ == "__main__":
    recorded = {
        "losses": list(record_losses()),
        "metrics": list(record_metrics()),
        "activations": list(record_activations()),
    }
    with open(os.path.join(DATA, "losses_k224.json"), "w") as file:
        json.dump(recorded, file, separators=(",", ":"))
    with open(os.path.join(DATA, "core_script_k224.txt"), "w") as file, contextlib.redirect_stdout(file):
        core_script.run(types.SimpleNamespace(Sequential=models.Sequential, L=layers, clear=K.clear_session))
