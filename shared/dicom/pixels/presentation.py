"""PS3.3 §C.11 Presentation of values, as their image wants it: rescale, window, lookup tables, per frame where
functional groups say so (PS3.3 §C.7.6.16).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first, items, values
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.encoding import EXPLICIT_BIG
from shared.dicom.part10.file_meta import read_file_meta
from shared.dicom.part10.reencoding import reencoded
from shared.dicom.pixels.lookup_tables import LookupTable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

type VoiFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

_SHARED_GROUPS, _GROUPS = "52009229", "52009230"
_TRANSFORMATION, _FRAME_VOI = "00289145", "00289132"
_INTERCEPT, _SLOPE = "00281052", "00281053"
_CENTER, _WIDTH, _FUNCTION = "00281050", "00281051", "00281056"
_ASPECT_RATIO, _SPACING, _MEASURES = "00280034", "00280030", "00289110"
_MOST_SHAPE: Final = 16.0
"""Pixels that are longer are taken for a mistake: they would make pictures of stripes."""
_MODALITY_TABLES, _VOI_TABLES = "00283000", "00283010"
_PALETTE: Final = "00281101"
_PIXEL_PRESENTATION: Final = "00089205"
_PROFILE: Final = "00282000"
_OPTICAL_PATHS: Final = "00480105"


@dataclass(frozen=True, slots=True)
class Window:
    """Which values are shown from black to white (PS3.3 §C.11.2.1.2). In values after the rescale."""

    center: float
    width: float
    function: VoiFunction = "LINEAR"


@dataclass(frozen=True, slots=True)
class Tables:
    """The lookup tables of an image: bulk values, which are in its file only."""

    modality: LookupTable | None = None
    voi: LookupTable | None = None
    palette: tuple[LookupTable, LookupTable, LookupTable] | None = None
    profile: bytes | None = None
    """The ICC profile of its colours."""


NO_TABLES: Final = Tables()


@dataclass(frozen=True, slots=True)
class Presentation:
    """The presentation of one frame."""

    slope: float = 1.0
    intercept: float = 0.0
    window: Window | None = None
    tables: Tables = NO_TABLES
    supplemental: bool = False
    """Whether the palette is for some of the values of a grey image (PS3.3 §C.7.6.19)."""


def needs_tables(attributes: Attributes) -> bool:
    """Whether the image has lookup tables or a profile, which must be read from its file."""
    return any(key in attributes for key in (_MODALITY_TABLES, _VOI_TABLES, _PALETTE, _PROFILE)) or any(
        _PROFILE in item for item in items(attributes, _OPTICAL_PATHS)
    )


def presentation(attributes: Attributes, number: int, tables: Tables) -> Presentation:
    """The default presentation of frame `number` (from 1). Raises Unconvertible for values that are no numbers."""
    transformation = next(_groups(attributes, number, _TRANSFORMATION), attributes)
    voi = next(_groups(attributes, number, _FRAME_VOI), attributes)
    slope, intercept = _number(transformation, _SLOPE), _number(transformation, _INTERCEPT)
    return Presentation(
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        window=_window(voi),
        tables=tables,
        supplemental=tables.palette is not None and first(attributes, _PIXEL_PRESENTATION) in {"COLOR", "MIXED"},
    )


def pixel_shape(attributes: Attributes, number: int) -> float:
    """The height of a pixel of frame `number` (from 1) divided by its width (REND-11; PS3.3 §C.7.6.3.1.7, §10.7).

    1 for square pixels, and where the attributes say nothing or what no device makes.
    """
    measures = next(_groups(attributes, number, _MEASURES), attributes)
    for group, key in ((attributes, _ASPECT_RATIO), (measures, _SPACING)):
        sides = values(group, key)
        if len(sides) == 2 and all(isinstance(side, (int, float)) and side > 0 for side in sides):
            shape = sides[0] / sides[1]
            return shape if 1 / _MOST_SHAPE <= shape <= _MOST_SHAPE else 1.0
    return 1.0


def tables_of(header: bytes) -> Tables:
    """The tables in a Part 10 file, or in the part of it that comes before the pixel data.

    Raises:
        Unconvertible: it cannot be read, or a table is damaged.
    """
    import warnings

    from shared.dicom.pixels.lookup_tables import item_table, palette

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about values that have nothing to do with tables
            data_set = _data_set(header)
            modality, voi = data_set.get("ModalityLUTSequence"), data_set.get("VOILUTSequence")
            return Tables(
                modality=item_table(modality[0]) if modality else None,
                voi=item_table(voi[0]) if voi else None,
                palette=palette(data_set) if "RedPaletteColorLookupTableDescriptor" in data_set else None,
                profile=_profile(data_set),
            )
    except Unconvertible:
        raise
    except Exception as error:
        raise Unconvertible("The lookup tables of the instance cannot be read.") from error


def _data_set(header: bytes) -> "Dataset":
    """Bulk values of a big-endian file are in little endian here as well, which the reader alone would not do."""
    import io

    from pydicom.filereader import dcmread, read_dataset

    meta, start = read_file_meta(header)
    if meta.coding is EXPLICIT_BIG:
        little = io.BytesIO(reencoded(header, start, meta))
        return read_dataset(little, is_implicit_VR=False, is_little_endian=True)
    return dcmread(io.BytesIO(header), stop_before_pixels=True, force=True)


def _profile(data_set: Any) -> bytes | None:
    paths = data_set.get("OpticalPathSequence") or []
    for holder in (data_set, *paths):
        value = holder.get("ICCProfile")
        if isinstance(value, bytes) and value:
            return value
    return None


def _window(group: Mapping[str, Any]) -> Window | None:
    center, width = _number(group, _CENTER), _number(group, _WIDTH)
    name = str(first(group, _FUNCTION) or "LINEAR").strip().upper()
    function: VoiFunction = "LINEAR"
    if name in {"LINEAR_EXACT", "SIGMOID"}:
        function = "SIGMOID" if name == "SIGMOID" else "LINEAR_EXACT"
    if center is None or width is None or width < (1 if function == "LINEAR" else 0) or width == 0:
        return None
    return Window(center, width, function)


def _groups(attributes: Attributes, number: int, key: str) -> Iterator[Mapping[str, Any]]:
    """The functional group `key` of a frame, its own before the shared one."""
    for groups in (*items(attributes, _GROUPS, number), *items(attributes, _SHARED_GROUPS, 1)):
        yield from items(groups, key, 1)


def _number(group: Mapping[str, Any], key: str) -> float | None:
    value = first(group, key)
    return float(value) if isinstance(value, (int, float)) else None
