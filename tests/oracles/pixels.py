"""Pixels by decoders that the service does not use, and the picture that PS3.3 §C.11 makes of them."""

import io
import warnings

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

_NATIVE = ("",)
_LOSSY = frozenset({".50", ".51", ".81", ".91", ".93", ".203", ".112"})
ROUNDING, LOSS = 1, 6
"""How far pictures may lie apart: by rounding, and where decoders of a lossy codec differ."""


class NoDecoder(Exception):
    """None of the decoders here reads the transfer syntax."""


def is_lossy(syntax: str) -> bool:
    """Whether two good decoders may differ."""
    return any(syntax.endswith(f"1.2.4{ending}") for ending in _LOSSY)


def read(data: bytes) -> Dataset:
    """A Part 10 file; what is odd in it is not complained of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(data))


def decoded(dataset: Dataset) -> dict[str, np.ndarray]:
    """All frames by each decoder that can read them: frames x rows x columns (x samples), colours as RGB.

    Raises NoDecoder.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    found: dict[str, np.ndarray] = {}
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            decoder = get_decoder(syntax)
        except NotImplementedError as error:
            raise NoDecoder(str(error)) from error
        for plugin in decoder.available_plugins if syntax.is_encapsulated else _NATIVE:
            try:
                array, described = decoder.as_array(dataset, decoding_plugin=plugin)
            except Exception as error:  # noqa: BLE001 - decoders raise what they like; another may read it
                errors.append(f"{plugin}: {error}")
                continue
            found[plugin or "numpy"] = array if described["number_of_frames"] > 1 else array[np.newaxis]
    if not found:
        raise NoDecoder("; ".join(errors))
    return found


def picture(dataset: Dataset, frame: np.ndarray) -> np.ndarray:
    """The first frame as shown (REND-9): rows x columns (x 3), 0 to 255, not rounded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            table = apply_color_lut(frame, _with_little_palettes(dataset))
            return table / (np.iinfo(table.dtype).max / 255)
        if frame.ndim == 3:
            return frame / ((1 << dataset.BitsStored) - 1) * 255
        values = _rescaled(dataset, frame)
        if dataset.get("VOILUTSequence"):
            bits = dataset.VOILUTSequence[0].LUTDescriptor[2]
            shown = apply_voi(values.astype(np.int64), dataset) / ((1 << bits) - 1) * 255
        else:
            shown = _windowed(_group(dataset, "FrameVOILUTSequence"), values.astype(float))
        if dataset.get("PixelPresentation") == "COLOR" and "RedPaletteColorLookupTableDescriptor" in dataset:
            return _supplemented(dataset, frame, shown)
    return 255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def _supplemented(dataset: Dataset, frame: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Colours in place of grey from the first value on that the palette has (PS3.3 §C.7.6.19)."""
    palettes = _with_little_palettes(dataset)
    count, first, bits = dataset.RedPaletteColorLookupTableDescriptor
    tables = [
        np.frombuffer(palettes[f"{color}PaletteColorLookupTableData"].value, f"<u{bits // 8}")[:count]
        for color in ("Red", "Green", "Blue")
    ]
    places = np.clip(frame.astype(np.int64) - first, 0, count - 1)
    colors = np.stack([table[places] for table in tables], axis=-1) * (255 / ((1 << bits) - 1))
    return np.where((frame >= first)[..., None], colors, grey[..., None])


def _with_little_palettes(dataset: Dataset) -> Dataset:
    """Its palettes in little endian: pydicom leaves the words of bulk values as they are in the file."""
    if dataset.file_meta.TransferSyntaxUID != ExplicitVRBigEndian:
        return dataset
    palettes = Dataset()
    palettes.file_meta = FileMetaDataset()
    palettes.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for element in dataset.group_dataset(0x0028):
        words = element.keyword.endswith("PaletteColorLookupTableData") and element.VR == "OW"
        value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes() if words else element.value
        palettes.add_new(element.tag, element.VR, value)
    return palettes


def _group(dataset: Dataset, keyword: str) -> Dataset:
    for functional in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for item in (dataset.get(functional) or [])[:1]:
            if item.get(keyword):
                return item[keyword][0]
    return dataset


def _rescaled(dataset: Dataset, frame: np.ndarray) -> np.ndarray:
    group = _group(dataset, "PixelValueTransformationSequence")
    if group is dataset:
        return apply_modality_lut(frame, dataset)
    return frame * float(group.RescaleSlope) + float(group.RescaleIntercept)


def _first(value: object) -> float | None:
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if value else None
    return None if value is None or value == "" else float(value)


def _windowed(group: Dataset, values: np.ndarray) -> np.ndarray:
    center, width = _first(group.get("WindowCenter")), _first(group.get("WindowWidth"))
    function = str(group.get("VOILUTFunction") or "LINEAR")
    if center is None or not width or (function == "LINEAR" and width < 1):
        low, high = values.min(), values.max()
        return (values - low) / (high - low) * 255 if high > low else np.zeros_like(values)
    if function == "SIGMOID":
        return 255 / (1 + np.exp(-4 * (values - center) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1) * 255
    center -= 0.5
    if width == 1:
        return np.where(values > center, 255.0, 0.0)
    return np.clip((values - center) / (width - 1) + 0.5, 0, 1) * 255


def shown(image: bytes) -> np.ndarray:
    """The pixels of a PNG or JPEG: rows x columns (x 3)."""
    picture = Image.open(io.BytesIO(image))
    return np.asarray(picture if picture.mode == "L" else picture.convert("RGB"), float)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two arrays of values; infinite when they differ in shape."""
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(float) - other.astype(float)).max(initial=0))
