"""Full-field images render in bands, within the memory reserved for them; noise has a form in every syntax."""

import tracemalloc

import numpy as np
import pytest

from shared.dicom.pixels import rendering
from shared.dicom.pixels.frame_decoding import Decoded, decode
from shared.dicom.pixels.frame_encoding import encode
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.lookup_tables import LookupTable
from shared.dicom.pixels.presentation import Presentation, Tables, Window
from shared.dicom.pixels.rendering import encoded, fitted, picture, rendering_memory
from shared.dicom.pixels.transcoding import frame_memory
from shared.dicom.transfer_syntaxes import EXPLICIT_LITTLE_ENDIAN, FRAME_TARGETS, JPEG_2000_LOSSLESS, JPEG_LOSSY_FAMILY
from shared.retrieve.pixel_pool import PixelPool


def described(rows, columns, bits=16, samples=1, photometric="MONOCHROME2", *, signed=False, floating=False):
    stored = bits if floating else min(bits, 16)
    return ImagePixels(
        rows, columns, samples, photometric, False, bits, stored, stored - 1, signed, 1, floating=floating
    )


def noise(shape, kind):
    low, high = (0, 1 << 12) if kind != "u1" else (0, 256)
    return np.random.default_rng(3).integers(low, high, shape).astype(kind)


@pytest.mark.spec("REND-13")
@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE_ENDIAN, JPEG_2000_LOSSLESS])
def test_a_full_field_mammogram_renders_within_the_memory_that_is_reserved_by_default(syntax):
    pixels = described(4096, 3328)
    needed = rendering_memory(pixels, syntax, pixels.frame_bytes, 800 * 800)
    PixelPool().check(needed)
    PixelPool().check(frame_memory(pixels, syntax, JPEG_2000_LOSSLESS, pixels.frame_bytes))
    frame = noise((4096, 3328), "u2").tobytes()
    tracemalloc.start()
    try:
        shown = fitted(picture(decode(frame, EXPLICIT_LITTLE_ENDIAN, pixels), Presentation()), None)
        assert len(encoded(shown, "image/jpeg", 90)) > 1_000_000
        assert tracemalloc.get_traced_memory()[1] < rendering_memory(pixels, EXPLICIT_LITTLE_ENDIAN, 0, 0)
    finally:
        tracemalloc.stop()


@pytest.mark.spec("REND-13")
@pytest.mark.parametrize(
    ("syntax", "rows", "columns"),
    [
        ("1.2.840.10008.1.2.4.50", 4000, 6000),
        ("1.2.840.10008.1.2.4.80", 3000, 4000),
        (JPEG_2000_LOSSLESS, 3000, 4000),
        ("1.2.840.10008.1.2.4.201", 3000, 4000),
        ("1.2.840.10008.1.2.5", 3000, 4000),
    ],
)
def test_a_photograph_is_decoded_within_the_memory_that_conversions_have_by_default(syntax, rows, columns):
    pixels = described(rows, columns, 8, 3, "RGB")
    length = pixels.frame_bytes // (6 if "4.50" in syntax else 1)
    PixelPool().check(rendering_memory(pixels, syntax, length, 0))
    PixelPool().check(frame_memory(pixels, syntax, EXPLICIT_LITTLE_ENDIAN, length))


TABLE = LookupTable(100, 16, tuple(range(0, 60_000, 15)))
COLORS = Tables(palette=(TABLE, TABLE, TABLE))


@pytest.mark.parametrize(
    ("samples", "pixels", "how"),
    [
        (noise((97, 61), "u2"), described(97, 61), Presentation()),
        (noise((97, 61), "u2"), described(97, 61, photometric="MONOCHROME1"), Presentation(window=Window(900, 500))),
        (noise((97, 61), "i2") - 2000, described(97, 61, signed=True), Presentation(slope=2.0, intercept=-7.0)),
        (noise((97, 61), "u2"), described(97, 61), Presentation(tables=Tables(modality=TABLE))),
        (noise((97, 61), "u2"), described(97, 61), Presentation(tables=Tables(voi=TABLE))),
        (noise((97, 61), "u4"), described(97, 61, 32), Presentation()),
        (noise((97, 61), "f4"), described(97, 61, 32, floating=True), Presentation(slope=0.5)),
        (noise((97, 61), "u1"), described(97, 61, 8, photometric="PALETTE COLOR"), Presentation(tables=COLORS)),
        (noise((97, 61, 3), "u1"), described(97, 61, 8, 3, "YBR_FULL"), Presentation()),
        (noise((97, 61, 3), "u1"), described(97, 61, 8, 3, "RGB"), Presentation()),
    ],
)
def test_a_frame_in_bands_looks_as_it_does_at_once(samples, pixels, how, monkeypatch):
    if pixels.bits_allocated == 32 and not pixels.floating:
        pixels = ImagePixels(97, 61, 1, "MONOCHROME2", False, 32, 32, 31, False, 1)
    whole = picture(Decoded(samples, pixels, lossy=False), how)
    for band in (1, 61 * 10, 61 * 96):
        monkeypatch.setattr(rendering, "_BAND", band)
        assert np.array_equal(picture(Decoded(samples, pixels, lossy=False), how), whole)


@pytest.mark.spec("WADO-12")
@pytest.mark.parametrize("syntax", sorted(FRAME_TARGETS - JPEG_LOSSY_FAMILY))
@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("u2", 16)])
def test_noise_which_no_coding_makes_smaller_has_a_form_in_every_syntax(syntax, kind, bits):
    samples = np.random.default_rng(3).integers(0, 1 << bits, (1200, 1000)).astype(kind)
    pixels = described(1200, 1000, bits)
    found = decode(encode(Decoded(samples, pixels, lossy=False), syntax), syntax, pixels)
    assert np.array_equal(found.samples, samples)
