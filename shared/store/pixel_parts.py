"""The transfer syntax of pixel data that come as parts of a store (PS3.18 §8.7.3.3; W-15).

The metadata say it in (0002,0010), or the Content-Type of the part does, or the header of the codestream itself. What
they say must agree: a file that claims another syntax than its pixels have can be read by nobody.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import chain
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first, first_text
from shared.dicom.identifiers import is_uid, trim_uid
from shared.dicom.media_types import JPX, OCTET_STREAM, PIXEL_MEDIA_TYPES, SYNONYMS
from shared.dicom.part10.composer import BulkPart, CannotCompose
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from shared.dicom.pixels.pixel_syntax import HEAD, codestream_start, syntax_of
from shared.dicom.transfer_syntaxes import (
    EXPLICIT_LITTLE_ENDIAN,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
    JPEG_XL_FAMILY,
    NATIVE,
    RLE_LOSSLESS,
)
from shared.store.bulk_spool import BulkSpool

_SYNTAX: Final = "00020010"
_PIXEL_DATA: Final = "7FE00010"
_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES = "00280010", "00280011", "00280002", "00280100", "00280008"
_CARRIED: Final = {kind: syntaxes for kind, syntaxes in PIXEL_MEDIA_TYPES.items() if kind != JPX}
"""No header tells a codestream of Part 2 of JPEG 2000 from one of Part 1, so that parts of it are not taken (W-15)."""
_SYNTAXES: Final = frozenset(chain.from_iterable(_CARRIED.values()))
_HELD: Final = {
    JPEG_BASELINE: {JPEG_BASELINE},
    JPEG_EXTENDED: {JPEG_BASELINE, JPEG_EXTENDED},
    JPEG_LOSSLESS: {JPEG_LOSSLESS, JPEG_LOSSLESS_SV1},
    JPEG_LOSSLESS_SV1: {JPEG_LOSSLESS_SV1},
    JPEG_LS_LOSSLESS: {JPEG_LS_LOSSLESS},
    JPEG_LS_NEAR_LOSSLESS: {JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS},
    JPEG_2000_LOSSLESS: {JPEG_2000_LOSSLESS},
    JPEG_2000: {JPEG_2000_LOSSLESS, JPEG_2000},
    HTJ2K_LOSSLESS: {HTJ2K_LOSSLESS},
    HTJ2K_LOSSLESS_RPCL: {HTJ2K_LOSSLESS},
    HTJ2K: {HTJ2K_LOSSLESS, HTJ2K},
    **dict.fromkeys(JPEG_XL_FAMILY, JPEG_XL_FAMILY),
    RLE_LOSSLESS: {RLE_LOSSLESS},
}
"""The codestreams, by what their headers tell, that pixel data of a transfer syntax may be (PS3.5 §8.2, §10). Not of
video: its profiles contain each other.
"""


def with_transfer_syntax(metadata: Attributes, spool: BulkSpool) -> Attributes:
    """The metadata with the transfer syntax of their pixel data in (0002,0010), where they do not say it.

    A JP2 file in the spool is narrowed to its codestream. Raises CannotCompose with a reason for the sender.
    """
    element = metadata.get(_PIXEL_DATA)
    uri = element.get("BulkDataURI") if isinstance(element, dict) else None
    parts = spool.find(uri) if isinstance(uri, str) else []
    if not isinstance(uri, str) or not parts:
        return metadata
    said = trim_uid(first_text(metadata, _SYNTAX) or "")
    octets = cache(partial(_of_octets, metadata, parts))  # once: there may be very many parts
    found = {_part_syntax(spool, uri, number, part, said, octets) for number, part in enumerate(parts)}
    if len(found) > 1:
        raise CannotCompose("The parts of the pixel data are in different transfer syntaxes.")
    (syntax,) = found
    return metadata if said else {**metadata, _SYNTAX: {"vr": "UI", "Value": [syntax]}}


def _part_syntax(  # noqa: PLR0917 - where a part is, and what is said of it
    spool: BulkSpool, uri: str, number: int, part: BulkPart, said: str, octets: Callable[[str], str]
) -> str:
    media_type = SYNONYMS.get(part.media_type, part.media_type)
    if media_type == OCTET_STREAM:
        syntax = said or octets(part.transfer_syntax_uid)
        if syntax in _HELD:
            with suppress(BadCodestream):
                _check_held(_own_syntax(spool, uri, number), syntax)
        return syntax
    carried = _CARRIED.get(media_type)
    if carried is None:
        raise CannotCompose("Pixel data of this media type are carried by no transfer syntax.")
    declared = part.transfer_syntax_uid
    for named in filter(None, (said, declared)):
        if named not in carried:
            raise CannotCompose("The media type of the pixel data and their transfer syntax contradict each other.")
    if said and declared and said != declared:
        raise CannotCompose("The transfer syntaxes of the metadata and of the pixel data contradict each other.")
    try:
        start = codestream_start(spool.peek(uri, number, 0, HEAD))
        if start:
            spool.narrow(uri, number, start)
        own = _own_syntax(spool, uri, number)
    except BadCodestream as error:
        if said or (declared and media_type.startswith("video/")):
            return said or declared
        raise CannotCompose(str(error)) from None
    if own not in carried:
        raise CannotCompose("The media type of the pixel data and their codestream contradict each other.")
    _check_held(own, said or declared or own)
    return said or declared or own


def _own_syntax(spool: BulkSpool, uri: str, number: int) -> str:
    return syntax_of(lambda offset, length: spool.peek(uri, number, offset, length))


def _check_held(own: str, syntax: str) -> None:
    """Whether pixel data of a transfer syntax may be a codestream of another one. Raises CannotCompose."""
    if own not in _HELD.get(syntax, {own}):
        raise CannotCompose(
            f"The transfer syntax of the pixel data and their codestream, which is of {own}, contradict each other."
        )


def _of_octets(metadata: Attributes, parts: Sequence[BulkPart], declared: str) -> str:
    """Octets are uncompressed when their length is that of the frames."""
    if declared and declared not in NATIVE:
        if not is_uid(declared) or declared not in _SYNTAXES:
            raise CannotCompose("The transfer syntax of the pixel data is not known.")
        return declared
    if declared:
        return EXPLICIT_LITTLE_ENDIAN
    sides = [_integer(metadata, key) for key in (_ROWS, _COLUMNS, _SAMPLES, _BITS)]
    bits = max(_integer(metadata, _FRAMES), 1)
    for side in sides:
        bits *= side
    length = sum(part.length for part in parts)
    expected = (bits + 7) // 8
    if not expected or length not in {expected, expected + expected % 2}:
        raise CannotCompose("Neither the metadata nor the part say the transfer syntax of the pixel data.")
    return EXPLICIT_LITTLE_ENDIAN


def _integer(metadata: Attributes, key: str) -> int:
    value: Any = first(metadata, key)
    try:
        return max(int(value), 0)
    except (TypeError, ValueError):
        return 0
