"""What a worklist rule must be (AIX-2)."""

import pytest

from shared.errors import InvalidRequest
from shared.worklist_rules.request import dry_run, rule_document
from tests.builders.worklist import element
from tests.builders.worklist_rules import NODULES

pytestmark = pytest.mark.spec("AIX-5", "AIX-6", "AIX-7", "AIX-8")


def test_a_rule_is_completed() -> None:
    document = rule_document({"name": " Nodules ", "filter": {"Modality": "CT"}})
    assert document == {
        "name": "Nodules",
        "filter": {"Modality": ["CT"]},
        "minimumInstances": 1,
        "quietSeconds": 120,
        "template": {},
        "enabled": True,
    }


def test_a_template_may_name_its_attributes_by_keyword() -> None:
    template = {"WorklistLabel": element("LO", "AI"), "00741200": element("CS", "HIGH")}
    assert rule_document({**NODULES, "template": template})["template"] == {
        "00741200": element("CS", "HIGH"),
        "00741202": element("LO", "AI"),
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": 1},
        {"enabled": "no"},
        {"name": "a\nb"},
        {"filter": {}},
        {"filter": None},
        {"filter": {"Modality": ""}},
        {"filter": {"Modality": []}},
        {"filter": {"Modality": ["CT"] * 21}},
        {"filter": {"Modality": "x" * 201}},
        {"filter": {"Modality": 1}},
        {"filter": {"NoSuchAttribute": "1"}},
        {"filter": {"Modality": "CT", "00080060": "MR"}},
        {"filter": {"PixelData": "1"}},
        {"filter": {"StudyDate": "yesterday"}},
        {"filter": {"StudyInstanceUID": "1.2*"}},
        {"filter": {"RequestAttributesSequence.A.B": "1"}},
        {"quietSeconds": -1},
        {"quietSeconds": 86_401},
        {"quietSeconds": 1.5},
        {"minimumInstances": 0},
        {"minimumInstances": True},
        {"template": []},
        {"template": {"nonsense": element("LO", "x")}},
        {"template": {"00741204": {"Value": ["x"]}}},
        {"template": {"00741204": {"vr": "LO"}}},
        {"template": {"00100010": element("PN", {"Alphabetic": "Doe"})}},
        {"template": {"00081195": element("UI", "1.2")}},
        {"template": {"00404021": element("SQ", {})}},
        {"template": {"00404025": element("SQ", {})}},
        {"template": {"00404011": element("DT", "soon")}},
        {"unknown": 1},
    ],
)
def test_what_makes_no_workitems_is_refused(changed: dict) -> None:
    with pytest.raises(InvalidRequest):
        rule_document({**NODULES, **changed})


@pytest.mark.parametrize("sent", [None, [], "rule", 1])
def test_what_is_no_object_is_refused(sent: object) -> None:
    with pytest.raises(InvalidRequest):
        rule_document(sent)


@pytest.mark.parametrize("studies", [None, [], ["x"], [1], ["1.2"] * 21, "1.2"])
def test_a_dry_run_names_a_few_studies(studies: object) -> None:
    with pytest.raises(InvalidRequest):
        dry_run({**NODULES, "studies": studies})
    assert dry_run({**NODULES, "studies": ["1.2", "1.2", "1.3"]}).studies == ("1.2", "1.3")
