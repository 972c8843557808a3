"""Train a table under a network of your own, written in plain NumPy: fastembed keeps the rows, you do the rest.

The task: sentences of ten ids, of which each stands for a hidden number; is the sum of a sentence's numbers positive?

    python examples/numpy_network.py
"""

from __future__ import annotations

import argparse

import numpy as np

from fastembed.layers import Embedding
from fastembed.optimizers import Adam

NUM_IDS, DIM, LENGTH, HIDDEN = 2000, 8, 10, 16


def main() -> None:
    """Train and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="batches to train on (600)")
    arguments = parser.parse_args()
    np.random.seed(0)
    numbers = np.random.standard_normal(NUM_IDS)

    def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
        ids = np.random.randint(0, NUM_IDS, (size, LENGTH))
        return ids, (numbers[ids].sum(axis=1) > 0).astype(np.float32)

    layer = Embedding(NUM_IDS, DIM)
    optimizer = Adam(0.01)
    # The network behind the table: a hidden layer and a sigmoid. Its weights are yours, and so is their update.
    first = np.random.normal(0, 0.3, (LENGTH * DIM, HIDDEN)).astype(np.float32)
    second = np.random.normal(0, 0.3, HIDDEN).astype(np.float32)

    def forward(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = layer(ids).reshape(len(ids), -1)
        hidden = np.tanh(rows @ first)
        return rows, hidden, 1 / (1 + np.exp(-hidden @ second))

    test_ids, test_labels = batch(2000)
    for step in range(arguments.steps + 1):
        if step % 100 == 0:
            accuracy = ((forward(test_ids)[2] > 0.5) == test_labels).mean()
            print(f"step {step:4d}  held-out accuracy {accuracy:.3f}")
        ids, labels = batch(64)
        rows, hidden, outputs = forward(ids)
        # Backwards, by hand: from the loss (binary crossentropy) to the rows.
        outputs_gradient = (outputs - labels) / len(ids)
        hidden_gradient = np.outer(outputs_gradient, second) * (1 - hidden**2)
        rows_gradient = (hidden_gradient @ first.T).reshape(len(ids), LENGTH, DIM)
        first -= 0.5 * rows.T @ hidden_gradient
        second -= 0.5 * hidden.T @ outputs_gradient
        # What the table needs: the ids, and the gradient with respect to the rows that it gave for them.
        optimizer.apply_gradients([(layer.gradient(ids, rows_gradient), layer)])


if __name__ == "__main__":
    main()
