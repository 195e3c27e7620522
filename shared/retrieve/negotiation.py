"""Negotiation of media types and transfer syntaxes of what is retrieved (PS3.18 §8.7.3, §8.7.8).

`Accept` becomes a list of `TransferSyntaxChoice`, best first (WADO-3); what is stored then picks one of them.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from shared.dicom.media_types import (
    ANY,
    ANY_IMAGE,
    ANY_MULTIPART,
    DICOM,
    JP2,
    JPEG,
    MP4,
    MPEG2_FRAMES,
    MULTIPART_RELATED,
    OCTET_STREAM,
    PIXEL_MEDIA_TYPES,
)
from shared.dicom.transfer_syntaxes import (
    DEFLATED,
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    FRAME_TARGETS,
    IMPLICIT_LITTLE_ENDIAN,
    JPEG_2000_LOSSLESS,
    REVERSIBLE_TARGETS,
)
from shared.dicomweb.content_negotiation import MediaType
from shared.errors import NotAcceptable, NotFound

AS_STORED: Final = "*"

_SAME_PIXELS: Final = frozenset(
    {IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, ENCAPSULATED_UNCOMPRESSED, DEFLATED, EXPLICIT_BIG_ENDIAN}
)
"""Stored syntaxes whose frames are those of Explicit VR Little Endian: byte for byte, or by swapping bytes."""

_ANY_COVERED: Final = frozenset({JPEG, MPEG2_FRAMES, MP4, ANY_IMAGE})
"""Types that, without a syntax, accept whichever stored syntax they cover (W-10): for the other types, the default."""

_FRAME_TYPE_OF: Final = {syntax: name for name, syntaxes in PIXEL_MEDIA_TYPES.items() for syntax in syntaxes}

_NAMED_ONLY: Final = JP2
"""dicomweb §7.1: its syntax cannot be left open, as with Microsoft's service."""

_IMAGES: Final = (
    JPEG_2000_LOSSLESS,
    *(
        syntax
        for name, syntaxes in PIXEL_MEDIA_TYPES.items()
        for syntax in syntaxes
        if name.startswith("image/") and syntax != JPEG_2000_LOSSLESS
    ),
)
"""ACC-7: what `image/*` takes as it is stored, the one that other frames are transcoded to first."""


class RetrievedResource(Enum):
    """The kinds of resources that have tables of negotiation of their own (dicomweb §7.1)."""

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

    resource: RetrievedResource
    multipart: bool
    media_type: str
    """'*/*' of frames: the type that belongs to the stored syntax (W-10)."""
    transfer_syntaxes: tuple[str, ...]
    """Those that are accepted; ('*',): any."""
    quality: float
    listed: bool
    """In the table of dicomweb §7.1; else only good for an object that happens to be stored so (D-18)."""
    named: bool = False
    """Whether the client names the syntax: what cannot be given in it is not sent (WADO-34)."""
    span: bool = False
    """Whether the client accepts a range of media types, less specific than a type of equal quality (ACC-7)."""

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
        if self.resource is RetrievedResource.FRAMES:
            return first if self.listed and first in FRAME_TARGETS else None
        return first if first in REVERSIBLE_TARGETS else None

    def produced(self) -> Encoding | None:
        """The label of an object that was transcoded to `target`."""
        return None if self.target is None else Encoding(self._label(self.target), self.target)

    def encoding(self, stored: str) -> Encoding | None:
        """The label of an object that is sent in the syntax `stored` of its file; None: it must be transcoded."""
        if self.as_stored or stored in self.transfer_syntaxes:
            return Encoding(self._label(stored), stored)
        if (
            self.resource is RetrievedResource.FRAMES
            and self.target == EXPLICIT_LITTLE_ENDIAN
            and stored in _SAME_PIXELS
        ):
            return Encoding(OCTET_STREAM, EXPLICIT_LITTLE_ENDIAN)
        return None

    def unchanged(self, stored: str) -> Encoding:
        """The label of an object that is sent in its syntax `stored` although that is not accepted (WADO-34)."""
        return Encoding(self._label(stored), stored)

    def _label(self, stored: str) -> str:
        if self.media_type not in {ANY, ANY_IMAGE}:
            return self.media_type
        return _FRAME_TYPE_OF.get(stored, OCTET_STREAM)


def choices(resource: RetrievedResource, accept: Iterable[MediaType]) -> tuple[TransferSyntaxChoice, ...]:
    """The acceptable values of `accept`, best first; unacceptable ones are skipped (WADO-4).

    Higher quality first; among equal quality the ones that take any syntax, then the client's order (WADO-3). What is
    said again, with another quality, is the better one of both: an Accept may hold thousands of values.
    Raises NotAcceptable when none is left.
    """
    found = [choice for value in accept if (choice := _choice(resource, value)) is not None]
    if not found:
        raise NotAcceptable("None of the accepted media types and transfer syntaxes can be produced for this resource.")
    found.sort(key=lambda choice: (-choice.quality, not choice.as_stored, choice.span))
    best: dict[TransferSyntaxChoice, TransferSyntaxChoice] = {}
    for choice in found:
        best.setdefault(replace(choice, quality=1.0), choice)
    return tuple(best.values())


def stored_will_do(accepted: Iterable[TransferSyntaxChoice]) -> tuple[TransferSyntaxChoice, ...]:
    """The choices with which an object may also be sent as it is stored (WADO-34): where the client takes every syntax
    all of them, else those of which it names none.
    """
    accepted = tuple(accepted)
    if any(choice.as_stored for choice in accepted):
        return accepted
    return tuple(choice for choice in accepted if not choice.named)


def _choice(resource: RetrievedResource, value: MediaType) -> TransferSyntaxChoice | None:
    if value.quality <= 0:
        return None
    multipart = value.type in {MULTIPART_RELATED, ANY_MULTIPART}
    media_type = value.parameters.get("type", ANY).strip().lower() if multipart else value.type
    syntax = value.parameters.get("transfer-syntax", "").strip() or None
    named = syntax not in {None, AS_STORED}
    span = media_type in {ANY, ANY_IMAGE}
    if media_type == ANY:
        multipart = True  # WADO-5, D-17
    if resource is RetrievedResource.FRAMES:
        accepted = _frame_syntaxes(media_type, syntax)
    else:
        accepted = _instance_syntaxes(media_type, syntax)
        if resource is RetrievedResource.INSTANCES and not multipart:
            accepted = None  # WADO-8
        media_type = DICOM
    if accepted is None:
        return None
    syntaxes, listed = accepted
    return TransferSyntaxChoice(resource, multipart, media_type, syntaxes, value.quality, listed, named, span)


def _instance_syntaxes(media_type: str, syntax: str | None) -> tuple[tuple[str, ...], bool] | None:
    if media_type not in (DICOM, ANY):
        return None
    syntax = syntax or (AS_STORED if media_type == ANY else EXPLICIT_LITTLE_ENDIAN)
    return (syntax,), syntax in (AS_STORED, EXPLICIT_LITTLE_ENDIAN, JPEG_2000_LOSSLESS)


def _frame_syntaxes(media_type: str, syntax: str | None) -> tuple[tuple[str, ...], bool] | None:
    if media_type in (OCTET_STREAM, ANY):
        syntax = syntax or (AS_STORED if media_type == ANY else EXPLICIT_LITTLE_ENDIAN)
        return (syntax,), syntax in (AS_STORED, EXPLICIT_LITTLE_ENDIAN)
    covered = _IMAGES if media_type == ANY_IMAGE else PIXEL_MEDIA_TYPES.get(media_type)
    if covered is None:
        return None
    if syntax == AS_STORED:
        return None if media_type == _NAMED_ONLY else (covered, True)
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
    by_quality: dict[float, list[TransferSyntaxChoice]] = {}
    for choice in accepted:
        by_quality.setdefault(choice.quality, []).append(choice)
    for quality in sorted(by_quality, reverse=True):
        equals = by_quality[quality]
        found = _as_they_are(equals, syntaxes) or _converted(equals, syntaxes, convertible)
        if found is not None:
            return found
    raise NotAcceptable(
        "The stored object is in another transfer syntax than the accepted ones.",
        remedy="Add transfer-syntax=* to the accepted media type: it retrieves what is stored, as it is stored.",
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
    if best.resource is RetrievedResource.FRAMES and best.as_stored:
        for choice, encodings in possible:
            if choice.multipart == best.multipart and choice.media_type in PIXEL_MEDIA_TYPES:
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
