"""Losses, metrics and activations against values and gradients of the real Keras 2.2.4, on TensorFlow 1.15."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastembed import activations, losses, metrics

RECORDED = json.loads((Path(__file__).parent / "data" / "losses_k224.json").read_text())


def arrays(case, *names):
    return [np.asarray(case[name], np.float32) for name in names]


def close(ours, theirs, atol=1e-6):
    """Equal but for the last bits, which differ between two ways to compute a logarithm, say."""
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=atol)


def identity(case):
    return case["name"]


@pytest.mark.parametrize("case", RECORDED["losses"], ids=identity)
def test_loss_is_keras(case):
    y_true, y_pred, value, gradient = arrays(case, "y_true", "y_pred", "value", "gradient")
    loss = losses.get(case["name"])
    close(loss(y_true, y_pred), value.reshape(len(y_true)))
    close(np.asarray(losses.gradient_of(loss)(y_true, y_pred)), gradient, 1e-5)


@pytest.mark.parametrize("case", RECORDED["metrics"], ids=identity)
def test_metric_is_keras(case):
    y_true, y_pred, value = arrays(case, "y_true", "y_pred", "value")
    ours = metrics.get(case["name"])(y_true, y_pred, *([] if case["k"] is None else [case["k"]]))
    close(ours, value)


@pytest.mark.parametrize("case", RECORDED["activations"], ids=identity)
def test_activation_is_keras(case):
    x, value = arrays(case, "x", "value")
    function = activations.get(case["name"])
    outputs = function(x, **case.get("kwargs", {}))
    close(outputs, value)
    if "gradient" in case:
        weights, gradient = arrays(case, "weights", "gradient")
        close(np.asarray(activations.gradient_of(function)(x, outputs, weights)), gradient)
