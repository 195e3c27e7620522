"""The Python dicomweb-client, which knows nothing of this service, stores, searches, retrieves and deletes."""

import io

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image as Picture

from tests.builders.images import DEFL, EBE, ELE, ILE, J2K_LOSSLESS, JPEG, JPEG_LS, RLE, Image, image, new_uid
from tests.builders.pictures import data_set, file, ramp

FRAMES = np.stack([ramp(), ramp()[::-1]])


@pytest.fixture(params=["v1", "v2"])
def client(service, request):
    return DICOMwebClient(f"{service.url.rstrip('/')}/{request.param}")


def dataset(one: Image) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(one.data))


def store(client, *images):
    return client.store_instances([dataset(one) for one in images])


def uids(one):
    return one.identifier.study_instance_uid, one.identifier.series_instance_uid, one.identifier.sop_instance_uid


def values(results, key):
    return [result[key]["Value"][0] for result in results]


def gone(call):
    with pytest.raises(requests.HTTPError) as caught:
        call()
    return caught.value.response.status_code == 404


@pytest.mark.spec("STOW-30", "STOW-32")
def test_a_study_is_stored_and_the_answer_is_understood(client):
    study = new_uid()
    images = [image(study), image(study)]

    answer = client.store_instances([dataset(one) for one in images], study)

    assert {item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence} == {uids(one)[2] for one in images}
    assert "FailedSOPSequence" not in answer
    # This client names the host without its port when it sends a body in chunks.
    assert answer.RetrieveURL.endswith(f"{client.base_url[-3:]}/studies/{study}")


@pytest.mark.spec("QIDO-2", "QIDO-4", "QIDO-10", "MATCH-1", "W-19", "D-30", "D-31")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyInstanceUID", "{study}"),
        ("0020000D", "{study}"),
        ("StudyDate", "19991231"),
        ("StudyDate", "19991230-20000101"),
        ("StudyDate", "-20000101"),
        ("StudyDescription", "Head of {number}"),
        ("AccessionNumber", "A{number}"),
        ("PatientID", "P{number}"),
        ("PatientID", "*{number}"),
        ("PatientName", "Doe{number}^Jane"),
        ("PatientName", "doe{number}*"),
        ("PatientBirthDate", "19700102"),
        ("ReferringPhysicianName", "Ref{number}^Doctor"),
        ("ModalitiesInStudy", "MG"),
    ],
)
def test_a_study_is_found_by_each_attribute(client, keyword, value):
    study = new_uid()
    number = study[-10:]
    one = image(
        study,
        Modality="MG",
        StudyDate="19991231",
        StudyDescription=f"Head of {number}",
        AccessionNumber=f"A{number}",
        PatientID=f"P{number}",
        PatientName=f"Doe{number}^Jane",
        ReferringPhysicianName=f"Ref{number}^Doctor",
    )
    store(client, one, image())
    filters = {"PatientID": f"P{number}", keyword: value.format(study=study, number=number)}

    found = client.search_for_studies(search_filters=filters)

    assert values(found, "0020000D") == [study]
    filters[keyword] = (
        "19800101" if "Date" in keyword else "1.2.3" if keyword in {"StudyInstanceUID", "0020000D"} else "ZZ"
    )
    assert client.search_for_studies(search_filters=filters) == []


@pytest.mark.spec("MATCH-4", "MATCH-5", "QIDO-34")
def test_a_study_is_found_by_part_of_a_name_and_shows_what_was_asked_for(client):
    study = new_uid()
    number = study[-10:]
    store(client, image(study, PatientName=f"Doe{number}^Jane", StudyDescription="Head"))
    (found,) = client.search_for_studies(
        fuzzymatching=True, search_filters={"PatientName": f"jane {number}"}, fields=["StudyDescription"]
    ) or client.search_for_studies(
        fuzzymatching=True, search_filters={"PatientName": f"doe{number}"}, fields=["StudyDescription", "00100040"]
    )
    assert found["00081030"]["Value"] == ["Head"]
    assert found["00100040"]["Value"] == ["O"]


@pytest.mark.spec("QIDO-40", "QIDO-42", "QIDO-2")
def test_all_pages_of_a_search_together_hold_each_result_once(client):
    number = new_uid()[-12:]
    images = [image(PatientID=f"P{number}") for _ in range(7)]
    store(client, *images)
    found = client.search_for_studies(limit=3, search_filters={"PatientID": f"P{number}"}, get_remaining=True)
    assert sorted(values(found, "0020000D")) == sorted(uids(one)[0] for one in images)
    assert len(client.search_for_studies(limit=3, offset=6, search_filters={"PatientID": f"P{number}"})) == 1


@pytest.mark.spec("QIDO-2", "QIDO-12", "MATCH-8")
def test_series_and_instances_are_found_inside_a_study_and_everywhere(client):
    study = new_uid()
    ct, mr = image(study, Modality="CT", ManufacturerModelName="M1"), image(study, Modality="MR")
    second = image(study, uids(mr)[1], Modality="MR")
    store(client, ct, mr, second)

    assert sorted(values(client.search_for_series(study), "0020000E")) == sorted([uids(ct)[1], uids(mr)[1]])
    for filters in (
        {"Modality": "CT"},
        {"SeriesInstanceUID": uids(ct)[1]},
        {"ManufacturerModelName": "M1"},
    ):
        assert values(client.search_for_series(study, search_filters=filters), "0020000E") == [uids(ct)[1]]
    everywhere = client.search_for_series(search_filters={"StudyInstanceUID": study, "Modality": "MR"})
    assert values(everywhere, "0020000E") == [uids(mr)[1]]

    assert len(client.search_for_instances(study)) == 3
    in_series = client.search_for_instances(study, uids(mr)[1])
    assert sorted(values(in_series, "00080018")) == sorted([uids(mr)[2], uids(second)[2]])
    one = client.search_for_instances(study, uids(mr)[1], search_filters={"SOPInstanceUID": uids(second)[2]})
    assert values(one, "00080018") == [uids(second)[2]]
    anywhere = client.search_for_instances(search_filters={"SOPInstanceUID": uids(ct)[2]})
    assert values(anywhere, "0020000D") == [study]
    assert client.search_for_instances(new_uid()) == []


@pytest.mark.spec("WADO-5", "WADO-9", "STOW-13")
@pytest.mark.parametrize("syntax", [ILE, ELE, DEFL, EBE, JPEG, J2K_LOSSLESS, RLE])
def test_an_instance_comes_back_as_it_was_stored(client, syntax):
    one = image(syntax=syntax, frames=2, bits=16)
    store(client, one)
    got = client.retrieve_instance(*uids(one), media_types=(("application/dicom", "*"),))
    assert got.file_meta.TransferSyntaxUID == syntax
    assert got == dataset(one)
    assert got.PixelData == dataset(one).PixelData


@pytest.mark.spec("WADO-10", "D-19")
def test_a_study_and_a_series_come_back_whole(client):
    study, series = new_uid(), new_uid()
    images = [image(study, series), image(study, series), image(study)]
    store(client, *images)
    assert {got.SOPInstanceUID for got in client.retrieve_study(study)} == {uids(one)[2] for one in images}
    assert {got.SOPInstanceUID for got in client.iter_study(study)} == {uids(one)[2] for one in images}
    assert {got.SOPInstanceUID for got in client.retrieve_series(study, series)} == {uids(one)[2] for one in images[:2]}
    as_stored = client.iter_series(study, series, media_types=(("application/dicom", "*"),))
    assert {got.SOPInstanceUID for got in as_stored} == {uids(one)[2] for one in images[:2]}


@pytest.mark.spec("META-1", "JSON-1")
def test_metadata_of_each_level_can_be_read_as_data_sets(client):
    study, series = new_uid(), new_uid()
    images = [image(study, series), image(study, series), image(study)]
    store(client, *images)
    for found, expected in (
        (client.retrieve_study_metadata(study), images),
        (client.retrieve_series_metadata(study, series), images[:2]),
        ([client.retrieve_instance_metadata(*uids(images[0]))], images[:1]),
    ):
        for document in found:
            document.pop("7FE00010", None)
        got = {read.SOPInstanceUID: read for read in map(pydicom.Dataset.from_json, found)}
        assert set(got) == {uids(one)[2] for one in expected}
        for one in expected:
            original = dataset(one)
            del original.PixelData
            assert got[uids(one)[2]] == original


@pytest.mark.spec("FRM-5", "FRM-6", "W-10", "D-22")
@pytest.mark.parametrize("syntax", [ILE, ELE, JPEG, JPEG_LS, J2K_LOSSLESS, RLE])
def test_frames_come_back_with_and_without_media_types(client, syntax):
    one = image(syntax=syntax, frames=3)
    store(client, one)
    expected = [one.frames[2], one.frames[0]]
    assert client.retrieve_instance_frames(*uids(one), frame_numbers=[3, 1]) == expected
    assert list(client.iter_instance_frames(*uids(one), frame_numbers=[3, 1])) == expected
    octets = (("application/octet-stream", "*"),)
    if syntax in {ILE, ELE}:
        octets = ("application/octet-stream",)
    assert client.retrieve_instance_frames(*uids(one), frame_numbers=[3, 1], media_types=octets) == expected
    label = {JPEG: "image/jpeg", JPEG_LS: "image/jls", J2K_LOSSLESS: "image/jp2"}.get(syntax)
    if label:
        image_type = ((label, syntax),)
        assert client.retrieve_instance_frames(*uids(one), frame_numbers=[3, 1], media_types=image_type) == expected


@pytest.mark.spec("WADO-11", "WADO-17")
@pytest.mark.parametrize("syntax", [ELE, J2K_LOSSLESS, JPEG_LS, RLE, "1.2.840.10008.1.2.4.70"])
@pytest.mark.parametrize("stored", [ELE, RLE])
def test_an_instance_comes_in_the_syntax_that_is_asked_for(client, stored, syntax):
    one = file(data_set(FRAMES, frames=2), stored)
    store(client, one)
    got = client.retrieve_instance(*uids(one), media_types=(("application/dicom", syntax),))
    assert got.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(got.pixel_array, FRAMES)


@pytest.mark.spec("REND-1", "REND-3", "REND-7", "REND-9")
@pytest.mark.parametrize(("media_types", "kind"), [(None, "JPEG"), (("image/jpeg",), "JPEG"), (("image/png",), "PNG")])
def test_pictures_of_an_instance_and_of_a_frame(client, media_types, kind):
    one = file(data_set(FRAMES, frames=2, WindowCenter="128", WindowWidth="256"), RLE)
    store(client, one)
    for number, data in (
        (1, client.retrieve_instance_rendered(*uids(one), media_types=media_types)),
        (2, client.retrieve_instance_frames_rendered(*uids(one), frame_numbers=[2], media_types=media_types)),
    ):
        picture = Picture.open(io.BytesIO(data))
        assert picture.format == kind
        assert np.abs(np.asarray(picture).astype(int) - FRAMES[number - 1]).max() <= (0 if kind == "PNG" else 6)
    small = client.retrieve_instance_rendered(*uids(one), media_types=media_types, params={"viewport": "28,28"})
    assert Picture.open(io.BytesIO(small)).size == (28, 20)


@pytest.mark.spec("BULK-2", "BULK-5", "W-3")
def test_values_are_fetched_from_their_addresses(service):
    client = DICOMwebClient(f"{service.url.rstrip('/')}/v2")
    one = file(data_set(FRAMES, frames=2))
    store(client, one)
    named = client.retrieve_instance_metadata(*uids(one))["7FE00010"]["BulkDataURI"]
    # This client names the host without its port, so that the service cannot name it either.
    address = client.base_url + named.partition("/v2")[2]
    assert client.retrieve_bulkdata(address) == [FRAMES.tobytes()]
    assert client.retrieve_bulkdata(address, media_types=("application/octet-stream",)) == [FRAMES.tobytes()]


@pytest.mark.spec("DEL-2", "DEL-3", "DEL-6")
def test_an_instance_a_series_and_a_study_are_deleted(client):
    study, series = new_uid(), new_uid()
    images = [image(study, series), image(study, series), image(study), image(study)]
    store(client, *images)

    client.delete_instance(*uids(images[0]))
    assert gone(lambda: client.retrieve_instance(*uids(images[0])))
    assert len(client.search_for_instances(study, series)) == 1

    client.delete_series(study, series)
    assert gone(lambda: client.retrieve_series(study, series))
    assert len(client.search_for_series(study)) == 2

    client.delete_study(study)
    assert gone(lambda: client.retrieve_study_metadata(study))
    assert client.search_for_studies(search_filters={"StudyInstanceUID": study}) == []
    assert gone(lambda: client.delete_study(study))
