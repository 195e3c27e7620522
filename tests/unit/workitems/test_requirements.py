"""What creation, updates and final states ask of attributes (worklist §4)."""

import pytest

from shared.dicom.dictionary import keyword_of, tag_of
from shared.workitems import attribute_table
from shared.workitems.attribute_table import requirements
from shared.workitems.requirements import InvalidWorkitem, check, check_final
from shared.workitems.states import State
from shared.workitems.workitem import created
from tests.builders.worklist import code, codes, element, new_workitem, performed, performer, reasons, request_item


def creating(**attributes):
    return created(new_workitem(**attributes), "1.2.3", 1e9)


def objection(attributes, use="create"):
    try:
        check(attributes, use)
    except InvalidWorkitem as error:
        return str(error)
    return ""


TYPES = {row.tag: row for row in requirements()}
REQUIRED = sorted(tag for tag, row in TYPES.items() if row.create in {"1/1", "2/2", "empty"})
MUST_HAVE_A_VALUE = sorted(tag for tag, row in TYPES.items() if row.create in {"1/1", "3/1", "1C/1C", "1C/2"})
NOT_UPDATABLE = sorted(tag for tag, row in TYPES.items() if row.update == "NA")


def test_the_smallest_data_set_creates_a_workitem():
    assert objection(creating()) == ""


def test_the_table_has_every_attribute_of_the_specification_once():
    tags = [row.tag for row in requirements()]

    assert len(tags) == len(set(tags)) == 42
    assert {keyword_of(int(tag, 16)) for tag in attribute_table.returned()} >= {"PatientName", "ProcedureStepState"}
    assert "00081195" not in attribute_table.returned()


@pytest.mark.spec("WC-4", "WC-8", "WL-20")
@pytest.mark.parametrize("tag", REQUIRED)
def test_what_is_required_must_be_there(tag):
    attributes = creating()
    del attributes[tag]

    assert objection(attributes) == f"The required tag '({tag[:4].lower()},{tag[4:].lower()})' is missing."


@pytest.mark.spec("WC-4", "WC-8", "WL-20")
@pytest.mark.parametrize("tag", MUST_HAVE_A_VALUE)
@pytest.mark.parametrize("empty", [(), ("",), (" ",), (None,)])
def test_what_must_have_a_value_has_one(tag, empty):
    vr = "SQ" if tag == "00741224" else "LO"
    attributes = creating() | {tag: element(vr, *(() if vr == "SQ" else empty))}

    assert objection(attributes) in {
        f"The value for tag '({tag[:4].lower()},{tag[4:].lower()})' is missing.",
        f"The attribute with tag '({tag[:4].lower()},{tag[4:].lower()})' must not be empty.",
    }


@pytest.mark.spec("WL-20")
@pytest.mark.parametrize("tag", ["00404034", "00404008", "00102000", "001021C0", "00380050", "00404070"])
def test_what_may_be_empty_may_be_absent_too(tag):
    assert objection(creating() | {tag: element("SQ")}) == ""
    assert objection(creating()) == ""


@pytest.mark.spec("WL-22")
def test_at_creation_some_attributes_must_be_empty():
    assert objection(creating(t00081195=None)) == ""
    assert objection(creating(t00081195=element("UI", "1.2"))) == "The attribute with tag '(0008,1195)' must be empty."
    progress = element("SQ", {})
    assert objection(creating(t00741002=progress)) == "The attribute with tag '(0074,1002)' must be empty."
    assert objection(creating(t00741216=progress)) == "The attribute with tag '(0074,1216)' must be empty."


@pytest.mark.spec("WC-8", "WU-8")
@pytest.mark.parametrize("tag", NOT_UPDATABLE)
def test_what_identifies_a_workitem_and_its_patient_is_not_updated(tag):
    expected = f"The attribute with tag '({tag[:4].lower()},{tag[4:].lower()})' cannot be present."

    assert objection({tag: element("LO", "x")}, "update") == expected


@pytest.mark.spec("WL-21")
def test_items_are_checked():
    assert objection(creating(t0040A370=element("SQ", request_item()))) == ""
    missing = request_item()
    del missing["00080050"]
    assert objection(creating(t0040A370=element("SQ", request_item(), missing))) == (
        "The required tag '(0008,0050)' is missing."
    )
    assert objection(creating(t00404034=element("SQ", performer()))) == ""
    nameless = performer() | {"00404037": element("PN", {"Alphabetic": ""})}
    assert objection(creating(t00404034=element("SQ", nameless))) == "The value for tag '(0040,4037)' is missing."
    assert objection(performed(), "update") == ""
    worker = performed()
    del worker["00741216"]["Value"][0]["00404033"]
    assert objection(worker, "update") == "The required tag '(0040,4033)' is missing."


@pytest.mark.spec("WC-20", "WC-21", "WC-22", "WC-23", "WC-24")
def test_what_clients_rely_on_is_accepted():
    assert objection(creating(t00741200=element("CS", "whatever"), t00404041=element("CS", "x"))) == ""
    assert objection(creating(t00404025=element("SQ", {"00080104": element("LO", "only a meaning")}))) == ""
    assert objection(creating(t00404025=element("SQ", {"00080100": element("SH", "no meaning")}))) == (
        "The required tag '(0008,0104)' is missing."
    )
    assert objection(creating() | {"0040E020": element("CS", "DICOM"), "00091001": element("LO", "x")}) == ""
    assert objection(creating(t00380014=element("SQ", {}))) == ""
    assert objection(creating(t0040A370=element("SQ"))) == ""


@pytest.mark.parametrize("macro", sorted(attribute_table._MACROS))
def test_macros_name_attributes_of_the_standard(macro):
    for line in attribute_table._MACROS[macro].strip().splitlines():
        assert tag_of(line.removeprefix("> ").split()[0]) is not None


# -------------------------------------------------------------------------------------------------------- final states


def final_objection(attributes, state):
    try:
        check_final(attributes, state)
    except InvalidWorkitem as error:
        return str(error)
    return ""


@pytest.mark.spec("WL-24")
def test_a_completed_workitem_says_what_was_performed():
    done = creating() | performed()
    assert final_objection(done, State.COMPLETED) == ""
    assert final_objection(creating(), State.COMPLETED) == "The value for tag '(0074,1216)' is missing."
    for tag in ("00404028", "00404050", "00404019", "00404051"):
        for value, text in ((None, "The required tag"), (element("SQ"), "The value for tag")):
            item = {**performed()["00741216"]["Value"][0]}
            del item[tag]
            item |= {} if value is None else {tag: value}
            found = final_objection(creating() | {"00741216": element("SQ", item)}, State.COMPLETED)
            assert found == f"{text} '({tag[:4]},{tag[4:]})' is missing."


@pytest.mark.spec("WL-24")
def test_output_information_may_be_empty():
    item = performed()["00741216"]["Value"][0] | {"00404033": element("SQ")}
    assert final_objection(creating() | {"00741216": element("SQ", item)}, State.COMPLETED) == ""
    del item["00404033"]
    assert final_objection(creating() | {"00741216": element("SQ", item)}, State.COMPLETED) == (
        "The required tag '(0040,4033)' is missing."
    )


@pytest.mark.spec("WL-25")
def test_a_canceled_workitem_says_when_and_why():
    item = {"00404052": element("DT", "20260131"), "0074100E": codes("110501")}
    assert final_objection(creating() | {"00741002": element("SQ", item)}, State.CANCELED) == ""
    assert final_objection(creating(), State.CANCELED) == "The value for tag '(0074,1002)' is missing."
    for missing in item:
        rest = {tag: value for tag, value in item.items() if tag != missing}
        assert final_objection(creating() | {"00741002": element("SQ", rest)}, State.CANCELED)


@pytest.mark.spec("WL-23")
@pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELED])
@pytest.mark.parametrize("tag", ["00080016", "00080018", "00741200", "00404010", "00404005", "00404041", "00741000"])
def test_final_states_need_what_identifies_and_schedules(state, tag):
    attributes = (
        creating()
        | performed()
        | {"00741002": element("SQ", {"00404052": element("DT", "2026")} | {"0074100E": codes("1")})}
    )
    assert final_objection(attributes, state) == ""

    assert "is missing" in final_objection(attributes | {tag: element("LO")}, state)


def test_builders_make_items_of_codes():
    assert codes("a", "b")["Value"] == [code("a"), code("b")]
    assert objection(reasons(), "update") == ""
