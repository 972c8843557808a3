"""initializers, regularizers and constraints answer as the recorded Keras 2.2.4 does; what every family shares."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from fastembed import _registry, constraints, initializers, regularizers

from .family_probes import MATRIX, NAMES, PROBES, observe

RECORDED = json.loads((Path(__file__).parent / "data" / "families_k224.json").read_text())["probes"]
FAMILIES = {"initializers": initializers, "regularizers": regularizers, "constraints": constraints}
ALL_NAMES = [(family, name) for family, names in NAMES.items() for name in names if name != "Regularizer"]


def see(probe):
    x = np.array(eval(MATRIX), np.float32)
    return observe(probe, {**FAMILIES, "x": x, "zeros": np.zeros((3, 2), np.float32)})


def test_recording_covers_every_probe():
    assert list(RECORDED) == PROBES


@pytest.mark.parametrize("probe", [probe for probe in PROBES if not probe.endswith(("(x)", "(zeros)"))])
def test_family_answers_as_keras(probe):
    # As text, for the order of a config's keys counts, and 3 is not 3.0.
    assert json.dumps(see(probe)) == json.dumps(RECORDED[probe])


@pytest.mark.parametrize("probe", [probe for probe in PROBES if probe.endswith(("(x)", "(zeros)"))])
def test_family_computes_as_keras(probe):
    ours, theirs = see(probe)["result"], RECORDED[probe]["result"]
    if isinstance(theirs, dict):
        assert np.shape(ours["array"] if isinstance(ours, dict) else ours) == tuple(theirs["shape"])
        ours, theirs = ours["array"] if isinstance(ours, dict) else ours, theirs["array"]
    # Another system: Keras sums in float32, we in float64, which shows in the last bits.
    np.testing.assert_allclose(ours, theirs, rtol=3e-7, atol=0)


@pytest.mark.parametrize(("family", "name"), ALL_NAMES)
def test_config_round_trips(family, name):
    module = FAMILIES[family]
    config = module.serialize(module.get(name))
    kept = copy.deepcopy(config)
    assert module.serialize(module.get(config)) == config
    assert module.serialize(module.deserialize(json.loads(json.dumps(config)))) == config
    assert config == kept


@pytest.mark.parametrize(("family", "name"), ALL_NAMES)
def test_objects_copy_and_pickle(family, name):
    module = FAMILIES[family]
    made = module.get(name)
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert module.serialize(copied) == module.serialize(made)


@pytest.mark.parametrize("family", NAMES)
def test_names_are_attributes_of_their_module(family):
    for name in NAMES[family]:
        made = getattr(FAMILIES[family], name)()
        assert type(made) is type(FAMILIES[family].get(name))


@pytest.mark.parametrize("family", NAMES)
def test_deserialize_refuses_other_kinds(family):
    kind = family[:-1]
    for wrong in (5, None):
        with pytest.raises(ValueError, match="serialized") as raised:
            FAMILIES[family].deserialize(wrong)
        assert str(raised.value) == f"Could not interpret serialized {kind}: {wrong}"


@pytest.mark.parametrize("family", NAMES)
def test_get_names_what_it_cannot_interpret(family):
    with pytest.raises(ValueError, match="interpret") as raised:
        FAMILIES[family].get(1.5)
    assert str(raised.value) == f"Could not interpret {family[:-1]} identifier: 1.5"


def test_get_returns_a_callable_itself():
    for module in FAMILIES.values():
        assert module.get(len) is len


def test_deserialize_prefers_custom_objects_and_leaves_them_alone():
    custom = {"thing": dict}
    config = {"class_name": "thing", "config": {"a": 1}}
    assert _registry.deserialize(config, {"thing": list}, "thing", custom) == {"a": 1}
    assert custom == {"thing": dict}
    assert config == {"class_name": "thing", "config": {"a": 1}}


def test_serialize_refuses_what_has_neither_config_nor_name():
    with pytest.raises(ValueError, match="Cannot") as raised:
        _registry.serialize(5)
    assert raised.value.args == ("Cannot serialize", 5)
