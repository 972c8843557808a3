"""Record training by the real Keras 2.2.4: python -m tests.keras.record_training_k224
(Python 3.7, from the repository's root, see CONTRIBUTING.md).

Needs the environment of record_layers_k224 and `pip install --no-deps theano==1.0.5`, in whose pure-Python mode a step
reads all weights before it changes any.
"""

import collections
import contextlib
import json
import os
import types

os.environ["KERAS_BACKEND"] = "theano"
os.environ["THEANO_FLAGS"] = "device=cpu,floatX=float32,cxx=,optimizer=fast_compile"

import numpy as np
from keras import callbacks, constraints, layers, models, optimizers, regularizers

from . import fit_cases, fit_script, train_cases

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
KERAS = types.SimpleNamespace(
    Sequential=models.Sequential, L=layers, O=optimizers, R=regularizers, C=constraints, B=callbacks
)


def record_training():
    recorded = {}
    for model, optimizer in train_cases.plan():
        name = model + "/" + optimizer
        losses, weights, optimizer_weights, predicted = train_cases.run_case(KERAS, model, optimizer)
        recorded[name + "/loss"] = losses
        recorded.update({f"{name}/w{number}": array for number, array in enumerate(weights)})
        recorded.update({f"{name}/ow{number}": array for number, array in enumerate(optimizer_weights)})
        recorded[name + "/pred"] = predicted
    np.savez_compressed(os.path.join(DATA, "train_k224.npz"), **recorded)


def record_fits():
    recorded = collections.OrderedDict((name, fit_cases.run(KERAS, name)) for name in fit_cases.CASES)
    with open(os.path.join(DATA, "fit_k224.json"), "w") as file:
        json.dump(recorded, file, indent=1)


def record_script():
    with open(os.path.join(DATA, "fit_script_k224.txt"), "w") as file, contextlib.redirect_stdout(file):
        fit_script.run(KERAS)


if __name__ == "__main__":
    record_training()
    record_fits()
    record_script()
