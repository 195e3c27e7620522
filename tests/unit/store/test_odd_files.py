"""Files that are not encoded as they say: what is stored with a warning, and what is refused by name."""

import struct

import orjson
import pytest

from shared.dicom.reasons import FailureReason, WarningReason
from shared.dicomweb.versions import ApiVersion
from tests.builders.odd_files import odd_image
from tests.builders.part10_bytes import explicit, item
from tests.builders.store import StoreService


def unknown(code: bytes, tag: int = 0x00291010) -> bytes:
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, code, 0, 8) + b"abcdefgh"


WARNED = {
    "unknown VR": ({0x00291010: unknown(b"ZZ")}, "(0029,1010)"),
    "VR without letters": ({0x001021B0: b"\x10\0\xb0\x21--\x04\0G000"}, "(0010,21b0)"),
    "UN that is no sequence": ({0x00102202: explicit(0x00102202, "UN", b"12345678")}, "(0010,2202)"),
    "item that claims too much": (
        {0x00231080: explicit(0x00231080, "SQ", item(b"12345678", length=24))},
        "(0023,1080)",
    ),
}


@pytest.mark.spec("STOW-17", "STOW-18")
@pytest.mark.parametrize(("elements", "named"), WARNED.values(), ids=WARNED.keys())
async def test_what_was_read_as_something_else_is_warned_of(elements, named):
    service, one = StoreService(), odd_image(elements)
    outcome = await service.store_one(one.data)
    assert outcome.failure is None
    assert outcome.warning is WarningReason.ATTRIBUTES_INVALID
    assert [comment.split(" ")[1] for comment in outcome.comments] == [named]
    assert await service.content(one.identifier) == one.data
    stored = await service.instance(one.identifier)
    assert stored.frames is not None
    [tag] = elements
    assert f"{tag:08X}" in orjson.loads(stored.metadata)

    old = await StoreService().store_one(one.data, version=ApiVersion.V1)
    assert (old.failure, old.odd, old.comments) == (None, True, ())


REFUSED = {
    "differing repeats": (
        {0x00081030: explicit(0x00081030, "LO", "one") + explicit(0x00081030, "LO", "two")},
        "(0008,1030) - The element occurs twice with different values",
    ),
    "differing repeats in an item": (
        {
            0x00081140: explicit(
                0x00081140, "SQ", item(explicit(0x00081150, "UI", "1.2.3") + explicit(0x00081150, "UI", "1.2.4"))
            )
        },
        "(0008,1150) - The element occurs twice with different values",
    ),
    "unknown VR that fits nothing": (
        {0x00291010: b"\x29\0\x10\x10ZZ\0\0\xff\0\0\0abcdefgh"},
        "(0029,1010) - The value representation is not known, and no length fits it",
    ),
    "too many values": (
        {0x00189367: explicit(0x00189367, "UC", b"\\" * 300_000)},
        "(0018,9367) - The element has too many values",
    ),
}


@pytest.mark.spec("STOW-17", "STOW-19", "STOW-37")
@pytest.mark.parametrize("version", list(ApiVersion))
@pytest.mark.parametrize(("elements", "explanation"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_read_is_refused_by_its_tag(elements, explanation, version):
    one = odd_image(elements)
    outcome = await StoreService().store_one(one.data, version=version)
    assert outcome.failure is FailureReason.VALIDATION_FAILURE
    assert outcome.explanation == explanation
    assert outcome.sop_instance_uid == one.identifier.sop_instance_uid


@pytest.mark.spec("STOW-37")
@pytest.mark.parametrize("start", [128, 132, None], ids=["no preamble", "no DICM", "no file meta information"])
async def test_a_file_without_its_beginning_is_refused_by_its_instance(start):
    one = odd_image()
    meta = int.from_bytes(one.data[140:144], "little")
    outcome = await StoreService().store_one(one.data[144 + meta if start is None else start :])
    assert outcome.failure is FailureReason.VALIDATION_FAILURE
    assert outcome.sop_instance_uid == one.identifier.sop_instance_uid
    assert outcome.sop_class_uid
    assert outcome.explanation == "The file does not begin with a preamble and DICM."


@pytest.mark.spec("STOW-37")
async def test_a_file_that_is_cut_says_so():
    one = odd_image()
    outcome = await StoreService().store_one(one.data[:-3])
    assert outcome.explanation == "The file ends in the middle of a data element."
    assert (await StoreService().store_one(b"no DICOM" * 50)).explanation
