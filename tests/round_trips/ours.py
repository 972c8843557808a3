"""fastembed's half of the round trips: python -m tests.round_trips.ours write|keras2|tf_keras|keras3 FOLDER"""

import os
import sys
import types
import warnings

import fastembed
from fastembed import Embedding, layers, models, optimizers

from . import cases

SUFFIXES = [".h5", ".keras", ".w.h5", ".weights.h5"]


def namespace(schedule_decay):
    return types.SimpleNamespace(
        version="fastembed",
        Sequential=models.Sequential,
        L=layers,
        O=optimizers,
        schedule_decay=schedule_decay,
    )


def write(folder):
    for case in cases.CASES:
        # later Keras lets Nadam's momentum rise as 1.0 does
        model = cases.build(namespace(1.0), *case)
        cases.train(model)
        cases.save(model, [cases.path_of(folder, "fastembed", case, suffix) for suffix in SUFFIXES])
    return len(cases.CASES) * len(SUFFIXES)


def read(version, folder):
    count = 0
    for case in cases.CASES:
        for suffix in SUFFIXES:
            path = cases.path_of(folder, version, case, suffix)
            if not os.path.exists(path):
                continue
            count += 1
            if suffix in (".h5", ".keras"):
                model = models.load_model(path)
                cases.compare(path, model, trains=version == "keras2" or cases.is_same(version, case))
            else:
                model = cases.build(namespace(1.0), *case)
                model.load_weights(path)
                cases.compare(path, model, trains=False)
            with cases.np.load(path + ".npz") as noted:
                cases.np.testing.assert_array_equal(Embedding.from_keras_file(path).embeddings, noted["w0"])
    return count


if __name__ == "__main__":
    what, folder = sys.argv[1:]
    warnings.simplefilter("error")
    if what == "write":
        print(f"fastembed {fastembed.__version__}: {write(folder)} files written")
    else:
        print(f"fastembed {fastembed.__version__}: {read(what, folder)} files of {what} read")
