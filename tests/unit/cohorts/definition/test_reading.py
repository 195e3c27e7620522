"""What a definition may hold, and how an error names its place."""

import copy
import json
from pathlib import Path

import pytest

from shared.cohorts.definition import schema
from shared.cohorts.definition.reading import InvalidDefinition, read_definition
from tests.builders.cohorts import ASTHMA, CT, SEED


@pytest.mark.spec("COH-1", "COH-17")
@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ({}, "version"),
        ({"version": 2, "imaging": CT}, "version"),
        ({"version": 1}, "$"),
        ({"version": 1, "imaging": {"required": False, "modality": ["CT"]}}, "$"),
        ({"version": 1, "patient": {"gender": "any"}}, "$"),
        ({"version": 1, "patients": {}}, "patients"),
        ({"version": 1, "patient": {"age": {}}}, "patient.age"),
        ({"version": 1, "patient": {"age": {"gt": 45, "ge": 46}}}, "patient.age"),
        ({"version": 1, "patient": {"age": {"gt": "45"}}}, "patient.age.gt"),
        ({"version": 1, "patient": {"age": {"gt": 45.5}}}, "patient.age.gt"),
        ({"version": 1, "patient": {"age": {"lt": 0}}}, "patient.age.lt"),
        ({"version": 1, "patient": {"age": {"le": 151}}}, "patient.age.le"),
        ({"version": 1, "patient": {"age": {"ge": 60, "le": 50}}}, "patient.age"),
        ({"version": 1, "patient": {"age": {"gt": 50, "lt": 51}}}, "patient.age"),
        ({"version": 1, "patient": {"gender": "Female"}}, "patient.gender"),
        ({"version": 1, "conditions": []}, "conditions"),
        ({"version": 1, "conditions": [{}]}, "conditions[0].code"),
        ({"version": 1, "conditions": [{"code": {}}]}, "conditions[0].code"),
        (
            {"version": 1, "conditions": [ASTHMA, {"not": {"code": {"valueset": "x"}}}]},
            "conditions[1].not.code.valueset",
        ),
        ({"version": 1, "conditions": [ASTHMA | {"when": {"within": "2 years"}}]}, "conditions[0].when.within"),
        ({"version": 1, "conditions": [ASTHMA | {"when": {"within": "PT2H"}}]}, "conditions[0].when.within"),
        ({"version": 1, "conditions": [ASTHMA | {"when": {"within": "P0D"}}]}, "conditions[0].when.within"),
        ({"version": 1, "conditions": [ASTHMA | {"when": {"since": "2025-02-30"}}]}, "conditions[0].when.since"),
        ({"version": 1, "conditions": [ASTHMA | {"when": {"since": "2025"}}]}, "conditions[0].when.since"),
        ({"version": 1, "conditions": [ASTHMA | {"when": {}}]}, "conditions[0].when"),
        (
            {"version": 1, "conditions": [ASTHMA | {"when": {"within": "P1Y", "since": "2025-01-01"}}]},
            "conditions[0].when",
        ),
        (
            {"version": 1, "conditions": [ASTHMA | {"when": {"since": "2025-01-02", "until": "2025-01-01"}}]},
            "conditions[0].when",
        ),
        (
            {"version": 1, "medications": [ASTHMA | {"when": {"within": "P1Y", "of": ["onset"]}}]},
            "medications[0].when.of",
        ),
        ({"version": 1, "medications": [ASTHMA | {"notStatus": ["paused"]}]}, "medications[0].notStatus[0]"),
        ({"version": 1, "imaging": {"modality": "CT"}}, "imaging.modality"),
        ({"version": 1, "imaging": {"modality": ["ct"]}}, "imaging.modality[0]"),
        ({"version": 1, "imaging": {"modality": []}}, "imaging.modality"),
        ({"version": 1, "imaging": {"not": {}}}, "imaging.not"),
        ({"version": 1, "imaging": {"when": {"after": "surgery"}}}, "imaging.when.after"),
        ({"version": 1, "imaging": {"when": {"after": "diagnosis"}}}, "imaging.when.after"),
        (
            {"version": 1, "conditions": [ASTHMA, ASTHMA], "imaging": {"when": {"after": "diagnosis"}}},
            "imaging.when.after",
        ),
        ({"version": 1, "patient": {"age": {"gt": 4, "at": "study"}}, "conditions": [ASTHMA]}, "patient.age.at"),
        ({"version": 1, "patient": {"age": {"gt": 4, "at": "diagnosis"}}, "imaging": CT}, "patient.age.at"),
        ({"version": 1, "imaging": CT, "collect": {"studies": "some"}}, "collect.studies"),
        ({"version": 1, "imaging": CT, "collect": {"reports": {"status": []}}}, "collect.reports.status"),
        ({"version": 1, "imaging": CT, "limits": {"patients": 0}}, "limits.patients"),
        ({"version": 1, "imaging": CT, "limits": {"patients": 100_001}}, "limits.patients"),
        ({"version": 1, "imaging": CT, "name": ""}, "name"),
        ({"version": 1, "imaging": CT, "asOf": "30.06.2026"}, "asOf"),
        ([], "$"),
    ],
)
def test_an_invalid_definition_names_the_place(definition, path):
    with pytest.raises(InvalidDefinition) as refused:
        read_definition(definition)

    assert refused.value.path == path
    assert f"'{path}'" in str(refused.value)


@pytest.mark.spec("COH-17")
@pytest.mark.parametrize(
    "definition",
    [
        SEED,
        {"version": 1, "patient": {"gender": "other"}},
        {"version": 1, "imaging": {}},
        {"version": 1, "imaging": {"required": False, "not": {"modality": ["CT"]}}},
        {"version": 1, "conditions": [{"not": ASTHMA}]},
        {"version": 1, "conditions": [ASTHMA | {"verification": {"not": []}}]},
        {"version": 1, "conditions": [ASTHMA], "imaging": {"required": False, "when": {"after": "diagnosis"}}},
        {"version": 1, "patient": {"age": {"gt": 45, "at": "study"}}, "imaging": CT},
        {"version": 1, "patient": {"age": {"ge": 0, "le": 0}}},
        {
            "version": 1,
            "medications": [{"code": {"text": ["a", "b"], "valueSet": "x"}, "when": {"within": "P1Y6M2W3D"}}],
        },
    ],
)
def test_a_valid_definition_is_read(definition):
    before = copy.deepcopy(definition)

    assert read_definition(definition).version == 1
    assert definition == before


@pytest.mark.spec("COH-1")
def test_the_shipped_schema_is_that_of_the_model():
    shipped = json.loads(Path(schema.FILE).read_text("utf-8"))

    assert shipped == schema.generated()
    assert shipped["additionalProperties"] is False
