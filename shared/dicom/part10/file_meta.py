"""PS3.10 §7.1 The preamble and the file meta information, which says how the data set is encoded (PS3.5 §10)."""

import base64
from collections.abc import Generator
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.identifiers import trim_uid
from shared.dicom.part10.encoding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from shared.dicom.part10.model import InvalidPart10
from shared.dicom.part10.push_parser import ByteFlow, Reading
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS, ValueRepresentation, numbers
from shared.dicom.transfer_syntaxes import (
    DEFLATED,
    DEFLATED_REFERENCES,
    EXPLICIT_BIG_ENDIAN,
    GE_PRIVATE_IMPLICIT,
    IMPLICIT_LITTLE_ENDIAN,
)

IMPLEMENTATION_CLASS_UID: Final = "2.25.106857191890076988153077102304622898932"
IMPLEMENTATION_VERSION_NAME: Final = "SERVERLESS_DICOM"
"""The values of (0002,0012) and (0002,0013) in files that the service writes (PS3.10 §7.1)."""

_PREAMBLE = 132  # with the prefix
_LIMIT = 1 << 20

# Transfer syntaxes whose data set is not in explicit VR little endian (PS3.5 §A; the second is GE's).
_CODINGS: dict[str, Coding] = {
    IMPLICIT_LITTLE_ENDIAN: IMPLICIT_LITTLE,
    GE_PRIVATE_IMPLICIT: IMPLICIT_LITTLE,
    EXPLICIT_BIG_ENDIAN: EXPLICIT_BIG,
}
_DEFLATED = DEFLATED_REFERENCES | {DEFLATED}


class FileMeta:
    """The content of the file meta information; filled by `read`."""

    def __init__(self) -> None:
        self.attributes: Attributes = {}
        """In the DICOM JSON model, without group length; binary values as `InlineBinary`."""
        self.transfer_syntax_uid = ""

    @property
    def coding(self) -> Coding:
        """The encoding of the elements of the data set."""
        return _CODINGS.get(self.transfer_syntax_uid, EXPLICIT_LITTLE)

    @property
    def deflated(self) -> bool:
        """Whether the data set is deflated (PS3.5 §A.5)."""
        return self.transfer_syntax_uid in _DEFLATED

    def read(self, flow: ByteFlow) -> Generator[int, bytes, tuple[bytes, int]]:
        """Reads from the first byte of the file on; part of a generator of `flow`.

        It ends before the first element of another group; before deflated data, whose first bytes may look like group
        0002, where its group length says.

        Returns:
            The buffer, and where in it the data set starts.

        Raises:
            InvalidPart10: there is no preamble, no file meta information, or no transfer syntax in it.
        """
        buffer, position = (yield _PREAMBLE), _PREAMBLE
        if buffer[128:_PREAMBLE] != b"DICM":
            raise InvalidPart10("The file does not begin with a preamble and DICM.", final=True)
        end = -1
        while flow.offset + position != end or not self.deflated:
            if len(buffer) - position < 8:
                flow.taken, flow.complete = position, False
                buffer, position = (yield 8), 0
            group, number, code, length = EXPLICIT_LITTLE.header(buffer, position)
            if group != 0x0002:
                break
            vr = VALUE_REPRESENTATIONS.get(code.decode("latin-1"))
            if vr is None or vr.kind == "sequence":
                raise InvalidPart10("An element of the file meta information has an impossible VR.", final=True)
            start = position + 8
            if vr.long:
                if len(buffer) - start < 4:
                    flow.taken, flow.complete = start, False
                    buffer, start = (yield 4), 0
                (length,) = EXPLICIT_LITTLE.length(buffer, start)
                start += 4
            if length > _LIMIT or flow.offset > _LIMIT:
                raise InvalidPart10("The file meta information is too long.", final=True)
            if len(buffer) - start < length:
                flow.taken, flow.complete = start, False
                buffer, start = (yield length), 0
            raw = buffer[start : start + length]
            position = start + length
            if number == 0:
                end = flow.offset + position + int.from_bytes(raw, "little")
                continue
            self.attributes[f"0002{number:04X}"] = _element(vr, raw)
            if number == 0x0010:
                self.transfer_syntax_uid = trim_uid(raw.decode("latin-1"))
        if not self.transfer_syntax_uid:
            raise InvalidPart10("The file meta information has no transfer syntax.", final=True)
        return buffer, position


def read_file_meta(data: bytes) -> tuple[FileMeta, int]:
    """The file meta information of a whole file, and the offset of the data set. Raises InvalidPart10."""
    meta, flow, starts = FileMeta(), ByteFlow(), [0]

    def reading() -> Reading:
        _, position = yield from meta.read(flow)
        starts[0] = flow.offset + position
        flow.taken = 0
        yield len(data) + 1

    flow.start(reading())
    try:
        flow.feed(data)
    finally:
        flow.close()  # it refers to itself, and so would all of `data` wait for the garbage collector
    if not starts[0]:
        raise InvalidPart10("The file has no data set.", final=True)
    return meta, starts[0]


def _element(vr: ValueRepresentation, raw: bytes) -> dict[str, Any]:
    if vr.kind == "bulk":
        return {"vr": vr.name, "InlineBinary": base64.b64encode(raw).decode("ascii")} if raw else {"vr": vr.name}
    values = numbers(raw, vr.code, vr.size, "<") if vr.kind == "binary" else vr.from_text(raw.decode("latin-1"))
    return {"vr": vr.name, "Value": values} if values else {"vr": vr.name}
