"""PS3.10 §7 The content of a Part 10 file: the values that its readers return, and the error for what is none."""

from dataclasses import dataclass, field
from typing import Any

from shared.dicom.attributes import Attributes
from shared.dicom.part10.frames import FrameTable


class InvalidPart10(Exception):
    """The bytes are not a Part 10 file, or one that cannot be read. The text names no values of the file."""

    def __init__(self, text: str, *, tag: int | None = None, final: bool = False) -> None:
        super().__init__(text)
        self.tag = tag
        """The element that cannot be read, if it is one."""
        self.final = final
        """Whether a second opinion cannot help: the file is beyond a limit, truncated, or no Part 10 file at all."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An element that fails the strict checker (VAL-3, VAL-5): one for each element, its first problem."""

    tag: int
    vr: str
    path: str
    """Where the element is: a tag, or tags and item numbers (from 1) as in `00400275/1/00080060` (BULK-1, W-17)."""
    explanation: str
    """The fault, in one sentence that quotes the value (STOW-36): for the store response only, never for a log."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """An element that was not read as it is encoded, but as what it could be read as (STOW-17, STOW-18)."""

    tag: int
    explanation: str
    """The oddity, in one sentence without values."""


@dataclass(frozen=True, slots=True)
class PixelData:
    """The top-level pixel data, float and double float ones included (PS3.5 §8)."""

    vr: str
    offset: int
    """Of the first byte of the value in the file. Encapsulated: of the item that is the basic offset table."""
    length: int | None
    """Bytes of the value; None if the pixel data are encapsulated."""


@dataclass(frozen=True, slots=True)
class Part10:
    """A Part 10 file without its bulk values."""

    file_meta: dict[str, dict[str, Any]]
    """The file meta information in the DICOM JSON model, without group length; binary values as `InlineBinary`."""
    transfer_syntax_uid: str
    implicit_vr: bool
    """Whether the data set is encoded in implicit VR (warning 45063, D-11)."""
    attributes: Attributes
    """The data set in the DICOM JSON model, ascending; bulk values as `{"vr", "BulkDataURI": path}` (see Violation)."""
    text: dict[str, str]
    """By key, the text of the asked top-level elements as stored: decoded, padding and backslashes kept. Of numbers,
    one character for each byte; sequences and bulk values have none.
    """
    violations: tuple[Violation, ...]
    """The findings of the strict checker, in the order of the file; empty if it was not asked for."""
    pixel_data: PixelData | None
    """None also where the data set is deflated: then no value has an offset in the file."""
    frames: FrameTable | None
    """None where there are no pixel data, where they are deflated, and where frames cannot be told apart (CON-4)."""
    length: int
    """Bytes of the file."""
    header_bytes: int = field(default=0, compare=False)
    """Memory that its values without bulk values take, more or less."""
    oddities: tuple[Oddity, ...] = ()
    """The elements that were read as something else than the file says, one for each tag."""
    odd: bool = False
    """Whether the data set is not encoded as the transfer syntax says; `structure_reader` tells its elements."""
