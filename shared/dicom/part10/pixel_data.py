"""PS3.5 §8, PS3.3 §C.7.6.3 Frame tables, made of the attributes of images (CON-4, FRM-7)."""

from array import array
from collections.abc import Sequence

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first, first_text
from shared.dicom.part10.frames import FrameTable, encapsulated_frames, native_frames
from shared.dicom.part10.model import PixelData
from shared.dicom.transfer_syntaxes import NATIVE, RLE_LOSSLESS, VIDEO

_BITS_OF_FLOATS = {"OF": 32, "OD": 64}
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})


class Fragments:
    """The fragments of encapsulated pixel data (PS3.5 §A.4). Offsets count from the first byte of the flow."""

    __slots__ = ("basic_offsets", "codestreams", "end", "offsets")

    def __init__(self) -> None:
        self.offsets = array("Q")
        """Of the item headers, without that of the basic offset table."""
        self.codestreams = bytearray()
        """1 for each fragment that begins a codestream, else 0."""
        self.basic_offsets: tuple[int, ...] = ()
        self.end = 0


def frame_table(
    attributes: Attributes,
    pixel_data: PixelData | None,
    fragments: Fragments | None,
    extended_offsets: Sequence[int],
    transfer_syntax_uid: str,
) -> FrameTable | None:
    """Where the frames are, or None: no pixel data, attributes missing, frames that cannot be told apart, or fragments
    where the transfer syntax knows none (WADO-18).
    """
    if pixel_data is None:
        return None
    count = number_of_frames(attributes)
    if fragments is not None:
        if transfer_syntax_uid in NATIVE:
            return None
        return encapsulated_frames(
            count=count,
            fragments=fragments.offsets,
            codestreams=() if transfer_syntax_uid in VIDEO else fragments.codestreams,
            end=fragments.end,
            offset_tables=(extended_offsets, fragments.basic_offsets),
            one_each=transfer_syntax_uid == RLE_LOSSLESS,
        )
    rows, columns = _integer(attributes, "00280010"), _integer(attributes, "00280011")
    samples = _integer(attributes, "00280002") or 1
    bits_allocated = _BITS_OF_FLOATS.get(pixel_data.vr) or _integer(attributes, "00280100")
    if not (rows and columns and bits_allocated and pixel_data.length):
        return None
    photometric = first_text(attributes, "00280004")
    return native_frames(
        count=count,
        first=pixel_data.offset,
        length=pixel_data.length,
        pixels=rows * columns,
        samples=samples,
        bits_allocated=bits_allocated,
        subsampled=photometric in _SUBSAMPLED,
    )


def number_of_frames(attributes: Attributes) -> int | None:
    """(0028,0008) NumberOfFrames; None where it is absent, or no positive number (FRM-11)."""
    return _integer(attributes, "00280008")


def _integer(attributes: Attributes, key: str) -> int | None:
    """The first value of an element if it is a positive integer, in whatever spelling."""
    value = first(attributes, key)
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and value > 0 else None
