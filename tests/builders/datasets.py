"""Data sets and Part 10 files as pydicom writes them, in one line; the fixtures F1 to F13 of the specification (13).

`ct()` is a valid CT image; keywords override or, with None, remove elements: `ct(PatientID="1", Modality=None)`.
`part10(dataset, syntax)` is the file. For bytes that no library writes see `part10_bytes`.
"""

import copy
import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from tests.builders.images import new_uid
from tests.builders.part10_bytes import EBE, ELE, ILE

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
MPEG2 = "1.2.840.10008.1.2.4.100"
RLE = "1.2.840.10008.1.2.5"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def ct(**overrides: Any) -> Dataset:
    """A CT of 8 rows, 6 columns and 16 bits with attributes of every level and VRs of every kind."""
    dataset = attributes()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SliceThickness = "1.25"
    dataset.ImagePositionPatient = ["-125.5", "-120", "12.25"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.RescaleIntercept = "-1024"
    dataset.RescaleSlope = "1"
    dataset.WindowCenter = ["40", "300"]
    dataset.WindowWidth = ["400", "1500"]
    set_pixels(dataset, rows=8, columns=6, bits=16)
    return override(dataset, overrides)


def attributes(**overrides: Any) -> Dataset:
    """A valid data set without pixels. UIDs are new each time."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CT_IMAGE
    dataset.SOPInstanceUID = new_uid()
    dataset.StudyDate = "20240131"
    dataset.StudyTime = "101112.5"
    dataset.AccessionNumber = "A-1"
    dataset.Modality = "CT"
    dataset.ReferringPhysicianName = "Referrer^One"
    dataset.StudyDescription = "Chest"
    dataset.ManufacturerModelName = "Scanner"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "P-1"
    dataset.PatientBirthDate = "19700102"
    dataset.PatientSex = "F"
    dataset.StudyInstanceUID = new_uid()
    dataset.SeriesInstanceUID = new_uid()
    dataset.StudyID = "S-1"
    dataset.SeriesNumber = "2"
    dataset.InstanceNumber = "3"
    dataset.PerformedProcedureStepStartDate = "20240131"
    request = Dataset()
    request.ScheduledProcedureStepID = "SPS-1"
    request.RequestedProcedureID = "RP-1"
    dataset.RequestAttributesSequence = [request]
    return override(dataset, overrides)


def override(dataset: Dataset, overrides: dict[str, Any]) -> Dataset:
    """Sets elements by keyword, valid or not; None removes one."""
    with config.disable_value_validation():
        for keyword, value in overrides.items():
            if keyword in dataset:
                delattr(dataset, keyword)  # an element remembers how it was validated
            if value is not None:
                setattr(dataset, keyword, value)
    return dataset


def set_pixels(
    dataset: Dataset,
    *,
    rows: int = 8,
    columns: int = 6,
    bits: int = 8,
    frames: int = 1,
    photometric: str = "MONOCHROME2",
) -> Dataset:
    """Native pixel data, little endian: a ramp that differs from frame to frame."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = b"".join(native_frames(rows, columns, bits, frames))
    dataset["PixelData"].VR = "OB" if bits <= 8 else "OW"
    if bits <= 8 and len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    return dataset


def native_frames(rows: int, columns: int, bits: int, frames: int) -> list[bytes]:
    """The pixels of `set_pixels`, frame by frame, for 8 or 16 bits."""
    count, code = rows * columns, "B" if bits <= 8 else "H"
    return [struct.pack(f"<{count}{code}", *((i + 7 * n) % 251 for i in range(count))) for n in range(frames)]


def set_frames(
    dataset: Dataset, frames: Sequence[bytes], *, fragments: int = 1, basic_offsets: bool = True, extended: bool = False
) -> Dataset:
    """Encapsulated pixel data of these codestreams; `fragments` for each frame."""
    dataset.NumberOfFrames = len(frames)
    if extended:
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(
            list(frames)
        )
    else:
        dataset.PixelData = encapsulate(list(frames), fragments_per_frame=fragments, has_bot=basic_offsets)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def add_private(dataset: Dataset, elements: int = 1) -> Dataset:
    """Private LO elements of one creator."""
    block = dataset.private_block(0x0009, "TEST CREATOR", create=True)
    for number in range(elements):
        block.add_new(number, "LO", f"private {number}")
    return dataset


def part10(dataset: Dataset, syntax: str = ELE, *, preamble: bytes = bytes(128)) -> bytes:
    """The Part 10 file of a data set, whose native pixel data are little endian."""
    dataset = copy.deepcopy(dataset)
    if syntax == EBE and "PixelData" in dataset and dataset.BitsAllocated == 16:
        words = dataset.PixelData
        dataset.PixelData = struct.pack(f">{len(words) // 2}H", *struct.unpack(f"<{len(words) // 2}H", words))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID") or CT_IMAGE
    dataset.file_meta.MediaStorageSOPInstanceUID = str(dataset.get("SOPInstanceUID") or "1.2.3").strip(" ")
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.preamble = preamble
    stream = io.BytesIO()
    with config.disable_value_validation():
        dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def f1(**overrides: Any) -> bytes:
    """8-bit MONOCHROME2, 3 frames, explicit VR little endian, valid attributes."""
    return part10(override(set_pixels(attributes(), frames=3), overrides))


def f2(**overrides: Any) -> bytes:
    """The pixels of F1 in JPEG 2000 lossless."""
    frames = [_compressed(frame, 8, 6, "JPEG2000") for frame in native_frames(8, 6, 8, 3)]
    return part10(override(set_frames(set_pixels(attributes(), frames=3), frames), overrides), J2K_LOSSLESS)


def f3(**overrides: Any) -> bytes:
    """The attributes of F1 with the MPEG-2 transfer syntax and bytes that are no video, one fragment for each frame."""
    frames = [b"\0\0\1\xb3 frame %d" % number for number in range(3)]
    return part10(override(set_frames(set_pixels(attributes(), frames=3), frames), overrides), MPEG2)


def f4(**overrides: Any) -> bytes:
    """No pixel data, explicit VR little endian."""
    return part10(attributes(**overrides))


def f5(**overrides: Any) -> bytes:
    """Implicit VR little endian with the private element (0007,0008) LO."""
    dataset = attributes(**overrides)
    dataset.add_new(0x00070008, "LO", "private")
    return part10(dataset, ILE)


def f6(**overrides: Any) -> bytes:
    """F4 with a StudyDate that is no date."""
    return f4(**{"StudyDate": "NotAValidStudyDate"} | overrides)


def f7(**overrides: Any) -> bytes:
    """F4 with a Modality of 20 characters."""
    return f4(**{"Modality": "MODALITYOFTWENTYCHAR"} | overrides)


def f8(**overrides: Any) -> bytes:
    """F4 with a blank after the StudyInstanceUID."""
    uid = str(overrides.pop("StudyInstanceUID", new_uid()))
    uid = uid[: len(uid) - 1 + len(uid) % 2]  # of odd length, so that one blank makes it even
    data = f4(StudyInstanceUID=uid, **overrides)
    return data.replace(uid.encode() + b"\0", uid.encode() + b" ")  # pydicom would drop the blank


def f9(**overrides: Any) -> bytes:
    """F4 with a sequence that holds OB and PN."""
    step = Dataset()
    step.EncapsulatedDocument = b"document"
    step.PerformingPhysicianName = "Performer^One"
    return f4(**{"ContentSequence": [step]} | overrides)


def f10(**overrides: Any) -> bytes:
    """F4 with the PatientName `Hall^X^Tá` in UTF-8."""
    return f4(**{"PatientName": "Hall^X^Tá"} | overrides)


def f11(chunk: int = 1 << 20, **overrides: Any) -> Iterator[bytes]:
    """More than 100 MiB of native frames, explicit VR little endian, in chunks: 26 frames of 2048 x 2048 at 8 bits."""
    rows = columns = 2048
    frames = 26
    dataset = set_pixels(attributes(), rows=2, columns=2)
    dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = rows, columns
    head = part10(override(dataset, overrides))[:-8]  # without the length and value of the 4 pixels
    yield head + struct.pack("<L", rows * columns * frames)
    left = rows * columns * frames
    while left:
        yield bytes(min(chunk, left))
        left -= min(chunk, left)


def f12(**overrides: Any) -> bytes:
    """As of whole slides: JPEG baseline, 10 frames of one fragment each, no offset table."""
    frames = [_compressed(frame, 8, 6, "JPEG") for frame in native_frames(8, 6, 8, 10)]
    dataset = set_frames(set_pixels(attributes(SOPClassUID=WHOLE_SLIDE), frames=10), frames, basic_offsets=False)
    return part10(override(dataset, overrides), JPEG_BASELINE)


def f13(**overrides: Any) -> bytes:
    """Encapsulated, 2 frames in 3 fragments, no offset table."""
    dataset = set_pixels(attributes(), frames=2)
    dataset.PixelData = encapsulate([b"one fragment", b"the second", b" and third"], has_bot=False)
    dataset["PixelData"].is_undefined_length = True
    return part10(override(dataset, overrides), JPEG_BASELINE)


def _compressed(pixels: bytes, rows: int, columns: int, kind: str) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    image = Image.frombytes("L", (columns, rows), pixels)
    if kind == "JPEG2000":
        image.save(stream, kind, irreversible=False, no_jp2=True, num_resolutions=1)
    else:
        image.save(stream, kind)
    return stream.getvalue()
