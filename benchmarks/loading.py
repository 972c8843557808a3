"""`python -m benchmarks.loading`: how long word vectors take from a file, and how much memory, against other libraries.

Makes GloVe-style text, 400,000 words of 300 numbers (1 GB), and its first tenth as word2vec's binary format. Each load
has a process of its own; the libraries take turns, round after round; a figure is the median of the rounds, a ratio
that of the rounds' ratios. The file has been read before: what is measured is reading from the system's cache.
Libraries that are not installed are left out (gensim, pyarrow, polars).

    python -m benchmarks.loading --rows 40000 --rounds 3
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

WIDTH = 300

TEXT = {
    "fastembed": "import fastembed\ndef load(path): return fastembed.load_vectors(path)",
    "polars": """import polars
def load(path):
    types = {"word": polars.String} | {f"n{k}": polars.Float32 for k in range(300)}
    return polars.read_csv(path, has_header=False, separator=" ", quote_char=None, schema=types)""",
    "pyarrow": """from pyarrow import csv, float32, string
def load(path):
    names = ["word"] + [f"n{k}" for k in range(300)]
    types = dict.fromkeys(names, float32()) | {"word": string()}
    return csv.read_csv(path, csv.ReadOptions(column_names=names),
                        csv.ParseOptions(delimiter=" ", quote_char=False), csv.ConvertOptions(column_types=types))""",
    "Keras tutorial": """import numpy, warnings
warnings.simplefilter("ignore")
def load(path):
    vectors = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            word, numbers = line.split(maxsplit=1)
            vectors[word] = numpy.fromstring(numbers, "f", sep=" ")
    return vectors""",
    "gensim": """from gensim.models import KeyedVectors
def load(path): return KeyedVectors.load_word2vec_format(path, no_header=True)""",
}
BINARY = {
    "fastembed": TEXT["fastembed"],
    "gensim": """from gensim.models import KeyedVectors
def load(path): return KeyedVectors.load_word2vec_format(path, binary=True)""",
}
MODULES = {"polars": "polars", "pyarrow": "pyarrow", "gensim": "gensim"}
MEASURE = """
import json, sys, time
def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
before = kilobytes("VmRSS")
started = time.perf_counter()
loaded = load(sys.argv[1])
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "MB": (kilobytes("VmHWM") - before) / 1024}))
"""


def make_text(path: Path, rows: int) -> None:
    """Rows as GloVe has them: five digits, about half of them negative."""
    generator = np.random.default_rng(0)
    numbers = [f"{value:.5g}" for value in generator.standard_normal(1_000_000) * 0.4]
    joined = " ".join(numbers)
    starts = np.cumsum([0] + [len(number) + 1 for number in numbers])
    firsts = generator.integers(0, len(numbers) - WIDTH, rows)
    with open(path, "w", encoding="utf-8") as file:
        for row, first in enumerate(firsts):
            file.write(f"word{row} {joined[starts[first] : starts[first + WIDTH] - 1]}\n")


def make_binary(path: Path, rows: int) -> None:
    table = np.random.default_rng(0).standard_normal((rows, WIDTH)).astype("<f4")
    with open(path, "wb") as file:
        file.write(f"{rows} {WIDTH}\n".encode())
        for row in range(rows):
            file.write(b"word%d " % row + table[row].tobytes())


def check(path: Path) -> None:
    """Every number of the file against Python's float."""
    import fastembed

    table = fastembed.load_vectors(path, verbose=False).vectors
    with open(path, encoding="utf-8") as file:
        for row, line in enumerate(file):
            expected = np.array([float(number) for number in line.split(" ")[1:]]).astype(np.float32)
            if not np.array_equal(table[row].view(np.uint32), expected.view(np.uint32)):
                raise AssertionError(f"row {row} is not Python's")
    print(f"checked: {table.size:,} numbers are Python's float rounded to float32")


def measure(code: str, path: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", code + MEASURE, str(path)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(path: Path, loaders: dict[str, str], rounds: int, slow_rounds: int) -> list[dict[str, Any]]:
    installed = {
        name: code for name, code in loaders.items() if name not in MODULES or importlib.util.find_spec(MODULES[name])
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in installed}
    for turn in range(rounds):
        for name, code in installed.items():
            if turn < slow_rounds or name not in ("gensim", "Keras tutorial"):
                runs[name].append(measure(code, path))
    ours = runs["fastembed"]
    size = path.stat().st_size
    results = []
    for name, theirs in runs.items():
        if not theirs:
            continue
        seconds = median(run["seconds"] for run in theirs)
        results.append(
            {
                "library": name,
                "seconds": seconds,
                "MB/s": size / seconds / 1e6,
                "peak MB": median(run["MB"] for run in theirs),
                "times as fast": median(b["seconds"] / a["seconds"] for a, b in zip(ours, theirs, strict=False)),
            }
        )
    return results


def markdown(title: str, results: list[dict[str, Any]]) -> str:
    lines = [title, "", "| library | seconds | MB/s | peak MB | fastembed is x times as fast |"]
    lines += ["|---|--:|--:|--:|--:|"]
    for one in results:
        lines.append(
            f"| {one['library']} | {one['seconds']:.3f} | {one['MB/s']:.0f} | {one['peak MB']:.0f} "
            f"| {one['times as fast']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-rounds", type=int, default=1, help="rounds of gensim and the tutorial's loop")
    parser.add_argument("--check", action="store_true", help="also compare every number with Python's")
    parser.add_argument("--folder", type=Path, help="where the files are, or are made and kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        text, binary = folder / f"{args.rows}.txt", folder / f"{args.rows}.bin"
        if not text.exists():
            make_text(text, args.rows)
        if not binary.exists():
            make_binary(binary, max(1, args.rows // 10) if args.rows > 100_000 else args.rows)
        if args.check:
            check(text)
        for path, loaders, kind in ((text, TEXT, "text"), (binary, BINARY, "word2vec binary")):
            results = compare(path, loaders, args.rounds, args.slow_rounds)
            print(markdown(f"{kind}, {path.stat().st_size / 1e6:,.0f} MB, rows of {WIDTH} numbers", results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
