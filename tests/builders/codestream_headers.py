"""Headers of codestreams that promise more work than pixels."""

import struct
from collections.abc import Iterable, Sequence


def segment(marker: int, content: bytes) -> bytes:
    """A marker segment."""
    return struct.pack(">HH", marker, 2 + len(content)) + content


def coding_style(
    levels: int = 0, blocks: tuple[int, int] = (4, 4), precincts: Sequence[int] | None = None, layers: int = 1
) -> bytes:
    """COD of JPEG 2000. `precincts`: a byte a resolution."""
    head = struct.pack(">BBHB", precincts is not None, 0, layers, 0)
    return segment(0xFF52, head + struct.pack(">BBBBB", levels, *blocks, 0, 1) + bytes(precincts or b""))


def component_style(levels: int = 0, blocks: tuple[int, int] = (4, 4), precincts: Sequence[int] | None = None) -> bytes:
    """COC of JPEG 2000, of the first component."""
    head = struct.pack(">BB", 0, precincts is not None)
    return segment(0xFF53, head + struct.pack(">BBBBB", levels, *blocks, 0, 1) + bytes(precincts or b""))


def jpeg_2000(
    width: int,
    height: int,
    *,
    tile: tuple[int, int] | None = None,
    main: Iterable[bytes] = (),
    parts: Sequence[Iterable[bytes]] = ((),),
) -> bytes:
    """A codestream without any data: markers of the main header, and of the header of each tile-part."""
    size = struct.pack(">HLLLLLLLLH", 0, width, height, 0, 0, *(tile or (width, height)), 0, 0, 1) + b"\x07\x01\x01"
    head = b"\xff\x4f" + segment(0xFF51, size) + b"".join(main) + segment(0xFF5C, b"\x40\x48")
    body = b""
    for markers in parts:
        content = b"".join(markers) + b"\xff\x93" + bytes(16)
        body += segment(0xFF90, struct.pack(">HLBB", 0, 12 + len(content), 0, len(parts))) + content
    return head + body + b"\xff\xd9"


def progressive_jpeg(size: int, scans: int) -> bytes:
    """A grey progressive JPEG of `scans` scans, all but the first of them empty."""
    coarse = segment(0xFFC4, bytes([0x00, 1] + [0] * 15 + [0]))
    fine = segment(0xFFC4, bytes([0x10, 1, 1] + [0] * 14 + [0x00, 0xE0]))
    frame = segment(0xFFC2, struct.pack(">BHHB", 8, size, size, 1) + b"\x01\x11\x00")
    first = segment(0xFFDA, b"\x01\x01\x00\x00\x00\x00") + b"\0"
    tables = segment(0xFFDB, b"\0" + b"\x01" * 64) + frame + coarse + fine
    return b"\xff\xd8" + tables + first + segment(0xFFDA, b"\x01\x01\x00\x01\x3f\x00") * scans + b"\xff\xd9"
