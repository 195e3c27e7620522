"""Studies of slices: CT, its follow-up with a segmentation, MR, a planning CT with contours."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from scripts.demo import phantoms
from scripts.demo.building import Study, code, data_set, item, patient, reference, uid

_SLICES: Final = 24
_SIZE: Final = 192
_SPACING: Final = [1.2, 1.2]
_THICKNESS: Final = 5.0
_AXIAL: Final = [1, 0, 0, 0, 1, 0]
_GREY: Final[dict[str, Any]] = {
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "PixelSpacing": _SPACING,
    "SliceThickness": _THICKNESS,
    "ImageOrientationPatient": _AXIAL,
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
}


def ct() -> Study:
    """A head with a small lesion."""
    shared = patient(1, "Ahorn^Anna", "19610412", "F", study="ct", date="20260105", description="CT head")
    return Study("CT of a head", _head_scan(shared, 0.10))


def follow_up() -> Study:
    """The same patient three months later: the lesion has grown, and is segmented."""
    shared = patient(1, "Ahorn^Anna", "19610412", "F", study="seg", date="20260407", description="CT head, follow-up")
    shared["AccessionNumber"] = "DEMO00011"
    images = _head_scan(shared, 0.17)
    return Study("CT of the same head, with a segmentation", [*images, _segmentation(images, shared)])


def mr() -> Study:
    """A knee."""
    shared = patient(2, "Birke^Bruno", "19850923", "M", study="mr", date="20260210", description="MR knee")
    volume = phantoms.knee(_SLICES, _SIZE)
    return Study(
        "MR of a knee",
        _slices(
            MRImageStorage,
            "MR",
            shared,
            volume,
            SeriesDescription="PD coronal",
            BodyPartExamined="KNEE",
            ScanningSequence="SE",
            SequenceVariant="SK",
            WindowCenter="450",
            WindowWidth="900",
        ),
    )


def radiotherapy() -> Study:
    """A planning CT with the contours of its target."""
    shared = patient(5, "Eiche^Emil", "19480817", "M", study="rt", date="20260312", description="RT planning, head")
    images = _head_scan(shared, 0.17)
    mask = phantoms.lesion_mask(_SLICES, _SIZE, 0.17)
    contours = [
        item(
            ContourImageSequence=[reference(images[number])],
            ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=len(points),
            ContourData=[f"{value:.2f}" for point in points for value in point],
        )
        for number in range(_SLICES)
        if len(points := _outline(mask[number], images[number].ImagePositionPatient)) > 2
    ]
    series = item(SeriesInstanceUID=images[0].SeriesInstanceUID, ContourImageSequence=list(map(reference, images)))
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=shared["StudyInstanceUID"],
        RTReferencedSeriesSequence=[series],
    )
    frame_of_reference = images[0].FrameOfReferenceUID
    structures = data_set(
        RTStructureSetStorage,
        "RTSTRUCT",
        shared,
        series=2,
        number=1,
        syntax=ExplicitVRLittleEndian,
        SeriesDescription="Contours",
        StructureSetLabel="TARGET",
        StructureSetDate=shared["StudyDate"],
        StructureSetTime="101500",
        FrameOfReferenceUID=frame_of_reference,
        ReferencedFrameOfReferenceSequence=[
            item(FrameOfReferenceUID=frame_of_reference, RTReferencedStudySequence=[study])
        ],
        StructureSetROISequence=[
            item(
                ROINumber=1,
                ReferencedFrameOfReferenceUID=frame_of_reference,
                ROIName="GTV",
                ROIGenerationAlgorithm="MANUAL",
            )
        ],
        ROIContourSequence=[item(ReferencedROINumber=1, ROIDisplayColor=[255, 80, 60], ContourSequence=contours)],
        RTROIObservationsSequence=[
            item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="GTV", ROIInterpreter="")
        ],
    )
    return Study("Radiotherapy: planning CT with contours", [*images, structures])


def _slices(
    sop_class: str, modality: str, shared: dict[str, Any], volume: phantoms.Volume, **more: Any
) -> list[Dataset]:
    return [
        data_set(
            sop_class,
            modality,
            shared,
            series=1,
            number=number,
            syntax=ExplicitVRLittleEndian,
            **_GREY,
            **more,
            FrameOfReferenceUID=uid(shared["StudyInstanceUID"], "frame of reference"),
            Rows=picture.shape[0],
            Columns=picture.shape[1],
            ImagePositionPatient=[-115, -115, number * _THICKNESS],
            SliceLocation=number * _THICKNESS,
            PixelData=picture.astype("<i2").tobytes(),
        )
        for number, picture in enumerate(volume, 1)
    ]


def _head_scan(shared: dict[str, Any], lesion: float) -> list[Dataset]:
    return _slices(
        CTImageStorage,
        "CT",
        shared,
        phantoms.head(_SLICES, _SIZE, lesion),
        SeriesDescription="Head 5 mm",
        BodyPartExamined="HEAD",
        KVP="120",
        RescaleIntercept="0",
        RescaleSlope="1",
        RescaleType="HU",
        WindowCenter="40",
        WindowWidth="90",
    )


def _segmentation(images: Sequence[Dataset], shared: dict[str, Any]) -> Dataset:
    mask = phantoms.lesion_mask(_SLICES, _SIZE, 0.17)
    there = [number for number in range(len(images)) if mask[number].any()]
    organization = uid(shared["StudyInstanceUID"], "dimensions")
    first = images[0]
    lesion = code("52988006", "SCT", "Lesion")
    return data_set(
        SegmentationStorage,
        "SEG",
        shared,
        series=2,
        number=1,
        syntax=ExplicitVRLittleEndian,
        SeriesDescription="Lesion",
        ImageType=["DERIVED", "PRIMARY"],
        ContentLabel="LESION",
        ContentDescription="Lesion",
        ContentCreatorName="Demonstration",
        SegmentationType="BINARY",
        LossyImageCompression="00",
        FrameOfReferenceUID=first.FrameOfReferenceUID,
        SegmentSequence=[
            item(
                SegmentNumber=1,
                SegmentLabel="Lesion",
                SegmentAlgorithmType="MANUAL",
                RecommendedDisplayCIELabValue=[38000, 52000, 46000],
                SegmentedPropertyCategoryCodeSequence=[code("49755003", "SCT", "Morphologically Altered Structure")],
                SegmentedPropertyTypeCodeSequence=[lesion],
            )
        ],
        ReferencedSeriesSequence=[
            item(SeriesInstanceUID=first.SeriesInstanceUID, ReferencedInstanceSequence=list(map(reference, images)))
        ],
        DimensionOrganizationSequence=[item(DimensionOrganizationUID=organization)],
        DimensionIndexSequence=[
            item(
                DimensionOrganizationUID=organization,
                DimensionIndexPointer=pointer,
                FunctionalGroupPointer=group,
            )
            for pointer, group in ((0x0062000B, 0x0062000A), (0x00200032, 0x00209113))
        ],
        SharedFunctionalGroupsSequence=[
            item(
                PlaneOrientationSequence=[item(ImageOrientationPatient=_AXIAL)],
                PixelMeasuresSequence=[
                    item(SliceThickness=_THICKNESS, SpacingBetweenSlices=_THICKNESS, PixelSpacing=_SPACING)
                ],
            )
        ],
        PerFrameFunctionalGroupsSequence=[
            item(
                DerivationImageSequence=[item(SourceImageSequence=[reference(images[number])])],
                FrameContentSequence=[item(DimensionIndexValues=[1, place])],
                PlanePositionSequence=[item(ImagePositionPatient=list(images[number].ImagePositionPatient))],
                SegmentIdentificationSequence=[item(ReferencedSegmentNumber=1)],
            )
            for place, number in enumerate(there, 1)
        ],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        NumberOfFrames=len(there),
        Rows=_SIZE,
        Columns=_SIZE,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelRepresentation=0,
        PixelData=pack_bits(mask[there].reshape(-1)),
    )


def _outline(mask: phantoms.Picture, position: Sequence[float]) -> list[tuple[float, float, float]]:
    """The points around a convex mask, in the patient's coordinates."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return []
    angles = np.arctan2(rows - rows.mean(), columns - columns.mean())
    points = []
    for angle in np.linspace(-np.pi, np.pi, 24, endpoint=False):
        near = np.abs(np.angle(np.exp(1j * (angles - angle)))) < np.pi / 12
        if near.any():
            far = np.argmax(np.where(near, np.hypot(rows - rows.mean(), columns - columns.mean()), -1))
            x = float(position[0]) + _SPACING[1] * float(columns[far])
            points.append((x, float(position[1]) + _SPACING[0] * float(rows[far]), float(position[2])))
    return points
