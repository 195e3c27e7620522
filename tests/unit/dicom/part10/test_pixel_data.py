"""Which frames the reader finds in a file."""

import struct

import pytest

from shared.dicom.part10.file_reader import Part10, Part10Reader, second_opinion
from shared.dicom.part10.frames import FrameTable, encapsulated_frame, native_frame, strip_items
from tests.builders import datasets
from tests.builders.datasets import ct, native_frames, set_frames, set_pixels
from tests.builders.part10_bytes import DEFL, EBE, ELE, ILE, encapsulated, explicit, part10

JPEG = "1.2.840.10008.1.2.4.50"
SOI, SOC = b"\xff\xd8\xff\xe0", b"\xff\x4f\xff\x51"


def read(data: bytes) -> Part10:
    reader = Part10Reader(strict=False)
    reader.feed(data)
    return reader.finish()


def described(frames: int | str | None = None, *, bits: int = 8, samples: int = 1, photometric: str = "") -> bytes:
    """The attributes of an image of 4 by 3 pixels."""

    def number(tag: int, value: int) -> bytes:
        return explicit(tag, "US", struct.pack("<H", value))

    body = number(0x00280002, samples) + explicit(0x00280004, "CS", photometric)
    if frames is not None:
        body += explicit(0x00280008, "IS", str(frames))
    return body + number(0x00280010, 4) + number(0x00280011, 3) + number(0x00280100, bits)


def frames_of(data: bytes) -> list[bytes]:
    table = read(data).frames
    assert table is not None
    if table.encapsulated:
        places = [encapsulated_frame(table, number) for number in range(table.count)]
        return [strip_items(data[offset : offset + length]) for offset, length in places]
    assert table.bits % 8 == 0
    places = [native_frame(table, number)[:2] for number in range(table.count)]
    return [data[offset : offset + length] for offset, length in places]


@pytest.mark.spec("FRM-5", "FRM-7", "CON-4")
@pytest.mark.parametrize("syntax", [ELE, ILE])
@pytest.mark.parametrize(("bits", "frames"), [(8, 1), (8, 3), (16, 1), (16, 5)])
def test_native_frames_are_found(syntax: str, bits: int, frames: int) -> None:
    data = datasets.part10(set_pixels(ct(), rows=5, columns=3, bits=bits, frames=frames), syntax)
    assert frames_of(data) == native_frames(5, 3, bits, frames)
    pixel_data = read(data).pixel_data
    assert pixel_data is not None
    assert data[pixel_data.offset :].startswith(native_frames(5, 3, bits, 1)[0])


@pytest.mark.parametrize("vr", ["PN", "SQ"])
def test_frames_are_found_whatever_stands_for_the_photometric_interpretation(vr: str) -> None:
    value = b"Doe^Jane" if vr == "PN" else b"\xfe\xff\x00\xe0" + bytes(4)
    body = described().replace(explicit(0x00280004, "CS", ""), explicit(0x00280004, vr, value))

    table = read(part10(body + explicit(0x7FE00010, "OW", bytes(12)))).frames

    assert table is not None
    assert table.count == 1


def test_frames_of_big_endian_files_are_found_as_they_are_stored() -> None:
    data = datasets.part10(set_pixels(ct(), rows=5, columns=3, bits=16, frames=2), EBE)
    swapped = [struct.pack(">15H", *struct.unpack("<15H", frame)) for frame in native_frames(5, 3, 16, 2)]
    assert frames_of(data) == swapped


@pytest.mark.parametrize(("tag", "vr", "bits"), [(0x7FE00008, "OF", 32), (0x7FE00009, "OD", 64)])
def test_frames_of_floats_are_found(tag: int, vr: str, bits: int) -> None:
    data = part10(described(2) + explicit(tag, vr, bytes(24 * bits // 8)))
    table = read(data).frames
    assert table is not None
    assert (table.count, table.bits) == (2, 12 * bits)


def test_frames_of_single_bits_are_found() -> None:
    table = read(part10(described(3, bits=1) + explicit(0x7FE00010, "OB", bytes(6)))).frames
    assert table is not None
    assert (table.count, table.bits) == (3, 12)


def test_frames_of_colours_have_all_samples_but_those_that_subsampling_leaves_out() -> None:
    pixels = explicit(0x7FE00010, "OB", bytes(72))
    table = read(part10(described(2, samples=3, photometric="RGB") + pixels)).frames
    assert table is not None
    assert table.bits == 288
    table = read(part10(described(3, samples=3, photometric="YBR_FULL_422") + pixels)).frames
    assert table is not None
    assert table.bits == 192


@pytest.mark.parametrize(
    "body",
    [
        described(2) + explicit(0x7FE00010, "OB", bytes(10)),
        explicit(0x7FE00010, "OB", bytes(24)),
        described() + explicit(0x7FE00010, "OB"),
        described(),
    ],
)
@pytest.mark.spec("FRM-3")
def test_without_enough_pixels_or_their_description_there_is_no_table(body: bytes) -> None:
    assert read(part10(body)).frames is None


@pytest.mark.spec("FRM-11")
@pytest.mark.parametrize(("said", "count"), [("3", 3), ("3.0", 3), ("1A", 3), ("0", 3), ("-2", 3), ("", 3), ("2", 2)])
def test_a_number_of_frames_that_says_nothing_is_what_the_pixels_tell(said: str, count: int) -> None:
    table = read(part10(described(said) + explicit(0x7FE00010, "OB", bytes(36)))).frames
    assert table is not None
    assert table.count == count


@pytest.mark.spec("WADO-18")
@pytest.mark.parametrize("syntax", [ELE, ILE])
def test_fragments_under_a_native_transfer_syntax_are_no_frames(syntax: str) -> None:
    file = second_opinion(part10(described() + encapsulated(SOI + b"1234"), syntax))
    assert file.frames is None
    assert file.pixel_data is not None
    assert file.pixel_data.length is None


def test_an_image_without_number_of_frames_has_one() -> None:
    assert read(part10(described() + explicit(0x7FE00010, "OB", bytes(12)))).frames is not None


def test_deflated_pixels_have_no_place_in_the_file() -> None:
    read_file = read(datasets.part10(ct(), DEFL))
    assert read_file.attributes["7FE00010"]["BulkDataURI"] == "7FE00010"
    assert (read_file.pixel_data, read_file.frames) == (None, None)


FRAMES = [b"frame 0 ", b"frame 1, longer ", b"frame 2 "]


@pytest.mark.spec("FRM-5", "FRM-7")
@pytest.mark.parametrize("options", [{}, {"basic_offsets": False}, {"extended": True}, {"fragments": 2}])
def test_encapsulated_frames_are_found(options: dict[str, int]) -> None:
    dataset = set_frames(set_pixels(ct(), frames=3), FRAMES, **options)
    assert frames_of(datasets.part10(dataset, JPEG)) == FRAMES


def test_fragments_without_table_belong_to_the_frame_whose_codestream_they_continue() -> None:
    for start in (SOI, SOC):
        pixels = encapsulated(
            start + b"one ", b"more", start + b"two ", start + b"three ", b"even more ", b"still more"
        )
        data = part10(described(3) + pixels, JPEG)
        assert frames_of(data) == [
            start + b"one more",
            start + b"two ",
            start + b"three even more still more",
        ]


def test_an_extended_offset_table_goes_before_a_basic_one() -> None:
    extended = explicit(0x7FE00001, "OV", struct.pack("<2Q", 0, 24)) + explicit(
        0x7FE00002, "OV", struct.pack("<2Q", 8, 4)
    )
    pixels = encapsulated(b"one ", b"more", b"two ", offsets=struct.pack("<2L", 0, 12))
    assert frames_of(part10(described(2) + extended + pixels, JPEG)) == [b"one more", b"two "]
    assert frames_of(part10(described(2) + pixels, JPEG)) == [b"one ", b"moretwo "]


@pytest.mark.parametrize("offsets", [b"", struct.pack("<2L", 0, 13), struct.pack("<3L", 0, 12, 24), b"\0\0\0\0\x0c\0"])
def test_frames_that_cannot_be_told_apart_have_no_table(offsets: bytes) -> None:
    read_file = read(part10(described(2) + encapsulated(b"one ", b"more", b"two ", offsets=offsets), JPEG))
    assert read_file.frames is None
    assert read_file.pixel_data is not None
    assert read_file.pixel_data.length is None


def test_encapsulated_pixel_data_without_fragments_have_no_frames() -> None:
    assert read(part10(described(1) + encapsulated(), JPEG)).frames is None


def test_offsets_count_from_the_first_byte_of_the_file_however_it_is_cut() -> None:
    data = part10(
        described(2) + encapsulated(b"one " * 50, b"more" * 50, b"two ", offsets=struct.pack("<2L", 0, 416)), JPEG
    )
    whole = read(data)
    assert frames_of(data) == [b"one " * 50 + b"more" * 50, b"two "]
    for size in (1, 7, 64):
        reader = Part10Reader(strict=False)
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
        assert reader.finish() == whole


@pytest.mark.parametrize("number", range(1, 14))
def test_the_fixtures_are_what_they_are_meant_to_be(number: int) -> None:
    fixture = getattr(datasets, f"f{number}")()
    reader = Part10Reader(strict=True)
    for chunk in [fixture] if isinstance(fixture, bytes) else fixture:
        reader.feed(chunk)
    read_file = reader.finish()
    assert reader.identifier is not None
    frames = {1: 3, 2: 3, 3: 3, 11: 26, 12: 10}
    table = read_file.frames or FrameTable(count=0)
    assert table.count == frames.get(number, 0)
    assert table.encapsulated is (number in {2, 3, 12})
    assert read_file.implicit_vr is (number == 5)
    assert [violation.tag for violation in read_file.violations] == {6: [0x00080020], 7: [0x00080060]}.get(number, [])
    assert (read_file.length > 100 * 1024 * 1024) is (number == 11)
    if number == 8:
        assert read_file.attributes["0020000D"]["Value"][0].endswith(" ")
    if number == 10:
        assert read_file.attributes["00100010"]["Value"] == [{"Alphabetic": "Hall^X^Tá"}]


def test_fixtures_are_new_instances_each_time() -> None:
    assert len({datasets.f4() for _ in range(3)}) == 3
