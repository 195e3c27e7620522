"""The requests of OHIF Viewer 3.13, letter by letter as it sends them, and what it needs of the answers.

Recorded from the viewer; `tests/browser` has it send them itself. The docstring of each test names the rows that it
shows of the table of recorded requests: 1 to 17, and those of the library below the viewer, npm's dicomweb-client.
"""

import io
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image as Picture
from pydicom.data import get_testdata_file

from tests.builders.images import ELE, J2K_LOSSLESS, JPEG, JPEG_LS, RLE, Image, image, new_uid
from tests.conformance.exchange import DICOM, JSON, OCTETS, Exchange, parts

LIST = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"
SERIES = "includefield=00080021%2C00080031%2C0008103E%2C00200011"
ANY_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
ANY_FRAME_QUOTED = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'
TILE = ", ".join(
    f'multipart/related; type="{media_type}"; transfer-syntax={syntax}'
    for media_type, syntax in (
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jls", "1.2.840.10008.1.2.4.81"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("image/jp2", "1.2.840.10008.1.2.4.91"),
        ("image/jpx", "1.2.840.10008.1.2.4.92"),
        ("image/jpx", "1.2.840.10008.1.2.4.93"),
        ("application/octet-stream", "*"),
        ("image/jpeg", "1.2.840.10008.1.2.4.50"),
    )
)
DOCUMENT = 'multipart/related; type="application/pdf", multipart/related; type="application/octet-stream"'
IMG_ELEMENT = "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.fixture(scope="module")
def patient():
    """What nobody else's studies have in common."""
    number = new_uid()[-12:]
    return {
        "PatientName": f"Smith{number}^Ann",
        "PatientID": f"MRN{number}",
        "AccessionNumber": f"ACC{number[:10]}",
        "StudyDescription": f"CT of the chest {number}",
        "StudyDate": "20160229",
        "StudyTime": "101500",
        "ReferringPhysicianName": "Doctor^Joe",
    }


@pytest.fixture(scope="module")
def study(service, patient):
    """A CT and an MR series of one study."""
    uid, ct = new_uid(), new_uid()
    images = [
        image(uid, ct, Modality="CT", SeriesDescription="Axial", SeriesNumber=1, bits=16, **patient),
        image(uid, ct, Modality="CT", SeriesDescription="Axial", SeriesNumber=1, bits=16, **patient),
        image(uid, Modality="MR", SeriesDescription="Sagittal", SeriesNumber=2, **patient),
    ]
    Exchange(service.url).store(*images)
    return images


def uid_of(images: list[Image]) -> str:
    return images[0].identifier.study_instance_uid


def listed(v2, query: str) -> list[dict]:
    reply = v2.get(f"studies?{query}", JSON)
    assert reply.status_code in {200, 204}, reply.text
    return reply.json() if reply.content else []


def stored(v2, dataset: pydicom.Dataset) -> str:
    """The path of a data set, stored under UIDs of its own."""
    one = {"study": new_uid(), "series": new_uid(), "instance": new_uid()}
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = one.values()
    dataset.file_meta.MediaStorageSOPInstanceUID = one["instance"]
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    boundary = "6f1d0c3e-5f0a-4a3a-9d6e-1c1f6c9b2a77"
    head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = head + stream.getvalue() + f"\r\n--{boundary}--".encode()
    content_type = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    reply = v2.send("POST", "studies", "*/*", body, Content_Type=content_type)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].startswith(JSON)
    return f"studies/{one['study']}/series/{one['series']}/instances/{one['instance']}"


def shown(reply) -> tuple[int, int]:
    """The size of a JPEG."""
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "image/jpeg"), reply.text
    return Picture.open(io.BytesIO(reply.content)).size


@pytest.mark.spec("QIDO-2", "QIDO-34", "D-34", "MATCH-1", "W-19")
@pytest.mark.parametrize(
    "query",
    [
        "PatientName=*smith{number}*",
        "00100020=*MRN{number}*",
        "AccessionNumber=*ACC{short}*",
        "StudyDescription=*CHEST%20{number}*",
        "PatientName=*{number}*&StudyDate=20150101-20161231",
        "PatientName=*{number}*&ModalitiesInStudy=CT",
        "PatientName=*{number}*&ModalitiesInStudy=CT%2CMR",
        "00100020=MRN{number}",
        "StudyInstanceUID={study}",
    ],
)
def test_its_list_its_filters_and_a_study_that_it_opens(v2, study, patient, query):
    """Rows 1, 2, 3 and 5."""
    number = patient["PatientID"].removeprefix("MRN")
    values = {"number": number, "short": number[:10], "study": uid_of(study)}

    (found,) = listed(v2, f"{query.format(**values)}&{LIST}")

    assert found["0020000D"]["Value"] == [uid_of(study)]
    assert found["00080020"]["Value"] == ["20160229"]
    assert found["00080050"]["Value"] == [patient["AccessionNumber"]]
    assert found["00081030"]["Value"] == [patient["StudyDescription"]]
    assert found["00080090"]["Value"] == [{"Alphabetic": "Doctor^Joe"}]
    assert found["00100010"]["Value"] == [{"Alphabetic": patient["PatientName"]}]
    assert found["00100020"]["Value"] == [patient["PatientID"]]
    assert found["00100030"]["Value"] == ["19700102"]
    assert sorted(found["00080061"]["Value"]) == ["CT", "MR"]
    assert found["00201206"]["Value"] == [2]
    assert found["00201208"]["Value"] == [3]


@pytest.mark.spec("MATCH-1", "W-19")
@pytest.mark.parametrize(
    "query", ["PatientName=*nobody{number}*", "PatientName=*{number}*&StudyDate=19700102-20151231"]
)
def test_a_filter_that_fits_nothing_lists_nothing(v2, study, patient, query):
    """Row 2."""
    assert listed(v2, f"{query.format(number=patient['PatientID'].removeprefix('MRN'))}&{LIST}") == []


@pytest.mark.spec("W-19")
def test_several_studies_are_opened_at_once(v2, study):
    """Row 3."""
    other = image()
    v2.store(other)
    uids = {uid_of(study), other.identifier.study_instance_uid}

    found = listed(v2, f"{LIST}&StudyInstanceUID={'%5C'.join(uids)}")

    assert {one["0020000D"]["Value"][0] for one in found} == uids


@pytest.mark.spec("QIDO-34")
def test_the_series_of_a_study(v2, study):
    """Row 4."""
    reply = v2.get(f"studies/{uid_of(study)}/series?{SERIES}", JSON)

    assert reply.status_code == 200
    series = {one["00200011"]["Value"][0]: one for one in reply.json()}
    assert {number: one["00080060"]["Value"] for number, one in series.items()} == {1: ["CT"], 2: ["MR"]}
    assert {one["0008103E"]["Value"][0] for one in series.values()} == {"Axial", "Sagittal"}
    assert {number: one["00201209"]["Value"] for number, one in series.items()} == {1: [2], 2: [1]}


@pytest.mark.spec("META-1", "JSON-1")
@pytest.mark.parametrize("whole", [True, False])
def test_metadata_are_complete_data_sets(v2, whole):
    """Row 6."""
    report = pydicom.dcmread(str(get_testdata_file("reportsi.dcm")))
    report.PatientID = "P1"
    path = stored(v2, report)
    level = path.partition("/series" if whole else "/instances")[0]

    (found,) = v2.get(f"{level}/metadata", JSON).json()

    assert found["0040A730"]["Value"][4]["0040A730"]["Value"][0]["0040A160"]["Value"] == ["Enter text"]


@pytest.mark.spec("JSON-1")
def test_positions_are_numbers(v2):
    """Row 6: text of several values makes every viewport black."""
    path = stored(v2, pydicom.dcmread(str(get_testdata_file("CT_small.dcm"))))

    (found,) = v2.get(f"{path.partition('/instances')[0]}/metadata", JSON).json()

    assert found["00200032"]["Value"] == [-158.135803, -179.035797, -75.699997]


@pytest.mark.spec("FRM-5", "WADO-25", "W-9")
@pytest.mark.parametrize("accept", [ANY_FRAME, ANY_FRAME_QUOTED])
@pytest.mark.parametrize("syntax", [ELE, JPEG, JPEG_LS, J2K_LOSSLESS, RLE])
def test_a_frame_is_one_part_in_the_stored_syntax_and_says_which(v2, syntax, accept):
    """Row 7."""
    one = image(syntax=syntax, frames=2)
    v2.store(one)

    reply = v2.get(f"{one.path}/frames/2", accept)

    assert reply.status_code == 200
    (part,) = parts(reply)
    assert part.body == one.frames[1]
    assert f"\r\nContent-Type: {OCTETS}; transfer-syntax={syntax}\r\n".encode() in reply.content


@pytest.mark.spec("WADO-11", "FRM-10")
def test_a_frame_in_the_syntax_that_is_configured(v2):
    """Row 8."""
    one = image(bits=16)
    v2.store(one)

    reply = v2.get(f"{one.path}/frames/1", f"multipart/related; type=image/jls; transfer-syntax={JPEG_LS}")

    (part,) = parts(reply)
    assert part.headers["content-type"] == f"image/jls; transfer-syntax={JPEG_LS}"
    assert imagecodecs.jpegls_decode(part.body).astype("<u2").tobytes() == one.frames[0]


@pytest.mark.spec("WADO-5")
def test_a_segmentation_is_fetched_as_a_file(v2):
    """Row 9."""
    one = image(bits=1, frames=3, Modality="SEG")
    v2.store(one)

    reply = v2.get(one.path, 'multipart/related; type="application/dicom"')

    assert reply.status_code == 200
    (part,) = parts(reply)
    assert part.headers["content-type"].startswith(DICOM)
    assert pydicom.dcmread(io.BytesIO(part.body)).PixelData == pydicom.dcmread(io.BytesIO(one.data)).PixelData


@pytest.mark.spec("BULK-1", "BULK-5", "W-3")
@pytest.mark.parametrize("accept", ["*/*", DOCUMENT])
def test_a_document_is_fetched_from_the_address_in_its_metadata(v2, accept):
    """Row 10."""
    document = b"%PDF-1.4 a letter\n"
    one = image(frames=0, EncapsulatedDocument=document, MIMETypeOfEncapsulatedDocument="application/pdf")
    v2.store(one)
    (metadata,) = v2.get(f"{one.path}/metadata", JSON).json()
    address = metadata["00420011"]["BulkDataURI"]
    assert address.startswith(f"{v2.base}/")

    reply = v2.get(address.removeprefix(f"{v2.base}/"), accept)

    assert reply.status_code == 200
    multiple = reply.headers["Content-Type"].startswith("multipart/related")
    assert multiple or accept == "*/*"
    assert (parts(reply)[0].body if multiple else reply.content) == document


@pytest.mark.spec("BULK-1", "BULK-2", "BULK-5", "W-3")
def test_a_waveform_is_fetched_alone_from_the_address_inside_its_sequence(v2):
    """Row 11."""
    waveform = pydicom.dcmread(str(get_testdata_file("waveform_ecg.dcm")))
    path = stored(v2, waveform)
    (metadata,) = v2.get(f"{path.partition('/instances')[0]}/metadata", JSON).json()
    address = metadata["54000100"]["Value"][0]["54001010"]["BulkDataURI"]

    reply = v2.get(address.removeprefix(f"{v2.base}/"), OCTETS)

    assert (reply.status_code, reply.headers["Content-Type"].partition(";")[0]) == (200, OCTETS)
    assert reply.content == waveform.WaveformSequence[0].WaveformData


@pytest.mark.spec("WADO-25", "FRM-5")
@pytest.mark.parametrize("syntax", [JPEG, J2K_LOSSLESS, ELE])
def test_a_tile_is_sent_as_stored_whatever_else_is_accepted(v2, syntax):
    """Row 12."""
    assert len(TILE) == 609
    one = image(syntax=syntax, frames=12)
    v2.store(one)

    reply = v2.get(f"{one.path}/frames/7", TILE)

    assert reply.status_code == 200
    (part,) = parts(reply)
    assert part.body == one.frames[6]
    assert part.headers["content-type"].endswith(f"; transfer-syntax={syntax}")


@pytest.mark.spec("FRM-5", "FRM-7")
@pytest.mark.parametrize(("accept", "at_once"), [(ANY_FRAME, 30), (TILE, 68)])
def test_all_that_a_viewport_shows_is_asked_for_at_once(v2, accept, at_once):
    """Rows 7 and 12."""
    one = image(syntax=JPEG, frames=at_once)
    v2.store(one)

    with ThreadPoolExecutor(at_once) as viewport:
        replies = list(viewport.map(lambda n: v2.get(f"{one.path}/frames/{n}", accept), range(1, at_once + 1)))

    assert [parts(reply)[0].body for reply in replies] == list(one.frames)


@pytest.mark.spec("REND-7")
@pytest.mark.parametrize(
    ("resource", "accept"),
    [
        ("rendered?accept=image%2Fjpeg", "*/*"),
        ("thumbnail?accept=image%2Fjpeg", "*/*"),
        ("thumbnail?accept=image/jpeg", IMG_ELEMENT),
    ],
)
def test_a_thumbnail_is_a_jpeg(v2, resource, accept):
    """Rows 13, 14 and 15."""
    one = image(bits=16, size=(60, 40))
    v2.store(one)

    width, height = shown(v2.get(f"{one.path}/{resource}", accept))

    assert (width, height) == (40, 60) or resource.startswith("thumbnail")
    assert abs(width / height - 40 / 60) < 0.02


@pytest.mark.spec("W-8")
def test_a_file_by_wado_uri(v2):
    """Row 16."""
    one = image(syntax=JPEG_LS, frames=2)
    v2.store(one)
    uids = one.identifier
    query = (
        f"requestType=WADO&studyUID={uids.study_instance_uid}&seriesUID={uids.series_instance_uid}"
        f"&objectUID={uids.sop_instance_uid}&contentType=application/dicom&transferSyntax=*"
    )

    reply = v2.get(f"wado?{query}", ANY_FRAME)

    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].startswith(DICOM)
    assert pydicom.dcmread(io.BytesIO(reply.content)).file_meta.TransferSyntaxUID == JPEG_LS


@pytest.mark.spec("STOW-30")
def test_what_it_stores_is_there_pixel_by_pixel(v2):
    """Row 17."""
    dataset = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
    path = stored(v2, dataset)

    (part,) = parts(v2.get(f"{path}/frames/1", ANY_FRAME))

    assert np.array_equal(np.frombuffer(part.body, "<i2").reshape(64, 64), dataset.pixel_array)


@pytest.mark.spec("FRM-5", "FRM-6")
@pytest.mark.parametrize("syntax", [JPEG_LS, ELE])
def test_a_list_of_types_gets_frames_as_they_are_stored(v2, syntax):
    """The library: frames with a list of media types."""
    one = image(syntax=syntax, frames=2)
    v2.store(one)
    accept = 'multipart/related; type="image/jls", multipart/related; type="application/octet-stream"'

    reply = v2.get(f"{one.path}/frames/2,1", accept)

    assert [part.body for part in parts(reply)] == list(one.frames[::-1])
    assert {part.headers["content-type"].partition("=")[2] for part in parts(reply)} == {syntax}


def test_a_picture_through_a_window_and_the_thumbnail_of_a_frame(v2):
    """The library: rendered, thumbnail."""
    one = image(frames=2, size=(60, 40))
    v2.store(one)

    query = "viewport=256%2C256&window=40%2C400%2Clinear&quality=80"
    assert shown(v2.get(f"{one.path}/rendered?{query}")) == (171, 256)
    assert shown(v2.get(f"{one.path}/frames/2/rendered?{query}")) == (171, 256)
    assert shown(v2.get(f"{one.path}/frames/1/thumbnail")) == (85, 128)


@pytest.mark.spec("BULK-2", "BULK-5")
def test_a_range_is_one_of_the_value_alone_and_a_part_is_whole(v2):
    """The library: bulk data with a Range, which counts the bytes of what is sent; a part would lose its boundary."""
    value = bytes(range(200)) * 20
    one = image(frames=0, EncapsulatedDocument=value, MIMETypeOfEncapsulatedDocument="application/pdf")
    v2.store(one)

    accept = 'multipart/related; type="application/octet-stream"'
    reply = v2.get(f"{one.path}/bulkdata/00420011", accept, Range="bytes=0-99")

    assert (reply.status_code, parts(reply)[0].body) == (200, value)
    reply = v2.get(f"{one.path}/bulkdata/00420011", OCTETS, Range="bytes=0-99")
    assert (reply.status_code, reply.content) == (206, value[:100])
