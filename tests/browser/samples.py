"""Studies for a viewer: pydicom's sample files under new names, and what is derived from them."""

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pack_bits
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, HTJ2KLossless, JPEGBaseline8Bit

from tests.builders.images import new_uid

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
VIDEO_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4.1"
H264_HIGH_41 = "1.2.840.10008.1.2.4.102"
TILE = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """A study: its data sets, each with file meta information."""

    study_instance_uid: str
    datasets: tuple[Dataset, ...] = field(repr=False)

    @property
    def files(self) -> list[bytes]:
        """As Part 10 files."""
        return [written(one) for one in self.datasets]


def written(dataset: Dataset) -> bytes:
    """The Part 10 file of a data set."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def sample(name: str, **attributes: Any) -> Dataset:
    """One of pydicom's files as another instance."""
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")  # some samples are odd on purpose
        dataset = pydicom.dcmread(str(get_testdata_file(name)))
        dataset.walk(lambda _, element: element.value)
        return named(dataset, **attributes)


def named(dataset: Dataset, **attributes: Any) -> Dataset:
    """The data set with these attributes, and with UIDs of its own where they name none."""
    fresh = {"SOPInstanceUID": new_uid(), "SeriesInstanceUID": new_uid(), "StudyInstanceUID": new_uid()}
    for keyword, value in (fresh | attributes).items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def patient(name: str, study_date: str = "20240131", **attributes: Any) -> dict[str, Any]:
    """What all instances of one study share."""
    return {
        "PatientName": name,
        "PatientID": f"ID-{name.partition('^')[0].upper()}",
        "StudyInstanceUID": new_uid(),
        "StudyDate": study_date,
        "StudyTime": "101500",
        "AccessionNumber": "A1",
        **attributes,
    }


def ct_study(slices: int = 5) -> Sample:
    """A CT series whose slices differ in how far the picture is turned around the edge, and a segmentation of it."""
    shared = patient("Alder^Ada", StudyDescription="Chest CT", SeriesInstanceUID=new_uid())
    frame_of_reference = new_uid()
    images = []
    for number in range(slices):
        one = sample(
            "CT_small.dcm",
            **shared,
            SeriesNumber=1,
            SeriesDescription="Axial",
            InstanceNumber=number + 1,
            FrameOfReferenceUID=frame_of_reference,
            ImagePositionPatient=[-42, -42, 5 * number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            SpacingBetweenSlices=5,
            WindowCenter=100,
            WindowWidth=2000,
        )
        one.PixelData = np.roll(one.pixel_array, 25 * number, axis=1).tobytes()
        images.append(one)
    return Sample(shared["StudyInstanceUID"], (*images, _segmentation(images, shared)))


def earlier_study() -> Sample:
    """Another study of the patient of `ct_study`."""
    shared = patient("Alder^Ada", "20230131", StudyDescription="Earlier MR")
    return Sample(shared["StudyInstanceUID"], (sample("MR_small.dcm", **shared, SeriesDescription="Earlier"),))


def ultrasound_study() -> Sample:
    """Thirty frames of JPEG baseline in one instance."""
    shared = patient("Birch^Ben", StudyDescription="Echo")
    return Sample(shared["StudyInstanceUID"], (sample("examples_ybr_color.dcm", **shared, SeriesDescription="Loop"),))


CODECS = {
    "explicit": "MR_small.dcm",
    "implicit": "MR_small_implicit.dcm",
    "big endian": "MR_small_bigendian.dcm",
    "run length": "MR_small_RLE.dcm",
    "jpeg ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg 2000": "MR_small_jp2klossless.dcm",
}
"""One picture in several transfer syntaxes, each in a file of pydicom's."""


def codec_study() -> Sample:
    """A series for each of CODECS, one deflated and one in HTJ2K, all of the same picture."""
    shared = patient("Cedar^Cleo", StudyDescription="Codecs")
    series = [
        sample(name, **shared, SeriesDescription=description, SeriesNumber=number)
        for number, (description, name) in enumerate(CODECS.items(), 1)
    ]
    deflated = sample("MR_small.dcm", **shared, SeriesDescription="deflated", SeriesNumber=len(series) + 1)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    fast = sample("MR_small.dcm", **shared, SeriesDescription="high throughput", SeriesNumber=len(series) + 2)
    fast.PixelData = encapsulate([imagecodecs.htj2k_encode(fast.pixel_array, reversible=True)])
    fast["PixelData"].VR = "OB"
    fast["PixelData"].is_undefined_length = True
    fast.file_meta.TransferSyntaxUID = HTJ2KLossless
    return Sample(shared["StudyInstanceUID"], (*series, deflated, fast))


def document_study() -> Sample:
    """A PDF, a structured report and an electrocardiogram."""
    shared = patient("Dogwood^Dan", StudyDescription="Documents")
    report = _new(ENCAPSULATED_PDF, ExplicitVRLittleEndian)
    report.Modality = "DOC"
    report.MIMETypeOfEncapsulatedDocument = "application/pdf"
    report.DocumentTitle = "Letter"
    report.EncapsulatedDocument = _pdf("A letter about a patient")
    return Sample(
        shared["StudyInstanceUID"],
        (
            named(report, **shared, SeriesDescription="Letter", SeriesNumber=1),
            sample("reportsi.dcm", **shared, SeriesDescription="Report", SeriesNumber=2),
            sample("waveform_ecg.dcm", **shared, SeriesDescription="Waveform", SeriesNumber=3),
        ),
    )


def video_study() -> Sample:
    """Four seconds of H.264 in MP4, ten pictures a second: `video_picture`, after half of the time mirrored."""
    shared = patient("Gorse^Gil", StudyDescription="Video")
    stream = (Path(__file__).resolve().parents[2] / "scripts/demo/clip.mp4").read_bytes()
    video = _new(VIDEO_PHOTOGRAPHIC, H264_HIGH_41)
    video.Modality = "XC"
    video.ImageType = ["ORIGINAL", "PRIMARY"]
    video.LossyImageCompression = "01"
    video.SamplesPerPixel, video.PhotometricInterpretation, video.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    video.NumberOfFrames, video.Rows, video.Columns = 40, 240, 320
    video.CineRate, video.FrameTime, video.FrameIncrementPointer = 10, 100, 0x00181063
    video.BitsAllocated = video.BitsStored = 8
    video.HighBit, video.PixelRepresentation = 7, 0
    video.PixelData = encapsulate([stream + bytes(len(stream) % 2)], has_bot=False)
    video["PixelData"].VR = "OB"
    video["PixelData"].is_undefined_length = True
    return Sample(shared["StudyInstanceUID"], (named(video, **shared, SeriesDescription="Clip", SeriesNumber=1),))


def video_picture() -> np.ndarray:
    """The first two seconds of `video_study`: red on the left, blue on the right, greener downwards."""
    y, x = np.mgrid[0:240, 0:320]
    left = x < 160
    return np.stack([np.where(left, 230, 20), y * 0.8, np.where(left, 20, 200)], axis=-1).astype(np.uint8)


def bare_study() -> Sample:
    """An image without Modality."""
    shared = patient("Hazel^Hal", StudyDescription="Bare")
    image = sample("MR_small.dcm", **shared, SeriesDescription="No modality", SeriesNumber=1)
    del image.Modality
    return Sample(shared["StudyInstanceUID"], (image,))


def slide_study(across: int = 8) -> Sample:
    """A slide of `across` by `across` tiles in JPEG baseline, and the same at half the size."""
    shared = patient("Elm^Eve", StudyDescription="Slide", SeriesInstanceUID=new_uid())
    dimension, frame_of_reference = new_uid(), new_uid()
    common = {**shared, "SeriesNumber": 1, "SeriesDescription": "Section", "FrameOfReferenceUID": frame_of_reference}
    levels = [_slide_level(across, 0.0005, dimension), _slide_level(across // 2, 0.001, dimension)]
    return Sample(
        shared["StudyInstanceUID"],
        tuple(named(level, **common, InstanceNumber=number) for number, level in enumerate(levels, 1)),
    )


def slide_picture(across: int) -> np.ndarray:
    """The picture of `slide_study`: red grows to the right, green downwards, a blue disc in the middle."""
    size = across * TILE
    y, x = np.mgrid[0:size, 0:size] / size
    disc = (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.09
    return np.stack([255 * x, 255 * y, np.where(disc, 220, 30)], axis=-1).astype(np.uint8)


def _new(sop_class: str, syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(None, Dataset(), file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = sop_class
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Manufacturer = "Tests"
    dataset.ManufacturerModelName = "Samples"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"
    dataset.PatientBirthDate = "19700102"
    dataset.PatientSex = "O"
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesDate = dataset.ContentDate = "20240131"
    dataset.SeriesTime = dataset.ContentTime = "101500"
    dataset.InstanceNumber = 1
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _reference(image: Dataset) -> dict[str, str]:
    return {"ReferencedSOPClassUID": image.SOPClassUID, "ReferencedSOPInstanceUID": image.SOPInstanceUID}


def _segmentation(images: list[Dataset], shared: dict[str, Any]) -> Dataset:
    """A binary segmentation: one square segment on each image."""
    first = images[0]
    dataset = _new(SEGMENTATION, ExplicitVRLittleEndian)
    mask = np.zeros((len(images), first.Rows, first.Columns), np.uint8)
    mask[:, 40:90, 40:90] = 1
    dataset.Modality = "SEG"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentLabel, dataset.ContentDescription, dataset.ContentCreatorName = "SQUARE", "A square", "Tests"
    dataset.SegmentationType = "BINARY"
    dataset.LossyImageCompression = "00"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = len(images), first.Rows, first.Columns
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.FrameOfReferenceUID = first.FrameOfReferenceUID
    dataset.SegmentSequence = [
        _item(
            SegmentNumber=1,
            SegmentLabel="Square",
            SegmentAlgorithmType="MANUAL",
            RecommendedDisplayCIELabValue=[40000, 50000, 45000],
            SegmentedPropertyCategoryCodeSequence=[_code("85756007", "SCT", "Tissue")],
            SegmentedPropertyTypeCodeSequence=[_code("85756007", "SCT", "Tissue")],
        )
    ]
    dataset.ReferencedSeriesSequence = [
        _item(
            SeriesInstanceUID=first.SeriesInstanceUID,
            ReferencedInstanceSequence=[_item(**_reference(image)) for image in images],
        )
    ]
    organization = new_uid()
    dataset.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organization)]
    dataset.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=0x0062000B,
            FunctionalGroupPointer=0x0062000A,
        ),
        _item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=0x00200032,
            FunctionalGroupPointer=0x00209113,
        ),
    ]
    dataset.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[
                _item(SliceThickness=5, SpacingBetweenSlices=5, PixelSpacing=list(first.PixelSpacing))
            ],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            DerivationImageSequence=[_item(SourceImageSequence=[_item(**_reference(image))])],
            FrameContentSequence=[_item(DimensionIndexValues=[1, number])],
            PlanePositionSequence=[_item(ImagePositionPatient=list(image.ImagePositionPatient))],
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=1)],
        )
        for number, image in enumerate(images, 1)
    ]
    dataset.PixelData = pack_bits(mask.reshape(-1))
    dataset["PixelData"].VR = "OB"
    own = shared | {"SeriesInstanceUID": new_uid(), "SeriesNumber": 2, "SeriesDescription": "Square"}
    return named(dataset, **own)


def _pdf(text: str) -> bytes:
    """A PDF of one page."""
    content = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 612 792] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    document, places = b"%PDF-1.4\n", []
    for number, text_of in enumerate(objects, 1):
        places.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, text_of)
    table = len(document)
    document += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    document += b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % table
    return document + b" " * (len(document) % 2)


def _slide_level(across: int, spacing: float, dimension: str) -> Dataset:
    from PIL import Image

    picture = slide_picture(across)
    size = across * TILE
    tiles = []
    for row in range(across):
        for column in range(across):
            stream = io.BytesIO()
            tile = picture[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            Image.fromarray(tile).save(stream, "JPEG", quality=90)
            tiles.append(stream.getvalue())
    dataset = _new(WHOLE_SLIDE, JPEGBaseline8Bit)
    dataset.Modality = "SM"
    kind = "NONE" if spacing == 0.0005 else "RESAMPLED"
    dataset.ImageType = ["ORIGINAL" if kind == "NONE" else "DERIVED", "PRIMARY", "VOLUME", kind]
    dataset.VolumetricProperties = "VOLUME"
    dataset.AcquisitionDateTime = "20240131101500"
    dataset.BurnedInAnnotation = "NO"
    dataset.SpecimenLabelInImage = "NO"
    dataset.FocusMethod = "AUTO"
    dataset.ExtendedDepthOfField = "NO"
    dataset.PositionReferenceIndicator = "SLIDE_CORNER"
    dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
    dataset.LossyImageCompressionRatio = 10
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = len(tiles), TILE, TILE
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.TotalPixelMatrixColumns = dataset.TotalPixelMatrixRows = size
    dataset.TotalPixelMatrixFocalPlanes = 1
    dataset.ImagedVolumeWidth = dataset.ImagedVolumeHeight = size * spacing
    dataset.ImagedVolumeDepth = 1.0
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=dimension)]
    dataset.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    dataset.TotalPixelMatrixOriginSequence = [
        _item(XOffsetInSlideCoordinateSystem=20, YOffsetInSlideCoordinateSystem=40)
    ]
    dataset.NumberOfOpticalPaths = 1
    dataset.OpticalPathSequence = [
        _item(
            OpticalPathIdentifier="1",
            IlluminationTypeCodeSequence=[_code("111744", "DCM", "Brightfield illumination")],
            IlluminationColorCodeSequence=[_code("414298005", "SCT", "Full Spectrum")],
        )
    ]
    dataset.ContainerIdentifier = "SLIDE-1"
    dataset.IssuerOfTheContainerIdentifierSequence = []
    dataset.ContainerTypeCodeSequence = [_code("433466003", "SCT", "Microscope slide")]
    dataset.AcquisitionContextSequence = []
    dataset.SpecimenDescriptionSequence = [
        _item(SpecimenIdentifier="S-1", SpecimenUID=new_uid(), SpecimenPreparationSequence=[])
    ]
    dataset.SharedFunctionalGroupsSequence = [
        _item(
            PixelMeasuresSequence=[_item(PixelSpacing=[spacing, spacing], SliceThickness=0.001)],
            WholeSlideMicroscopyImageFrameTypeSequence=[_item(FrameType=list(dataset.ImageType))],
            OpticalPathIdentificationSequence=[_item(OpticalPathIdentifier="1")],
        )
    ]
    dataset.PixelData = encapsulate(tiles)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset
