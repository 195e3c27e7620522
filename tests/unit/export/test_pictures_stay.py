"""The pictures of de-identified files are those of the originals, sample for sample, in every transfer syntax."""

import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID

from shared.dicom.errors import Unconvertible
from shared.dicom.pixels.frame_decoding import Decoded, decode
from shared.dicom.pixels.frame_encoding import check_target, encode
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.transfer_syntaxes import (
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT_LITTLE_ENDIAN,
    FRAME_TARGETS,
    JPEG_XL_FAMILY,
    MPEG2_MAIN,
    RLE_LOSSLESS,
)
from shared.export import deidentified as module
from tests.builders import datasets, pictures
from tests.unit.export.service import ExportService
from tests.unit.export.test_deidentified import exported, key_of, stored

RANDOM = np.random.default_rng(5)
REPORTED = {"profile": "basic", "burnedIn": "report"}
SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
KINDS = {
    "grey": RANDOM.integers(0, 256, (2, 19, 17)).astype(np.uint8),
    "grey of 12 bits": RANDOM.integers(0, 4096, (2, 19, 17)).astype(np.uint16),
    "signed": RANDOM.integers(-(1 << 15), 1 << 15, (2, 19, 17)).astype(np.int16),
    "colours": RANDOM.integers(0, 256, (2, 19, 17, 3)).astype(np.uint8),
    "smooth": np.stack([pictures.ramp(19, 17, bits=16)] * 2),
}


def described(pixels: np.ndarray) -> ImagePixels:
    color, bits = pixels.ndim == 4, pixels.dtype.itemsize * 8
    stored_bits = 12 if pixels.dtype == np.uint16 and pixels.max() < 4096 else bits
    return ImagePixels(
        *pixels.shape[1:3],
        3 if color else 1,
        "RGB" if color else "MONOCHROME2",
        planar=False,
        bits_allocated=bits,
        bits_stored=stored_bits,
        high_bit=stored_bits - 1,
        signed=pixels.dtype.kind == "i",
        frames=len(pixels),
    )


def deflated(data: bytes) -> bytes:
    work = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return work.compress(data) + work.flush()


class Case(NamedTuple):
    """A file of two frames that is asked for."""

    kind: str
    syntax: str
    fragments: int
    """Of each frame; 0: native."""

    def file(self) -> bytes:
        pixels = KINDS[self.kind]
        shape = described(pixels)
        dataset = pictures.data_set(pixels, frames=2, bits=shape.bits_stored, BurnedInAnnotation="NO")
        if not self.fragments:
            return pictures.file(dataset, self.syntax).data
        frames = [frame_of(np.ascontiguousarray(frame), self.syntax, shape) for frame in pixels]
        return encapsulated(datasets.set_frames(dataset, frames, fragments=self.fragments), self.syntax)


def cases() -> list[Case]:
    """Every kind in every transfer syntax that it can have."""
    found = [Case(kind, syntax, 0) for syntax in pictures.NATIVE for kind in KINDS]
    for syntax in (*sorted(FRAME_TARGETS - {EXPLICIT_LITTLE_ENDIAN}), ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES):
        for kind, pixels in KINDS.items():
            with suppress(Unconvertible):
                if syntax in FRAME_TARGETS:
                    check_target(described(pixels), syntax)
                found += [Case(kind, syntax, fragments) for fragments in ((1,) if syntax == RLE_LOSSLESS else (1, 3))]
    return found


def one_of_each() -> list[Case]:
    """A case of each transfer syntax; of those that follow one another in the list of another kind, as far as it has
    one.
    """
    by_syntax: dict[str, list[Case]] = {}
    for each in cases():
        by_syntax.setdefault(each.syntax, []).append(each)
    return [some[(3 * number + 1) % len(some)] for number, some in enumerate(by_syntax.values())]


def frame_of(samples: np.ndarray, syntax: str, shape: ImagePixels) -> bytes:
    if syntax == ENCAPSULATED_UNCOMPRESSED:
        return samples.tobytes()
    if syntax == DEFLATED_FRAMES:
        return deflated(samples.tobytes())
    return encode(Decoded(samples, shape, lossy=False), syntax)


def encapsulated(dataset, syntax: str) -> bytes:
    """The file; of a transfer syntax that pydicom does not know by way of one of the same length."""
    if UID(syntax).is_transfer_syntax:
        return datasets.part10(dataset, syntax)
    known = {len(each): each for each in (pictures.JPEG, MPEG2_MAIN)}[len(syntax) + (syntax == DEFLATED_FRAMES)]
    return datasets.part10(dataset, known).replace(known.encode(), syntax.encode().ljust(len(known), b"\0"), 1)


def decoded(dataset, syntax: str, shape: ImagePixels) -> list[np.ndarray]:
    return [decode(frame, syntax, shape).samples for frame in generate_frames(dataset.PixelData, number_of_frames=2)]


async def check(wanted: list[Case]) -> None:
    service, originals = ExportService(), [case.file() for case in wanted]
    for number, data in enumerate(originals):
        await stored(service, data, (f"1.4.19630817.{number}", "1.5", "1.6"))

    operation_id, made, report, _ = await exported(service, profile=REPORTED)

    key, of_uid = key_of(service, operation_id), {name.rpartition("/")[2]: data for name, data in made.items()}
    assert len(of_uid) == len(wanted)
    assert report["findings"]["unexaminedPixelData"] == sum(case.syntax in JPEG_XL_FAMILY for case in wanted)
    assert {case.syntax for case in wanted} >= FRAME_TARGETS
    for case, data in zip(wanted, originals, strict=True):
        before = dcmread(DicomBytesIO(data))
        after = dcmread(DicomBytesIO(of_uid[f"{key.uid(before.SOPInstanceUID)}.dcm"]))
        pixels = KINDS[case.kind]
        if not case.fragments:
            little = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
            assert after.PixelData == little + bytes(len(little) % 2), case
            continue
        shape = described(pixels)
        for one, other in zip(decoded(before, case.syntax, shape), decoded(after, case.syntax, shape), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=str(case))


@pytest.mark.spec("DEID-2", "DEID-6")
@pytest.mark.parametrize("small", [1, 2**20], ids=["streamed", "whole"])
async def test_every_transfer_syntax_that_is_written_keeps_its_samples(monkeypatch, small):
    monkeypatch.setattr(module, "_SMALL", small)
    await check(one_of_each())


@pytest.mark.nightly
@pytest.mark.spec("DEID-2", "DEID-6")
@pytest.mark.parametrize("small", [1, 2**20], ids=["streamed", "whole"])
async def test_pixels_of_every_kind_keep_their_samples_in_every_transfer_syntax(monkeypatch, small):
    monkeypatch.setattr(module, "_SMALL", small)
    await check(cases())


@pytest.mark.nightly
@pytest.mark.spec("DEID-2")
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
async def test_files_of_other_makers_keep_their_samples():
    compared = 0
    for path in sorted(SAMPLES.glob("*.dcm")):
        data = path.read_bytes()
        try:
            pixels = dcmread(DicomBytesIO(data)).pixel_array
        except (AttributeError, RuntimeError, ValueError, InvalidDicomError):
            continue  # no picture that pydicom reads
        service = ExportService()
        await stored(service, data)
        _, made, _, _ = await exported(service, profile=REPORTED)
        for content in made.values():
            after = dcmread(DicomBytesIO(content)).pixel_array
            np.testing.assert_array_equal(after.astype(pixels.dtype), pixels, err_msg=path.name)
            compared += 1
    assert compared > 40
