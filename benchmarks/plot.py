"""The charts: speed-up by workload, GB/s by row width, time an id by size and by threads, latency of a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLOURS = {
    "fastembed": "#d1495b",
    "numpy": "#222222",
    "torch": "#30638e",
    "tensorflow": "#edae49",
    "onnxruntime": "#8d96a3",
    "jax": "#66a182",
    "numba": "#9c6ade",
}


def save_speedup(figures: dict[str, Any], path: Path) -> None:
    """Bars of gather and bag, at the largest number of threads; whiskers from quartile to quartile."""
    threads = max(figures["threads"])
    shown = [operation for operation in ("gather", "bag") if _cases(figures, operation, threads)]
    figure, all_axes = _subplots(max(len(shown), 1), 1, (11, 3.9 * max(len(shown), 1)))
    titles = {
        "gather": ("rows into a fresh output", "np.take"),
        "bag": ("mean of each sample's rows, padding skipped", "np.take + mean"),
    }
    for axes, operation in zip(all_axes, shown, strict=False):
        cases = _cases(figures, operation, threads)
        names = list(dict.fromkeys(workload for workload, _ in cases))
        peers = [peer for peer in COLOURS if peer != "numpy" and any(peer == other for _, other in cases)]
        width = 0.85 / max(len(peers), 1)
        highest = 1.25 * max(case["ratio"] for case in cases.values())  # a whisker may be longer than all bars
        for i, peer in enumerate(peers):
            own = [(x, cases[name, peer]) for x, name in enumerate(names) if (name, peer) in cases]
            places = [x + (i - (len(peers) - 1) / 2) * width for x, _ in own]
            heights = [case["ratio"] for _, case in own]
            spread = [
                [case["ratio"] - case["quartiles"][0] for _, case in own],
                [case["quartiles"][1] - case["ratio"] for _, case in own],
            ]
            style = {"color": COLOURS[peer], "ecolor": "#777777", "error_kw": {"linewidth": 0.8}}
            axes.bar(places, heights, width, yerr=spread, label=peer, **style)
            for place, height, top in zip(places, heights, spread[1], strict=True):
                text = f"{height:.2f}" if height < 0.95 else f"{height:.1f}" if height < 9.95 else f"{height:.0f}"
                end = (place, min(height + top, highest))
                axes.annotate(text, end, (0, 2), textcoords="offset points", ha="center", fontsize=7)
        title, base = titles[operation]
        if operation == "bag":
            axes.set_yscale("log")
            axes.set_ylim(top=1.3 * highest)
        else:
            axes.set_ylim(0, 1.1 * highest)
        axes.axhline(1, color="black", linewidth=1, label=f"{base} (1 thread)")
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel(f"times as fast as {base}")
        axes.set_title(f"{operation}: {title}, {threads} threads; median and quartiles of pairs", fontsize=10)
        axes.legend(fontsize=8, ncols=7, loc="upper center", bbox_to_anchor=(0.5, -0.07), frameon=False)
    _save(figure, path)


def save_latency(figures: dict[str, Any], path: Path) -> None:
    """The time of one call on the smallest workload, on a log scale."""
    cases = [one for one in figures["results"] if one["workload"] == "W1" and one["threads"] == max(figures["threads"])]
    cases = [one for one in cases if one["operation"] in ("gather", "layer", "gather+mask")]
    if not cases:
        return
    bars = [(f"{one['peer']}: {one['operation']}", one["seconds"], one["peer"]) for one in cases]
    for operation in ("gather", "gather+mask"):
        of_numpy = [one["numpy_seconds"] for one in cases if one["operation"] == operation]
        if of_numpy:
            bars.append((f"numpy: {operation}", min(of_numpy), "numpy"))
    bars.sort(key=lambda bar: -bar[1])
    figure, (axes,) = _subplots(1, 1, (9, 0.34 * len(bars) + 1.2))
    axes.barh([bar[0] for bar in bars], [bar[1] * 1e6 for bar in bars], color=[COLOURS[bar[2]] for bar in bars])
    for place, bar in enumerate(bars):
        end = (bar[1] * 1e6, place)
        text = f"{end[0]:.3g}" if end[0] < 1000 else f"{end[0]:,.0f}"
        axes.annotate(text, end, (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.08)
    axes.set_xlabel("microseconds a call: 4 x 3 ids, table 6 x 2 (log scale)")
    _save(figure, path)


def save_width(curve: dict[str, Any], path: Path) -> None:
    """GB/s of output by row width for each library, with T_lim as the roof."""
    figure, (axes,) = _subplots(1, 1, (9, 4.5))
    axes.fill_between(curve["columns"], curve["T_lim"], color="#eeeeee")
    axes.plot(curve["columns"], curve["T_lim"], color="black", linestyle="--", label="T_lim: what the memory allows")
    for peer in [peer for peer in COLOURS if peer in curve]:
        weight = 2.2 if peer == "fastembed" else 1.2
        axes.plot(curve["columns"], curve[peer], "o-", markersize=3, color=COLOURS[peer], label=peer, linewidth=weight)
    axes.set_xscale("log", base=2)
    axes.set_xticks(curve["columns"], [str(columns) for columns in curve["columns"]], fontsize=8)
    axes.set_xlabel(f"columns of the table ({curve['note']})")
    axes.set_ylabel("GB/s of output")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    _save(figure, path)


def save_scaling(curves: list[dict[str, Any]], path: Path) -> None:
    """Time an id along each sweep, by threads, beside np.take; log scales."""
    sweeps = list(dict.fromkeys(curve["sweep"] for curve in curves))
    figure, all_axes = _subplots(len(sweeps), 2, (12, 3.6 * len(sweeps)))
    for row, sweep in enumerate(sweeps):
        for column, operation in enumerate(("gather", "out hot")):
            axes = all_axes[2 * row + column]
            own = [one for one in curves if (one["sweep"], one["operation"]) == (sweep, operation)]
            for one in own:
                shade = "#d1495b" if one["threads"] == own[-1]["threads"] else "#edae49"
                label = f"{one['threads']} thread" + ("s" if one["threads"] > 1 else "")
                axes.plot(one["x"], one["ns"], "o-", markersize=3, label=label, color=shade)
            if own:
                axes.plot(own[0]["x"], own[0]["numpy ns"], color="#222222", linewidth=1, label="np.take, fresh output")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel(sweep)
            axes.set_ylabel("ns per 64 bytes of a row" if sweep == "columns" else "ns per id")
            kind = "fresh output" if operation == "gather" else "same output each time"
            axes.set_title(f"{kind}, by {sweep}", fontsize=10)
            axes.grid(alpha=0.3, which="both", linewidth=0.5)
            axes.legend(fontsize=8)
    _save(figure, path)


def save_threads(figures: dict[str, Any], path: Path) -> None:
    """Times as fast as fastembed on one thread, by number of threads, for each workload, into a hot output."""
    threads = figures["threads"]
    figure, (axes,) = _subplots(1, 1, (7, 4.5))
    by_threads = {count: _cases(figures, "out hot", count) for count in threads}
    for name, peer in by_threads[threads[0]]:
        if peer == "fastembed" and name != "W1":
            seconds = [by_threads[count][name, peer]["seconds"] for count in threads]
            axes.plot(threads, [seconds[0] / one for one in seconds], "o-", label=name)
    axes.plot(threads, threads, color="black", linestyle="--", linewidth=1, label="n threads, n times as fast")
    axes.set_xticks(threads)
    axes.set_xlabel("threads")
    axes.set_ylabel("times as fast as one thread of fastembed")
    axes.set_title("Rows into the same output each time (out hot)", fontsize=10)
    axes.legend(fontsize=8)
    _save(figure, path)


def _cases(figures: dict[str, Any], operation: str, threads: int) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (case["workload"], case["peer"]): case
        for case in figures["results"]
        if case["operation"] == operation and case["threads"] == threads
    }


def _subplots(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False)
    for one in axes.flat:
        for side in ("top", "right"):
            one.spines[side].set_visible(False)
    return figure, list(axes.flat)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
