import struct

import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.filebase import DicomBytesIO

from shared.deidentification.file import pieces
from shared.deidentification.report import Finding
from shared.dicom.part10.composer import CannotCompose
from tests.builders import datasets
from tests.builders.deidentifying import deidentified, with_report


@pytest.mark.spec("DEID-7")
def test_the_file_meta_information_is_new_and_agrees_with_the_data_set() -> None:
    read = dcmread(DicomBytesIO(deidentified(datasets.f1())))

    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
    assert read.file_meta.MediaStorageSOPClassUID == read.SOPClassUID
    assert read.file_meta.ImplementationClassUID == "2.25.106857191890076988153077102304622898932"
    assert [element.keyword for element in read.file_meta] == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    ]


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("syntax", [datasets.ELE, datasets.ILE])
def test_native_pixels_are_byte_for_byte_those_of_the_source(syntax: str) -> None:
    source = datasets.ct()

    read = dcmread(DicomBytesIO(deidentified(datasets.part10(source, syntax))))

    assert read.PixelData == source.PixelData
    assert read.file_meta.TransferSyntaxUID == datasets.ELE


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("fragments", [1, 2])
def test_compressed_frames_and_their_offsets_are_those_of_the_source(fragments: int) -> None:
    frames = [b"\xff\x4f\xff\x51" + bytes([number]) * 60 for number in range(3)]
    source = datasets.set_frames(datasets.set_pixels(datasets.attributes(), frames=3), frames, fragments=fragments)

    read = dcmread(DicomBytesIO(deidentified(datasets.part10(source, datasets.J2K_LOSSLESS))))

    assert read.PixelData == source.PixelData
    assert list(generate_frames(read.PixelData, number_of_frames=3)) == frames
    assert read.file_meta.TransferSyntaxUID == datasets.J2K_LOSSLESS


@pytest.mark.spec("DEID-2")
def test_a_basic_offset_table_that_holds_something_else_is_not_copied() -> None:
    source = datasets.set_frames(datasets.set_pixels(datasets.attributes()), [b"\xff\x4f\xff\x51frame"])
    secret = b"Zquxmorf"
    empty_table = source.PixelData[:4] + struct.pack("<L", len(secret)) + secret
    source.PixelData = empty_table + source.PixelData[12:]
    source["PixelData"].is_undefined_length = True

    result = deidentified(datasets.part10(source, datasets.J2K_LOSSLESS))

    assert secret not in result
    read = dcmread(DicomBytesIO(result))
    assert parse_basic_offsets(read.PixelData) == []
    assert next(generate_frames(read.PixelData, number_of_frames=1)).rstrip(b"\0") == b"\xff\x4f\xff\x51frame"


@pytest.mark.spec("DEID-2", "DEID-9")
def test_bytes_after_the_last_sample_are_left_out_and_reported() -> None:
    source = datasets.ct()
    pixels = source.PixelData
    source.PixelData = pixels + b"Zquxmorf"

    result, data = with_report(datasets.part10(source))

    assert dcmread(DicomBytesIO(data)).PixelData == pixels
    assert result.report.findings[Finding.TRAILING_BYTES] == 1


@pytest.mark.spec("DEID-2")
def test_lookup_tables_stay_and_sit_where_they_were() -> None:
    source = datasets.ct()
    for channel in ("Red", "Green", "Blue"):
        setattr(source, f"{channel}PaletteColorLookupTableDescriptor", [4, 0, 16])
        setattr(source, f"{channel}PaletteColorLookupTableData", struct.pack("<4H", 1, 2, 3, 4))

    read = dcmread(DicomBytesIO(deidentified(datasets.part10(source))))

    assert struct.pack("<4H", 1, 2, 3, 4) == read.GreenPaletteColorLookupTableData


def test_a_value_that_is_not_found_is_no_file() -> None:
    result, _ = with_report(datasets.f1())

    with pytest.raises(CannotCompose):
        pieces(result, datasets.ELE, {})
