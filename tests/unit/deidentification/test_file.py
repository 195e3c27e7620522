import struct

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.filebase import DicomBytesIO

from shared.deidentification.file import pieces
from shared.deidentification.report import Deed, Finding
from shared.dicom.part10.composer import CannotCompose
from tests.builders import datasets
from tests.builders.deidentifying import deidentified, leaked, with_report


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
def test_an_offset_table_is_made_anew_whatever_it_holds() -> None:
    source = datasets.set_frames(datasets.set_pixels(datasets.attributes()), [b"\xff\x4f\xff\x51frame"])
    secret = b"Zquxmorf"
    empty_table = source.PixelData[:4] + struct.pack("<L", len(secret)) + secret
    source.PixelData = empty_table + source.PixelData[12:]
    source["PixelData"].is_undefined_length = True
    source.ExtendedOffsetTable, source.ExtendedOffsetTableLengths = secret, secret

    result = deidentified(datasets.part10(source, datasets.J2K_LOSSLESS))

    assert secret not in result
    read = dcmread(DicomBytesIO(result))
    assert parse_basic_offsets(read.PixelData) == [0]
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
def test_bytes_after_the_last_sample_of_floats_and_waveforms_are_left_out() -> None:
    floats = datasets.attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.30", Rows=2, Columns=2)
    floats.add_new(0x7FE00008, "OF", struct.pack("<4f", 1, 2, 3, 4) + b"Zquxmorf")
    channels = Dataset()
    channels.NumberOfWaveformChannels, channels.NumberOfWaveformSamples, channels.WaveformBitsAllocated = 2, 3, 16
    channels.add_new(0x54001010, "OW", struct.pack("<6h", *range(6)) + b"Zquxmorf")
    waveform = datasets.attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1", Modality="ECG")
    waveform.WaveformSequence = [channels]
    spectra = datasets.attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.2", Modality="MR", Rows=1, Columns=1)
    spectra.DataPointRows, spectra.DataPointColumns, spectra.DataRepresentation = 1, 2, "COMPLEX"
    spectra.SpectroscopyData = struct.pack("<4f", 1, 2, 3, 4) + b"Zquxmorf"
    for source in (floats, spectra, waveform):
        result, data = with_report(datasets.part10(source))

        assert leaked(data, ["Zquxmorf"]) == []
        assert result.report.findings[Finding.TRAILING_BYTES] == 1
    assert dcmread(DicomBytesIO(data)).WaveformSequence[0].WaveformData == struct.pack("<6h", *range(6))


@pytest.mark.spec("DEID-2")
def test_tables_that_have_not_the_size_that_they_say_are_removed() -> None:
    source = datasets.ct(PhotometricInterpretation="PALETTE COLOR")
    for channel, table in (("Red", struct.pack("<4H", *range(4))), ("Green", b"Zquxmorf" * 2), ("Blue", b"")):
        setattr(source, f"{channel}PaletteColorLookupTableDescriptor", [4, 0, 16])
        setattr(source, f"{channel}PaletteColorLookupTableData", table)
    source.VOILUTSequence = [
        _table("US", [*struct.unpack("<5H", b"Zquxmorf..")]),
        _table("US", [1, 2, 3, 4]),
        _table("OW", b"Zquxmorf.."),
        _table("OW", bytes(8)),
    ]

    data = deidentified(datasets.part10(source))

    read = dcmread(DicomBytesIO(data))
    assert leaked(data, ["Zquxmorf"]) == []
    assert read.RedPaletteColorLookupTableData == struct.pack("<4H", *range(4))
    assert "GreenPaletteColorLookupTableData" not in read
    tables = [one.get("LUTData") for one in read.VOILUTSequence]
    assert (tables[1], tables[3]) == ([1, 2, 3, 4], bytes(8))


@pytest.mark.spec("DEID-2")
def test_segmented_palettes_stay_if_they_are_segments_of_as_many_entries_as_they_say() -> None:
    source = datasets.ct(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1",
        PhotometricInterpretation="PALETTE COLOR",
        BurnedInAnnotation="NO",
        PatientName="Zquxmorf",
    )
    segments = struct.pack("<8H", 0, 3, 10, 20, 30, 1, 5, 80)
    spelt = struct.pack("<4H", 0, 8, 0x715A, 0x7875) + b"morf" + bytes(8)
    for channel, count, table in (("Red", 8, segments), ("Green", 8, segments + b"Zquxmorf"), ("Blue", 8, spelt)):
        setattr(source, f"{channel}PaletteColorLookupTableDescriptor", [count, 0, 16])
        setattr(source, f"Segmented{channel}PaletteColorLookupTableData", table)

    result, data = with_report(datasets.part10(source))

    read = dcmread(DicomBytesIO(data))
    assert leaked(data, ["Zquxmorf"]) == []
    assert read.SegmentedRedPaletteColorLookupTableData == segments
    assert "SegmentedGreenPaletteColorLookupTableData" not in read
    assert result.report.deeds["00281222", Deed.REMOVED] == 1


@pytest.mark.spec("DEID-2", "DEID-5")
def test_a_table_that_spells_a_name_is_removed_whatever_its_size() -> None:
    source = datasets.ct(PatientName="Zquxmorf^Wendelgard")
    for channel, table in (("Red", b"Zquxmorf"), ("Green", bytes(8))):
        setattr(source, f"{channel}PaletteColorLookupTableDescriptor", [4, 0, 16])
        setattr(source, f"{channel}PaletteColorLookupTableData", table)

    data = deidentified(datasets.part10(source))

    assert leaked(data, ["Zquxmorf"]) == []
    assert dcmread(DicomBytesIO(data)).GreenPaletteColorLookupTableData == bytes(8)


@pytest.mark.spec("DEID-2", "DEID-5")
def test_numbers_in_words_that_spell_a_name_are_removed_and_others_stay() -> None:
    source = datasets.attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.5", PatientName="Zquxmorf^Wendelgard")
    points, normals = Dataset(), Dataset()
    points.PointCoordinatesData = struct.pack("<3f", 1.5, -2.25, 1e-3)
    normals.VectorCoordinateData = b"\0\0\0\0Zquxmorf"
    surface = Dataset()
    surface.SurfacePointsSequence, surface.SurfacePointsNormalsSequence = [points], [normals]
    source.SurfaceSequence = [surface]

    data = deidentified(datasets.part10(source))

    assert leaked(data, ["Zquxmorf"]) == []
    [surface] = dcmread(DicomBytesIO(data)).SurfaceSequence
    assert surface.SurfacePointsSequence[0].PointCoordinatesData == points.PointCoordinatesData
    assert "VectorCoordinateData" not in surface.SurfacePointsNormalsSequence[0]


@pytest.mark.spec("DEID-2", "DEID-6", "DEID-9")
def test_samples_whose_length_cannot_be_told_are_reported() -> None:
    halved = datasets.attributes(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Rows=2, Columns=2, SamplesPerPixel=3, BitsAllocated=8
    )
    halved.PhotometricInterpretation = "YBR_FULL_422"
    halved.add_new(0x7FE00010, "OB", bytes(range(8)) + b"Zq")
    result, data = with_report(datasets.part10(halved))
    assert dcmread(DicomBytesIO(data)).PixelData == bytes(range(8))
    assert result.report.findings[Finding.UNEXAMINED] == 0

    del halved.Rows
    result, _ = with_report(datasets.part10(halved))
    assert result.report.findings[Finding.UNEXAMINED] == 1


def _table(vr: str, entries: bytes | list[int]) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [4, 0, 16]
    item.add_new(0x00283006, vr, entries)
    return item


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
        pieces(result, datasets.ELE, {}, {})
