"""Studies of compressed pictures: an ultrasound loop, a slide in tiles, a video."""

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEGBaseline8Bit,
    UltrasoundMultiFrameImageStorage,
    VideoPhotographicImageStorage,
    VLWholeSlideMicroscopyImageStorage,
)

from scripts.demo import phantoms
from scripts.demo.building import Study, code, data_set, item, patient, uid

_TILE: Final = 256
_H264: Final = "1.2.840.10008.1.2.4.102"
_CLIP: Final = Path(__file__).with_name("clip.mp4")
_COLOUR: Final[dict[str, Any]] = {
    "SamplesPerPixel": 3,
    "PlanarConfiguration": 0,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "LossyImageCompression": "01",
}


def ultrasound() -> Study:
    """A loop of a beating heart, in JPEG."""
    shared = patient(3, "Cypresse^Clara", "19740701", "F", study="us", date="20260218", description="Echocardiography")
    frames = phantoms.beating_heart(24, 360, 480)
    return Study(
        "Ultrasound loop of a heart",
        [
            data_set(
                UltrasoundMultiFrameImageStorage,
                "US",
                shared,
                series=1,
                number=1,
                syntax=JPEGBaseline8Bit,
                SeriesDescription="Four chambers",
                **_COLOUR,
                PhotometricInterpretation="YBR_FULL_422",
                NumberOfFrames=len(frames),
                Rows=frames.shape[1],
                Columns=frames.shape[2],
                FrameTime="40",
                FrameIncrementPointer=0x00181063,
                PixelData=encapsulate([_jpeg(frame) for frame in frames]),
            )
        ],
    )


def slide() -> Study:
    """A stained section in tiles, at two resolutions."""
    shared = patient(4, "Dattel^Dora", "19550130", "F", study="slide", date="20260301", description="Histology")
    whole = phantoms.tissue(8 * _TILE)
    half = np.asarray(Image.fromarray(whole).reduce(2))
    dimension = uid("slide", "pyramid")
    return Study(
        "Whole slide",
        [_slide_level(shared, picture, number, dimension) for number, picture in enumerate((whole, half), 1)],
    )


def video() -> Study:
    """Four seconds of H.264."""
    shared = patient(6, "Fichte^Frida", "19910606", "F", study="video", date="20260320", description="Endoscopy")
    clip = _CLIP.read_bytes()
    return Study(
        "Video",
        [
            data_set(
                VideoPhotographicImageStorage,
                "XC",
                shared,
                series=1,
                number=1,
                syntax=_H264,
                SeriesDescription="Clip",
                ImageType=["ORIGINAL", "PRIMARY"],
                **_COLOUR,
                PhotometricInterpretation="YBR_PARTIAL_420",
                NumberOfFrames=40,
                Rows=240,
                Columns=320,
                CineRate=10,
                FrameTime=100,
                FrameIncrementPointer=0x00181063,
                PixelData=encapsulate([clip + bytes(len(clip) % 2)], has_bot=False),
            )
        ],
    )


def _slide_level(shared: dict[str, Any], picture: phantoms.Picture, number: int, dimension: str) -> Dataset:
    across = picture.shape[0] // _TILE
    spacing = 0.0005 * number
    tiles = [
        _jpeg(picture[row * _TILE : (row + 1) * _TILE, column * _TILE : (column + 1) * _TILE])
        for row in range(across)
        for column in range(across)
    ]
    return data_set(
        VLWholeSlideMicroscopyImageStorage,
        "SM",
        shared,
        series=1,
        number=number,
        syntax=JPEGBaseline8Bit,
        SeriesDescription="Section",
        FrameOfReferenceUID=uid("slide", "frame of reference"),
        **_COLOUR,
        PhotometricInterpretation="YBR_FULL_422",
        ImageType=[
            "ORIGINAL" if number == 1 else "DERIVED",
            "PRIMARY",
            "VOLUME",
            "NONE" if number == 1 else "RESAMPLED",
        ],
        VolumetricProperties="VOLUME",
        AcquisitionDateTime="20260301101500",
        AcquisitionDuration=1.0,
        ContainerIdentifier="DEMO-4",
        PyramidUID=dimension,
        NumberOfFrames=len(tiles),
        Rows=_TILE,
        Columns=_TILE,
        TotalPixelMatrixRows=picture.shape[0],
        TotalPixelMatrixColumns=picture.shape[1],
        TotalPixelMatrixOriginSequence=[item(XOffsetInSlideCoordinateSystem="20", YOffsetInSlideCoordinateSystem="40")],
        ImageOrientationSlide=[0, -1, 0, -1, 0, 0],
        ImagedVolumeWidth=picture.shape[1] * spacing,
        ImagedVolumeHeight=picture.shape[0] * spacing,
        ImagedVolumeDepth=1.0,
        DimensionOrganizationType="TILED_FULL",
        NumberOfOpticalPaths=1,
        TotalPixelMatrixFocalPlanes=1,
        BurnedInAnnotation="NO",
        SpecimenLabelInImage="NO",
        FocusMethod="AUTO",
        ExtendedDepthOfField="NO",
        LossyImageCompressionMethod="ISO_10918_1",
        LossyImageCompressionRatio="10",
        OpticalPathSequence=[
            item(
                OpticalPathIdentifier="1",
                IlluminationTypeCodeSequence=[code("111744", "DCM", "Brightfield illumination")],
                IlluminationColorCodeSequence=[code("414298005", "SCT", "Full Spectrum")],
            )
        ],
        SharedFunctionalGroupsSequence=[
            item(
                PixelMeasuresSequence=[item(SliceThickness=0.001, PixelSpacing=[spacing, spacing])],
                OpticalPathIdentificationSequence=[item(OpticalPathIdentifier="1")],
            )
        ],
        PixelData=encapsulate(tiles),
    )


def _jpeg(picture: phantoms.Picture) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "JPEG", quality=88)
    return stream.getvalue()
