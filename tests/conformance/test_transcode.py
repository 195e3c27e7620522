"""WADO-RS over HTTP: instances and frames in another transfer syntax (PS3.18 §8.7.3.5)."""

import io
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pydicom
import pytest
import requests

from tests.builders import datasets
from tests.builders.images import Image, new_uid
from tests.builders.pictures import (
    DEFL,
    EBE,
    ELE,
    HTJ2K_LOSSLESS,
    ILE,
    J2K_LOSSLESS,
    JPEG,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    RLE,
    compressed,
    data_set,
    file,
    ramp,
)
from tests.conformance.exchange import DICOM, OCTETS, multipart_type, parts, several, syntax_of

MPEG2 = "1.2.840.10008.1.2.4.100"


def read(data):
    return pydicom.dcmread(io.BytesIO(data))


def as_image(data):
    dataset = read(data)
    identifier = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    path = "studies/{}/series/{}/instances/{}".format(*identifier)
    return path, Image(None, dataset.file_meta.TransferSyntaxUID, data)


@pytest.mark.spec("WADO-11", "WADO-15", "WADO-16", "WADO-17", "WADO-20", "WADO-26")
@pytest.mark.parametrize("array", [ramp(), ramp(bits=16, signed=True), ramp(samples=3)], ids=["8", "16", "colour"])
@pytest.mark.parametrize("source", [ILE, ELE, EBE, DEFL, RLE, JPEG_LS, J2K_LOSSLESS])
def test_an_instance_keeps_its_pixels_in_either_syntax_of_the_table(v2, source, array):
    one = file(data_set(array), source)
    v2.store(one)
    for target, accept in ((ELE, DICOM), (J2K_LOSSLESS, f"{DICOM}; transfer-syntax={J2K_LOSSLESS}")):
        reply = v2.get(one.path, accept)
        assert (reply.status_code, reply.headers["Content-Type"]) == (200, f"{DICOM}; transfer-syntax={target}")
        assert int(reply.headers["Content-Length"]) == len(reply.content)
        dataset = read(reply.content)
        assert dataset.file_meta.TransferSyntaxUID == target
        assert np.array_equal(dataset.pixel_array, array)
        assert (reply.content == one.data) == (source == target)


@pytest.mark.spec("WADO-16")
def test_a_colour_jpeg_comes_out_as_rgb(v2):
    stream = bytes(imagecodecs.jpeg8_encode(ramp(samples=3), level=95))
    one = compressed(data_set(ramp(samples=3), photometric="YBR_FULL_422"), JPEG, [stream])
    v2.store(one)
    dataset = read(v2.get(one.path, DICOM).content)
    assert (dataset.PhotometricInterpretation, dataset.PlanarConfiguration) == ("RGB", 0)
    assert dataset.LossyImageCompression == "01"
    assert np.abs(dataset.pixel_array.astype(int) - ramp(samples=3)).max() < 30


@pytest.mark.spec("D-18")
@pytest.mark.parametrize("syntax", [JPEG_LS, HTJ2K_LOSSLESS, RLE, JPEG_LOSSLESS_SV1])
def test_other_lossless_syntaxes_are_made_for_what_exists(v2, syntax):
    one = file(data_set(ramp()))
    v2.store(one)
    reply = v2.get(one.path, several(DICOM, syntax))
    (part,) = parts(reply)
    assert syntax_of(part.headers["content-type"]) == syntax
    again = read(part.body)
    assert again.file_meta.TransferSyntaxUID == syntax
    nowhere = f"studies/{new_uid()}/series/{new_uid()}/instances/{new_uid()}"
    assert v2.get(nowhere, several(DICOM, syntax)).status_code == 406


@pytest.mark.spec("WADO-10", "D-19")
def test_a_mixed_study_is_sent_in_one_syntax_unless_a_part_of_it_cannot_be(v2):
    study = new_uid()
    images = [file(data_set(ramp(), StudyInstanceUID=study), syntax) for syntax in (ELE, RLE, J2K_LOSSLESS, ILE)]
    v2.store(*images)
    for accept, syntax in ((several(DICOM), ELE), (several(DICOM, J2K_LOSSLESS), J2K_LOSSLESS)):
        found = parts(v2.get(f"studies/{study}", accept))
        assert len(found) == 4
        assert {syntax_of(part.headers["content-type"]) for part in found} == {syntax}
        assert all(np.array_equal(read(part.body).pixel_array, ramp()) for part in found)
    series = images[1].path.partition("/instances/")[0]
    assert len(parts(v2.get(series, several(DICOM)))) == 1
    v2.store(compressed(data_set(ramp(), StudyInstanceUID=study), MPEG2, [b"\0\0\1\xb3 frame"]))
    assert v2.get(f"studies/{study}", several(DICOM, ELE)).status_code == 406
    assert len(parts(v2.get(f"studies/{study}", several(DICOM)))) == 5
    assert v2.get(series, several(DICOM)).status_code == 200


@pytest.mark.spec("WADO-13", "WADO-14")
def test_what_cannot_be_converted_is_not_acceptable(v2):
    path, bare = as_image(datasets.f4())
    video_path, video = as_image(datasets.f3())
    damaged = compressed(data_set(ramp()), J2K_LOSSLESS, [b"\xff\x4f\xff\x51 nothing more"])
    v2.store(bare, video, damaged)
    assert v2.get(path, DICOM).status_code == 200
    for where, accept in (
        (path, f"{DICOM}; transfer-syntax={J2K_LOSSLESS}"),
        (video_path, f"{DICOM}; transfer-syntax={ELE}"),
        (damaged.path, f"{DICOM}; transfer-syntax={ELE}"),
        (f"{damaged.path}/frames/1", OCTETS),
        (f"{video_path}/frames/1", several("image/jls")),
    ):
        assert v2.get(where, accept).status_code == 406
    assert v2.get(video_path, DICOM).content == video.data
    assert v2.get(damaged.path, DICOM).content == damaged.data


@pytest.mark.spec("WADO-12", "FRM-7", "REND-6")
def test_large_objects_are_only_sent_as_stored(v2):
    study, series, sop = new_uid(), new_uid(), new_uid()
    data = b"".join(datasets.f11(StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=sop))
    reply = v2.send("POST", "studies", "application/dicom+json", body=data, Content_Type=DICOM)
    assert reply.status_code in {200, 202}
    path = f"studies/{study}/series/{series}/instances/{sop}"
    j2k = f"{DICOM}; transfer-syntax={J2K_LOSSLESS}"
    for where, accept in ((path, j2k), (f"{path}/frames/1", several("image/jp2")), (f"{path}/rendered", "image/jpeg")):
        assert v2.get(where, accept).status_code == 406
    assert len(v2.get(f"{path}/frames/26", OCTETS).content) == 2048 * 2048
    assert v2.send("DELETE", path).status_code == 204


@pytest.mark.spec("FRM-10", "FRM-5", "W-10")
@pytest.mark.parametrize(
    ("media_type", "syntax", "decode"),
    [
        ("image/jls", JPEG_LS, imagecodecs.jpegls_decode),
        ("image/jp2", J2K_LOSSLESS, imagecodecs.jpeg2k_decode),
        ("image/jphc", HTJ2K_LOSSLESS, imagecodecs.htj2k_decode),
        ("image/jpeg", JPEG_LOSSLESS_SV1, imagecodecs.jpeg8_decode),
    ],
)
def test_frames_are_made_in_the_default_syntax_of_each_image_type(v2, media_type, syntax, decode):
    frames = np.stack([ramp(bits=16), ramp(bits=16)[::-1]])
    one = file(data_set(frames, frames=2), RLE)
    v2.store(one)
    reply = v2.get(f"{one.path}/frames/2,1", several(media_type))
    assert multipart_type(reply) == media_type
    for part, frame in zip(parts(reply), frames[::-1], strict=True):
        assert part.headers["content-type"] == f"{media_type}; transfer-syntax={syntax}"
        assert np.array_equal(decode(part.body), frame)


def test_clients_of_one_large_object_all_get_it_while_others_are_served(v2):
    noise = np.random.default_rng(1).integers(0, 4096, (1024, 1024), np.uint16)
    large, small = file(data_set(noise, bits=12)), file(data_set(ramp()))
    v2.store(large, small)
    with ThreadPoolExecutor(8) as clients:
        waiting = [clients.submit(v2.get, large.path, f"{DICOM}; transfer-syntax={J2K_LOSSLESS}") for _ in range(6)]
        assert v2.get(small.path, f"{DICOM}; transfer-syntax=*").content == small.data
        bodies = {each.result().content for each in waiting}
    assert len(bodies) == 1
    assert np.array_equal(read(bodies.pop()).pixel_array, noise)


def test_the_service_answers_others_while_it_converts_a_large_object(v2, service):
    """Nearly all the time that the conversion takes is that of the codec: what is read and what is sent is small.

    If the codec held up the worker, hardly any request that was sent after it began would be answered before it ends.
    """
    hills = np.add.outer(np.arange(3072) // 16 * 40 % 4096, np.arange(3072) // 256 * 11 % 4096).astype(np.uint16)
    large = file(data_set(np.ascontiguousarray(hills), bits=16), RLE)
    assert len(large.data) < hills.nbytes / 5
    v2.store(large)
    answered = 0
    with ThreadPoolExecutor(1) as client:
        converting = client.submit(v2.get, large.path, f"{DICOM}; transfer-syntax={J2K_LOSSLESS}")
        while not converting.done():
            assert requests.get(f"{service.url}/health/check", timeout=60).status_code == 200
            answered += 1
    assert np.array_equal(read(converting.result().content).pixel_array, hills)
    assert answered >= 5
