"""Record what the real Keras 2.2.4 makes of the probes: python record_keras224.py (Python 3.7, see CONTRIBUTING.md).

Needs keras==2.2.4, tensorflow==1.15.5, "h5py<3", "protobuf<3.21", numpy==1.18.5. Tests read only what it writes,
data/families_k224.json.
"""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
from family_probes import DISTRIBUTIONS, MATRIX, PROBES, SHAPES, moments, observe
from keras import backend, constraints, initializers, regularizers

HERE = os.path.dirname(os.path.abspath(__file__))


def to_array(value):
    return backend.get_value(value) if hasattr(value, "op") else value


def main():
    assert keras.__version__ == "2.2.4"
    namespace = {
        "constraints": constraints,
        "initializers": initializers,
        "regularizers": regularizers,
        "x": backend.constant(eval(MATRIX)),
        "zeros": backend.zeros((3, 2)),
    }
    recorded = {
        "probes": {probe: observe(probe, namespace, to_array) for probe in PROBES},
        "distributions": {
            probe: [moments(backend.get_value(eval(probe, namespace)(shape))) for shape in SHAPES]
            for probe in DISTRIBUTIONS
        },
    }
    with open(os.path.join(HERE, "data", "families_k224.json"), "w") as file:
        json.dump(recorded, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
