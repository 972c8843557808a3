"""A real Keras's half of the round trips: python -m tests.round_trips.peer keras2|tf_keras|keras3 FOLDER

Reads what fastembed wrote into the folder and compares it; writes files of its own. Runs on Python 3.7 too.
"""

import importlib
import os
import sys
import types
import warnings

# Not TensorFlow: Keras 2.2.4's races on it, and Keras 3's Adadelta computes something else there than on the others.
os.environ["KERAS_BACKEND"] = "theano" if sys.version_info < (3, 8) else "jax"
# a few steps of each model: to compile one takes longer than to run it
os.environ["THEANO_FLAGS"] = "device=cpu,floatX=float32,cxx=,optimizer=None"
os.environ["JAX_DISABLE_JIT"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from . import cases


def namespace(version):
    keras = importlib.import_module("tf_keras" if version == "tf_keras" else "keras")
    if version == "tf_keras":
        importlib.import_module("tensorflow").config.run_functions_eagerly(True)
    return keras, types.SimpleNamespace(
        version=version, Sequential=keras.models.Sequential, L=keras.layers, O=keras.optimizers
    )


def read(keras, k, folder):
    count = 0
    for case in cases.CASES:
        if k.version == "keras2":
            path = cases.path_of(folder, "fastembed", case, ".h5")
            cases.compare(path, keras.models.load_model(path), trains=cases.is_same(k.version, case))
        elif k.version == "tf_keras":  # whose optimizers keep their state in another order
            path = cases.path_of(folder, "fastembed", case, ".h5")
            cases.compare(path, keras.models.load_model(path, compile=False), trains=False)
        else:
            path = cases.path_of(folder, "fastembed", case, ".keras")
            cases.compare(path, keras.models.load_model(path), trains=cases.is_same(k.version, case))
        count += 1
        if case[1] != "adam":  # weights alone are the same
            continue
        for suffix in [".w.h5"] if k.version == "keras2" else [".w.h5", ".weights.h5"]:
            path = cases.path_of(folder, "fastembed", case, suffix)
            model = cases.build(k, *case)
            if not (k.version == "keras3" and suffix == ".w.h5" and case[0] == "nested"):  # which it cannot read
                model.load_weights(path)
                cases.compare(path, model, trains=False)
                count += 1
    return count


def write(k, folder):
    suffixes = {
        "keras2": [".h5", ".w.h5"],
        "tf_keras": [".keras", ".h5", ".weights.h5", ".w.h5"],
        "keras3": [".keras", ".h5", ".weights.h5"],
    }[k.version]
    for case in cases.CASES:
        model = cases.build(k, *case)
        cases.train(model)
        cases.save(model, [cases.path_of(folder, k.version, case, suffix) for suffix in suffixes])
    return len(cases.CASES) * len(suffixes)


if __name__ == "__main__":
    version, folder = sys.argv[1:]
    warnings.simplefilter("ignore")
    keras, k = namespace(version)
    print(
        f"{version} {keras.__version__}: {read(keras, k, folder)} files of fastembed read, {write(k, folder)} written"
    )
