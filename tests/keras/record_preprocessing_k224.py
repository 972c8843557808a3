"""Record what the real Keras 2.2.4 makes of each probe: python -m tests.keras.record_preprocessing_k224
(Python 3.7, from the repository's root, see CONTRIBUTING.md).

Needs keras==2.2.4, keras_preprocessing==1.1.2, tensorflow==1.15.5, "h5py<3", "protobuf<3.21", numpy==1.18.5.
"""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import keras_preprocessing
from keras import backend
from keras.layers import Layer
from keras.preprocessing import sequence, text

from .preprocessing_probes import PROBES, observe

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    assert (keras.__version__, keras_preprocessing.__version__) == ("2.2.4", "1.1.2")
    namespace = {"backend": backend, "Layer": Layer, "text": text, "sequence": sequence}
    recorded = {name: observe(script, namespace) for name, script in PROBES.items()}
    with open(os.path.join(HERE, "data", "preprocessing_k224.json"), "w") as file:
        json.dump(recorded, file, indent=0, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
