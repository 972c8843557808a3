"""Run a short script that builds an Embedding layer from a matrix and looks up four samples, as one does in Keras.

Shows the script, then what it prints.
"""

from __future__ import annotations

import argparse

HELP = "run a short script and show it with its output"
EXAMPLE = "fastembed demo"

SCRIPT = """\
import numpy as np
from fastembed.models import Sequential
from fastembed.layers import Embedding


input_array=np.array([[1,2,3],[2,1,0],[1,0,0],[3,2,1]])
g_word_embedding_matrix = np.eye(6,2)
model = Sequential()
model.add(Embedding(6,
                    2,
                    embeddings_initializer='uniform',
                    weights=[g_word_embedding_matrix],
                    input_length=3,
                    trainable=False,
                    name='embedding'))
model.compile('rmsprop', 'mse')
model.summary()
output_array = model.predict(input_array)
print(output_array.shape)
layer = model.get_layer('embedding')
print(layer.get_config())
print(layer.get_weights())
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    print("The script:\n")
    print(SCRIPT)
    print("Its output:\n", flush=True)
    exec(compile(SCRIPT, "<fastembed demo>", "exec"), {"__name__": "__main__"})
    return 0
