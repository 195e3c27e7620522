"""DICOM files with pixels, made in one line. The code streams of compressed frames are noise: nothing here decodes."""

import io
import random
import uuid
from array import array
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite

from shared.dicom.identifiers import InstanceIdentifier

ILE = "1.2.840.10008.1.2"
ELE = "1.2.840.10008.1.2.1"
DEFL = "1.2.840.10008.1.2.1.99"
EBE = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
MPEG2 = "1.2.840.10008.1.2.4.100"
RLE = "1.2.840.10008.1.2.5"

NATIVE = frozenset({ILE, ELE, DEFL, EBE})
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def new_uid() -> str:
    """A UID that nobody else uses."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True, slots=True)
class Image:
    """A Part 10 file and what is known about it."""

    identifier: InstanceIdentifier
    transfer_syntax_uid: str
    data: bytes
    frames: tuple[bytes, ...] = ()
    """As a client is to receive them: code streams, or pixels in little-endian order."""

    @property
    def path(self) -> str:
        """Below the base and version."""
        one = self.identifier
        return f"studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"


def image(
    study: str | None = None,
    series: str | None = None,
    sop: str | None = None,
    *,
    syntax: str = ELE,
    frames: int = 1,
    size: tuple[int, int] = (6, 8),
    bits: int = 8,
    fragments: int = 1,
    offset_table: bool = True,
    vr: str | None = None,
    **attributes: object,
) -> Image:
    """An image of `frames` frames of `size` (rows, columns), grey, `bits` allocated per pixel.

    `fragments` per compressed frame; `frames=0` leaves the pixel data out. `attributes` are further ones by keyword.
    """
    identifier = InstanceIdentifier(study or new_uid(), series or new_uid(), sop or new_uid())
    dataset = _dataset(identifier)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    noise = random.Random(identifier.sop_instance_uid)
    pixels: tuple[bytes, ...] = ()
    if frames:
        _describe(dataset, frames, size, bits)
        if syntax in NATIVE:
            pixels, value = _native(noise, frames, size[0] * size[1], bits)
            dataset.PixelData = _swapped(value) if syntax == EBE and bits == 16 else value
            dataset["PixelData"].VR = vr or ("OW" if bits > 8 or syntax == ILE else "OB")
        else:
            pixels = tuple(_code_stream(noise, 300 + 2 * n) for n in range(frames))
            dataset.PixelData = encapsulate(list(pixels), fragments_per_frame=fragments, has_bot=offset_table)
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
    return Image(identifier, syntax, _written(dataset, syntax), pixels)


def _dataset(identifier: InstanceIdentifier) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.SOPInstanceUID = identifier.sop_instance_uid
    dataset.StudyDate = "20240131"
    dataset.AccessionNumber = ""
    dataset.Modality = "OT"
    dataset.ReferringPhysicianName = "Referrer^One"
    dataset.PatientName = "Test^Retrieve"
    dataset.PatientID = f"R{identifier.study_instance_uid[-12:]}"
    dataset.PatientBirthDate = "19700102"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = identifier.study_instance_uid
    dataset.SeriesInstanceUID = identifier.series_instance_uid
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    return dataset


def _describe(dataset: Dataset, frames: int, size: tuple[int, int], bits: int) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = size
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0


def _native(noise: random.Random, frames: int, pixels: int, bits: int) -> tuple[tuple[bytes, ...], bytes]:
    """The frames, each on a byte boundary, and the pixel data, in which 1-bit frames follow one another bit by bit."""
    if bits > 1:
        each = tuple(noise.randbytes(pixels * bits // 8) for _ in range(frames))
        value = b"".join(each)
    else:
        numbers = [noise.getrandbits(pixels) for _ in range(frames)]
        each = tuple(number.to_bytes((pixels + 7) // 8, "little") for number in numbers)
        packed = sum(number << (pixels * n) for n, number in enumerate(numbers))
        value = packed.to_bytes((pixels * frames + 7) // 8, "little")
    return each, value + bytes(len(value) % 2)


def _swapped(value: bytes) -> bytes:
    words = array("H", value)
    words.byteswap()
    return words.tobytes()


def _code_stream(noise: random.Random, length: int) -> bytes:
    """Even in length, so that no padding follows; the end marker stands at the end and nowhere else."""
    return b"\xff\xd8" + noise.randbytes(length).replace(b"\xff", b"\x00") + b"\xff\xd9"


def _written(dataset: Dataset, syntax: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    file = FileDataset(None, dataset, file_meta=meta, preamble=bytes(128))
    buffer = io.BytesIO()
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def multipart(files: list[bytes], boundary: str = "a-boundary-that-occurs-nowhere-else") -> tuple[bytes, str]:
    """A store request of `files`: body and Content-Type."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + data + b"\r\n" for data in files) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="application/dicom"; boundary={boundary}'
