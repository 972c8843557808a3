"""Texts and sequences become what the real Keras 2.2.4 makes of them, but for the differences listed here."""

import json
import sys
from pathlib import Path

import pytest

from fastembed import backend
from fastembed.layers import Layer
from fastembed.preprocessing import sequence, text

from .preprocessing_probes import PROBES, observe

RECORDED = json.loads((Path(__file__).parent / "data" / "preprocessing_k224.json").read_text())
try:
    _ = 1 % 0
except ZeroDivisionError as error:
    MODULO_BY_ZERO = str(error)
NAMESPACE = {"backend": backend, "Layer": Layer, "text": text, "sequence": sequence}

DIFFERS = {
    # Python's own words, which have changed
    "hashing.n1": {
        "error": {"type": "ZeroDivisionError", "args": [MODULO_BY_ZERO]},
        "printed": "",
        "warnings": [],
    },
}


@pytest.mark.parametrize("name", PROBES)
def test_preprocessing_does_what_keras_does(name, monkeypatch):
    # where a probe imports keras_preprocessing, it means ours
    monkeypatch.setitem(sys.modules, "keras_preprocessing", type(sys)("keras_preprocessing"))
    monkeypatch.setitem(sys.modules, "keras_preprocessing.text", text)
    assert observe(PROBES[name], NAMESPACE) == DIFFERS.get(name, RECORDED[name])


def test_every_probe_is_recorded_and_every_difference_is_one():
    assert sorted(PROBES) == sorted(RECORDED)
    assert sys.version_info < (3, 11) or [name for name in DIFFERS if DIFFERS[name] == RECORDED[name]] == []
