"""The picture of a training: what `History.plot` draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_VALIDATION = "val_"


def plot_history(
    history: Mapping[str, Sequence[Any]], epochs: Sequence[int], names: Iterable[str] | None, path: Any
) -> Any:
    """Draw a panel for each name, the training's and the validation's values as lines over the epochs, from 1.

    Args:
        history: values an epoch, by name.
        epochs: the epochs' numbers, from 0.
        names: which to draw, without ``val_``; None for all.
        path: file to save the figure in, or None.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: if there is no matplotlib.
        ValueError: if there is nothing to draw, or a name is not in the history.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install matplotlib.") from error
    known = list(dict.fromkeys(name.removeprefix(_VALIDATION) for name in history))
    wanted = known if names is None else list(names)
    if not wanted:
        raise ValueError("There is nothing to draw: the history has no epochs.")
    for name in wanted:
        if name not in known:
            raise ValueError(f"`names` must be names in the history, {known}. Received: {name!r}.")
    figure = Figure(figsize=(5 * len(wanted), 4), layout="constrained")
    FigureCanvasAgg(figure)
    numbers = [epoch + 1 for epoch in epochs]
    for panel, name in zip(figure.subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True):
        for key, label in ((name, "training"), (_VALIDATION + name, "validation")):
            if key in history:
                # the training's values may lack for an epoch that has no batches
                panel.plot(numbers[-len(history[key]) :], history[key], marker="o", markersize=3, label=label)
        panel.set_xlabel("epoch")
        panel.set_ylabel(name)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.legend()
    if path is not None:
        figure.savefig(path)
    return figure
