"""`python -m benchmarks.padding`: pad_sequences against Keras's, on 100,000 ragged sequences of 5 to 100 ids.

Needs `pip install keras_preprocessing six`, the package that Keras 2.2.4 pads with.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import numpy as np

from fastembed.preprocessing.sequence import pad_sequences

SEQUENCES, ROUNDS = 100_000, 5


def main() -> None:
    # Keras's code asks for a name that NumPy 2 no longer has
    setattr(np, "unicode_", np.str_)  # noqa: B010
    from keras_preprocessing.sequence import pad_sequences as keras_pad_sequences

    generator = random.Random(1)
    lists = [[generator.randrange(30_000) for _ in range(generator.randint(5, 100))] for _ in range(SEQUENCES)]
    arrays = [np.array(ids) for ids in lists]
    floats = [[float(i) for i in ids] for ids in lists]
    cases: dict[str, tuple[Any, dict[str, Any]]] = {
        "lists": (lists, {}),
        "lists, maxlen=50": (lists, {"maxlen": 50}),
        "lists, int64, both post": (lists, {"dtype": "int64", "padding": "post", "truncating": "post", "maxlen": 60}),
        "lists of floats, float32": (floats, {"dtype": "float32"}),
        "int64 arrays": (arrays, {}),
    }
    for name, (data, kwargs) in cases.items():
        np.testing.assert_array_equal(pad_sequences(data, **kwargs), keras_pad_sequences(data, **kwargs))
        times: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            theirs, ours = (seconds(function, data, kwargs) for function in (keras_pad_sequences, pad_sequences))
            times.append((theirs, ours))
        ratios = sorted(theirs / ours for theirs, ours in times)
        print(
            f"{name:26} Keras {min(t for t, _ in times) * 1e3:6.0f} ms, "
            f"fastembed {min(t for _, t in times) * 1e3:5.1f} ms: "
            f"{statistics.median(ratios):.1f} times as fast ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        )


def seconds(function: Any, data: Any, kwargs: dict[str, Any]) -> float:
    started = time.perf_counter()
    function(data, **kwargs)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
