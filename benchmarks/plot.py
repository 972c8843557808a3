"""The chart: how many times as fast as np.take each library is, workload by workload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLOURS = {"fastembed": "#d1495b", "torch": "#30638e", "onnxruntime": "#8d96a3", "numba": "#edae49"}


def save_plot(figures: dict[str, Any], path: Path) -> None:
    """Bars of the gather with a fresh output, at the largest number of threads; whiskers from quartile to quartile."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    threads = max(figures["threads"])
    cases = {
        (case["workload"], case["peer"]): case
        for case in figures["results"]
        if case["operation"] == "gather" and case["threads"] == threads
    }
    names = list(dict.fromkeys(workload for workload, _ in cases))
    peers = [peer for peer in COLOURS if any(peer == with_peer for _, with_peer in cases)]
    figure, axes = pyplot.subplots(figsize=(9, 4))
    width = 0.8 / max(len(peers), 1)
    for i, peer in enumerate(peers):
        own = [(x, cases[name, peer]) for x, name in enumerate(names) if (name, peer) in cases]
        places = [x + (i - (len(peers) - 1) / 2) * width for x, _ in own]
        heights = [case["ratio"] for _, case in own]
        spread = [
            [case["ratio"] - case["quartiles"][0] for _, case in own],
            [case["quartiles"][1] - case["ratio"] for _, case in own],
        ]
        bars = axes.bar(places, heights, width, yerr=spread, label=peer, color=COLOURS[peer], ecolor="#444444")
        axes.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
    axes.axhline(1, color="black", linewidth=1, label="np.take (1 thread)")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("times as fast as np.take")
    axes.set_title(f"Rows into a fresh output, {threads} threads: median and quartiles of pairs", fontsize=10)
    axes.legend(fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
