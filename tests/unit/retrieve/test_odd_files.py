"""Files that are not encoded as they say: their frames, pictures, bulk values, and themselves in another syntax."""

import io

import pydicom
import pytest
from PIL import Image as Picture

from tests.builders.odd_files import PIXELS, odd_image
from tests.builders.part10_bytes import ELE, ILE, encapsulated, explicit, item
from tests.builders.retrieve import DICOM, OCTETS, RetrieveService, multipart_of, parts

J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"


async def service_with(*images):
    service = RetrieveService()
    for one in images:
        await service.archive.store(one)
    return service


def jpeg():
    stream = io.BytesIO()
    Picture.frombytes("L", (2, 2), PIXELS[:4]).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.spec("WADO-18")
@pytest.mark.parametrize("syntax", [ELE, ILE])
async def test_fragments_under_a_native_syntax_are_never_given_out_as_pixels(syntax):
    one = odd_image({0x7FE00010: encapsulated(jpeg())}, syntax=syntax)
    service = await service_with(one)
    assert await service.body(one.path, f"{DICOM}; transfer-syntax=*") == one.data
    assert await service.status(f"{one.path}/metadata") == 200
    for path, accept in (
        ("frames/1", f"{OCTETS}; transfer-syntax=*"),
        ("frames/1", multipart_of(OCTETS)),
        ("frames/1", multipart_of("image/jls")),
        ("rendered", "image/png"),
        ("frames/1/rendered", "image/png"),
        ("pixeldata", "*/*"),
        ("bulkdata/7FE00010", "*/*"),
        ("", f"{DICOM}; transfer-syntax={J2K_LOSSLESS}"),
    ):
        assert await service.status(f"{one.path}/{path}".rstrip("/"), accept) == 406, path


@pytest.mark.spec("WADO-19")
async def test_an_odd_file_is_given_in_the_default_syntax():
    one = odd_image({0x00291010: b"\x29\0\x10\x10ZZ\x02\0ab"}, syntax=ILE, behind=bytes(64))
    service = await service_with(one)
    written = pydicom.dcmread(io.BytesIO(await service.body(one.path, f"{DICOM}; transfer-syntax={ELE}")))
    assert written.file_meta.TransferSyntaxUID == ELE
    assert written.PixelData == PIXELS[:4]
    assert written[0x00291010].value == b"ab"


@pytest.mark.spec("FRM-11")
@pytest.mark.parametrize("said", ["3", "3.0", "1A", "0", "", "-1"])
async def test_an_unreadable_number_of_frames_hides_none(said):
    elements = {0x00280008: explicit(0x00280008, "IS", said), 0x7FE00010: explicit(0x7FE00010, "OB", PIXELS)}
    one = odd_image(elements)
    service = await service_with(one)
    for number in (1, 2, 3):
        assert await service.body(f"{one.path}/frames/{number}", OCTETS) == PIXELS[4 * number - 4 : 4 * number]
        assert await service.status(f"{one.path}/frames/{number}/rendered", "image/png") == 200
    assert await service.status(f"{one.path}/frames/4", OCTETS) == 404
    assert await service.status(f"{one.path}/frames/4/rendered", "image/png") == 404


@pytest.mark.spec("FRM-12")
async def test_a_frame_that_is_cut_hides_itself_only():
    cut = {0x00280008: explicit(0x00280008, "IS", "3"), 0x7FE00010: explicit(0x7FE00010, "OB", PIXELS[:10])}
    one = odd_image(cut)
    service = await service_with(one)
    assert [await service.status(f"{one.path}/frames/{number}", OCTETS) for number in (1, 2, 3)] == [200, 200, 404]
    assert await service.status(f"{one.path}/frames/2/rendered", "image/png") == 200
    assert await service.status(f"{one.path}/frames/3/rendered", "image/png") == 404
    assert await service.status(f"{one.path}/frames/1,3", multipart_of(OCTETS)) == 404


@pytest.mark.spec("JSON-11")
async def test_numbers_that_nuls_pad_show_the_same_picture():
    def padded(padding):
        window = {0x00281050: b"4", 0x00281051: b"8", 0x00281052: b"-2"[:1] + b"1", 0x00281053: b"2"}
        return odd_image(
            {tag: explicit(tag, "DS", value + padding) for tag, value in window.items()}, rows=4, columns=3
        )

    blank, nul = padded(b" "), padded(b"\0")
    service = await service_with(blank, nul)
    pictures = [await service.body(f"{one.path}/rendered", "image/png") for one in (blank, nul)]
    assert pictures[0] == pictures[1]


@pytest.mark.spec("BULK-1", "BULK-5", "STOW-17")
async def test_the_bulk_values_of_an_odd_file_have_addresses():
    steps = item(explicit(0x00091001, "OB", b"inside"))
    one = odd_image(
        {
            0x00091001: b"\x09\0\x01\x10ZZ\0\0\x06\0\0\0abcdef",
            0x00400440: explicit(0x00400440, "SQ", steps),
            0x00880200: explicit(0x00880200, "SQ", item(encapsulated(b"icon", b"more"))),
        }
    )
    service = await service_with(one)
    assert await service.body(f"{one.path}/bulkdata/00091001", OCTETS) == b"abcdef"
    assert await service.body(f"{one.path}/bulkdata/00400440/1/00091001", OCTETS) == b"inside"
    assert parts(await service.body(f"{one.path}/bulkdata/7FE00010", multipart_of(OCTETS))) == [PIXELS[:4]]


@pytest.mark.spec("BULK-5", "META-4")
async def test_the_values_in_private_sequences_of_implicit_vr_have_addresses():
    from tests.builders.images import Image
    from tests.builders.part10_bytes import implicit, part10

    base = odd_image()
    group = implicit(0x70530010, "Philips PET Private Group") + implicit(
        0x70531007, item(implicit(0x70530010, "Philips PET Private Group") + implicit(0x70531001, b"bulk"))
    )
    uids = base.identifier
    body = (
        implicit(0x00080016, "1.2.840.10008.5.1.4.1.1.7")
        + implicit(0x00080018, uids.sop_instance_uid)
        + implicit(0x0020000D, uids.study_instance_uid)
        + implicit(0x0020000E, uids.series_instance_uid)
        + group
    )
    one = Image(uids, ILE, part10(body, ILE))
    service = await service_with(one)
    assert await service.body(f"{one.path}/bulkdata/70531007/1/70531001", OCTETS) == b"bulk"
