"""Stores of metadata and bulk data over HTTP (PS3.18 §10.5, STOW-16)."""

import json

import pytest

from tests.builders.images import ELE, JPEG, image
from tests.conformance.stores import FAILED, JSON, STORED, Client, item, reasons, value
from tests.conformance.stores import B as BOUNDARY

pytestmark = pytest.mark.spec("STOW-16")

XML = "application/dicom+xml"
OCTETS = "application/octet-stream"


@pytest.fixture
def client(service):
    return Client(service.url, "v2")


def related(kind):
    return f'multipart/related; type="{kind}"; boundary={BOUNDARY}'


def body(*parts):
    pieces = []
    for data, media_type, location in parts:
        place = f"Content-Location: {location}\r\n" if location else ""
        pieces.append(f"--{BOUNDARY}\r\nContent-Type: {media_type}\r\n{place}\r\n".encode() + data + b"\r\n")
    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()


def element(vr, *values):
    return {"vr": vr, "Value": list(values)}


def described(one, syntax=ELE, uri="pixels"):
    """A data set for the pixels of `one`."""
    uids = one.identifier
    frames = len(one.frames)
    return {
        "00020010": element("UI", syntax),
        "00080005": element("CS", "ISO_IR 100"),
        "00080016": element("UI", "1.2.840.10008.5.1.4.1.1.7"),
        "00080018": element("UI", uids.sop_instance_uid),
        "PatientName": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Ida"}]},
        "00100020": element("LO", "P1"),
        "0020000d": element("UI", uids.study_instance_uid),
        "0020000E": element("UI", uids.series_instance_uid),
        "00280002": element("US", 1),
        "00280004": element("CS", "MONOCHROME2"),
        "00280008": element("IS", frames),
        "00280010": element("US", 6),
        "00280011": element("US", 8),
        "00280100": element("US", 8),
        "00280101": element("US", 8),
        "00280102": element("US", 7),
        "00280103": element("US", 0),
        "7FE00010": {"vr": "OB", "BulkDataURI": uri},
    }


def test_an_instance_is_stored_from_json_and_pixels(client):
    one = image(frames=3)
    metadata = json.dumps([described(one)]).replace("}]", "},\n/* one instance */]").encode()
    reply = client.post(body((metadata, JSON, None), (b"".join(one.frames), OCTETS, "pixels")), related(JSON))
    assert reply.status_code == 200, reply.text
    assert value(item(reply, STORED)["00081155"]) == one.identifier.sop_instance_uid
    assert client.get(f"{one.path}/frames/2", f"{OCTETS}").content == one.frames[1]
    found = client.metadata(one)
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Ida"}]}
    assert found["00080005"] == element("CS", "ISO_IR 192")
    file = client.file_of(one)
    assert file.headers["Content-Type"].endswith(ELE)
    assert file.content[:132] == bytes(128) + b"DICM"
    assert client.search("studies", PatientName="müller*", StudyInstanceUID=one.identifier.study_instance_uid)


def test_compressed_frames_come_as_parts(client):
    one = image(syntax=JPEG, frames=2)
    metadata = json.dumps([described(one, JPEG)]).encode()
    parts = [(metadata, JSON, None), *((frame, "image/jpeg", "pixels") for frame in one.frames)]
    assert client.post(body(*parts), related(JSON)).status_code == 200
    reply = client.get(f"{one.path}/frames/2", f'multipart/related; type="image/jpeg"; transfer-syntax={JPEG}')
    assert one.frames[1] in reply.content


def test_what_the_service_sends_as_xml_can_be_stored_as_xml(client):
    source, other = image(frames=0), image()
    client.store(source)
    sent = client.get(f"{source.path}/metadata", f'multipart/related; type="{XML}"').content
    document = sent[sent.index(b"<?xml") : sent.index(b"</NativeDicomModel>") + len(b"</NativeDicomModel>")]
    copy = document.replace(source.identifier.sop_instance_uid.encode(), other.identifier.sop_instance_uid.encode())
    reply = client.post(body((copy, XML, None)), related(XML))
    assert reply.status_code == 200, reply.text
    path = source.path.replace(source.identifier.sop_instance_uid, other.identifier.sop_instance_uid)
    [stored] = client.get(f"{path}/metadata", JSON).json()
    assert {**stored, "00080018": None} == {**client.metadata(source), "00080018": None}


@pytest.mark.spec("STOW-16", "STOW-33")
def test_an_unresolved_uri_fails_its_instance_alone(client):
    good, bad = image(), image()
    metadata = json.dumps([described(bad, uri="nowhere"), described(good)]).encode()
    reply = client.post(body((metadata, JSON, None), (good.frames[0], OCTETS, "pixels")), related(JSON))
    assert reply.status_code == 202
    assert reasons(reply) == [49152]
    assert value(item(reply, FAILED)["00081155"]) == bad.identifier.sop_instance_uid
    assert client.is_stored(good)
    assert not client.is_stored(bad)


@pytest.mark.spec("STOW-16", "W-15")
def test_pixels_of_an_unknown_transfer_syntax_are_refused(client):
    one = image()
    metadata = described(one)
    del metadata["00020010"]
    reply = client.post(
        body((json.dumps(metadata).encode(), JSON, None), (one.frames[0] + b"more", OCTETS, "pixels")), related(JSON)
    )
    assert (reply.status_code, reasons(reply)) == (409, [49152])
    reply = client.post(
        body((json.dumps(metadata).encode(), JSON, None), (one.frames[0], OCTETS, "pixels")), related(JSON)
    )
    assert reply.status_code == 200


@pytest.mark.spec("STOW-1", "STOW-3", "STOW-6", "JSON-8")
def test_requests_that_are_wrong_as_a_whole(client):
    for parts, kind, status in (
        ([(b"[", JSON, None)], JSON, 400),
        ([(b"<a/>", XML, None)], XML, 400),
        ([(b"[]", "application/dicom", None)], JSON, 415),
        ([(b"[]", JSON, None), (b"x", "application/dicom", None)], JSON, 415),
        ([(b"[]", JSON, None), (b"x", OCTETS, None)], JSON, 400),
        ([(b"[]", JSON, None)], JSON, 204),
    ):
        assert client.post(body(*parts), related(kind)).status_code == status
