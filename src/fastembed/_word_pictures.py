"""Words as points: the two directions in which their vectors differ most, drawn or handed to a projector."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed.io.atomic import Path, check_path, replacing


def principal_components(vectors: NDArray[Any], count: int = 2) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project vectors onto the directions in which they vary most.

    Args:
        vectors: (n, D), n >= 1.
        count: int, how many directions.

    Returns:
        (n, count) float64 coordinates, 0 in directions that do not exist; and the share of the variance that each
        direction has, (count,). The sign of a direction is that its largest coordinate is positive.
    """
    centred = np.asarray(vectors, np.float64)
    centred = centred - centred.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    points, shares = np.zeros((len(centred), count)), np.zeros(count)
    kept = min(count, len(sizes))
    points[:, :kept] = left[:, :kept] * sizes[:kept]
    largest = points[np.abs(points).argmax(axis=0), np.arange(count)]
    points *= np.where(largest < 0, -1.0, 1.0)
    total = float((sizes**2).sum())
    if total > 0:
        shares[:kept] = sizes[:kept] ** 2 / total
    return points, shares


def draw_words(words: Sequence[str], vectors: NDArray[Any], path: Path) -> None:
    """Write a picture of the words as points with labels, by the first two principal components.

    Args:
        words: n labels.
        vectors: (n, D).
        path: its suffix says which format: .png, .svg, .pdf.

    Raises:
        ImportError: there is no matplotlib.
        ValueError: matplotlib knows no format of this suffix; nothing is written.
        OSError: what the system says.
    """
    try:
        figure_module: Any = importlib.import_module("matplotlib.figure")
        backend: Any = importlib.import_module("matplotlib.backends.backend_agg")
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "fastembed-gather[plot]"') from error
    suffix = os.path.splitext(check_path(path))[1].lower().lstrip(".")
    figure = figure_module.Figure(figsize=(8, 6), layout="constrained")
    known = sorted(backend.FigureCanvasAgg(figure).get_supported_filetypes())
    if suffix not in known:
        raise ValueError(f"{os.fsdecode(path)}: a picture ends in one of .{', .'.join(known)}.")
    points, shares = principal_components(vectors)
    axes = figure.subplots()
    axes.scatter(points[:, 0], points[:, 1], s=18)
    for word, point in zip(words, points, strict=True):
        # a dollar sign would begin a formula
        axes.annotate(word.replace("$", r"\$"), point, xytext=(4, 4), textcoords="offset points", fontsize=9)
    axes.set_xlabel(f"first component, {shares[0]:.0%} of the variance")
    axes.set_ylabel(f"second component, {shares[1]:.0%} of the variance")
    axes.margins(0.12)
    picture = io.BytesIO()
    figure.savefig(picture, format=suffix, dpi=120)
    with replacing(path) as (file,):
        file.write(picture.getvalue())


def write_projector(words: Sequence[str], vectors: NDArray[Any], folder: Path) -> None:
    """Write vectors.tsv and metadata.tsv, which the embedding projector loads, into a folder that is made if need be.

    Args:
        words: n labels; their tabs and line breaks become blanks.
        vectors: (n, D).
        folder: where the files go; both appear, or are replaced, once both are whole.

    Raises:
        OSError: what the system says.
    """
    os.makedirs(check_path(folder), exist_ok=True)
    paths = [os.path.join(os.fsdecode(folder), name) for name in ("vectors.tsv", "metadata.tsv")]
    with replacing(*paths) as (numbers, labels):
        for row in vectors:
            numbers.write(("\t".join(map(str, row)) + "\n").encode())
        for word in words:
            labels.write((" ".join(word.split()) + "\n").encode())
