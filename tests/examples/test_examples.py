"""The examples run, and show what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[1:])},  # the packages that this process sees
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_text_classifier_beats_chance_and_saves_a_plot(tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["--modules", "80", "--epochs", "8", "--vocabulary", "1500"]
    printed = run("text_classifier.py", *arguments, folder=tmp_path)
    for name in ("random start", "pre-trained", "pre-trained, frozen"):
        best = re.search(rf"^{name} .* best (\d\.\d+)$", printed, re.MULTILINE)
        assert float(best[1]) > 0.6
    assert float(re.search(r"^bag of words +(\d\.\d+)$", printed, re.MULTILINE)[1]) > 0.6
    assert (tmp_path / "text_classifier.png").read_bytes().startswith(b"\x89PNG")


def test_numpy_network_learns(tmp_path):
    printed = run("numpy_network.py", "--steps", "400", folder=tmp_path)
    found = [float(number) for number in re.findall(r"accuracy (\d\.\d+)", printed)]
    assert len(found) == 5
    assert found[0] < 0.6
    assert found[-1] > 0.8
