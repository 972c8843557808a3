"""Keras, whichever version this Python has, in a process of its own: benchmarks.training starts it and gives the turns.

    PYTHON keras_peer.py batch|rmsprop

A line in is one step, a line out says that it is done: the loss of a batch, a number of the table. Python 3.7 has to
read this.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
THREADS = 2


def main(what):
    answers, sys.stdout = sys.stdout, sys.stderr  # Keras and TensorFlow say things of their own
    step = {"batch": batch, "rmsprop": rmsprop}[what]()
    import keras

    print("Keras", keras.__version__, file=answers, flush=True)
    for _ in sys.stdin:
        print(step(), file=answers, flush=True)


def batch():
    """The batch of benchmarks.training: a table of 793,471 x 512 whose rows are 0.01, ids of 128 x 20, mse, sgd."""
    import numpy as np
    import tensorflow as tf

    if hasattr(tf, "ConfigProto"):  # TensorFlow 1
        import keras

        config = tf.ConfigProto(intra_op_parallelism_threads=THREADS, inter_op_parallelism_threads=THREADS)
        keras.backend.set_session(tf.Session(config=config))
    else:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    from keras.layers import Embedding
    from keras.models import Sequential

    num_rows, dim, shape = 793471, 512, (128, 20)
    rng = np.random.default_rng(0)
    targets = rng.random((*shape, dim))
    batches = [rng.integers(0, num_rows, shape) for _ in range(8)]
    layer = Embedding(num_rows, dim, embeddings_initializer="zeros", **({} if is_3() else {"input_length": shape[1]}))
    model = Sequential([layer])
    model.build((None, shape[1]))
    model.compile(optimizer="sgd", loss="mse")
    layer.set_weights([np.full((num_rows, dim), 0.01, np.float32)])
    turn = iter(range(10**6))

    def step():
        k = next(turn)
        loss = float(np.ravel(model.train_on_batch(batches[k % len(batches)], targets))[0])
        if k == 0:
            moved = (layer.get_weights()[0] != np.float32(0.01)).any(axis=1)
            assert np.array_equal(np.flatnonzero(moved), np.unique(batches[0]))
        return loss

    return step


def rmsprop():
    """A step of RMSprop on a table of 1,000,000 x 64, given the gradient of 4096 x 26 rows as tf.IndexedSlices."""
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    shape = (1_000_000, 64)
    rng = np.random.default_rng(0)
    table = keras.Variable(np.full(shape, 0.01, np.float32))
    rows = tf.constant(rng.standard_normal((4096 * 26, 64)).astype(np.float32))
    batches = [tf.constant(rng.integers(0, shape[0], 4096 * 26)) for _ in range(4)]
    optimizer = keras.optimizers.RMSprop()
    optimizer.build([table])

    @tf.function
    def apply(ids):
        optimizer.apply([tf.IndexedSlices(rows, ids, tf.constant(shape))], [table])

    turn = iter(range(10**6))

    def step():
        k = next(turn)
        apply(batches[k % len(batches)])
        if k == 0:
            moved = np.abs(table.numpy() - np.float32(0.01))
            touched, times = np.unique(batches[0], return_counts=True)
            assert np.array_equal(np.flatnonzero(moved.any(axis=1)), touched)
            # a first step has one length whatever the gradient, but for the few that epsilon is not small against; of
            # an id that comes twice Keras squares each gradient, not their sum
            lengths = np.quantile(moved[touched[times == 1]], [0.01, 1])
            assert np.allclose(lengths, 0.001 / np.sqrt(0.1), rtol=0.01)
        return float(table.value[0, 0])  # waits until it is done

    return step


def is_3():
    import keras

    return int(keras.__version__.split(".")[0]) >= 3


if __name__ == "__main__":
    main(sys.argv[1])
