"""A script written for Keras prints the same, to the byte, when it imports fastembed instead."""

import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).parent / "data"


def test_founding_script_prints_what_keras_prints():
    script = (DATA / "founding_script.txt").read_text(encoding="utf-8").replace("keras", "fastembed")
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=False, timeout=120)
    assert ran.stderr.decode() == ""
    assert ran.stdout.replace(b"\r\n", b"\n") == (DATA / "founding_output.txt").read_bytes()
    assert ran.returncode == 0
