"""Synthetic chest CTs: a body, two lungs, vessels and nodules, in Hounsfield units with noise. They are of nobody."""

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SLICES, ROWS, COLUMNS = 40, 128, 128
SPACING = (2.5, 2.5, 2.5)
"""Millimetres between voxels: slices, rows, columns."""
AIR, LUNG, TISSUE, NODULE = -1000, -850, 40, 30


def volume(nodules: list[tuple[float, tuple[int, int, int]]], seed: int) -> np.ndarray:
    """A chest with spheres of some diameters (mm) around some voxels; shape (slices, rows, columns), in HU."""
    z, y, x = np.indices((SLICES, ROWS, COLUMNS))
    chest = np.full(z.shape, float(AIR))
    chest[((y - 64) / 44) ** 2 + ((x - 64) / 58) ** 2 < 1] = TISSUE
    for middle in (36, 92):
        chest[((y - 62) / 30) ** 2 + ((x - middle) / 20) ** 2 + ((z - 20) / 18) ** 2 < 1] = LUNG
        for row, column in ((50, middle - 6), (74, middle + 5)):  # vessels, along the slices and askew
            chest[(y - row - 0.3 * (z - 20)) ** 2 + (x - column) ** 2 < 1.6] = NODULE
    for diameter, center in nodules:
        square = sum(((at - c) * s) ** 2 for at, c, s in zip((z, y, x), center, SPACING, strict=True))
        chest[square < (diameter / 2) ** 2] = NODULE
    return chest + np.random.default_rng(seed).normal(0, 25, chest.shape)


def study(patient: dict[str, str], date: str, chest: np.ndarray) -> list[Dataset]:
    """The images of a chest; `patient`: PatientID, PatientName, PatientBirthDate and PatientSex."""
    study_uid, series_uid, frame_uid = generate_uid(), generate_uid(), generate_uid()
    return [
        _image(pixels, number, patient, date, (study_uid, series_uid, frame_uid)) for number, pixels in enumerate(chest)
    ]


def _image(pixels: np.ndarray, number: int, patient: dict[str, str], date: str, uids: tuple[str, str, str]) -> Dataset:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = uids
    for keyword, value in patient.items():
        setattr(image, keyword, value)
    image.StudyDate = image.SeriesDate = image.ContentDate = image.AcquisitionDate = date
    image.StudyTime = image.ContentTime = "120000"
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName = "1", f"ACC{uids[0][-8:]}", ""
    image.Modality, image.BodyPartExamined, image.Manufacturer = "CT", "CHEST", "Phantom"
    image.StudyDescription, image.SeriesDescription = "CT chest", "Axial 2.5 mm"
    image.ImageType, image.SeriesNumber, image.InstanceNumber = ["DERIVED", "PRIMARY", "AXIAL"], 1, number + 1
    image.PositionReferenceIndicator, image.PatientPosition, image.KVP = "", "HFS", "120"
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [0.0, 0.0, number * SPACING[0]]
    image.PixelSpacing, image.SliceThickness = list(SPACING[1:]), SPACING[0]
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, -1024, "HU"
    image.WindowCenter, image.WindowWidth = -500, 1500
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = np.clip(np.rint(pixels + 1024), 0, 4095).astype("<u2").tobytes()
    image.preamble, image.file_meta = bytes(128), FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image
