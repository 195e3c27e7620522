"""What a store refuses, warns of and leaves out, over HTTP (dicomweb §6.2, §6.3, §6.7)."""

import pytest

from tests.builders.files import MODALITY, PATIENT_ID, PATIENT_NAME, SOP_INSTANCE, STUDY, STUDY_DATE, file
from tests.builders.images import new_uid
from tests.conformance.stores import FAILED, RETRIEVE_URL, STORED, comments, item, reasons, value, warning


@pytest.mark.spec("STOW-20", "STOW-36")
@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E, 0x00080018, 0x00080016, 0x00100020])
def test_an_instance_without_a_required_attribute_fails(client, tag):
    reply = client.store(file({tag: None}))

    assert (reply.status_code, reasons(reply)) == (409, [43264])
    [comment] = comments(item(reply, FAILED))
    assert comment.startswith(f"DICOM100: ({tag >> 16:04x},{tag & 0xFFFF:04x}) - ")


@pytest.mark.spec("STOW-22", "QIDO-31")
def test_an_empty_patient_id_is_stored_in_v2_alone(store_v1, store_v2):
    assert store_v1.store(file({PATIENT_ID: ""})).status_code == 409

    one = file({PATIENT_ID: ""})
    reply = store_v2.store(one)
    assert (reply.status_code, warning(reply)) == (202, 1)
    assert [comment[:22] for comment in comments(item(reply, STORED))] == ["DICOM100: (0010,0020) "]
    assert "00100020" not in store_v2.metadata(one)
    [study] = store_v2.search("studies", StudyInstanceUID=one.identifier.study_instance_uid)
    assert study["00100020"] == {"vr": "LO"}

    assert store_v2.store(file({}, study=one.identifier.study_instance_uid)).status_code == 200
    assert store_v2.store(file({PATIENT_ID: " "}, study=one.identifier.study_instance_uid)).status_code == 202
    [study] = store_v2.search("studies", StudyInstanceUID=one.identifier.study_instance_uid)
    assert value(study["00100020"]) == "P-1"


@pytest.mark.spec("STOW-23", "STOW-31", "D-12")
def test_an_instance_of_another_study_than_the_path_names_fails(client):
    right = file()
    study = right.identifier.study_instance_uid
    reply = client.store(right, file(), path=f"studies/{study}")

    assert (reply.status_code, reasons(reply)) == (202, [43264])
    assert comments(item(reply, FAILED))[0].startswith("DICOM100: (0020,000d) - ")

    reply = client.store(file(), path=f"studies/{study}")
    assert reply.status_code == 409
    assert RETRIEVE_URL not in reply.json()


@pytest.mark.spec("VAL-1", "VAL-2", "VAL-9")
@pytest.mark.parametrize(
    ("tag", "text", "v1_status", "v2_status"),
    [
        (MODALITY, "M" * 20, 409, 202),
        (STUDY_DATE, "NotAValidStudyDate", 409, 202),
        (PATIENT_ID, "abc\0", 409, 200),
        (MODALITY, "X\0", 200, 200),
        (MODALITY, "X\0X", 200, 202),
        (PATIENT_ID, "\x000123\0", 409, 409),
        (PATIENT_ID, "12,3", 200, 200),
        (STUDY, "abc.123", 409, 409),
        (SOP_INSTANCE, "11|", 409, 409),
    ],
)
def test_the_versions_judge_by_their_own_rules(client, tag, text, v1_status, v2_status):
    reply = client.store(file({tag: text}))

    assert reply.status_code == (v2_status if client.v2 else v1_status), reply.text
    if reply.status_code == 202:
        assert warning(reply) == 1
    if reply.status_code == 409:
        assert reasons(reply) == [43264]


@pytest.mark.spec("VAL-11")
def test_a_uid_with_a_leading_zero_is_kept(client):
    one = file(study=f"{new_uid()}.01")

    reply = client.store(one)

    assert reply.status_code == (202 if client.v2 else 200)
    assert value(client.metadata(one)["0020000D"]) == one.identifier.study_instance_uid


@pytest.mark.spec("VAL-4", "VAL-5", "VAL-6", "META-5", "IDX-5")
def test_what_fails_is_missing_from_metadata_and_search_and_kept_in_the_file(store_v2):
    one = file({STUDY_DATE: "NotADate", PATIENT_NAME: "A^B^C^D^E^F"})
    study = one.identifier.study_instance_uid

    reply = store_v2.store(one)

    assert reply.status_code == 202
    assert [comment[11:20] for comment in comments(item(reply, STORED))] == ["0008,0020", "0010,0010"]
    assert not {"00080020", "00100010"} & store_v2.metadata(one).keys()
    assert store_v2.file_of(one).content == one.data
    [found] = store_v2.search("studies", StudyInstanceUID=study)
    assert "00080020" not in found

    assert store_v2.store(file(study=study)).status_code == 200
    [found] = store_v2.search("studies", StudyInstanceUID=study, StudyDate="20240131")
    assert value(found["00100010"]) == {"Alphabetic": "Doe^Jane"}


@pytest.mark.spec("VAL-3", "VAL-7", "D-13")
def test_a_nested_fault_is_reported_under_its_own_tag_and_only_it_is_left_out(store_v2):
    step = {0x00400009: ("SH", "S" * 17), 0x00400007: ("LO", "fine")}
    one = file({0x00400275: ("SQ", [step])})

    reply = store_v2.store(one)

    assert reply.status_code == 202
    assert [comment[11:20] for comment in comments(item(reply, STORED))] == ["0040,0009"]
    assert store_v2.metadata(one)["00400275"]["Value"] == [{"00400007": {"vr": "LO", "Value": ["fine"]}}]


@pytest.mark.spec("VAL-8", "STOW-41", "D-14", "IDX-1")
def test_several_values_where_one_is_allowed(store_v1, store_v2):
    def scanner():
        return file({0x00081090: "One\\Two"})

    reply = store_v1.store(one := scanner())
    assert reply.status_code == 200
    assert reply.headers["Warning"].startswith("299 ")
    study = one.identifier.study_instance_uid
    assert len(store_v1.search(f"studies/{study}/series", ManufacturerModelName="One")) == 1

    reply = store_v2.store(one := scanner())
    assert (reply.status_code, warning(reply)) == (202, 1)
    assert "Warning" not in reply.headers
    assert "00081090" not in store_v2.metadata(one)
    study = one.identifier.study_instance_uid
    assert len(store_v2.search(f"studies/{study}/series", ManufacturerModelName="One")) == 1

    reply = store_v2.store(file({PATIENT_ID: "A\\B"}))
    assert reply.status_code == 200
    assert reply.headers["Warning"].startswith("299 ")


@pytest.mark.spec("IDX-1", "D-15")
def test_a_day_that_is_not_in_the_calendar_is_a_warning(store_v2):
    reply = store_v2.store(file({0x00080020: "20200230"}))

    assert (reply.status_code, warning(reply)) == (202, 1)


@pytest.mark.spec("IDX-2", "IDX-3", "IDX-6")
def test_the_latest_value_that_is_not_empty_wins(store_v2):
    study = new_uid()
    for name in ("First^One", "Second^One", ""):
        assert store_v2.store(file({PATIENT_NAME: name}, study=study)).status_code == 200

    [found] = store_v2.search("studies", StudyInstanceUID=study, PatientName="second^one")
    assert value(found["00100010"]) == {"Alphabetic": "Second^One"}
    assert store_v2.search("studies", StudyInstanceUID=study, PatientName="first^one") == []


@pytest.mark.spec("IDX-4", "D-16", "CON-5")
def test_a_study_forgets_what_only_a_deleted_instance_has_said(store_v2):
    study = new_uid()
    first, second = file({PATIENT_NAME: "First^One"}, study=study), file({PATIENT_NAME: "Second^One"}, study=study)
    assert store_v2.store(first).status_code == 200
    assert store_v2.store(second).status_code == 200

    assert store_v2.session.delete(f"{store_v2.base}/{second.path}", timeout=60).status_code == 204

    [found] = store_v2.search("studies", StudyInstanceUID=study)
    assert value(found["00100010"]) == {"Alphabetic": "First^One"}
    assert len(store_v2.search(f"studies/{study}/series", Modality="CT")) == 1
    assert len(store_v2.search("instances", StudyInstanceUID=study, PatientName="First^One")) == 1
