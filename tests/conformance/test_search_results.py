"""Searching over HTTP: what is returned of studies, series and instances, in which order (dicomweb §8.5, §8.6)."""

import pytest

from tests.builders.images import image, new_uid
from tests.conformance.searching import JSON, SERIES, SOP_INSTANCE, STUDY, Patient, search, uid, values

RESOURCES = ("studies", "series", "instances")
LONG_STUDY = {
    *("00080020", "00080030", "00080050", "00080090", "00100010"),
    *("00100020", "00100030", "00100040", "0020000D", "00200010"),
}
SHORT_STUDY = {"00080020", "00080090", "00081030", "00100010", "00100020", "00100030", "0020000D"}


@pytest.fixture
def patient():
    return Patient()


# ---------------------------------------------------------------------------------------------------------- results


@pytest.mark.spec("QIDO-30", "QIDO-31", "JSON-1", "JSON-5")
def test_default_study_attributes(v1, v2, patient):
    v2.store(patient.image(StudyTime="101112", StudyDescription="Chest", AccessionNumber="A1", PatientSex="F"))
    query = f"studies?PatientID={patient.id}"

    (short,), (long,) = search(v2, query), search(v1, query)

    assert set(short) == SHORT_STUDY | {"00080050"}
    assert set(long) == LONG_STUDY
    assert short["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Test^Retrieve"}]}
    assert list(short) == sorted(short)


@pytest.mark.spec("QIDO-30")
def test_default_series_and_instance_attributes(v1, v2, patient):
    one = patient.image(SeriesDescription="Scout", ManufacturerModelName="M")
    v2.store(one)
    study, series = uid(one, STUDY), uid(one, SERIES)

    (found,) = search(v2, f"studies/{study}/series")
    assert set(found) == {"00080060", "00081090", SERIES, STUDY}
    (found,) = search(v1, f"studies/{study}/series")
    assert set(found) == {"00080060", "0008103E", SERIES, STUDY}
    (found,) = search(v2, f"studies/{study}/series/{series}/instances")
    assert set(found) == {SOP_INSTANCE, STUDY, SERIES}
    (found,) = search(v1, f"studies/{study}/series/{series}/instances")
    assert set(found) == {"00080016", SOP_INSTANCE, "00200013", STUDY, SERIES}
    (found,) = search(v2, f"series?StudyInstanceUID={study}")
    assert {"00100020", "00080060"} <= set(found)
    (found,) = search(v2, f"instances?StudyInstanceUID={study}&Modality=OT")
    assert {"00100020", "00080060", SOP_INSTANCE} <= set(found)


@pytest.mark.spec("QIDO-32", "QIDO-33", "QIDO-34", "QIDO-35", "QIDO-36")
def test_fields_are_included(either, v2, patient):
    study = new_uid()
    one = image(study, PatientID=patient.id, PatientAge="010Y", Modality="MG", PatientComments="x")
    v2.store(one)
    query = f"studies?PatientID={patient.id}"

    (found,) = search(either, f"{query}&includefield=00104000%2CModality&includefield=Rows,00091001,PixelData")
    assert (found["00104000"]["Value"], found["00080060"]["Value"], found["00280010"]["Value"]) == (["x"], ["MG"], [6])
    assert not {"00091001", "7FE00010", "00101010"} & set(found)
    for fields in ("all", "ALL", "all,PatientComments"):
        (found,) = search(either, f"{query}&includefield={fields}")
        assert found["00101010"]["Value"] == ["010Y"]
        assert ("00104000" in found) == ("," in fields)
        assert found["00081190"]["Value"] == [f"{either.base}/studies/{study}"]
        assert found["00080056"]["Value"] == ["ONLINE"]
    (found,) = search(either, f"studies/{study}/instances?includefield=all,PixelData,RetrieveURL")
    assert found["00081190"]["Value"] == [f"{either.base}/{one.path}"]
    assert "7FE00010" not in found


@pytest.mark.spec("MATCH-8", "QIDO-37")
def test_counts_and_modalities_are_computed(either, v2, patient):
    study, series = new_uid(), new_uid()
    v2.store(*(patient.image(study, series, Modality="CT") for _ in range(2)), patient.image(study, Modality="MR"))
    fields = "includefield=00201206,00201208,00080061,NumberOfSeriesRelatedInstances"

    (found,) = search(either, f"studies?PatientID={patient.id}&{fields}")
    assert (found["00201206"]["Value"], found["00201208"]["Value"]) == ([2], [3])
    assert sorted(found["00080061"]["Value"]) == ["CT", "MR"]
    (found,) = search(either, f"studies/{study}/series?Modality=CT&{fields}")
    assert found["00201209"]["Value"] == [2]
    (found,) = search(either, f"studies?PatientID={patient.id}&ModalitiesInStudy=MR")
    assert "00080061" in found
    assert "00201208" not in found

    v2.send("DELETE", f"studies/{study}/series/{series}")
    (found,) = search(either, f"studies?PatientID={patient.id}&{fields}")
    assert (found["00201206"]["Value"], found["00201208"]["Value"], found["00080061"]["Value"]) == ([1], [1], ["MR"])


@pytest.mark.spec("JSON-7")
def test_text_is_utf_8_and_the_character_set_says_so(either, v2, patient):
    v2.store(patient.image(PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100"))

    (found,) = search(either, f"studies?PatientID={patient.id}")

    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]


# -------------------------------------------------------------------------------------------------- order and paging


@pytest.mark.spec("QIDO-40", "QIDO-41", "QIDO-42", "QIDO-43", "QIDO-44")
@pytest.mark.parametrize(("resource", "tag"), list(zip(RESOURCES, (STUDY, SERIES, SOP_INSTANCE), strict=True)))
def test_pages_join_newest_first(v2, patient, resource, tag):
    images = [patient.image() for _ in range(5)]
    for one in images:
        v2.store(one)
    newest_first = [uid(one, tag) for one in reversed(images)]
    query = f"{resource}?PatientID={patient.id}"

    assert values(search(v2, query), tag) == newest_first
    pages = [v2.get(f"{query}&limit=2&offset={offset}", JSON) for offset in (0, 2, 4)]
    assert [value for page in pages for value in values(page.json(), tag)] == newest_first
    assert [page.headers.get("Warning", "")[:4] for page in pages] == ["299 ", "299 ", ""]
    assert all("Link" not in page.headers for page in pages)
    for offset in (5, 2**63 - 1):
        assert search(v2, f"{query}&offset={offset}") == []


@pytest.mark.spec("QIDO-40", "QIDO-41")
def test_an_old_study_keeps_its_place_and_its_new_series_comes_first(v2, patient):
    old, new = patient.image(), patient.image()
    for one in (old, new):
        v2.store(one)
    added = patient.image(uid(old, STUDY))
    v2.store(added)

    mine = f"PatientID={patient.id}"
    assert values(search(v2, f"studies?{mine}"), STUDY) == [uid(new, STUDY), uid(old, STUDY)]
    assert values(search(v2, f"series?{mine}"), SERIES) == [uid(one, SERIES) for one in (added, new, old)]
    assert values(search(v2, f"instances?{mine}"), SOP_INSTANCE) == [
        uid(one, SOP_INSTANCE) for one in (added, new, old)
    ]


@pytest.mark.spec("QIDO-46", "QIDO-44")
def test_deleted_studies_do_not_count_as_skipped(v2, patient):
    images = [patient.image() for _ in range(3)]
    for one in images:
        v2.store(one)
    v2.send("DELETE", f"studies/{uid(images[2], STUDY)}")

    assert values(search(v2, f"studies?PatientID={patient.id}&offset=1"), STUDY) == [uid(images[0], STUDY)]


@pytest.mark.spec("QIDO-45")
@pytest.mark.parametrize("resource", RESOURCES)
def test_everything_can_be_asked_for(v2, patient, resource):
    v2.store(patient.image())

    assert len(search(v2, f"{resource}?limit=1")) == 1
