"""Record what the real Keras 2.2.4 says to each probe: python -m tests.keras.record_layers_k224
(Python 3.7, from the repository's root, see CONTRIBUTING.md).

Needs keras==2.2.4, tensorflow==1.15.5, "h5py<3", "protobuf<3.21", numpy==1.18.5.
"""

import inspect
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
from keras import backend, initializers, layers, losses, metrics, models, optimizers
from keras.engine.base_layer import InputSpec

from .model_probes import PROBES, observe

HERE = os.path.dirname(os.path.abspath(__file__))
NAMESPACE = {
    "backend": backend,
    "initializers": initializers,
    "layers": layers,
    "models": models,
    "Embedding": layers.Embedding,
    "InputLayer": layers.InputLayer,
    "InputSpec": InputSpec,
    "Layer": layers.Layer,
    "Sequential": models.Sequential,
}


def takes_targets(value):
    """Whether it is a loss or a metric, not another global of the module, which `get` would also return."""
    return inspect.isfunction(value) and list(inspect.signature(value).parameters)[:2] == ["y_true", "y_pred"]


def accepted(get, names):
    """The names which `get` turns into a function or an optimizer."""
    taken = []
    for name in names:
        try:
            get(name)
        except Exception:
            continue
        taken.append(name)
    return taken


def main():
    assert keras.__version__ == "2.2.4"
    recorded = {name: observe(script, NAMESPACE) for name, script in PROBES.items()}
    with open(os.path.join(HERE, "data", "layers_k224.json"), "w") as file:
        json.dump(recorded, file, indent=1, sort_keys=True)
        file.write("\n")
    names = {
        "optimizers": ["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam", "tfoptimizer"],
        "losses": sorted(n for n in vars(losses) if takes_targets(getattr(losses, n))),
        "metrics": sorted(n for n in vars(metrics) if takes_targets(getattr(metrics, n))),
    }
    taken = {
        "optimizers": accepted(optimizers.get, names["optimizers"]),
        "losses": accepted(losses.get, names["losses"]),
        "metrics": accepted(metrics.get, names["metrics"]),
    }
    with open(os.path.join(HERE, "data", "names_k224.json"), "w") as file:
        json.dump(taken, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
