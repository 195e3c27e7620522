"""DICOM files whose pixels mean something, native or compressed by encoders that the service does not use."""

import copy
import io
import warnings

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from shared.dicom.identifiers import InstanceIdentifier
from tests.builders.datasets import attributes, override
from tests.builders.images import Image

ILE, ELE, DEFL, EBE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
JPEG, JPEG_12 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS, J2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K = (f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
RLE = "1.2.840.10008.1.2.5"
NATIVE = (ILE, ELE, DEFL, EBE)
LOSSLESS = (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_RPCL, RLE)


def ramp(rows: int = 40, columns: int = 56, *, bits: int = 8, signed: bool = False, samples: int = 1) -> np.ndarray:
    """Smooth pixels that use the whole range of `bits`."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    values = np.linspace(low, high, int(np.prod(shape))).reshape(shape)
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def data_set(
    pixels: np.ndarray, *, frames: int = 1, bits: int = 0, photometric: str = "", **overrides: object
) -> Dataset:
    """A data set of native pixels in little endian. `pixels`: (frames,) rows, columns(, 3)."""
    color = pixels.ndim - (frames > 1) == 3
    dataset = attributes()
    dataset.SamplesPerPixel = 3 if color else 1
    dataset.PhotometricInterpretation = photometric or ("RGB" if color else "MONOCHROME2")
    if color:
        dataset.PlanarConfiguration = 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = pixels.shape[1 if frames > 1 else 0 :][:2]
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated <= 8 else "OW"
    return override(dataset, overrides)


def file(dataset: Dataset, syntax: str = ELE) -> Image:
    """The Part 10 file of such a data set in a native syntax, RLE, JPEG-LS or JPEG 2000."""
    dataset = copy.deepcopy(dataset)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(ELE)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if syntax in NATIVE:
        if syntax == EBE:
            reverse_words(dataset)
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
    elif syntax == J2K_LOSSLESS:
        return _by_openjpeg(dataset)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the SOP instance UID, which stays
            dataset.compress(UID(syntax), generate_instance_uid=False)
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return Image(identifier_of(dataset), syntax, stream.getvalue())


def reverse_words(dataset: Dataset) -> None:
    """Gives the bulk values of a little-endian data set the order of a big-endian one; pydicom does the others."""
    sizes = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                reverse_words(item)
        size = sizes.get(element.VR, 1)
        if element.keyword == "PixelData" and dataset.BitsAllocated > 8:
            size = dataset.BitsAllocated // 8
        if size > 1:
            element.value = np.frombuffer(element.value, f"<u{size}").astype(f">u{size}").tobytes()


def _by_openjpeg(dataset: Dataset) -> Image:
    from openjpeg.utils import encode_array

    pixels = dataset.pixel_array
    frames = pixels if dataset.get("NumberOfFrames", 1) > 1 else [pixels]
    color = dataset.SamplesPerPixel == 3
    if color:
        dataset.PhotometricInterpretation = "YBR_RCT"
    options = {"bits_stored": dataset.BitsStored, "photometric_interpretation": 1 if color else 2, "use_mct": color}
    return compressed(dataset, J2K_LOSSLESS, [encode_array(frame, **options) for frame in frames])


def compressed(dataset: Dataset, syntax: str, codestreams: list[bytes]) -> Image:
    """A file with these codestreams as its frames, whatever they are."""
    dataset = copy.deepcopy(dataset)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PixelData = encapsulate(codestreams)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return Image(identifier_of(dataset), syntax, stream.getvalue())


def identifier_of(dataset: Dataset) -> InstanceIdentifier:
    """The UIDs of a data set."""
    return InstanceIdentifier(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
