"""Part 10 files byte by byte: what no writer would write, and what a test must see in the file as it says it.

Everything returns bytes, so files are put together with `+`. `order` is `<` (little endian) or `>`.
"""

import struct
import zlib

from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS

UNDEFINED = 0xFFFFFFFF
ILE = "1.2.840.10008.1.2"
ELE = "1.2.840.10008.1.2.1"
DEFL = "1.2.840.10008.1.2.1.99"
EBE = "1.2.840.10008.1.2.2"

STUDY, SERIES, SOP_INSTANCE, SOP_CLASS = "1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2.840.10008.5.1.4.1.1.2"


def padded(value: bytes | str, vr: str = "LO") -> bytes:
    """Text as UTF-8, padded to even length as its VR is."""
    raw = value.encode() if isinstance(value, str) else value
    return raw + (b"\0" if vr in {"UI", "OB", "UN"} else b" ") * (len(raw) % 2)


def explicit(tag: int, vr: str, value: bytes | str = b"", *, length: int | None = None, order: str = "<") -> bytes:
    """An element in explicit VR. `length`: what its header says instead of the truth."""
    raw = padded(value, vr)
    size = len(raw) if length is None else length
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    known = VALUE_REPRESENTATIONS.get(vr)
    if known and known.long:
        return head + struct.pack(f"{order}HL", 0, size) + raw
    return head + struct.pack(f"{order}H", size) + raw


def implicit(tag: int, value: bytes | str = b"", *, length: int | None = None, vr: str = "LO") -> bytes:
    """An element in implicit VR little endian; `vr` only says how it is padded."""
    raw = padded(value, vr)
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(raw) if length is None else length) + raw


def item(content: bytes = b"", *, delimited: bool = False, length: int | None = None, order: str = "<") -> bytes:
    """An item, of a sequence or a fragment of pixel data."""
    size = UNDEFINED if delimited else len(content) if length is None else length
    end = end_of_item(order) if delimited else b""
    return struct.pack(f"{order}HHL", 0xFFFE, 0xE000, size) + content + end


def end_of_item(order: str = "<") -> bytes:
    """An item delimitation item."""
    return struct.pack(f"{order}HHL", 0xFFFE, 0xE00D, 0)


def end_of_sequence(order: str = "<") -> bytes:
    """A sequence delimitation item."""
    return struct.pack(f"{order}HHL", 0xFFFE, 0xE0DD, 0)


def unknown_vr(
    code: bytes, value: bytes = b"", tag: int = 0x00291010, *, long: bool = False, length: int | None = None
) -> bytes:
    """An element of a VR of two bytes that no dictionary has. `long`: its length has 32 bits; `length`: what that says
    instead of the truth.
    """
    size = len(value) if length is None else length
    written = struct.pack("<HL", 0, size) if long else struct.pack("<H", size)
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + code + written + value


def nested(body: bytes, depth: int, *, tag: int = 0x00081140, behind: bytes = b"", delimited: bool = False) -> bytes:
    """The elements in items of items. `behind`: what follows each sequence; `delimited`: they have no lengths."""
    if delimited:
        opened = explicit(tag, "SQ", length=UNDEFINED) + item(delimited=True)[: -len(end_of_item())]
        return opened * depth + body + (end_of_item() + end_of_sequence() + behind) * depth
    for _ in range(depth):
        body = explicit(tag, "SQ", item(body)) + behind
    return body


def encapsulated(*fragments: bytes, offsets: bytes = b"", vr: str = "OB") -> bytes:
    """Encapsulated pixel data (7FE0,0010); `offsets` is the basic offset table."""
    items = b"".join(map(item, (offsets, *map(padded_fragment, fragments))))
    return explicit(0x7FE00010, vr, items, length=UNDEFINED) + end_of_sequence()


def padded_fragment(fragment: bytes) -> bytes:
    """A fragment of even length."""
    return fragment + b"\0" * (len(fragment) % 2)


def file_meta(syntax: str = ELE) -> bytes:
    """Preamble, prefix and file meta information with the transfer syntax alone."""
    group = explicit(0x00020010, "UI", syntax)
    return bytes(128) + b"DICM" + explicit(0x00020000, "UL", struct.pack("<L", len(group))) + group


def part10(body: bytes, syntax: str = ELE) -> bytes:
    """A file of this data set, which is deflated where the transfer syntax says so."""
    if syntax == DEFL:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflater.compress(body) + deflater.flush()
    return file_meta(syntax) + body


def identified(body: bytes = b"") -> bytes:
    """A data set in explicit VR little endian with the four UIDs, then `body`, whose tags follow (0020,000E)."""
    return (
        explicit(0x00080016, "UI", SOP_CLASS)
        + explicit(0x00080018, "UI", SOP_INSTANCE)
        + explicit(0x0020000D, "UI", STUDY)
        + explicit(0x0020000E, "UI", SERIES)
        + body
    )
