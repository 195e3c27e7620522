"""UIDs in data sets that name studies, series and instances, and their replacement by others of the same length.

What is replaced keeps its place, so that a file can be changed while it is sent: no length, no offset and no other byte
changes, in whatever transfer syntax it is encoded.
"""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

_ELEMENT: Final = re.compile(rb'"([0-9A-F]{8})":\{"vr":"UI","Value":\[([^\]]*)\]')
"""An element of VR UI in a document as `json_model.dumps` makes it."""
_VALUE: Final = re.compile(rb'"([^"\\]*)"')
_RUN: Final = re.compile(rb"[0-9.]{3,}")
_STANDARD: Final = "1.2.840.10008."
"""The root of the UIDs that the standard itself defines (PS3.6 Annex A): they name no object."""
_LONGEST: Final = 64
_LEAST_DOTS: Final = 2
"""With fewer, a value is no UID that anybody assigns, and might be any number."""
_NEIGHBOURS: Final = 1
"""Bytes on either side of a value that may look like digits: of a length before it, or of the tag behind it."""
_UUID_ROOT: Final = "2.25."

OTHER: Final = frozenset(
    {
        *("00020002", "00020010", "00020012", "00041510", "00041512", "0004151A", "00080014", "00080016"),
        *("00080017", "00080019", "0008001A", "0008001B", "00080062", "0008010C", "0008010D", "00080117"),
        *("00080118", "0008040E", "00081150", "0008115A", "00083002", "00083010", "00083012", "00089123"),
        *("00181002", "0018100B", "00182042", "0018991E", "00200052", "00200200", "00209161", "00209164"),
        *("00209312", "00209313", "00281199", "00281214", "00340003", "003A0310", "00400554", "0040A171"),
        *("0040DB0C", "0040DB0D", "0040E011", "0040E030", "0040E031", "00440102", "00440108", "00620021"),
        *("00640003", "00687004", "006A0003", "0070031A", "0070031B", "00880140", "04000010", "04000100"),
        *("04000510", "30060024", "300600C2", "300A0013", "300A0054", "300A0083", "300A0609", "300A0650"),
        *("300A0675", "300A0700", "300A0785", "30100006", "3010000B", "30100013", "30100015", "3010001F"),
        *("30100031", "3010003B", "30100052", "30100053", "3010006E", "3010006F"),
    }
)
"""Attributes of VR UI (PS3.6 §6) that name classes, encodings, devices, frames of reference, events and the like. Every
other one counts as the name of a study, a series or an instance: the private ones among them.
"""


def named_objects(document: bytes) -> set[str]:
    """The UIDs of studies, series and instances in a document of the DICOM JSON model, at any depth; unpadded."""
    found: set[str] = set()
    for tag, values in _ELEMENT.findall(document):
        if tag.decode() not in OTHER:
            found.update(value.decode().strip(" \0") for value in _VALUE.findall(values))
    return {uid for uid in found if uid.count(".") >= _LEAST_DOTS and not uid.startswith(_STANDARD)}


def substitute(uid: str, key: bytes) -> str:
    """A UID of the same length that says nothing: the same one for the same key, and no way back."""
    digest = int.from_bytes(hmac.digest(key, uid.encode(), hashlib.sha512))
    root = _UUID_ROOT if len(uid) > len(_UUID_ROOT) else ""
    count = len(uid) - len(root)
    digits = str(digest % (9 * 10 ** (count - 1)) + 10 ** (count - 1)) if count > 1 else str(digest % 10)
    return root + digits


class Substitution:
    """The replacement of some UIDs wherever they stand in the bytes of a file or document. False: it replaces none."""

    def __init__(self, uids: Iterable[str], key: bytes) -> None:
        self._new: Mapping[bytes, bytes] = {uid.encode(): substitute(uid, key).encode() for uid in uids}

    def __bool__(self) -> bool:
        """Whether there is anything to replace."""
        return bool(self._new)

    def whole(self, data: bytes) -> bytes:
        """All of a file or document, with the replacements."""
        return _RUN.sub(self._replaced, data) if self._new else data

    async def stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same, piece by piece: what may be the beginning of a UID waits for the next piece."""
        held = b""
        async for chunk in chunks:
            data = held + chunk
            cut = len(data)
            while cut > max(0, len(data) - _LONGEST - 2 * _NEIGHBOURS) and data[cut - 1] in b"0123456789.":
                cut -= 1
            held = data[cut:]
            if cut:
                yield self.whole(data[:cut])
        if held:
            yield self.whole(held)

    def _replaced(self, found: re.Match[bytes]) -> bytes:
        run = found[0]
        if len(run) > _LONGEST + 2 * _NEIGHBOURS:
            return run
        for before in range(_NEIGHBOURS + 1):
            for behind in range(_NEIGHBOURS + 1):
                new = self._new.get(run[before : len(run) - behind])
                if new is not None:
                    return run[:before] + new + run[len(run) - behind :]
        return run
