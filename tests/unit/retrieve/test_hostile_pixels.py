"""Objects whose pixel data lie, asked for in every way that decodes: a clear answer, in memory that does not follow
what they claim.
"""

import asyncio
import threading
import tracemalloc

import numpy as np
import pytest

from shared.retrieve.instances import conversion
from tests.builders.codestreams import STREAMS, run_length
from tests.builders.http import content
from tests.builders.pictures import (
    DEFL,
    ELE,
    HTJ2K_LOSSLESS,
    J2K_LOSSLESS,
    JPEG,
    JPEG_LS,
    RLE,
    compressed,
    data_set,
    file,
    ramp,
)
from tests.builders.retrieve import DICOM, OCTETS, RetrieveService, multipart_of

WIDE = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}
LIES = {
    "65535 x 65535": {"Rows": 65535, "Columns": 65535},
    "2^31 frames of 65535 x 65535": {"NumberOfFrames": 2**31 - 1, "Rows": 65535, "Columns": 65535, **WIDE},
    "a row more": {"Rows": 41},
    "no row": {"Rows": 0},
    "no columns": {"Columns": None},
    "colours": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
    "four samples": {"SamplesPerPixel": 4},
}
MISCOUNTS = {"2^31 frames": 2**31 - 1, "no frame": 0, "less than no frame": -1}
LARGEST_ANSWER = 4_000_000
"""Bytes that any of the answers may take. An honest object as small as these takes a tenth of it."""


def stream(syntax):
    return run_length(ramp()) if syntax == RLE else STREAMS[syntax]


def lying(changes, syntax):
    dataset = data_set(ramp(), **changes)
    return file(dataset, syntax) if syntax in {ELE, DEFL} else compressed(dataset, syntax, [stream(syntax)])


def decoding_requests(one):
    study = f"studies/{one.identifier.study_instance_uid}"
    stored = one.transfer_syntax_uid
    another, image_type = (J2K_LOSSLESS, "image/jp2") if stored == JPEG_LS else (JPEG_LS, "image/jls")
    return [
        (one.path, f"{DICOM}; transfer-syntax={another}"),
        (study, multipart_of(DICOM, another)),
        (f"{one.path}/frames/1", multipart_of(image_type)),
        (f"{one.path}/rendered", "image/png"),
        (f"{one.path}/rendered", multipart_of("image/png")),
        (f"{one.path}/frames/1/rendered", "image/jpeg"),
        (f"{study}/rendered", "image/jpeg"),
        (f"{study}/rendered", multipart_of("image/jpeg")),
        (f"{one.path}/thumbnail", "*/*"),
        (f"{study}/thumbnail", "*/*"),
        (f"{one.path}/pixeldata", multipart_of(image_type)),
    ]


async def statuses(one, requests):
    """What each request is answered with, and the most memory that any of them took."""
    service, found, peak = RetrieveService(), [], 0
    await service.archive.store(one)
    await service.status("studies/1/rendered")  # what is loaded once is loaded
    for path, accept in requests:
        tracemalloc.start()
        try:
            response = await service.get(path, accept)
            body = await content(response)
            peak = max(peak, tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        found.append(response.status)
        assert response.status == 200 or len(body) < 500
    return found, peak


@pytest.mark.spec("WADO-13", "REND-5", "REND-6", "FRM-3")
@pytest.mark.parametrize("syntax", [ELE, DEFL, RLE, JPEG_LS, J2K_LOSSLESS])
@pytest.mark.parametrize("changes", LIES.values(), ids=LIES.keys())
async def test_an_object_that_lies_about_its_pixels_is_refused_without_being_believed(changes, syntax):
    one = lying(changes, syntax)
    found, peak = await statuses(one, decoding_requests(one))
    assert set(found) <= {404, 406}
    assert peak < LARGEST_ANSWER


@pytest.mark.spec("FRM-11", "FRM-12")
@pytest.mark.parametrize("syntax", [ELE, DEFL, RLE, JPEG_LS, J2K_LOSSLESS])
@pytest.mark.parametrize("count", MISCOUNTS.values(), ids=MISCOUNTS.keys())
async def test_the_frames_that_are_there_are_served_whatever_is_said_of_their_number(count, syntax):
    one = lying({"NumberOfFrames": count}, syntax)
    found, peak = await statuses(one, decoding_requests(one))
    assert set(found) <= {200, 406}
    assert found[2] == 200
    assert peak < LARGEST_ANSWER


@pytest.mark.spec("WADO-9", "FRM-2", "META-1")
@pytest.mark.parametrize("syntax", [ELE, DEFL, RLE, JPEG_LS])
@pytest.mark.parametrize("changes", LIES.values(), ids=LIES.keys())
async def test_what_was_stored_can_still_be_had_as_it_is(changes, syntax):
    one = lying(changes, syntax)
    requests = [(one.path, multipart_of(DICOM, "*")), (f"{one.path}/metadata", "*/*"), (f"{one.path}/pixeldata", "*/*")]
    found, peak = await statuses(one, requests)
    assert found[:2] == [200, 200]
    assert found[2] in {200, 406}
    assert peak < LARGEST_ANSWER
    last, _ = await statuses(one, [(f"{one.path}/frames/{2**31 - 1}", multipart_of(OCTETS, "*"))])
    assert last[0] in {404, 406}


@pytest.mark.spec("WADO-13", "REND-6")
@pytest.mark.parametrize("syntax", [RLE, JPEG, JPEG_LS, J2K_LOSSLESS, HTJ2K_LOSSLESS])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
async def test_a_codestream_that_was_cut_off_is_not_acceptable(syntax, kept):
    whole = stream(syntax)
    one = compressed(data_set(ramp()), syntax, [whole[: max(2, int(len(whole) * kept))]])
    found, peak = await statuses(one, decoding_requests(one))
    assert set(found) == {406}
    assert peak < LARGEST_ANSWER


@pytest.mark.spec("WADO-12")
async def test_very_many_tiny_frames_are_not_blown_up_in_another_syntax():
    pixels = np.zeros((600_000, 1, 1), np.uint8)
    one = file(data_set(pixels, frames=len(pixels)))
    found, peak = await statuses(
        one,
        [
            (one.path, f"{DICOM}; transfer-syntax={J2K_LOSSLESS}"),
            (f"{one.path}/rendered", multipart_of("image/png")),
            (f"{one.path}/pixeldata", multipart_of("image/jls")),
            (f"{one.path}/frames/600000", multipart_of("image/jls")),
        ],
    )
    assert found == [406, 406, 406, 200]
    assert peak < LARGEST_ANSWER


async def test_others_are_answered_while_an_object_is_converted(monkeypatch):
    service, begun, answered = RetrieveService(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    one, other = file(data_set(ramp()), RLE), file(data_set(ramp()), RLE)
    await service.archive.store(one, other)
    convert, waited = conversion.transcode_file, []

    def after_the_other(*arguments, **options):
        loop.call_soon_threadsafe(begun.set)
        waited.append(answered.wait(60))
        return convert(*arguments, **options)

    monkeypatch.setattr(conversion, "transcode_file", after_the_other)
    converting = asyncio.create_task(service.status(one.path, DICOM))
    async with asyncio.timeout(60):
        await begun.wait()
    assert await service.status(other.path, multipart_of(DICOM, "*")) == 200
    assert await service.status(f"{other.path}/rendered") == 200
    answered.set()
    assert await converting == 200
    assert waited == [True]
