"""A hostile frame costs one answer: the process that reads it is limited, and takes nothing along when it ends."""

import gc
import os
import threading

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from shared.codec_process import processes
from shared.codec_process.messages import Limits, Message, received
from shared.codec_process.processes import CodecProcesses
from shared.dicom.errors import Unconvertible
from shared.dicom.pixels.frame_decoding import decode
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.errors import Unavailable
from tests.builders.codestream_headers import coding_style, jpeg_2000, progressive_jpeg
from tests.builders.codestreams import NOISE, STREAMS
from tests.builders.pictures import ELE, HTJ2K_LOSSLESS, J2K_LOSSLESS, JPEG, JPEG_12, JPEG_LOSSLESS_SV1, JPEG_LS

LENIENT = "tests.unit.codec_process.lenient_child"
LIMITS = Limits(memory=64 << 20, seconds=1)


def grey(rows=40, columns=56, bits=8):
    return ImagePixels(rows, columns, 1, "MONOCHROME2", False, bits, bits, bits - 1, False, 1)


@pytest.fixture(scope="module")
def lenient():
    return CodecProcesses(LENIENT)


@pytest.mark.parametrize("syntax", STREAMS)
def test_a_frame_is_decoded_as_it_is_in_the_worker_itself(syntax, lenient):
    there, here = lenient.decode(STREAMS[syntax], syntax, grey()), decode(STREAMS[syntax], syntax, grey())
    assert np.array_equal(there.samples, here.samples)
    assert (there.samples.dtype, there.pixels, there.lossy) == (here.samples.dtype, here.pixels, here.lossy)


HILLS = np.add.outer(np.arange(1200) // 7, np.arange(1000) // 5).astype(np.uint8)
LARGE = {
    JPEG: lambda: imagecodecs.jpeg8_encode(HILLS),
    JPEG_LOSSLESS_SV1: lambda: imagecodecs.jpeg8_encode(HILLS, lossless=True),
    JPEG_LS: lambda: imagecodecs.jpegls_encode(HILLS),
    J2K_LOSSLESS: lambda: imagecodecs.jpeg2k_encode(HILLS, level=0, codecformat="j2k", reversible=True),
    HTJ2K_LOSSLESS: lambda: imagecodecs.htj2k_encode(HILLS, reversible=True),
}


@pytest.mark.spec("REND-13")
@pytest.mark.parametrize("syntax", LARGE)
def test_no_codec_takes_more_memory_than_its_frame_is_granted(syntax, lenient, monkeypatch):
    monkeypatch.setattr(processes, "_MEMORY", 6 << 20)  # little beside what a sample is granted
    found = lenient.decode(bytes(LARGE[syntax]()), syntax, grey(1200, 1000)).samples
    assert int(np.abs(found.astype(int) - HILLS).max()) <= (8 if syntax == JPEG else 0)


def test_native_frames_need_no_process():
    codecs = CodecProcesses("no.such.module")
    assert np.array_equal(codecs.decode(NOISE.tobytes(), ELE, grey()).samples, NOISE)


def test_a_process_that_does_not_start_is_no_fault_of_the_frame():
    codecs = CodecProcesses("no.such.module")
    for _ in range(2):
        with pytest.raises(Unavailable):
            codecs.decode(STREAMS[JPEG_LS], JPEG_LS, grey())


def test_the_reason_of_a_refusal_comes_through(lenient):
    with pytest.raises(Unconvertible, match="size"):
        lenient.decode(STREAMS[JPEG_LS], JPEG_LS, grey(rows=41))


@pytest.mark.spec("WADO-13", "REND-6")
def test_a_codestream_that_takes_gigabytes_is_refused_for_its_memory(lenient):
    bomb = jpeg_2000(2048, 2048, main=[coding_style(precincts=b"\x00")])
    with pytest.raises(Unconvertible):
        lenient.decode(bomb, J2K_LOSSLESS, grey(2048, 2048))
    assert np.array_equal(lenient.decode(STREAMS[JPEG_LS], JPEG_LS, grey()).samples, NOISE)


@pytest.mark.spec("WADO-13", "REND-6")
def test_a_codestream_that_takes_hours_is_ended(lenient, monkeypatch):
    monkeypatch.setattr(processes, "_SECONDS", 1)
    bomb = progressive_jpeg(3000, 60_000)
    with pytest.raises(Unconvertible):
        lenient.decode(bomb, JPEG_12, grey(3000, 3000))
    started = []
    monkeypatch.setattr(processes, "_Process", lambda _: started.append(1))
    with pytest.raises(Unconvertible):  # and is not tried again
        lenient.decode(bomb, JPEG_12, grey(3000, 3000))
    assert not started


@pytest.mark.parametrize("job", ["crash", "hang", "lie"])
def test_a_process_that_crashes_hangs_or_lies_is_replaced(job, lenient):
    def ask():
        with processes._trusting_nothing():
            return processes.array(lenient._done(Message({"job": job}, job.encode()), LIMITS))

    with pytest.raises(Unconvertible):
        ask()
    assert np.array_equal(lenient.decode(STREAMS[JPEG_LS], JPEG_LS, grey()).samples, NOISE)


@pytest.mark.spec("AUTH-5")
def test_a_process_has_no_credentials(lenient, monkeypatch):
    monkeypatch.setenv("DicomStorage", "AccountKey=secret")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    codecs = CodecProcesses(LENIENT)
    names = codecs._done(Message({"job": "environment"}), LIMITS).head["environment"]
    assert "PYTHONPATH" in names
    assert not {"DicomStorage", "IDENTITY_HEADER"} & set(names)


def test_as_many_frames_as_there_are_threads_are_decoded_side_by_side(lenient):
    found = []

    def work():
        found.append(lenient.decode(STREAMS[JPEG_LS], JPEG_LS, grey()).samples)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(samples, NOISE) for samples in found)


def test_processes_end_with_their_owner():
    codecs = CodecProcesses()
    codecs.decode(STREAMS[JPEG_LS], JPEG_LS, grey())
    (process,) = codecs._idle
    number = process._child.pid
    del codecs, process
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_colour_profile_is_applied_in_a_process(lenient):
    image = Image.fromarray(np.full((4, 5, 3), 90, np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    converted, described = lenient.in_srgb(image, profile)
    assert (converted.size, converted.mode) == ((5, 4), "RGB")
    assert np.abs(np.asarray(converted).astype(int) - 90).max() <= 1
    assert described
    with pytest.raises(Unconvertible):
        lenient.in_srgb(image, b"no profile")


def test_a_message_that_claims_too_much_is_none():
    import struct

    for head, body in ((1 << 30, 0), (2, 1 << 40)):
        data = struct.pack("<IQ", head, body)
        with pytest.raises(ValueError, match="too long"):
            received(lambda size, data=data: data[:size])


def test_heads_that_are_no_objects_are_refused():
    data = iter([b"\x02\0\0\0" + bytes(8), b"[]"])
    with pytest.raises(ValueError, match="object"):
        received(lambda _: next(data))
