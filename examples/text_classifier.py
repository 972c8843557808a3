"""Tell documentation from code: a text classifier trained from random rows, from pre-trained ones, and on frozen ones.

The text is Python's own standard library, which every Python has. A sample is a few words in a row, either of a
module's docstrings or of the names in its code; keywords are left out, and modules that the model is tested on are not
trained on. Few samples are labelled, so it pays to know from the others which words go together: that is what the
pre-trained rows hold, and they are made here, from counts of neighbours. The baseline is naive Bayes on bags of words.

    python examples/text_classifier.py                    # prints the accuracies, saves text_classifier.png
    python examples/text_classifier.py --help
"""

from __future__ import annotations

import argparse
import ast
import io
import keyword
import re
import sysconfig
import time
import tokenize
from collections import Counter
from pathlib import Path

import numpy as np

from fastembed.callbacks import LambdaCallback
from fastembed.layers import Dense, Embedding, GlobalAveragePooling1D
from fastembed.models import Sequential
from fastembed.optimizers import Adam

LEFT_OUT = {word.lower() for word in keyword.kwlist} | {"self", "cls"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def words_of(text: str) -> list[str]:
    """Lower-case words: parts of names, ``read_only`` and ``readOnly`` say, count each."""
    words = re.findall(r"[A-Z]?[a-z]+", text)
    return [word for word in map(str.lower, words) if len(word) > 1 and word not in LEFT_OUT]


def documentation_and_code(source: str) -> tuple[list[str], list[str]]:
    """The words of a module's docstrings, and those of the names in its code."""
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, DOCUMENTED)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    names = [token.string for token in tokens if token.type == tokenize.NAME]
    return words_of("\n".join(docstrings)), words_of("\n".join(names))


def read_samples(num_modules: int, length: int) -> list[list[tuple[list[str], int]]]:
    """For each module its samples: `length` words in a row, and 1 for documentation or 0 for code."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [path for path in sorted(library.glob("*.py")) + sorted(library.glob("[a-z]*/*.py")) if path.is_file()]
    paths = [path for path in paths if not {"site-packages", "dist-packages", "test", "idlelib"} & set(path.parts)]
    modules = []
    for index in np.random.permutation(len(paths))[:num_modules]:
        try:
            parts = documentation_and_code(paths[index].read_text(encoding="utf-8"))
        except (UnicodeDecodeError, SyntaxError, tokenize.TokenError):
            continue
        size = min(map(len, parts)) // length * length  # as much of one as of the other
        starts = range(0, size, length)
        modules.append([(words[at : at + length], 1 - kind) for kind, words in enumerate(parts) for at in starts])
    return modules


def to_ids(samples: list[tuple[list[str], int]], vocabulary: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Ids (samples, length), 0 where a word is not in the vocabulary, and labels (samples, 1)."""
    ids = np.array([[vocabulary.get(word, 0) for word in words] for words, _ in samples])
    return ids, np.array([[label] for _, label in samples])


def pretrained_rows(ids: np.ndarray, num_rows: int, dim: int) -> np.ndarray:
    """Rows that are alike where words have the same neighbours: the leading directions of their mutual information."""
    counts = np.zeros((num_rows, num_rows), np.float32)
    for column in range(1, ids.shape[1]):
        for distance in range(1, min(column, 4) + 1):
            np.add.at(counts, (ids[:, column], ids[:, column - distance]), 1)
    counts[0] = counts[:, 0] = 0
    counts += counts.T
    totals = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(counts * totals.sum() / np.outer(totals, totals))
    information = np.maximum(np.nan_to_num(information, nan=0.0, posinf=0.0, neginf=0.0), 0)
    directions = np.random.standard_normal((num_rows, dim)).astype(np.float32)
    for _ in range(4):  # the power method, for all directions at once
        directions, _ = np.linalg.qr(information @ directions)
    rows = information @ directions
    return rows / max(np.sqrt(np.mean(np.square(rows))), 1e-12) * 0.1


def naive_bayes(ids: np.ndarray, labels: np.ndarray, test_ids: np.ndarray, num_rows: int) -> np.ndarray:
    """Labels by the words' frequencies in either class."""
    scores = np.zeros(num_rows)
    for label, sign in ((1, 1), (0, -1)):
        counts = np.bincount(ids[labels[:, 0] == label].ravel(), minlength=num_rows) + 1
        scores += sign * np.log(counts / counts.sum())
    scores[0] = 0  # words that are not in the vocabulary
    return (scores[test_ids].sum(axis=1, keepdims=True) > 0).astype(int)


def accuracies(
    rows: np.ndarray | None, trainable: bool, train: tuple, test: tuple, num_rows: int, dim: int, epochs: int
) -> list[float]:
    """Held-out accuracy before training and after each epoch."""
    model = Sequential()
    start = {} if rows is None else {"weights": [rows]}
    model.add(Embedding(num_rows, dim, mask_zero=True, input_length=train[0].shape[1], trainable=trainable, **start))
    model.add(GlobalAveragePooling1D())
    model.add(Dense(1, activation="sigmoid"))
    model.compile(Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    seen = [model.evaluate(*test, verbose=0)[1]]
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["val_acc"]))
    model.fit(*train, epochs=epochs, verbose=0, validation_data=test, callbacks=[watch])
    return seen


def plot(curves: dict[str, list[float]], baseline: float, path: str) -> None:
    """Save a picture of the curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for name, curve in curves.items():
        panel.plot(range(len(curve)), curve, marker="o", markersize=3, label=name)
    panel.axhline(baseline, color="gray", linestyle="--", label="bag of words (naive Bayes)")
    panel.set_xlabel("epoch")
    panel.set_ylabel("held-out accuracy")
    panel.set_title("Documentation or code?")
    panel.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Train and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", type=int, default=400, help="modules of the standard library to read (400)")
    parser.add_argument("--labelled", type=int, default=1000, help="samples to train on (1000)")
    parser.add_argument("--length", type=int, default=8, help="words of a sample (8)")
    parser.add_argument("--vocabulary", type=int, default=4000, help="words that have a row (4000)")
    parser.add_argument("--dim", type=int, default=32, help="columns of the table (32)")
    parser.add_argument("--epochs", type=int, default=20, help="epochs (20)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (0)")
    parser.add_argument("--plot", default="text_classifier.png", help="file for the picture; '' for none")
    arguments = parser.parse_args()
    np.random.seed(arguments.seed)

    began = time.perf_counter()
    modules = read_samples(arguments.modules, arguments.length)
    held_out = [sample for module in modules[::4] for sample in module]
    others = [sample for number, module in enumerate(modules) if number % 4 for sample in module]
    counts = Counter(word for words, _ in others for word in words)
    vocabulary = {word: number for number, (word, _) in enumerate(counts.most_common(arguments.vocabulary - 1), 1)}
    num_rows = len(vocabulary) + 1
    all_ids, all_labels = to_ids(others, vocabulary)
    test = to_ids(held_out, vocabulary)
    kept = all_ids.any(axis=1), test[0].any(axis=1)  # a sample of unknown words only has no mean
    all_ids, all_labels, test = all_ids[kept[0]], all_labels[kept[0]], (test[0][kept[1]], test[1][kept[1]])
    chosen = np.random.permutation(len(all_ids))[: arguments.labelled]
    train = all_ids[chosen], all_labels[chosen]
    print(f"{len(modules)} modules, {len(all_ids)} samples, {len(chosen)} of them labelled, {len(test[0])} held out")

    rows = pretrained_rows(all_ids, num_rows, arguments.dim)
    settings = {"random start": (None, True), "pre-trained": (rows, True), "pre-trained, frozen": (rows, False)}
    curves = {
        name: accuracies(start, trainable, train, test, num_rows, arguments.dim, arguments.epochs)
        for name, (start, trainable) in settings.items()
    }
    baseline = float((naive_bayes(*train, test[0], num_rows) == test[1]).mean())

    for name, curve in curves.items():
        print(
            f"{name:26} {curve[0]:.3f} before, {curve[-1]:.3f} after {arguments.epochs} epochs, best {max(curve):.3f}"
        )
    print(f"{'bag of words':26} {baseline:.3f}")
    print(f"{time.perf_counter() - began:.1f} s")
    if arguments.plot:
        try:
            plot(curves, baseline, arguments.plot)
        except ImportError:
            print("no picture: it needs matplotlib (pip install matplotlib)")
        else:
            print(f"saved {arguments.plot}")


if __name__ == "__main__":
    main()
