"""What was measured, as a table of text or of Markdown."""

from __future__ import annotations

from typing import Any

from fastembed._bench.measure import FOREIGN_SHARE

HEADINGS = (
    "workload",
    "operation",
    "library",
    "threads",
    "x NumPy",
    "quartiles",
    "floors",
    "time",
    "GB/s",
    "T_lim/time",
    "call MB",
    "others",
)


def rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row of cells a case, under HEADINGS."""
    return [
        (
            case["workload"],
            case["operation"],
            case["peer"],
            str(case["threads"]),
            f"{case['ratio']:.2f}",
            f"{case['quartiles'][0]:.2f}-{case['quartiles'][1]:.2f}",
            f"{case['floor_ratio']:.2f}",
            _duration(case["seconds"]),
            f"{case['gb_per_second']:.2f}",
            "" if case["of_limit"] is None else f"{case['of_limit']:.2f}",
            "" if case["call_mb"] is None else f"{case['call_mb']:.0f}",
            _others(case["worst_foreign_share"]),
        )
        for case in report["results"]
    ]


def text(report: dict[str, Any]) -> str:
    """The table with aligned columns, and the machine below it."""
    cells = [HEADINGS, *rows(report)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    lines = ["  ".join(_align(i, cell, widths[i]) for i, cell in enumerate(row)).rstrip() for row in cells]
    lines += ["", *(f"{name:12}{value}" for name, value in report["machine"].items()), *_notes(report)]
    return "\n".join(lines)


def markdown(report: dict[str, Any]) -> str:
    """The same as Markdown."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|---|" + "--:|" * (len(HEADINGS) - 3)]
    lines += ["| " + " | ".join(row) + " |" for row in rows(report)]
    lines += ["", *(f"- {name}: {value}" for name, value in report["machine"].items())]
    return "\n".join([*lines, *(f"- {note}" for note in _notes(report) if note)]) + "\n"


def _notes(report: dict[str, Any]) -> list[str]:
    repeated = sum(case["repeated_rounds"] for case in report["results"])
    return [
        "",
        '"x NumPy": the median of interleaved pairs, NumPy being 1: np.take(table, ids, axis=0) on one thread; for '
        '"gather+mask" and `ids != 0`, for "mask" that alone, for "bag" .mean(axis=-2) on top, padding counted, for '
        '"bag, masked" a mean without the padding.',
        '"floors": the same ratio of the times that a tenth of the samples stay below; it says more where others '
        'disturbed. "T_lim/time": the time in which the same rows can be read and such an output filled, over that '
        "which the call takes, floors both.",
        '"call MB": memory that one call adds at its peak.',
        '"others": the share of a CPU that other processes used in the worst round kept, with a "!" where it makes the '
        f"figure doubtful; {repeated} rounds were repeated because of them.",
        *report["errors"],
    ]


def _others(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}" + ("!" if share > FOREIGN_SHARE else "")


def _align(column: int, cell: str, width: int) -> str:
    return f"{cell:<{width}}" if column < 3 else f"{cell:>{width}}"


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
