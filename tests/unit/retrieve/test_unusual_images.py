"""Images of rare kinds, asked of the whole service in memory: stored, then read in every form. Each answer has the
pixels that numpy or pydicom finds in the same bytes, or is a refusal that says why; none is a failure of the service.
"""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest

from tests.builders import pictures
from tests.builders.pictures import EBE, ELE, J2K_LOSSLESS, RLE
from tests.builders.reading import (
    DEFLATED_FRAMES,
    DICOM,
    HTJ2K_LOSSLESS,
    JXL,
    JXL_LOSSLESS,
    JXL_RECOMPRESSION,
    OTHERS,
    compressed,
    grey,
)

NOISE = np.random.default_rng(9)


@pytest.mark.spec("FRM-15")
@pytest.mark.parametrize("bits", [8, 12, 16])
async def test_jpeg_xl_without_a_loss(stored, bits):
    pixels = NOISE.integers(0, 1 << bits, (33, 29)).astype(np.uint8 if bits == 8 else np.uint16)
    codestream = bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, bitspersample=bits))
    answers = await stored(compressed(pictures.data_set(pixels, bits=bits), JXL_LOSSLESS, [codestream]))
    assert await answers.frame() == pixels.tobytes()
    shown = await answers.pictures()
    assert np.array_equal(shown, grey(int(pixels.min()), int(pixels.max()), pixels))
    assert await answers.others(pixels) == set(OTHERS)


@pytest.mark.parametrize("syntax", [JXL, JXL_RECOMPRESSION])
async def test_jpeg_xl_with_a_loss_and_a_jpeg_in_it(stored, syntax):
    pixels = pictures.ramp(40, 56, samples=3)
    if syntax == JXL:
        codestream = bytes(imagecodecs.jpegxl_encode(pixels, level=95))
        wanted, photometric = pixels, "XYB"
    else:
        jpeg = imagecodecs.jpeg8_encode(pixels, level=90)
        codestream = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))
        wanted, photometric = imagecodecs.jpeg8_decode(jpeg), "YBR_FULL_422"
    one = compressed(pictures.data_set(pixels, photometric=photometric), syntax, [codestream])
    answers = await stored(one)
    shown = await answers.pictures()
    assert np.abs(shown.astype(int) - wanted.astype(int)).max() <= 12
    decoded = np.frombuffer(await answers.frame(), np.uint8).reshape(40, 56, 3)
    assert np.array_equal(decoded, shown)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("syntax", [ELE, EBE])
async def test_floating_point_pixels(stored, kind, special, syntax):
    pixels = NOISE.normal(0, 1000, (7, 5)).astype(kind)
    if special:
        pixels[0, :3] = np.nan, np.inf, -np.inf
    dataset = pictures.data_set(np.zeros((7, 5), np.uint16))
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    keyword, dataset.BitsAllocated = ("FloatPixelData", 32) if kind is np.float32 else ("DoubleFloatPixelData", 64)
    setattr(dataset, keyword, pixels.tobytes())
    answers = await stored(pictures.file(dataset, syntax))
    assert await answers.frame() == pixels.tobytes()
    finite = np.nan_to_num(pixels.astype(float), posinf=0.0, neginf=0.0)
    assert np.array_equal(await answers.pictures(), grey(finite.min(), finite.max(), finite))
    status, body = await answers.ask("", f"{DICOM}; transfer-syntax={ELE}")
    assert status == 200
    assert pydicom.dcmread(io.BytesIO(body))[keyword].value == pixels.tobytes()
    for other in (J2K_LOSSLESS, HTJ2K_LOSSLESS, RLE, JXL_LOSSLESS):
        assert (await answers.ask("", f"{DICOM}; transfer-syntax={other}"))[0] == 406


async def test_floating_point_pixels_at_the_ends_of_the_range(stored):
    pixels = np.array([[-1.7e308, 0], [0, 1.7e308]])
    dataset = pictures.data_set(np.zeros((2, 2), np.uint16))
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated, dataset.DoubleFloatPixelData = 64, pixels.tobytes()
    shown = await (await stored(pictures.file(dataset))).pictures()
    assert shown.reshape(-1).tolist() == [0, 128, 128, 255]


@pytest.mark.spec("FRM-16")
@pytest.mark.parametrize("shape", [(3, 3), (7, 5), (8, 8)])
async def test_deflated_frames_of_one_bit_and_of_many(stored, shape):
    bits = NOISE.integers(0, 2, (3, *shape)).astype(np.uint8)
    dataset = pictures.data_set(bits, frames=3)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    packed = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]

    def deflated(data):
        work = zlib.compressobj(9, zlib.DEFLATED, -15)
        return work.compress(data) + work.flush()

    answers = await stored(compressed(dataset, DEFLATED_FRAMES, [deflated(each) for each in packed]))
    for number, frame in enumerate(bits, 1):
        assert await answers.frame(number) in {packed[number - 1], None}
        shown = await answers.pictures(number)
        assert np.array_equal(shown, frame * 255 if frame.any() else frame)
    await answers.others(bits)
    pixels = NOISE.integers(0, 1 << 16, (3, *shape)).astype(np.uint16)
    one = compressed(
        pictures.data_set(pixels, frames=3), DEFLATED_FRAMES, [deflated(frame.tobytes()) for frame in pixels]
    )
    answers = await stored(one)
    for number, frame in enumerate(pixels, 1):
        assert await answers.frame(number) == frame.tobytes()
    assert await answers.others(pixels) == set(OTHERS)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 7), (1, 17), (9, 8)])
async def test_a_segmentation_of_single_bits(stored, shape):
    bits = NOISE.integers(0, 2, (4, *shape)).astype(np.uint8)
    dataset = pictures.data_set(bits, frames=4)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    dataset.PixelData = packed + bytes(len(packed) % 2)
    answers = await stored(pictures.file(dataset))
    for number, frame in enumerate(bits, 1):
        assert await answers.frame(number) == np.packbits(frame, bitorder="little").tobytes()
        assert np.array_equal(
            await answers.pictures(number), frame * 255 if frame.any() and not frame.all() else frame * 0
        )
    assert await answers.others(bits) == {ELE}


@pytest.mark.spec("REND-6")
async def test_single_bits_of_three_samples_are_refused(stored):
    dataset = pictures.data_set(np.zeros((4, 4, 3), np.uint8))
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = bytes(6)
    answers = await stored(pictures.file(dataset))
    assert await answers.pictures() is None
    assert await answers.others(np.zeros((4, 4, 3), np.uint8)) <= {ELE}


@pytest.mark.parametrize(
    "photometric", ["YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_PARTIAL", "YBR_FULL_422", "HSV", "CMYK"]
)
async def test_colour_models_that_few_use(stored, photometric):
    pixels = pictures.ramp(4, 6, samples=3)
    dataset = pictures.data_set(pixels, photometric=photometric)
    if photometric.endswith("_422"):
        groups = pixels.reshape(4, 3, 2, 3)
        pairs = np.stack([groups[:, :, 0, 0], groups[:, :, 1, 0], groups[:, :, 0, 1], groups[:, :, 0, 2]], -1)
        dataset.PixelData = pairs.astype(np.uint8).tobytes()
        pixels = pixels.copy()
        pixels[:, 1::2, 1:] = pixels[:, ::2, 1:]
    answers = await stored(pictures.file(dataset))
    shown = await answers.pictures()
    if photometric in {"YBR_PARTIAL_420", "HSV", "CMYK"}:
        assert shown is None
        return
    luma, blue, red = (pixels[..., n].astype(float) for n in range(3))
    black, scale, spread = (16, 255 / 219, 255 / 224) if "PARTIAL" in photometric else (0, 1.0, 1.0)
    luma, blue, red = (luma - black) * scale, (blue - 128) * spread, (red - 128) * spread
    wanted = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], -1)
    assert np.abs(np.clip(wanted, 0, 255) - shown).max() <= 1


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [20, 32])
async def test_big_endian_pixels_of_four_bytes(stored, signed, bits):
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    pixels = NOISE.integers(low, high, (5, 3)).astype(np.int32 if signed else np.uint32)
    dataset = pictures.data_set(pixels, bits=bits, RescaleSlope="0.5", RescaleIntercept="-7")
    answers = await stored(pictures.file(dataset, EBE))
    assert await answers.frame() == pixels.astype("<i4" if signed else "<u4").tobytes()
    wanted = grey(int(pixels.min()), int(pixels.max()), pixels.astype(np.int64))
    assert np.abs((await answers.pictures()).astype(int) - wanted).max() <= 1
    assert await answers.others(pixels) >= {ELE, RLE}


def runs(data):
    """Literal runs of RLE (PS3.5 §G.3)."""
    return b"".join(bytes((len(data[at : at + 128]) - 1,)) + data[at : at + 128] for at in range(0, len(data), 128))


def rle(segments, *, count=None, offsets=None, between=b""):
    at, places, body = 64, [], b""
    for segment in segments:
        places.append(at + len(body))
        body += segment + between + bytes((len(segment) + len(between)) % 2)
    places = offsets or places
    header = struct.pack("<16L", len(segments) if count is None else count, *places, *[0] * (15 - len(places)))
    return header + body


PIXELS_16 = NOISE.integers(0, 1 << 16, (4, 5)).astype(np.uint16)
HIGH, LOW = (PIXELS_16 >> 8).astype(np.uint8).tobytes(), (PIXELS_16 & 255).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    ("frame", "readable"),
    [
        (rle([runs(HIGH), runs(LOW)]), True),
        (rle([runs(HIGH), runs(LOW)], between=b"\x80"), True),  # an instruction that says nothing
        (rle([runs(HIGH), runs(LOW), runs(LOW)]), False),
        (rle([runs(HIGH)]), False),
        (rle([runs(HIGH), runs(LOW)], count=0), False),
        (rle([runs(HIGH), runs(LOW)], count=0xFFFFFFFF), False),
        (rle([runs(HIGH), runs(LOW)], offsets=[64, 64]), False),
        (rle([runs(HIGH), runs(LOW)], offsets=[86, 64]), False),
        (rle([runs(HIGH), runs(LOW)], offsets=[64, 0xFFFFFFF0]), False),
        (rle([runs(HIGH), runs(LOW)], offsets=[0, 64]), False),
        (rle([runs(HIGH), runs(LOW[:-1])]), False),
        (rle([runs(HIGH), runs(LOW)])[:70], False),
        (rle([b"\x00", b"\x81"]), False),
    ],
    ids=[
        *("plain", "with nothing between", "three for two", "one for two", "none", "too many"),
        *("twice the same", "backwards", "beyond the end", "in the header", "a byte less", "cut", "cut in a run"),
    ],
)
async def test_rle_with_unusual_segments(stored, frame, readable):
    answers = await stored(pictures.compressed(pictures.data_set(PIXELS_16), RLE, [frame]))
    native = await answers.frame()
    shown = await answers.pictures()
    if readable:
        assert native == PIXELS_16.tobytes()
        assert np.array_equal(shown, grey(int(PIXELS_16.min()), int(PIXELS_16.max()), PIXELS_16))
        assert await answers.others(PIXELS_16) >= {ELE, J2K_LOSSLESS}
    else:
        assert (native, shown) == (None, None)
