"""A synthetic instance: of nobody, in a study of its own, with what is awkward in names and easy to find again."""

import io
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

NAME: Final = "Smöke^Test 1+1%'s"
"""Blank, plus sign, percent sign, apostrophe and umlaut: what encodings and filters trip over."""
SIZE: Final = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """An instance and its file."""

    study: str
    series: str
    instance: str
    patient_id: str
    file: bytes

    @property
    def path(self) -> str:
        """Of the instance, below the version."""
        return f"studies/{self.study}/series/{self.series}/instances/{self.instance}"


def sample(padding: int = 0) -> Sample:
    """A new one. `padding`: bytes that make its file larger."""
    study, series, instance = (generate_uid() for _ in range(3))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, instance
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.PatientName, data.PatientID = NAME, f"SMOKE-{study[-12:]}"
    data.StudyDate, data.StudyTime, data.AccessionNumber = "20260101", "120000", "SMOKE"
    data.Modality, data.SeriesNumber, data.InstanceNumber = "OT", "1", "1"
    data.Rows = data.Columns = SIZE
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = bytes(x ^ y for y in range(SIZE) for x in range(SIZE))
    data["PixelData"].VR = "OB"
    if padding:
        data.EncapsulatedDocument = bytes(padding + padding % 2)
    written = io.BytesIO()
    data.save_as(written, enforce_file_format=True)
    return Sample(study, series, instance, data.PatientID, written.getvalue())
