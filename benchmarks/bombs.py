"""Hostile requests: small or large bodies that would cost much if nothing bounded it. Each kind once, with what is read
of it afterwards.

Nothing here is copied from a file in the field; all values are invented.
"""

import gzip
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from benchmarks.hostile_requests import (
    MANY_PICTURES,
    METADATA,
    OBJECT,
    PICTURES,
    Bomb,
    file,
    frame,
    implicit_file,
    instance,
    json_store,
    pixels,
    sequence,
    xml_store,
)
from tests.builders.codestream_headers import coding_style, jpeg_2000, progressive_jpeg, segment
from tests.builders.part10_bytes import DEFL, UNDEFINED, encapsulated, end_of_sequence, explicit, item

JPEG: Final = "1.2.840.10008.1.2.4.50"
JPEG_PROGRESSIVE: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
JPEG_2000: Final = "1.2.840.10008.1.2.4.90"
HTJ2K: Final = "1.2.840.10008.1.2.4.201"
JPEG_XL: Final = "1.2.840.10008.1.2.4.110"
RLE: Final = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"


def _deflated(size: int) -> bytes:
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return b"".join(deflater.compress(bytes(1 << 20)) for _ in range(size >> 20)) + deflater.flush()


def _nested(levels: int, vr: str, tag: int, *, delimited: bool) -> bytes:
    if delimited:
        return (
            explicit(tag, vr, b"", length=UNDEFINED)
            + (item(b"", length=UNDEFINED) + explicit(tag, vr, b"", length=UNDEFINED)) * levels
        )
    content = b""
    for _ in range(levels):
        content = explicit(tag, vr, item(content))
    return content


def _start_of_scan(components: int = 1) -> bytes:
    return segment(0xFFDA, bytes([components]) + b"\1\0" * components + b"\0\x3f\0")


def _start_of_frame(marker: int, rows: int, columns: int, components: int) -> bytes:
    return segment(marker, struct.pack(">BHHB", 8, rows, columns, components) + b"\1\x11\0" * components)


def _jpeg(rows: int, columns: int, middle: bytes, data: bytes) -> bytes:
    table = segment(0xFFDB, b"\0" + b"\1" * 64)
    codes = segment(0xFFC4, bytes([0x00, 1] + [0] * 15 + [0])) + segment(0xFFC4, bytes([0x10, 1] + [0] * 15 + [0]))
    return (
        b"\xff\xd8"
        + table
        + _start_of_frame(0xFFC0, rows, columns, 1)
        + codes
        + middle
        + _start_of_scan()
        + data
        + b"\xff\xd9"
    )


def _segmented_palette(words: list[int]) -> dict[int, bytes]:
    found = pixels(64, 64, explicit(0x7FE00010, "OB", bytes(4096)))
    found[0x00280004] = explicit(0x00280004, "CS", "PALETTE COLOR")
    for at in range(3):
        found[0x00281101 + at] = explicit(0x00281101 + at, "US", struct.pack("<3H", 0, 0, 16))
        found[0x00281221 + at] = explicit(0x00281221 + at, "OW", struct.pack(f"<{len(words)}H", *words))
    return found


def _tables(count: int) -> dict[int, bytes]:
    table = explicit(0x00283002, "US", struct.pack("<3H", 0, 0, 16)) + explicit(0x00283006, "OW", bytes(131072))
    image = pixels(64, 64, explicit(0x7FE00010, "OB", bytes(4096 * 500)), frames=500)
    return image | sequence(item(table) * count, 0x00283010)


def _groups(count: int) -> dict[int, bytes]:
    window = explicit(0x00289132, "SQ", item(explicit(0x00281050, "DS", "1") + explicit(0x00281051, "DS", "2")))
    return pixels(8, 8, explicit(0x7FE00010, "OB", bytes(64 * count)), frames=count) | sequence(
        item(window) * count, 0x52009230
    )


def _fragmented(count: int) -> dict[int, bytes]:
    offsets = struct.pack(f"<{count}L", *range(count))
    return pixels(1, 1, encapsulated(*[b"\xff\xd8\xff\xd9"] * count, offsets=offsets), frames=count)


def _extended() -> dict[int, bytes]:
    image = pixels(8, 8, encapsulated(*[b"\xff\xd8\xff\xd9"] * 3), frames=2)
    far = struct.pack("<2Q", 1 << 63, (1 << 64) - 1)
    return image | {0x7FE00001: explicit(0x7FE00001, "OV", far), 0x7FE00002: explicit(0x7FE00002, "OV", far)}


def _run_length(segments: int, *offsets: int, data: bytes = b"") -> bytes:
    return struct.pack("<16L", segments, *offsets, *[0] * (15 - len(offsets))) + data


def _profile(size: int) -> dict[int, bytes]:
    image = pixels(64, 64, explicit(0x7FE00010, "OB", bytes(64 * 64 * 3)), samples=3)
    head = struct.pack(">L4sL4s4s4s", size, b"none", 0x04000000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(128 - len(head)) + struct.pack(">L", 0xFFFFFFF)
    return image | {0x00282000: explicit(0x00282000, "OB", head + bytes(size - len(head)))}


def _honest(megabytes: int) -> Bomb:
    """A file of one value that is passed over, as that of an image is."""
    return file({0x00420011: explicit(0x00420011, "OB", bytes(megabytes * 1_000_000))}, *OBJECT)


def _many(vr: str, value: bytes, count: int) -> Bomb:
    """So many private elements with this value."""
    elements = b"".join(explicit(0x00311000 + number, vr, value) for number in range(count))
    return file({0x00310010: explicit(0x00310010, "LO", "A")}, *METADATA, tail=elements)


def _text(size: int, unit: bytes, vr: str = "UC", tag: int = 0x00189367, sets: str = "") -> dict[int, bytes]:
    found = {tag: explicit(tag, vr, unit * (size // len(unit)))}
    return found | ({0x00080005: explicit(0x00080005, "CS", sets)} if sets else {})


_SRGB: Final = ("rendered?iccprofile=srgb", "image/png")

BOMBS: Final[dict[str, Callable[[], Bomb]]] = {
    # ---- codestreams
    "JPEG 2000: a precinct a pixel": lambda: frame(
        jpeg_2000(2048, 2048, main=[coding_style(precincts=(0,))]), JPEG_2000, 2048, 2048
    ),
    "HTJ2K: a precinct a pixel": lambda: frame(
        jpeg_2000(2048, 2048, main=[coding_style(precincts=(0,))]), HTJ2K, 2048, 2048
    ),
    "JPEG 2000: 65,535 layers": lambda: frame(
        jpeg_2000(2048, 2048, main=[coding_style(5, layers=65535)]), JPEG_2000, 2048, 2048
    ),
    "JPEG 2000: a tile a pixel": lambda: frame(
        jpeg_2000(2048, 2048, tile=(1, 1), main=[coding_style()]), JPEG_2000, 2048, 2048
    ),
    "JPEG 2000: 200,000 tile-parts": lambda: frame(
        jpeg_2000(64, 64, main=[coding_style()], parts=[()] * 255) * 100, JPEG_2000
    ),
    "JPEG 2000: progression changes": lambda: frame(
        jpeg_2000(64, 64, main=[coding_style(), *[segment(0xFF5F, bytes((0, 0, 255, 255, 33, 255, 4)) * 9000)] * 100]),
        JPEG_2000,
    ),
    "JPEG 2000: packed packet headers": lambda: frame(
        jpeg_2000(64, 64, main=[coding_style(), *(segment(0xFF60, bytes([n]) + b"\xff" * 65000) for n in range(256))]),
        JPEG_2000,
    ),
    "JPEG 2000: packet lengths": lambda: frame(
        jpeg_2000(64, 64, main=[coding_style()], parts=[[segment(0xFF58, b"\0" + b"\x81" * 65000)] * 100]), JPEG_2000
    ),
    "JPEG 2000: 30 MB of comments": lambda: frame(
        jpeg_2000(64, 64, main=[coding_style(), *[segment(0xFF64, bytes(65000))] * 480]), JPEG_2000
    ),
    "JPEG: 60,000 scans": lambda: frame(progressive_jpeg(3090, 60_000), JPEG_PROGRESSIVE, 3090, 3090),
    "JPEG: restarts everywhere": lambda: frame(
        _jpeg(8000, 8000, segment(0xFFDD, b"\0\1"), b"\0\xff\xd0\0\xff\xd1" * 2_000_000), JPEG, 8000, 8000
    ),
    "JPEG: a huge restart interval": lambda: frame(
        _jpeg(64, 64, segment(0xFFDD, b"\xff\xff"), b"\xff\xd0\xff\xd7" * 500_000), JPEG
    ),
    "JPEG: 40 MB of comments": lambda: frame(_jpeg(64, 64, segment(0xFFFE, bytes(65000)) * 640, b"\0"), JPEG),
    "JPEG: 5,000,000 fill bytes": lambda: frame(_jpeg(64, 64, b"\xff" * 5_000_000, b"\0"), JPEG),
    "JPEG: 65,535 x 65,535": lambda: frame(_jpeg(65535, 65535, b"", b"\0"), JPEG, 65535, 65535),
    "JPEG lossless: 16,000 x 16,000 of nothing": lambda: frame(
        b"\xff\xd8" + _start_of_frame(0xFFC3, 16000, 16000, 1) + _start_of_scan() + b"\xff\xd9",
        JPEG_LOSSLESS,
        16000,
        16000,
    ),
    "JPEG-LS: 255 components": lambda: frame(
        b"\xff\xd8" + _start_of_frame(0xFFF7, 4000, 4000, 255) + _start_of_scan(255) + bytes(100) + b"\xff\xd9",
        JPEG_LS,
        4000,
        4000,
    ),
    "JPEG-LS: presets and mapping tables": lambda: frame(
        b"\xff\xd8"
        + segment(0xFFF8, b"\2" + bytes(60000)) * 300
        + _start_of_frame(0xFFF7, 64, 64, 1)
        + _start_of_scan()
        + bytes(100)
        + b"\xff\xd9",
        JPEG_LS,
    ),
    "JPEG-LS: 65,535 x 2,000 of nothing": lambda: frame(
        b"\xff\xd8" + _start_of_frame(0xFFF7, 2000, 65535, 1) + segment(0xFFDA, b"\1\1\0\0\0\0") + b"\xff\xd9",
        JPEG_LS,
        2000,
        65535,
    ),
    "JPEG XL: boxes without end": lambda: frame(
        b"\0\0\0\x0cJXL \r\n\x87\n" + struct.pack(">L4s", 8, b"free") * 2_000_000, JPEG_XL
    ),
    "JPEG XL: a billion pixels": lambda: frame(b"\xff\x0a" + b"\xff" * 200, JPEG_XL, 16000, 16000),
    "RLE: 15 segments beyond the data": lambda: frame(_run_length(15, *[0xFFFFFFF0] * 15), RLE),
    "RLE: segments that overlap": lambda: frame(
        _run_length(3, 64, 64, 64, data=b"\x81\0" * 1_000_000), RLE, 8000, 8000, samples=3
    ),
    "deflated frames: a bomb each": lambda: file(
        pixels(64, 64, encapsulated(*[_deflated(64 << 20)] * 40), frames=40),
        *PICTURES,
        *MANY_PICTURES,
        syntax=DEFLATED_FRAMES,
    ),
    "deflated frames: deflated twice": lambda: frame(zlib.compress(_deflated(512 << 20), 9)[2:-4], DEFLATED_FRAMES),
    # ---- images
    "2,147,483,647 frames of single bits": lambda: file(
        pixels(1, 1, explicit(0x7FE00010, "OB", bytes(4_000_000)), bits=1, frames=2**31 - 1),
        *PICTURES,
        *MANY_PICTURES,
        ("frames/2147483647", "*/*"),
        ("bulkdata/7FE00010", "*/*"),
        *OBJECT,
    ),
    "single bits: 65,535 x 8,000": lambda: file(
        pixels(8000, 65535, explicit(0x7FE00010, "OB", bytes(65_535_000)), bits=1), *PICTURES
    ),
    "65,535 fragments, offsets that overlap": lambda: file(
        _fragmented(65535), *PICTURES, *MANY_PICTURES, *OBJECT, syntax=JPEG
    ),
    "an extended offset table of 2^63": lambda: file(_extended(), *PICTURES, *OBJECT, syntax=JPEG),
    "a profile of 30 MB": lambda: file(_profile(30_000_000), ("rendered", "image/png"), _SRGB),
    "a palette of loops": lambda: file(
        _segmented_palette([0, 65535, *[7] * 60, *[2, 65535, 0, 0] * 4000]), ("rendered", "image/png")
    ),
    "a palette that leads to itself": lambda: file(
        _segmented_palette([2, 65535, 0, 0] * 8000), ("rendered", "image/png")
    ),
    "200 tables of 65,536 entries, 500 frames": lambda: file(_tables(200), ("rendered", "image/png"), *MANY_PICTURES),
    "200,000 functional groups": lambda: file(
        _groups(200_000), ("frames/1", "*/*"), ("frames/200000/rendered", "image/png"), *OBJECT
    ),
    "a picture of 100,000 x 100,000": lambda: file(
        pixels(8, 8, explicit(0x7FE00010, "OB", bytes(64))),
        ("rendered?viewport=100000,100000", "image/png"),
        ("rendered?viewport=4000,4000", "image/png"),
    ),
    "frames repeated": lambda: file(
        pixels(1024, 1024, explicit(0x7FE00010, "OB", bytes(1 << 20))), ("frames/" + ",".join(["1"] * 3500), "*/*")
    ),
    # ---- data sets
    "10,000 levels": lambda: file({0x00081140: _nested(10_000, "SQ", 0x00081140, delimited=True)}),
    "10,000 levels of known length": lambda: file({0x00081140: _nested(300, "SQ", 0x00081140, delimited=False)}),
    "private UN, 50,000 levels": lambda: file({0x00291010: _nested(50_000, "UN", 0x00291010, delimited=True)}),
    "private UN of many items": lambda: file(
        {0x00291010: explicit(0x00291010, "UN", item() * 1_000_000, length=UNDEFINED) + end_of_sequence()}
    ),
    "1,000,000 items": lambda: file(sequence(item() * 1_000_000), *METADATA),
    "100,000 items": lambda: file(
        sequence(item(explicit(0x00081150, "UI", "1.2.3") + explicit(0x00081155, "UI", "1.2.4")) * 100_000),
        *METADATA,
        *OBJECT,
    ),
    "100,000 items, odd": lambda: file(
        sequence(item(explicit(0x00081150, "UI", "1.2.3") + explicit(0x00081155, "UI", "1.2.4")) * 100_000),
        *METADATA,
        *OBJECT,
        tail=bytes(64),
    ),
    "8 odd files of 300,000 items at once": lambda: file(
        sequence(item(explicit(0x00081150, "UI", "1.2")) * 300_000), tail=bytes(64), copies=8
    ),
    "8 files of 300,000 items at once": lambda: file(
        sequence(item(explicit(0x00081150, "UI", "1.2")) * 300_000), copies=8
    ),
    "400,000 private elements": lambda: file(
        {0x00290010: explicit(0x00290010, "LO", "A")},
        tail=b"".join(
            explicit(0x00310000 + (n // 50000 << 17) + 0x1000 + n % 50000, "LO", "a") for n in range(400_000)
        ),
    ),
    "36 elements of 262,000 backslashes": lambda: _many("UC", b"\\" * 262_000, 36),
    "36 elements of 262,000 ones": lambda: _many("UC", b"1\\" * 262_000, 36),
    "1,000,000 decimals": lambda: file(
        sequence(item(explicit(0x30060050, "UN", b"1.5\\" * 250_000)) * 4, 0x30060040), *METADATA
    ),
    "1,000,000 decimals, odd ones": lambda: file(
        sequence(item(explicit(0x30060050, "UN", b"1.5\\+ -\\" * 125_000)) * 4, 0x30060040), *METADATA
    ),
    "implicit VR: 4,000,000 decimals": lambda: implicit_file(
        {0x00400000 + 2 * number: b"1.5\\" * 60_000 for number in range(8)}
        | {0x00181130: b"1.5\\" * 4_000_000, 0x30060050: b"1.5\\" * 60_000},
        *METADATA,
    ),
    "implicit VR: a name of 60,000 components": lambda: implicit_file({0x00100010: b"a^=" * 20_000}, *METADATA),
    "implicit VR: 16 MB of names": lambda: implicit_file({0x00081048: b"a^b\\" * 4_000_000}, *METADATA),
    "a decimal of 16 MB": lambda: file({0x00181130: explicit(0x00181130, "UN", b"1" * 16_000_000)}, *METADATA),
    "a DS of 65,534 backslashes": lambda: file({0x00181130: explicit(0x00181130, "DS", b"\\" * 65534)}, *METADATA),
    "a name of 60,000 components": lambda: file({0x00100010: explicit(0x00100010, "PN", b"a^=" * 20_000)}, *METADATA),
    "a name of 10,000,000 components": lambda: file(
        {0x00081048: explicit(0x00081048, "UN", b"a^=" * 5_000_000)}, *METADATA
    ),
    "16 MB of quotation marks": lambda: file(_text(16_000_000, b'"', "UT", 0x0040A160), *METADATA),
    "16 MB of escapes": lambda: file(
        _text(16_000_000, b"\x1b$B0!\x1b(B", "UT", 0x0040A160, r"ISO 2022 IR 6\ISO 2022 IR 87"), *METADATA
    ),
    "16 MB that no character set has": lambda: file(
        _text(16_000_000, b"\xff", "UT", 0x0040A160, "ISO_IR 166"), *METADATA
    ),
    "6 texts of 16 MB of control characters": lambda: file(
        {
            tag: explicit(tag, "UT", b"\1" * 16_000_000)
            for tag in (0x00081050, 0x0040A160, 0x00401400, 0x00404032, 0x00741238, 0x00189367)
        },
        *METADATA,
    ),
    "deflated: three UT of 15 MB": lambda: file(
        {
            **_text(15_000_000, b"x", "UT", 0x0040A160),
            **_text(15_000_000, b"x", "UT", 0x00401400),
            **_text(15_000_000, b"x", "UT", 0x00404032),
        },
        *METADATA,
        syntax=DEFL,
    ),
    "deflated: OB of 480 MB": lambda: file(
        {0x00420011: explicit(0x00420011, "OB", bytes(480_000_000))}, ("bulkdata/00420011", "*/*"), *OBJECT, syntax=DEFL
    ),
    "deflated and odd: 240 MB, 8 at once": lambda: file(
        {0x00081030: explicit(0x00081030, "LO", "a") * 2, 0x00420011: explicit(0x00420011, "OB", bytes(240_000_000))},
        syntax=DEFL,
        copies=8,
    ),
    # ---- honest files, to compare with
    **{f"honest: {size} MB": partial(_honest, size) for size in (8, 16, 60, 240)},
    # ---- requests
    "20,000 empty parts": lambda: Bomb(
        b"--b\r\nContent-Type: application/dicom\r\n\r\n\r\n" * 20_000 + b"--b--\r\n",
        content_type='multipart/related; type="application/dicom"; boundary=b',
    ),
    "50,000 parts without headers": lambda: Bomb(
        b"--b\r\n\r\n\r\n" * 50_000 + b"--b--\r\n",
        content_type='multipart/related; type="application/dicom"; boundary=b',
    ),
    "a gzip body of 240 MB": lambda: Bomb(
        gzip.compress(instance({0x00420011: explicit(0x00420011, "OB", bytes(240_000_000))})[0], 9),
        headers={"Content-Encoding": "gzip"},
    ),
    "JSON: 10,000,000 data sets": lambda: json_store(b"[" + b"{}," * 10_485_760 + b"{}]"),
    "JSON: 3,000,000 elements": lambda: json_store(b"[" + b'{"a":1},' * 3_000_000 + b"{}]"),
    "JSON: a name of 10,000,000 components": lambda: json_store(
        b'[{"00100010":{"vr":"PN","Value":[' + b"{}," * 10_000_000 + b"{}]}}]"
    ),
    "JSON: comments": lambda: json_store(b"[/**/" + b'"",' * 10_000_000 + b'""]'),
    "JSON: lines of comments": lambda: json_store(b"//\n" * 10_000_000 + b"[]"),
    "JSON: 1,000,000 levels": lambda: json_store(b"[" * 1_000_000),
    "XML: 3,000,000 values": lambda: xml_store(
        b'<NativeDicomModel><DicomAttribute tag="00081030" vr="LO">'
        + b"<Value/>" * 3_000_000
        + b"</DicomAttribute></NativeDicomModel>"
    ),
    "XML: 31 MB of nothing": lambda: xml_store(b"<NativeDicomModel>" + b"<a/>" * 7_800_000 + b"</NativeDicomModel>"),
}
"""By what they are."""
