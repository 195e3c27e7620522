"""Searching for studies, series and instances over HTTP: what is asked and what matches (dicomweb §8.1 to §8.4)."""

from datetime import date, timedelta

import pytest

from tests.builders.images import new_uid
from tests.conformance.exchange import refusal
from tests.conformance.searching import JSON, SERIES, SOP_INSTANCE, STUDY, Patient, search, studies, uid, values


@pytest.fixture
def patient():
    return Patient()


# -------------------------------------------------------------------------------------------------------- resources


@pytest.mark.spec("QIDO-2", "QIDO-4", "QIDO-46", "JSON-9")
def test_what_is_stored_is_found_at_once_at_every_resource_and_gone_once_deleted(either, v2, patient):
    one = patient.image(Modality="MG")
    v2.store(one)
    study, series, sop = (uid(one, tag) for tag in (STUDY, SERIES, SOP_INSTANCE))
    paths = [
        f"studies?PatientID={patient.id}",
        f"series?PatientID={patient.id}&Modality=MG",
        f"instances?PatientID={patient.id}&Modality=MG&SOPInstanceUID={sop}",
        f"studies/{study}/series",
        f"studies/{study}/instances",
        f"studies/{study}/series/{series}/instances",
    ]

    assert [len(search(either, path)) for path in paths] == [1] * 6

    v2.send("DELETE", f"studies/{study}")
    assert [search(either, path) for path in paths] == [[]] * 6


@pytest.mark.spec("QIDO-2", "QIDO-3")
def test_nothing_is_found_where_nothing_is_and_paths_must_be_uids(v2):
    nowhere = new_uid()
    for path in (f"studies/{nowhere}/series", f"studies/{nowhere}/instances", f"studies/{nowhere}/series/1/instances"):
        assert search(v2, path) == []
    for path in ("studies/abc/series", "studies/1.2./instances", "studies/1/series/x-1/instances"):
        assert v2.get(path, JSON).status_code == 400
    for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert v2.get(f"instances?{key}=nonsense-uid", JSON).status_code == 400
        assert v2.get(f"instances?{key}=1.*", JSON).status_code == 400


@pytest.mark.spec("QIDO-2", "ACC-2", "ACC-4", "ERR-2")
@pytest.mark.parametrize(
    ("accept", "status"),
    [(JSON, 204), ("application/json", 204), ("*/*", 204), (None, 204), ("image/png", 406), ("application/dicom", 406)],
)
def test_results_are_json(v2, accept, status):
    reply = v2.get(f"studies?PatientID={new_uid()}", accept)

    assert reply.status_code == status
    if status == 204:
        assert reply.content == b""
    else:
        assert refusal(reply)
        assert JSON in reply.text


@pytest.mark.spec("URL-12")
def test_head_answers_as_get_without_a_body(v2, patient):
    v2.store(patient.image())

    reply = v2.send("HEAD", f"studies?PatientID={patient.id}", JSON)

    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["Content-Type"].startswith(JSON)


# ---------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.spec("QIDO-1", "QIDO-6")
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=", "offset=-1", "offset=x", "fuzzymatching=1", "FuzzyMatching=",
     "limit=1&LIMIT=1", "offset=0&offset=0", "emptyvaluematching=x", "includefield=", "includefield=nonsense"],
)  # fmt: skip  # a table
def test_a_control_parameter_out_of_its_range_is_refused(v2, query):
    reply = v2.get(f"studies?{query}", JSON)

    assert reply.status_code == 400
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert reply.text.startswith("The query parameter '")


@pytest.mark.spec("QIDO-10", "QIDO-11", "QIDO-12", "QIDO-13", "QIDO-14", "QIDO-15", "QIDO-16", "QIDO-37", "QIDO-50")
@pytest.mark.parametrize(
    "path",
    [
        "studies?patientname=x",
        "studies?Foo=1",
        "studies?patientid=1",
        "studies?00109999=1",
        "studies?Modality=CT",
        "studies?PatientSex=F",
        "studies?NumberOfStudyRelatedInstances=1",
        "instances?TimezoneOffsetFromUTC=0100",
        "studies/1.2/series?PatientName=x",
        "studies/1.2/series?StudyInstanceUID=1.2",
        "studies/1.2/series/1.3/instances?SeriesInstanceUID=1.3",
        "studies?PatientID=a&PatientID=b",
        "studies?PatientID=a&00100020=a",
        "studies?PatientName=",
        "studies?PatientName=%20",
        "series?00400275.00400008.00080100=x",
        "instances?00091001=x",
    ],
)
def test_what_is_no_searchable_attribute_is_refused(v2, path):
    assert v2.get(path, JSON).status_code == 400


@pytest.mark.spec("MATCH-1", "MATCH-6")
@pytest.mark.parametrize(
    "query",
    ["StudyDate=2020-01-02", "StudyDate=-", "StudyDate=20200230", "StudyDate=20200102-20200101", "StudyDate=x",
     "StudyTime=25", "StudyTime=-", "PatientBirthDate=1970", "PatientName=a%22b&fuzzymatching=true"],
)  # fmt: skip  # a table
def test_a_value_that_its_vr_does_not_allow_is_refused(v2, query):
    assert v2.get(f"studies?{query}", JSON).status_code == 400


# ---------------------------------------------------------------------------------------------------------- matching


@pytest.mark.spec("MATCH-1", "MATCH-2", "MATCH-3", "MATCH-4", "QIDO-5", "QIDO-10")
def test_each_study_attribute_can_be_matched(either, v2, patient):
    one = patient.image(
        StudyDate="20200229",
        StudyTime="103015.5",
        StudyID=patient.id,
        AccessionNumber=patient.id,
        StudyDescription=f"Chest {patient.word}",
        PatientName=f"{patient.word}^Jörg",
        PatientBirthDate="19700102",
        ReferringPhysicianName=f"Ref^{patient.word}",
        Modality="MG",
        SpecificCharacterSet="ISO_IR 192",
    )
    other = patient.image(StudyDate="20200301", PatientName="Other", PatientBirthDate="19800101", Modality="CT")
    v2.store(one, other)
    word, study = patient.word, uid(one, STUDY)

    for query in (
        f"StudyInstanceUID={study}",
        f"0020000d={study}%20",
        f"StudyInstanceUID={study},1.2.3",
        f"StudyInstanceUID=1.2.3%5C{study}",
        "StudyDate=20200229",
        "StudyDate=20200201-20200229",
        "StudyDate=-20200229",
        "StudyTime=1030",
        "StudyTime=1000-1030",
        f"AccessionNumber={patient.id.lower()}",
        f"StudyID={patient.id}",
        f"StudyDescription=CHEST%20{word}",
        f"StudyDescription=chest*{word[4:]}",
        f"StudyDescription=*{word[3:9]}*",
        f"PatientName={word}%5Ejorg",
        f"PatientName={word.upper()}%5EJ%C3%96RG%5E%5E",
        f"PatientName={word}*",
        f"PatientName=*{word[5:]}*",
        f"PatientName={word}%5Ej?rg",
        f"PatientName={word[:6]}%20jo&fuzzymatching=true",
        "PatientName=jorg&fuzzymatching=true&StudyDate=20200229",
        f"PatientName=*{word[2:]}%5Ejo*&fuzzymatching=true",
        "PatientBirthDate=19700102",
        "PatientBirthDate=19700101-19701231",
        f"ReferringPhysicianName=ref%5E{word}",
        f"ReferringPhysicianName={word[:5]}&FuzzyMatching=true",
        "ModalitiesInStudy=MG",
        "ModalitiesInStudy=mg%00",
        "ModalitiesInStudy=MG%2CMR",
    ):
        assert studies(either, f"PatientID={patient.id}&{query}") == {study}, query


@pytest.mark.spec("MATCH-2", "MATCH-4", "MATCH-5")
def test_what_does_not_match_is_not_found(v2, patient):
    v2.store(patient.image(PatientName=f"{patient.word}^Jane", StudyDate="20200101", StudyDescription="Chest"))

    for query in (
        f"PatientName={patient.word}",
        f"PatientName={patient.word[1:]}&fuzzymatching=true",
        f"PatientName=jane%20{patient.word}&fuzzymatching=true",
        "PatientName=ane*",
        "StudyDescription=Che",
        "StudyDescription=che&fuzzymatching=true",
        "StudyDescription=Ches?t",
        "StudyDate=20200102-",
        "ModalitiesInStudy=CT",
        "StudyInstanceUID=,",
    ):
        assert studies(v2, f"PatientID={patient.id}&{query}") == set(), query


@pytest.mark.spec("MATCH-11")
def test_an_asterisk_matches_everything_and_two_quotation_marks_what_is_empty(v2, patient):
    with_description, without = patient.image(StudyDescription="x"), patient.image()
    v2.store(with_description, without)
    mine = f"PatientID={patient.id}"

    assert len(studies(v2, f"{mine}&StudyDescription=*&StudyDate=*")) == 2
    assert studies(v2, f"{mine}&StudyDescription=%22%22&emptyvaluematching=true") == {uid(without, STUDY)}
    assert studies(v2, f"{mine}&StudyDescription=%22%22") == set()
    several = f"{mine}&StudyDescription=y%5CX&multiplevaluematching="
    assert studies(v2, f"{several}true") == {uid(with_description, STUDY)}
    assert studies(v2, f"{several}false") == set()


@pytest.mark.spec("MATCH-8", "MATCH-9", "QIDO-15")
def test_series_attributes_are_matched_in_one_series(either, v2, patient):
    study = new_uid()
    ct = patient.image(study, Modality="CT", ManufacturerModelName="One", SeriesNumber=7)
    mr = patient.image(study, Modality="MR", ManufacturerModelName="Two", PerformedProcedureStepStartDate="20200101")
    v2.store(ct, mr)
    mine = f"series?PatientID={patient.id}"

    def found(query):
        return values(search(either, f"{mine}&{query}"), SERIES)

    for query in ("Modality=ct", "Modality=CT,DX", "ManufacturerModelName=one", "SeriesNumber=7", "Modality=CT%00",
                  f"SeriesInstanceUID={uid(ct, SERIES)}", "ModalitiesInStudy=MR&Modality=CT"):  # fmt: skip  # cases
        assert found(query) == [uid(ct, SERIES)], query
    assert found("PerformedProcedureStepStartDate=20200101-") == [uid(mr, SERIES)]
    assert found("Modality=CT&ManufacturerModelName=Two") == []
    inside = search(either, f"studies/{study}/series?Modality=MR")
    assert values(inside, SERIES) == [uid(mr, SERIES)]
    assert values(search(either, f"studies/{study}/instances?Modality=MR"), SOP_INSTANCE) == [uid(mr, SOP_INSTANCE)]


@pytest.mark.spec("CON-1", "QIDO-12")
def test_instances_are_found_by_uid_number_and_class(v2, patient):
    study, series, shared = new_uid(), new_uid(), new_uid()
    v2.store(*(patient.image(study, series, InstanceNumber=number) for number in (1, 2)))
    v2.store(patient.image(study, None, shared), patient.image(None, None, shared))
    inside = f"studies/{study}/series/{series}/instances"

    assert len(search(v2, f"instances?SOPInstanceUID={shared}")) == 2
    assert len(search(v2, f"instances?SOPInstanceUID={shared}&StudyInstanceUID={study}")) == 1
    assert len(search(v2, f"{inside}?InstanceNumber=2")) == 1
    assert len(search(v2, f"{inside}?SOPClassUID=1.2.840.10008.5.1.4.1.1.7")) == 2
    assert search(v2, f"{inside}?SOPInstanceUID={shared}") == []


@pytest.mark.spec("MATCH-7", "MATCH-10", "QIDO-38", "IDX-2")
def test_studies_are_matched_and_shown_by_their_latest_values(v2, patient):
    study, series = new_uid(), new_uid()
    v2.store(patient.image(study, series, PatientName=f"Old^{patient.word}"))
    v2.store(patient.image(study, series, PatientName=f"New^{patient.word}", StudyDescription="Chest"))
    v2.store(patient.image(study, series, PatientName=""))

    assert studies(v2, f"PatientName=old%20{patient.word}&fuzzymatching=true") == set()
    for fields in ("", "&includefield=Rows", "&includefield=all"):
        (found,) = search(v2, f"studies?PatientName=new%20{patient.word}&fuzzymatching=true{fields}")
        assert found["00100010"]["Value"] == [{"Alphabetic": f"New^{patient.word}"}]
        assert found["00081030"]["Value"] == ["Chest"]
    found = search(v2, f"instances?PatientName=New%5E{patient.word}")
    names = [item.get("00100010", {}).get("Value", [{}])[0].get("Alphabetic", "") for item in found]
    assert names == ["", f"New^{patient.word}", f"Old^{patient.word}"]


# ------------------------------------------------------------------------------------------------------ real clients


@pytest.mark.spec("W-19", "QIDO-34")
def test_the_study_list_of_a_viewer(v2, patient):
    recent = (date.today() - timedelta(days=3)).strftime("%Y%m%d")  # noqa: DTZ011 - the day of this machine
    one = patient.image(PatientName=f"{patient.word}^Jane", StudyDate=recent, Modality="CT", StudyDescription="Chest")
    v2.store(one)
    rest = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"

    for filters in (
        f"00100020={patient.id}",
        f"00100020=*{patient.id[3:]}*&StudyDate={recent}-{recent}",
        f"PatientName=*{patient.word[2:8]}*&StudyDate={recent}-{recent}",
        f"00100020={patient.id}&StudyDescription=*che*&ModalitiesInStudy=CT%2CMR&AccessionNumber=*",
        f"00100020={patient.id}&StudyInstanceUID={uid(one, STUDY)}",
    ):
        (found,) = search(v2, f"studies?{filters}&{rest}")
        assert {"0020000D", "00080020", "00080090", "00081030", "00100010", "00100020", "00100030"} <= set(found)
        assert found["00080060"]["Value"] == ["CT"]
    (series,) = search(
        v2, f"studies/{uid(one, STUDY)}/series?includefield=00080021%2C00080031%2C0008103E%2C00200011%2C00201209"
    )
    assert {"00080060", "00200011", "00201209", "0020000E"} <= set(series)


@pytest.mark.spec("QIDO-44")
def test_the_empty_page_that_ends_a_client_s_paging(v2, patient):
    v2.store(patient.image())

    first = v2.get(f"studies?00100020={patient.id}&includefield=00081030&includefield=00100040&limit=1", JSON)
    second = v2.get(f"studies?00100020={patient.id}&limit=1&offset=1", "application/dicom+json, application/json")

    assert (first.status_code, second.status_code) == (200, 204)
