"""`python -m benchmarks --ragged`: sentences of different lengths pooled, against model2vec's own pooling.

10,000 sentences of 5 to 60 tokens over a 30,000 x 256 table. model2vec gets the ids that its tokenizer would give it
(lists of int), so that its tokenizer is not measured; so does fastembed, in each of the forms that it takes.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from fastembed import _bench, ops
from fastembed._bench.measure import FOREIGN_SHARE, Quiet, floor, paired_round
from fastembed._bench.operations import Call

ROWS, WIDTH, SENTENCES = 30_000, 256, 10_000
BATCH = 1024    # model2vec's own size of a batch


def main(folder: Path, small: bool, peers: tuple[str, ...] | None, tell: Callable[[str], None]) -> int:
    generator = np.random.default_rng(3)
    table = generator.standard_normal((ROWS, WIDTH), dtype=np.float32)
    lengths = generator.integers(5, 61, 100 if small else SENTENCES)
    arrays = [generator.integers(ROWS, size=length) for length in lengths]
    lists = [array.tolist() for array in arrays]
    flat = np.concatenate(arrays)
    names = {"bag": ops.embedding_bag, "table": table, "lists": lists, "arrays": arrays, "flat": flat}
    names |= {"lengths": lengths}
    theirs = _model2vec(table, lists)
    if not theirs:
        tell("model2vec is not installed")
        return 0
    results = []
    for threads in sorted({1, ops.get_num_threads()}):
        for form, statement in (
            ("flat ids, lengths", f"bag(table, flat, lengths=lengths, num_threads={threads})"),
            ("list of arrays", f"bag(table, arrays, num_threads={threads})"),
            ("list of lists", f"bag(table, lists, num_threads={threads})"),
        ):
            for who, other in theirs.items():
                call = Call(statement, names)
                np.testing.assert_allclose(call.run()[0], other.run()[0], rtol=1e-4, atol=1e-5)
                tell(f"{form}, {threads} threads, against {who}")
                Quiet(5.0).wait()
                measured = paired_round(other, call, 0.01 if small else 2.0, 0 if small else 1)
                results.append({
                    "ids": form,
                    "threads": threads,
                    "against": who,
                    "ratio": median(a / b for a, b in zip(measured.base, measured.peer, strict=True)),
                    "floor ratio": floor(measured.base) / floor(measured.peer),
                    "seconds": floor(measured.peer),
                    "their seconds": floor(measured.base),
                    "others": measured.foreign or 0.0,
                })
    figures = {"machine": _bench.harness.machine.describe(), "results": results}
    (folder / "ragged.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    text = markdown(results, len(lengths))
    (folder / "ragged.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def markdown(results: list[dict[str, Any]], sentences: int) -> str:
    lines = [
        f"{sentences:,} sentences of 5 to 60 tokens, {ROWS:,} x {WIDTH} table, mean; model2vec",
        f"{_bench.harness.machine.version_of('model2vec')}'s own pooling, whole or in its batches of {BATCH}. Times",
        "that a tenth of the calls stay below, and their ratio; the median of the pairs' ratios.",
        "",
        "| ids | threads | model2vec | its time | fastembed | times as fast | median | others |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for one in results:
        mark = "!" if one["others"] > FOREIGN_SHARE else ""
        lines.append(
            f"| {one['ids']} | {one['threads']} | {one['against']} | {one['their seconds'] * 1e3:.1f} ms "
            f"| {one['seconds'] * 1e3:.2f} ms | {one['floor ratio']:.1f} | {one['ratio']:.1f} "
            f"| {one['others']:.0%}{mark} |"
        )
    return "\n".join(lines) + "\n"


def _model2vec(table: Any, lists: list[list[int]]) -> dict[str, Call]:
    """Its pooling of ids, out of its `encode`: of one batch, batch after batch, and with a weight for each token."""
    try:
        library: Any = importlib.import_module("model2vec")
        tokenizers: Any = importlib.import_module("tokenizers")
    except ImportError:
        return {}

    class Model(library.StaticModel):  # type: ignore[misc]
        def tokenize(self, sentences: Any) -> Any:
            return sentences

    words = {f"w{row}": row for row in range(len(table))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    plain = Model(table, tokenizer, normalize=False)
    weighted = Model(table, tokenizer, normalize=False, weights=np.ones(len(table), np.float32))
    batches = [lists[start : start + BATCH] for start in range(0, len(lists), BATCH)]
    names = {"pool": plain._encode_batch, "weighted": weighted._encode_batch, "lists": lists, "batches": batches}
    names |= {"concatenate": np.concatenate}
    return {
        "whole": Call("pool(lists, False)", names),
        "batches": Call("concatenate([pool(batch, False) for batch in batches])", names),
        "with token weights": Call("weighted(lists, False)", names),
    }
