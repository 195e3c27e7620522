"""What a retrieve asks for, and in which representation it can be answered (PS3.18 §8.7, §10.4.1).

`Accept` becomes a list of `TransferSyntaxChoice`, best first (WADO-3); what is stored then picks one of them.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicom.transfer_syntaxes import FRAME_TARGETS, REVERSIBLE_TARGETS
from shared.dicomweb.media_types import MULTIPART_RELATED, MediaType
from shared.errors import InvalidRequest, NotAcceptable, NotFound

IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"

APPLICATION_DICOM: Final = "application/dicom"
OCTET_STREAM: Final = "application/octet-stream"
ANY: Final = "*/*"
AS_STORED: Final = "*"

_SAME_PIXELS: Final = frozenset(
    {IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, ENCAPSULATED_UNCOMPRESSED, DEFLATED, EXPLICIT_BIG_ENDIAN}
)
"""Stored syntaxes whose frames are those of Explicit VR Little Endian: byte for byte, or by swapping bytes."""

_JPEG: Final = ("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57")
_MPEG2: Final = tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("100", "100.1", "101", "101.1"))
_MPEG4: Final = tuple(
    f"1.2.840.10008.1.2.4.{n}"
    for n in ("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1", "107", "108")
)

FRAME_MEDIA_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "image/jpeg": _JPEG,
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
    "image/jls": ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
    "image/jp2": (JPEG_2000_LOSSLESS, "1.2.840.10008.1.2.4.91"),
    "image/jpx": ("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93"),
    "image/jphc": ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"),
    "video/mpeg2": _MPEG2,
    "video/mp4": _MPEG4,
}
"""FRM-10: the media types of encapsulated frames and the syntaxes that each covers, its default first."""

_ANY_COVERED: Final = frozenset({"image/jpeg", "video/mpeg2", "video/mp4"})
"""Types that, without a syntax, accept whichever stored syntax they cover (W-10): for the other types, the default."""

VIDEO: Final = frozenset(_MPEG2 + _MPEG4)

_FRAME_TYPE_OF: Final = {syntax: name for name, syntaxes in FRAME_MEDIA_TYPES.items() for syntax in syntaxes}


class Resource(Enum):
    """What the three tables of negotiation are about (dicomweb §7.1)."""

    INSTANCES = auto()
    """Every instance of a study or series."""
    INSTANCE = auto()
    FRAMES = auto()


@dataclass(frozen=True, slots=True)
class Encoding:
    """The label of what is sent: of one instance or frame."""

    media_type: str
    transfer_syntax_uid: str

    @property
    def content_type(self) -> str:
        """WADO-20, WADO-23: the syntax that the bytes are in, unquoted, never '*'. Pictures have none (REND-7)."""
        if not self.transfer_syntax_uid:
            return self.media_type
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"


@dataclass(frozen=True, slots=True)
class TransferSyntaxChoice:
    """One way of answering that the client accepts."""

    resource: Resource
    multipart: bool
    media_type: str
    """'*/*' of frames: the type that belongs to the stored syntax (W-10)."""
    transfer_syntaxes: tuple[str, ...]
    """Those that are accepted; ('*',): any."""
    quality: float
    listed: bool
    """In the table of dicomweb §7.1; else only good for an object that happens to be stored so (D-18)."""

    @property
    def as_stored(self) -> bool:
        """Whether the client takes any transfer syntax."""
        return self.transfer_syntaxes == (AS_STORED,)

    @property
    def target(self) -> str | None:
        """The syntax to produce when none is stored that the client accepts; None: nothing can be produced.

        Of frames only what the table lists; whole objects also in further syntaxes, as long as nothing is lost.
        """
        first = self.transfer_syntaxes[0]
        if self.resource is Resource.FRAMES:
            return first if self.listed and first in FRAME_TARGETS else None
        return first if first in REVERSIBLE_TARGETS else None

    def produced(self) -> Encoding | None:
        """How an object is labelled that was transcoded to `target`."""
        return None if self.target is None else Encoding(self._label(self.target), self.target)

    def encoding(self, stored: str) -> Encoding | None:
        """How an object stored in the syntax `stored` is labelled when it is sent so; None: it must be transcoded."""
        if self.as_stored or stored in self.transfer_syntaxes:
            return Encoding(self._label(stored), stored)
        if self.resource is Resource.FRAMES and self.target == EXPLICIT_LITTLE_ENDIAN and stored in _SAME_PIXELS:
            return Encoding(OCTET_STREAM, EXPLICIT_LITTLE_ENDIAN)
        return None

    def _label(self, stored: str) -> str:
        if self.media_type != ANY:
            return self.media_type
        return _FRAME_TYPE_OF.get(stored, OCTET_STREAM)


def choices(resource: Resource, accept: Iterable[MediaType]) -> tuple[TransferSyntaxChoice, ...]:
    """The acceptable values of `accept`, best first; unacceptable ones are skipped (WADO-4).

    Higher quality first; among equal quality the ones that take any syntax, then the client's order (WADO-3).
    Raises NotAcceptable when none is left.
    """
    found = [choice for value in accept if (choice := _choice(resource, value)) is not None]
    if not found:
        raise NotAcceptable("None of the accepted media types and transfer syntaxes can be produced for this resource.")
    return tuple(sorted(found, key=lambda choice: (-choice.quality, not choice.as_stored)))


def _choice(resource: Resource, value: MediaType) -> TransferSyntaxChoice | None:
    if value.quality <= 0:
        return None
    multipart = value.type == "multipart/related"
    media_type = value.parameters.get("type", ANY).strip().lower() if multipart else value.type
    syntax = value.parameters.get("transfer-syntax", "").strip() or None
    if media_type == ANY:
        multipart = True  # WADO-5, D-17
    if resource is Resource.FRAMES:
        accepted = _frame_syntaxes(media_type, multipart=multipart, syntax=syntax)
    else:
        accepted = _instance_syntaxes(media_type, syntax)
        if resource is Resource.INSTANCES and not multipart:
            accepted = None  # WADO-8
        media_type = APPLICATION_DICOM
    if accepted is None:
        return None
    syntaxes, listed = accepted
    return TransferSyntaxChoice(resource, multipart, media_type, syntaxes, value.quality, listed)


def _instance_syntaxes(media_type: str, syntax: str | None) -> tuple[tuple[str, ...], bool] | None:
    if media_type not in (APPLICATION_DICOM, ANY):
        return None
    syntax = syntax or (AS_STORED if media_type == ANY else EXPLICIT_LITTLE_ENDIAN)
    return (syntax,), syntax in (AS_STORED, EXPLICIT_LITTLE_ENDIAN, JPEG_2000_LOSSLESS)


def _frame_syntaxes(media_type: str, *, multipart: bool, syntax: str | None) -> tuple[tuple[str, ...], bool] | None:
    if media_type in (OCTET_STREAM, ANY):
        syntax = syntax or (AS_STORED if media_type == ANY else EXPLICIT_LITTLE_ENDIAN)
        return (syntax,), syntax in (AS_STORED, EXPLICIT_LITTLE_ENDIAN)
    covered = FRAME_MEDIA_TYPES.get(media_type)
    if covered is None or not multipart:
        return None
    if syntax is None:
        return (covered if media_type in _ANY_COVERED else covered[:1]), True
    return ((syntax,), True) if syntax in covered else None


type Convertible = Callable[[str, str], bool]
"""Whether what is stored in the first transfer syntax can be sent in the second."""


def _nothing_is(_stored: str, _target: str) -> bool:
    return False


def choose(
    accepted: Sequence[TransferSyntaxChoice], stored: Iterable[str], convertible: Convertible = _nothing_is
) -> tuple[TransferSyntaxChoice, dict[str, Encoding]]:
    """The best choice that answers objects in all of the `stored` syntaxes, and how each of these is labelled when it
    is sent (D-18, D-19). Raises NotAcceptable.

    Among choices of one quality those that need no transcoding come first. Where several would send the same stored
    bytes, one that names their media type and syntax is better than one that takes anything: it says more about them.
    """
    syntaxes = set(stored)
    for quality in sorted({choice.quality for choice in accepted}, reverse=True):
        equals = [choice for choice in accepted if choice.quality == quality]
        found = _as_they_are(equals, syntaxes) or _converted(equals, syntaxes, convertible)
        if found is not None:
            return found
    raise NotAcceptable(
        "What is stored is in another transfer syntax than the accepted ones; transfer-syntax=* retrieves it as stored."
    )


async def choose_checked(
    accepted: Sequence[TransferSyntaxChoice],
    stored: Collection[str],
    convertible: Convertible,
    check: Callable[[TransferSyntaxChoice], Awaitable[None]],
) -> tuple[TransferSyntaxChoice, dict[str, Encoding]]:
    """The best choice, as `choose` has it, in which everything can really be sent.

    `check` looks at each object that would have to be converted; it raises NotAcceptable for one that cannot be.
    Raises NotAcceptable (D-18, D-19).
    """
    left = list(accepted)
    while True:
        choice, encodings = choose(left, stored, convertible)
        if all(choice.encoding(syntax) for syntax in stored):
            return choice, encodings
        try:
            await check(choice)
        except NotAcceptable:
            left.remove(choice)
            if not left:
                raise
        else:
            return choice, encodings


type _Chosen = tuple[TransferSyntaxChoice, dict[str, Encoding]]


def _as_they_are(accepted: Sequence[TransferSyntaxChoice], syntaxes: set[str]) -> _Chosen | None:
    possible = [
        (choice, encodings)
        for choice in accepted
        if len(encodings := {syntax: encoding for syntax in syntaxes if (encoding := choice.encoding(syntax))})
        == len(syntaxes)
    ]
    if not possible:
        return None
    best = possible[0][0]
    if best.resource is Resource.FRAMES and best.as_stored:
        for choice, encodings in possible:
            if choice.multipart == best.multipart and choice.media_type in FRAME_MEDIA_TYPES:
                return choice, encodings
    return possible[0]


def _converted(
    accepted: Sequence[TransferSyntaxChoice], syntaxes: set[str], convertible: Convertible
) -> _Chosen | None:
    for choice in accepted:
        made = choice.produced()
        if made is None:
            continue
        encodings = {syntax: choice.encoding(syntax) or made for syntax in syntaxes}
        if all(encodings[syntax] is not made or convertible(syntax, made.transfer_syntax_uid) for syntax in syntaxes):
            return choice, encodings
    return None


def nothing_found(accepted: Sequence[TransferSyntaxChoice], what: str) -> NotFound | NotAcceptable:
    """The error for a resource that does not exist: still 'not acceptable' when only a syntax outside the table was
    accepted (D-18).
    """
    if any(choice.listed for choice in accepted):
        return NotFound(f"The requested {what} does not exist.")
    return NotAcceptable("The accepted transfer syntax is not supported.")


# --------------------------------------------------------------------------------------------------------- bulk data


def negotiate_value(accept: Iterable[MediaType]) -> bool:
    """Whether a bulk value that is no pixel data goes out as multipart, not alone (BULK-2).

    It is application/octet-stream in any case; what takes everything gets the bytes alone. Raises NotAcceptable.
    """
    for value in sorted(accept, key=lambda each: -each.quality):
        multipart = value.type == MULTIPART_RELATED
        media_type = value.parameters.get("type", ANY).strip().lower() if multipart else value.type
        syntax = value.parameters.get("transfer-syntax", "").strip() or AS_STORED
        covered = media_type in (OCTET_STREAM, "application/*", ANY) and syntax in (AS_STORED, EXPLICIT_LITTLE_ENDIAN)
        if value.quality > 0 and covered:
            return multipart
    raise NotAcceptable("Bulk data are application/octet-stream.")


def set_choices(accept: Iterable[MediaType], *, pixels_only: bool) -> tuple[TransferSyntaxChoice, ...]:
    """How the pixel data among all bulk values of a resource may be sent: as frames are, in multipart (BULK-3, BULK-4).

    Beside other values only octets can be promised. Raises NotAcceptable.
    """
    accepted = tuple(
        choice
        for choice in choices(Resource.FRAMES, accept)
        if choice.multipart and (pixels_only or choice.media_type in (OCTET_STREAM, ANY))
    )
    if not accepted:
        raise NotAcceptable("The bulk data of a resource are multipart/related.")
    return accepted


# ------------------------------------------------------------------------------------------------------------- paths

_FRAME = re.compile(r"\s*[+-]?[0-9]{1,10}\s*")
_GREATEST_FRAME: Final = 2**31 - 1
_MOST_FRAMES: Final = 1 << 18
"""Frames in one answer to a request for all of them: what is kept of each is small, but NumberOfFrames may lie."""


def resource_of(route: Mapping[str, str]) -> ResourceIdentifier:
    """The study, series or instance that the path names; its UIDs are checked and trimmed by the boundary."""
    return ResourceIdentifier(route["study"], route.get("series"), route.get("instance"))


def instance_of(route: Mapping[str, str]) -> InstanceIdentifier:
    """The instance that the path names."""
    return InstanceIdentifier(route["study"], route["series"], route["instance"])


def frame_numbers(text: str) -> tuple[int, ...]:
    """The comma-separated integers of a frame list, in order, repeats kept. Raises InvalidRequest (FRM-1, step 4)."""
    items = text.split(",")
    if not all(_FRAME.fullmatch(item) for item in items):
        raise InvalidRequest("A frame list is a list of integers separated by commas.")
    numbers = tuple(int(item) for item in items)
    if max(numbers) > _GREATEST_FRAME:
        raise InvalidRequest("A frame number is too large.")
    return numbers


def check_frame_numbers(numbers: Sequence[int]) -> None:
    """Frames are counted from 1. Raises InvalidRequest (FRM-1, step 8)."""
    if min(numbers) < 1:
        raise InvalidRequest("Frame numbers start at 1.")


def all_frames(count: int) -> tuple[int, ...]:
    """The numbers of all frames of an instance that says it has `count`. Raises NotAcceptable for too many of them."""
    if count > _MOST_FRAMES:
        raise NotAcceptable("The instance has too many frames for one answer; they can be retrieved by their numbers.")
    return tuple(range(1, count + 1))


def allow_frames(accepted: Sequence[TransferSyntaxChoice], count: int) -> tuple[TransferSyntaxChoice, ...]:
    """The choices that can hold `count` frames. Raises InvalidRequest when they are all single-part (FRM-4)."""
    if count == 1:
        return tuple(accepted)
    several = tuple(choice for choice in accepted if choice.multipart)
    if not several:
        raise InvalidRequest("Several frames can only be retrieved as multipart/related.")
    return several


def wants_original(header: str | None) -> bool:
    """Whether msdicom-request-original asks for the version before any bulk update (WADO-32)."""
    return (header or "").strip().lower() == "true"
