"""Training to the numbers of the real Keras 2.2.4: train_k224.npz and fit_k224.json, recorded on its Theano backend
(`record_training_k224.py`): on TensorFlow 1 it reads weights while they are updated, and no two runs agree."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastembed import callbacks, constraints, layers, optimizers, regularizers
from fastembed.models import Sequential

from . import fit_cases, fit_script, train_cases

DATA = Path(__file__).parent / "data"
OURS = SimpleNamespace(Sequential=Sequential, L=layers, O=optimizers, R=regularizers, C=constraints, B=callbacks)
TRAINED = np.load(DATA / "train_k224.npz")
FITTED = json.loads((DATA / "fit_k224.json").read_text())


def assert_close(ours, theirs):
    """Equal but for the order of float32 sums, which differs between the two."""
    theirs = np.asarray(theirs)
    scale = np.abs(theirs).max(initial=0)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5 * float(scale))


def recorded(prefix):
    """The recorded arrays whose keys are a prefix and a number."""
    return [TRAINED[key] for key in TRAINED.files if key.startswith(prefix) and key[len(prefix) :].isdigit()]


@pytest.mark.parametrize(("model", "optimizer"), train_cases.plan())
def test_train_on_batch_is_keras(model, optimizer):
    losses, weights, optimizer_weights, predicted = train_cases.run_case(OURS, model, optimizer)
    name = f"{model}/{optimizer}"
    assert_close(losses, TRAINED[f"{name}/loss"])
    assert_close(predicted, TRAINED[f"{name}/pred"])
    for ours, theirs in ((weights, recorded(f"{name}/w")), (optimizer_weights, recorded(f"{name}/ow"))):
        assert len(ours) == len(theirs) > 0
        for our, their in zip(ours, theirs, strict=True):
            assert our.shape == their.shape
            assert_close(our, their)


def test_recorded_cases_are_all_run():
    assert {key.rsplit("/", 1)[0] for key in TRAINED.files} == {f"{model}/{name}" for model, name in train_cases.plan()}


@pytest.mark.parametrize("name", fit_cases.CASES)
def test_fit_is_keras(name):
    ours, theirs = fit_cases.run(OURS, name), FITTED[name]
    assert (ours["metrics_names"], ours["epoch"]) == (theirs["metrics_names"], theirs["epoch"])
    assert list(ours["history"]) == list(theirs["history"])
    for key, values in theirs["history"].items():
        assert_close(ours["history"][key], values)
    assert_close(ours["evaluate"], theirs["evaluate"])
    assert_close(ours["predict"], theirs["predict"])
    for our, their in zip(ours["weights"], theirs["weights"], strict=True):
        assert_close(our, their)


def test_recorded_fits_are_all_run():
    assert FITTED.keys() - {"__meta__"} == fit_cases.CASES.keys()


def test_fit_prints_and_refuses_what_keras_does(capsys):
    fit_script.run(OURS)
    printed = capsys.readouterr().out.splitlines()
    recorded = (DATA / "fit_script_k224.txt").read_text().splitlines()
    assert len(printed) == len(recorded) > 300
    for ours, theirs in zip(printed, recorded, strict=True):
        assert ours == theirs
