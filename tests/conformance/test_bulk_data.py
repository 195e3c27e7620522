"""Bulk data over HTTP (PS3.18 §10.4.1.1.5): every URI of the metadata is answered as viewers ask for it."""

import struct

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from tests.builders.images import DEFL, EBE, ELE, ILE, JPEG, image, new_uid
from tests.conformance.exchange import JSON, OCTETS, parts, several, syntax_of

SAMPLES = (1, -2, 3, -4)
WAVE = struct.pack("<4h", *SAMPLES)
DOCUMENT = b"%PDF-1.7\n\n" + bytes(range(256)) * 20


def with_values(syntax=ELE, **options):
    wave = Dataset()
    wave.WaveformData = struct.pack(">4h", *SAMPLES) if syntax == EBE else WAVE
    wave["WaveformData"].VR = "OW"
    return image(
        syntax=syntax, WaveformSequence=[wave], EncapsulatedDocument=DOCUMENT, TextValue="text " * 400, **options
    )


def uris_in(dataset):
    for element in dataset.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        for item in element.get("Value", []) if element["vr"] == "SQ" else []:
            yield from uris_in(item)


@pytest.mark.spec("BULK-1", "BULK-2", "BULK-5", "W-3")
@pytest.mark.parametrize("syntax", [ELE, ILE, DEFL, EBE, JPEG])
def test_every_uri_can_be_retrieved_as_it_is(v2, syntax):
    one = with_values(syntax)
    v2.store(one)
    (dataset,) = v2.get(f"{one.path}/metadata", JSON).json()
    expected = {"00420011": DOCUMENT, "54000100/1/54001010": WAVE, "7FE00010": one.frames[0]}
    found = {uri.partition("/bulkdata/")[2]: uri for uri in uris_in(dataset)}
    assert found.keys() == expected.keys()
    for path, uri in found.items():
        reply = requests.get(uri, headers={"Accept": "*/*"}, timeout=60)
        assert reply.status_code == 200
        value = parts(reply)[0].body if path == "7FE00010" else reply.content
        assert value == expected[path]


@pytest.mark.spec("BULK-2")
def test_a_waveform_comes_alone_for_a_viewer_that_asks_for_octets(v2):
    one = with_values()
    v2.store(one)
    reply = v2.get(f"{one.path}/bulkdata/54000100/1/54001010", OCTETS)
    assert (reply.status_code, reply.content) == (200, WAVE)
    assert reply.headers["Content-Type"] == f"{OCTETS}; transfer-syntax={ELE}"
    assert reply.headers["Content-Location"] == reply.url
    assert reply.headers["Content-Length"] == str(len(WAVE))
    reply = v2.get(f"{one.path}/bulkdata/54000100/1/54001010", several(OCTETS))
    [part] = parts(reply)
    assert (part.body, part.headers["content-location"]) == (WAVE, reply.url)
    assert v2.get(f"{one.path}/bulkdata/0040A160", OCTETS).content == b"text " * 400
    assert v2.get(f"{one.path}/bulkdata/54000100/2/54001010", OCTETS).status_code == 404
    assert v2.get(f"{one.path}/bulkdata/54000100/1/54001010", "image/png").status_code == 406


@pytest.mark.spec("BULK-2", "META-10")
def test_ranges_and_revalidation(v2):
    one = with_values()
    v2.store(one)
    path = f"{one.path}/bulkdata/00420011"
    reply = v2.get(path, OCTETS, Range="bytes=0-7")
    assert (reply.status_code, reply.content) == (206, b"%PDF-1.7")
    assert reply.headers["Content-Range"] == f"bytes 0-7/{len(DOCUMENT)}"
    assert v2.get(path, OCTETS, Range="bytes=999999-").status_code == 416
    tag = v2.get(path, OCTETS).headers["ETag"]
    assert v2.get(path, OCTETS, If_None_Match=tag).status_code == 304
    head = v2.send("HEAD", path, OCTETS)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(DOCUMENT)))


@pytest.mark.spec("BULK-3", "BULK-4", "W-9", "W-17", "FRM-5")
def test_all_values_of_a_study_or_its_pixels_alone(v2):
    study = new_uid()
    images = [image(study, syntax=JPEG, frames=2), with_values(study=study)]
    v2.store(*images)
    base = v2.base
    found = {part.headers["content-location"]: part for part in parts(v2.get(f"studies/{study}/bulkdata"))}
    pixels = {
        f"{base}/{images[0].path}/frames/1": images[0].frames[0],
        f"{base}/{images[0].path}/frames/2": images[0].frames[1],
        f"{base}/{images[1].path}/bulkdata/7FE00010": images[1].frames[0],
    }
    others = {
        f"{base}/{images[1].path}/bulkdata/00420011": DOCUMENT,
        f"{base}/{images[1].path}/bulkdata/54000100/1/54001010": WAVE,
    }
    assert {place: part.body for place, part in found.items()} == pixels | others
    assert syntax_of(found[f"{base}/{images[0].path}/frames/1"].headers["content-type"]) == JPEG
    reply = v2.get(f"studies/{study}/pixeldata")
    assert {part.headers["content-location"]: part.body for part in parts(reply)} == pixels
    reply = v2.get(f"{images[1].path}/bulkdata", several(OCTETS))
    assert len(parts(reply)) == 3
    assert v2.get(f"studies/{new_uid()}/bulkdata").status_code == 404


@pytest.mark.spec("BULK-2", "BULK-5")
def test_an_independent_client_reads_values(v2):
    one = with_values(JPEG)
    v2.store(one)
    client = DICOMwebClient(v2.base)
    (dataset,) = client.retrieve_series_metadata(one.identifier.study_instance_uid, one.identifier.series_instance_uid)
    # This client names the host without its port, so the port is missing in what it is told.
    uris = (f"{v2.base}/{uri.partition('/v2/')[2]}" for uri in uris_in(dataset))
    values = {uri.partition("/bulkdata/")[2]: client.retrieve_bulkdata(uri) for uri in uris}
    assert values == {"00420011": [DOCUMENT], "54000100/1/54001010": [WAVE], "7FE00010": [one.frames[0]]}
