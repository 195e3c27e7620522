"""What de-identification costs, without storage and HTTP: `python -m benchmarks.deidentification`.

Of each kind of file: processor time for reading, de-identifying and writing its elements, files and megabytes per
second of one core, and the most memory that Python has allocated meanwhile. Pixel data are not copied: they go from
source to destination by ranges.
"""

import io
import statistics
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Final

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from shared.deidentification.file import pieces, wanted_values
from shared.deidentification.instance import Deidentified, deidentify
from shared.deidentification.key import Key
from shared.deidentification.profile import Option, Profile
from shared.dicom.part10.bulk_data import PIXEL_DATA, BulkValue
from shared.dicom.part10.file_reader import Part10Reader

_PROFILE: Final = Profile(frozenset(Option))
_SECONDS: Final = 3.0
_CHUNK: Final = 1024**2


def main() -> None:
    kinds = (("CT 512 x 512", _ct), ("report of 500 items", _report), ("enhanced MR of 5,000 frames", _enhanced))
    for name, make in kinds:
        data = _part10(make())
        _work(data)
        times: list[float] = []
        while sum(times) < _SECONDS:
            begin = time.process_time()
            _work(data)
            times.append(time.process_time() - begin)
        seconds = statistics.median(times)
        megabytes = len(data) / 1e6
        print(
            f"{name}: {megabytes:.2f} MB, {seconds * 1000:.1f} ms, {1 / seconds:.0f} files/s, "
            f"{megabytes / seconds:.0f} MB/s, peak {_peak(partial(_work, data)) / 1e6:.1f} MB"
        )


def _work(data: bytes) -> None:
    reader = Part10Reader(strict=False)
    for at in range(0, len(data), _CHUNK):
        reader.feed(memoryview(data)[at : at + _CHUNK])
    part10 = reader.finish()
    made = deidentify(part10.attributes, part10.transfer_syntax_uid, _PROFILE, Key(bytes(32)))
    assert isinstance(made, Deidentified)
    pixels = part10.pixel_data
    values = {PIXEL_DATA: BulkValue(pixels.offset, pixels.length or 0)} if pixels else {}
    assert wanted_values(made) == list(values)
    assert pieces(made, part10.transfer_syntax_uid, values, {})


def _peak(work: Callable[[], None]) -> int:
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def _attributes(sop_class: str, modality: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20240131", "101112", "A-1"
    dataset.Modality, dataset.StudyDescription = modality, "Abdomen with contrast for Jane Doe"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "P-1", "19700102"
    dataset.Manufacturer, dataset.SeriesNumber, dataset.InstanceNumber = "Siemens", 1, 1
    return dataset


def _ct() -> Dataset:
    dataset = _attributes("1.2.840.10008.5.1.4.1.1.2", "CT")
    dataset.ImageType, dataset.KVP, dataset.ConvolutionKernel = ["ORIGINAL", "PRIMARY", "AXIAL"], 120, "B30f"
    dataset.ImagePositionPatient, dataset.PixelSpacing = [-125.5, -120, 12.25], [0.7, 0.7]
    for number in range(100):
        dataset.private_block(0x0019, "VENDOR", create=True).add_new(number, "LO", f"private {number}")
    return _with_pixels(dataset, 512, 512)


def _report() -> Dataset:
    dataset = _attributes("1.2.840.10008.5.1.4.1.1.88.33", "SR")
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121071", "DCM", "Finding"
    dataset.ContentSequence = []
    for number in range(500):
        item = Dataset()
        item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = "CONTAINS", "TEXT", [name]
        item.TextValue = f"Nodule {number} of the left upper lobe, seen by Dr Doe on 31.1.2024, unchanged in size"
        dataset.ContentSequence.append(item)
    return dataset


def _enhanced() -> Dataset:
    dataset = _attributes("1.2.840.10008.5.1.4.1.1.4.1", "MR")
    frames = []
    for number in range(5000):
        content, position, orientation, group = Dataset(), Dataset(), Dataset(), Dataset()
        content.FrameAcquisitionDateTime, content.StackID = "20240131101112", "1"
        content.InStackPositionNumber, content.DimensionIndexValues = number + 1, [1, number + 1]
        position.ImagePositionPatient, orientation.ImageOrientationPatient = [1.5, 2.5, number], [1, 0, 0, 0, 1, 0]
        group.FrameContentSequence, group.PlanePositionSequence = [content], [position]
        group.PlaneOrientationSequence = [orientation]
        frames.append(group)
    dataset.PerFrameFunctionalGroupsSequence, dataset.NumberOfFrames = frames, len(frames)
    return _with_pixels(dataset, 64, 64, len(frames))


def _with_pixels(dataset: Dataset, rows: int, columns: int, frames: int = 1) -> Dataset:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelData = bytes(2 * rows * columns * frames)
    dataset["PixelData"].VR = "OW"
    return dataset


def _part10(dataset: Dataset) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


if __name__ == "__main__":
    main()
