"""The DICOM files that are sent: a CT slice of 526 KB, a multi-frame image, a small object; with UIDs of our choice."""

import io
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.1490"


def uid(*numbers: int) -> str:
    """A UID of fixed length under the benchmarks' root, so that it can be replaced in a template's bytes."""
    return ROOT + "".join(f".1{number:011d}" for number in numbers)


def path(study: int, series: int, instance: int) -> str:
    """The URL path of the instance that `Template.instance` makes of the same numbers."""
    return f"{series_path(study, series)}/instances/{uid(study * 1000 + series, instance + 1)}"


def series_path(study: int, series: int) -> str:
    """That of its series."""
    return f"studies/{uid(study, 0)}/series/{uid(study, series + 1)}"


STUDY, SERIES, INSTANCE = uid(99999991, 0), uid(99999992, 0), uid(99999993, 0)
PATIENT_ID, PATIENT_NAME, STUDY_DATE, ACCESSION = "PAT-00000000", "BENCH^AAAAAAAA", "20990101", "ACC-00000000"


@dataclass(frozen=True, slots=True)
class Template:
    """A Part 10 file with placeholders of fixed length."""

    content: bytes

    def instance(self, study: int, series: int, instance: int, name: str = "BENCH^TEMPLATE") -> bytes:
        """The file as instance (study, series, instance). Patient and date follow from the study's number."""
        patient = f"PAT-{study:08d}"
        date = f"{2000 + study % 25:04d}{study % 12 + 1:02d}{study % 28 + 1:02d}"
        replacements = {
            STUDY: uid(study, 0),
            SERIES: uid(study, series + 1),
            INSTANCE: uid(study * 1000 + series, instance + 1),
            PATIENT_ID: patient,
            PATIENT_NAME: name[:14].ljust(14),
            STUDY_DATE: date,
            ACCESSION: f"ACC-{study:08d}",
        }
        content = self.content
        for old, new in replacements.items():
            assert len(old) == len(new), (old, new)
            content = content.replace(old.encode(), new.encode())
        return content


def _dataset() -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = INSTANCE
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = STUDY_DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "101112"
    dataset.AccessionNumber = ACCESSION
    dataset.Modality = "CT"
    dataset.Manufacturer = "Benchmark"
    dataset.InstitutionName = "Hospital"
    dataset.ReferringPhysicianName = "Refer^Ring"
    dataset.StudyDescription = "CT Thorax"
    dataset.SeriesDescription = "Lung 1.0"
    dataset.ManufacturerModelName = "Scanner 1"
    dataset.PatientName = PATIENT_NAME
    dataset.PatientID = PATIENT_ID
    dataset.PatientBirthDate = "19600101"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = STUDY
    dataset.SeriesInstanceUID = SERIES
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.ImagePositionPatient = [-179.2, -179.2, 1.0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.FrameOfReferenceUID = uid(1, 1)
    dataset.SliceThickness = 1.0
    dataset.KVP = 120
    dataset.PixelSpacing = [0.7, 0.7]
    dataset.WindowCenter, dataset.WindowWidth = -600, 1500
    dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "71250", "C4", "CT chest"
    dataset.ProcedureCodeSequence = Sequence([code])
    return dataset


def _file(dataset: Dataset) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(INSTANCE)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _image(dataset: Dataset, frames: int) -> Dataset:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 512
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    pixels = np.random.default_rng(1).integers(0, 4096, (frames, 512, 512), dtype=np.uint16)
    dataset.PixelData = pixels.tobytes()
    return dataset


def ct() -> Template:
    """A CT slice, 512 x 512 x 16 bit: 526 KB."""
    return Template(_file(_image(_dataset(), 1)))


def multi_frame(frames: int = 100) -> Template:
    """An image of `frames` frames of 512 KiB each."""
    return Template(_file(_image(_dataset(), frames)))


def small() -> Template:
    """The same attributes without pixels: about 1.5 KB."""
    return Template(_file(_dataset()))
