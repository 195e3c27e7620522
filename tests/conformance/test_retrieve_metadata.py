"""WADO-RS over HTTP: metadata (PS3.18 §10.4.1.1.2)."""

from functools import partial

import pytest

from tests.builders.images import JPEG, image, new_uid
from tests.conformance.exchange import DICOM, JSON, refusal


@pytest.mark.spec("META-1", "META-2", "JSON-1", "JSON-9", "JSON-2")
def test_metadata_is_an_array_of_one_data_set_per_instance(v2):
    study, series = new_uid(), new_uid()
    images = [image(study, series, InstanceNumber=n) for n in (1, 2)] + [image(study)]
    v2.store(*images)
    for path, expected in (
        (f"studies/{study}/metadata", images),
        (f"studies/{study}/series/{series}/metadata", images[:2]),
        (f"{images[0].path}/metadata", images[:1]),
    ):
        reply = v2.get(path, JSON)
        assert reply.status_code == 200
        assert reply.headers["Content-Type"].startswith(JSON)
        datasets = reply.json()
        got = {dataset["00080018"]["Value"][0]: dataset for dataset in datasets}
        assert sorted(got) == sorted(one.identifier.sop_instance_uid for one in expected)
        for dataset in datasets:
            assert list(dataset) == sorted(dataset)
            assert dataset["00280010"] == {"vr": "US", "Value": [6]}
            assert dataset["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Test^Retrieve"}]}
            assert not [key for key in dataset if key.startswith("0002")]


@pytest.mark.spec("META-3", "W-3", "D-23")
def test_bulk_values_are_named_in_v2_and_left_out_in_v1(v1, v2):
    one = image(syntax=JPEG)
    v2.store(one)
    (with_uris,) = v2.get(f"{one.path}/metadata", JSON).json()
    (without,) = v1.get(f"{one.path}/metadata", JSON).json()
    assert with_uris["7FE00010"] == {"vr": "OB", "BulkDataURI": f"{v2.base}/{one.path}/bulkdata/7FE00010"}
    assert "7FE00010" not in without
    del with_uris["7FE00010"]
    assert with_uris == without


@pytest.mark.spec("META-6", "META-7", "META-8", "D-24", "D-25", "W-6")
def test_metadata_has_a_tag_that_changes_with_each_instance(v2):
    get = partial(v2.get, Accept_Encoding="identity")
    study = new_uid()
    first, second = image(study), image(study)
    path = f"studies/{study}/metadata"
    v2.store(first)
    one = get(path, JSON)
    assert one.headers["ETag"].startswith('"')
    assert one.headers["ETag"].endswith('-1"')
    assert "msdicom-request-original" in one.headers["Vary"]
    for held in (one.headers["ETag"], one.headers["ETag"].strip('"'), f'"x", W/{one.headers["ETag"]}', "*"):
        reply = get(path, JSON, If_None_Match=held)
        assert (reply.status_code, reply.content) == (304, b"")
        assert reply.headers["ETag"] == one.headers["ETag"]
    for held in ('"x"', '"', "one two"):
        assert get(path, JSON, If_None_Match=held).status_code == 200

    v2.store(second)
    two = get(path, JSON, If_None_Match=one.headers["ETag"])
    assert two.status_code == 200
    assert two.headers["ETag"].endswith('-2"')
    assert v2.send("DELETE", second.path).status_code == 204
    three = get(path, JSON, If_None_Match=two.headers["ETag"])
    assert three.status_code == 200
    assert three.headers["ETag"] == one.headers["ETag"]
    instance = get(f"{first.path}/metadata", JSON).headers["ETag"]
    assert "-" not in instance


@pytest.mark.spec("META-6", "META-9", "D-25", "WADO-32")
def test_the_original_has_a_tag_of_its_own(v2):
    get = partial(v2.get, Accept_Encoding="identity")
    one = image()
    v2.store(one)
    current = get(f"{one.path}/metadata", JSON).headers["ETag"]
    original = get(f"{one.path}/metadata", JSON, msdicom_request_original="true").headers["ETag"]
    assert original == f'{current.rstrip('"')}-o"'


@pytest.mark.spec("ACC-2", "ACC-3", "ACC-4", "ERR-2")
def test_metadata_is_json_for_whoever_takes_it(v2):
    one = image()
    v2.store(one)
    path = f"{one.path}/metadata"
    for accept in (JSON, "application/json", "APPLICATION/*", "*/*", None, f"image/png, {JSON}"):
        assert v2.get(path, accept).status_code == 200
    for accept in (DICOM, "image/png", "application/dicom+json+x", "nonsense"):
        reply = v2.get(path, accept)
        assert (reply.status_code, bool(refusal(reply))) == (406, True)
        assert JSON in reply.text


@pytest.mark.spec("META-1")
def test_the_metadata_of_many_instances_come_complete(v2):
    study, series = new_uid(), new_uid()
    images = [image(study, series, frames=0) for _ in range(150)]
    v2.store(*images)
    datasets = v2.get(f"studies/{study}/series/{series}/metadata", JSON).json()
    expected = {one.identifier.sop_instance_uid for one in images}
    assert {dataset["00080018"]["Value"][0] for dataset in datasets} == expected
    assert len(datasets) == len(images)
