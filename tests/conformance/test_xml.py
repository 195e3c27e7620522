"""Data sets as XML over HTTP (PS3.19 §A.1), read with a parser that is not the service's; and gzip."""

import gzip
import json
from xml.etree import ElementTree as ET

import pytest
import requests

from tests.builders.images import image, multipart, new_uid
from tests.conformance.exchange import JSON, multipart_type, parts, several

XML = "application/dicom+xml"
MANY = several(XML)
MODEL = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def values(document):
    """The values of the top-level attributes of a document, by keyword."""
    root = ET.fromstring(document)
    assert root.tag == f"{MODEL}NativeDicomModel"
    found = {}
    for attribute in root.findall(f"{MODEL}DicomAttribute"):
        names = attribute.findall(f"{MODEL}PersonName/{MODEL}Alphabetic/{MODEL}FamilyName")
        bulk = [one.get("uri") for one in attribute.findall(f"{MODEL}BulkData")]
        texts = [one.text for one in attribute.findall(f"{MODEL}Value")]
        found[attribute.get("keyword")] = bulk or [one.text for one in names] or texts
    return found


@pytest.mark.spec("ACC-5", "META-1", "W-9")
def test_metadata_are_a_document_for_each_instance(v2):
    study = new_uid()
    images = [image(study) for _ in range(3)]
    v2.store(*images)
    reply = v2.get(f"studies/{study}/metadata", MANY)
    assert reply.status_code == 200
    assert multipart_type(reply) == XML
    found = {values(part.body)["SOPInstanceUID"][0]: part for part in parts(reply)}
    assert found.keys() == {one.identifier.sop_instance_uid for one in images}
    for one in images:
        part = found[one.identifier.sop_instance_uid]
        assert part.headers == {"content-type": XML, "content-location": f"{v2.base}/{one.path}/metadata"}
        assert values(part.body)["PatientName"] == ["Test"]
        assert values(part.body)["Rows"] == ["6"]
        assert values(part.body)["PixelData"] == [f"{v2.base}/{one.path}/bulkdata/7FE00010"]
    tag = reply.headers["ETag"]
    assert v2.get(f"studies/{study}/metadata", MANY, If_None_Match=tag).status_code == 304
    assert v2.get(f"studies/{study}/metadata", JSON, If_None_Match=tag).status_code == 200


@pytest.mark.spec("ACC-5", "QIDO-2")
def test_results_are_a_document_each(v2):
    study = new_uid()
    v2.store(image(study), image(study))
    reply = v2.get(f"studies/{study}/instances?includefield=Rows", MANY)
    assert multipart_type(reply) == XML
    assert [values(part.body)["Rows"] for part in parts(reply)] == [["6"], ["6"]]
    assert v2.get(f"studies?StudyInstanceUID={new_uid()}", MANY).status_code == 204


@pytest.mark.spec("ACC-5", "STOW-30")
def test_a_store_answers_with_one_document(v2):
    one = image()
    body, content_type = multipart([one.data])
    fields = {"Content-Type": content_type, "Accept": XML}
    reply = requests.post(f"{v2.base}/studies", data=body, headers=fields, timeout=60)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, XML)
    assert one.identifier.sop_instance_uid in reply.text
    assert list(values(reply.content)) == ["ReferencedSOPSequence"]
    again = requests.post(f"{v2.base}/studies", data=body, headers=fields, timeout=60)
    assert (again.status_code, list(values(again.content))) == (409, ["FailedSOPSequence"])


@pytest.mark.spec("ACC-5", "ACC-6")
def test_weights_and_the_query_parameter_decide(v2):
    one = image()
    v2.store(one)
    path = f"{one.path}/metadata"
    for accept, sent in (
        (f"{MANY};q=0.5, {JSON}", JSON),
        (f"{MANY}, {JSON};q=0.5", "multipart/related"),
        (f"{MANY}, */*;q=0.1", "multipart/related"),
        ("*/*", JSON),
    ):
        assert v2.get(path, accept).headers["Content-Type"].startswith(sent)
    asked = "multipart%2Frelated%3B%20type%3D%22application%2Fdicom%2Bxml%22"
    assert v2.get(f"{path}?accept={asked}", JSON).headers["Content-Type"].startswith("multipart/related")


@pytest.mark.spec("HDR-8", "W-18")
def test_json_and_xml_are_compressed_for_whoever_takes_it(v2):
    study = new_uid()
    images = [image(study, frames=0, ImageComments="comment " * 60) for _ in range(20)]
    v2.store(*images)
    for path, accept in (
        (f"studies/{study}/metadata", JSON),
        (f"studies/{study}/metadata", MANY),
        (f"{images[0].path}/metadata", JSON),
        (f"studies/{study}/instances?includefield=all", JSON),
    ):
        plain = v2.get(path, accept, Accept_Encoding="identity")
        with requests.get(
            f"{v2.base}/{path}", headers={"Accept": accept, "Accept-Encoding": "gzip"}, stream=True, timeout=60
        ) as packed:
            raw = packed.raw.read(decode_content=False)
            assert packed.headers["Content-Encoding"] == "gzip"
            assert "Accept-Encoding" in packed.headers["Vary"]
        assert len(raw) < len(plain.content) / 2
        if accept == JSON:
            assert sorted(map(str, json.loads(gzip.decompress(raw)))) == sorted(map(str, plain.json()))
        assert "Content-Encoding" not in plain.headers
        head = v2.send("HEAD", path, accept, Accept_Encoding="gzip")
        assert head.headers["Content-Encoding"] == "gzip"
        if tag := packed.headers.get("ETag"):
            assert tag.startswith("W/")
            assert head.headers["ETag"] == tag
            again = v2.get(path, accept, Accept_Encoding="gzip", If_None_Match=tag)
            assert (again.status_code, again.headers["ETag"]) == (304, tag)
    assert "Content-Encoding" not in v2.get(images[0].path, Accept_Encoding="gzip").headers
