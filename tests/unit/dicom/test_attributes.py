import copy
from typing import Any

import pytest

from shared.dicom.attributes import parse_attribute_id, remove
from shared.errors import InvalidRequest


@pytest.mark.spec("QIDO-10", "QIDO-15", "QIDO-16")
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("PatientName", "00100010"),
        ("00100010", "00100010"),
        ("0020000d", "0020000D"),
        ("00091001", "00091001"),
        ("60020010", "60020010"),
        ("RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009"),
        ("00400275.00400009", "00400275.00400009"),
        ("00400275.ScheduledProcedureStepID", "00400275.00400009"),
        ("00091010.00091001", "00091010.00091001"),
    ],
)
def test_an_attribute_is_named_by_keyword_by_tag_or_by_a_path_of_two(text: str, key: str) -> None:
    assert parse_attribute_id(text).key == key


@pytest.mark.spec("QIDO-11", "QIDO-15", "QIDO-16")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "patientname",
        "Patient Name",
        " 00100010",
        "0010001",
        "001000100",
        "0010001G",
        "0010,0010",
        "(0010,0010)",
        "00080003",
        "１０１０００１０",
        "PatientName.PatientID",
        "RequestAttributesSequence.",
        ".PatientID",
        "RequestAttributesSequence.RequestAttributesSequence.PatientID",
    ],
)
def test_anything_else_is_an_invalid_request(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_attribute_id(text)


def nested() -> dict[str, Any]:
    item = {"00080060": {"vr": "CS", "Value": ["CT"]}, "00080100": {"vr": "SH", "Value": ["A"]}}
    return {
        "00080060": {"vr": "CS", "Value": ["MR"]},
        "00400275": {"vr": "SQ", "Value": [{}, item, {"00400008": {"vr": "SQ", "Value": [copy.deepcopy(item)]}}]},
    }


@pytest.mark.spec("VAL-6", "VAL-7")
def test_exactly_the_failing_element_is_removed() -> None:
    attributes = nested()
    assert remove(attributes, "00400275/2/00080060")
    assert attributes["00080060"]["Value"] == ["MR"]
    assert list(attributes["00400275"]["Value"][1]) == ["00080100"]
    assert list(attributes["00400275"]["Value"][2]["00400008"]["Value"][0]) == ["00080060", "00080100"]
    assert remove(attributes, "00400275/3/00400008/1/00080100")
    assert attributes["00400275"]["Value"][2] == {
        "00400008": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": ["CT"]}}]}
    }
    assert remove(attributes, "00080060")
    assert list(attributes) == ["00400275"]


def test_an_item_that_loses_its_last_element_stays() -> None:
    attributes: dict[str, Any] = {"00400275": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS"}}]}}
    assert remove(attributes, "00400275/1/00080060")
    assert attributes == {"00400275": {"vr": "SQ", "Value": [{}]}}


@pytest.mark.parametrize(
    "path", ["00080061", "00400275/4/00080060", "00400275/0/00080060", "00080060/1/00080060", "00400275/1/00080060"]
)
def test_what_is_not_there_is_not_removed(path: str) -> None:
    attributes = nested()
    assert not remove(attributes, path)
    assert attributes == nested()
