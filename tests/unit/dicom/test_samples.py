"""Every sample file in pydicom's wheel: what we read is what pydicom reads, but for the corrections of the oracle."""

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.encaps import generate_frames

from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, second_opinion
from shared.dicom.part10.frames import encapsulated_frame, native_frame, strip_items
from tests.oracles.data_sets import by_pydicom, differences

NOT_PART10 = {
    "ExplVR_BigEndNoMeta.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "no_meta.dcm",
    "rtstruct.dcm",
    "meta_missing_tsyntax.dcm",
}
TRUNCATED = {"MR_truncated.dcm", "rtplan_truncated.dcm"}
ODD = {
    "SC_rgb_jpeg.dcm",  # implicit VR although the file meta information promises explicit VR
    "DICOMDIR-nooffset",  # a sequence whose last item claims more than is there
}
NO_FRAMES = {
    "nested_priv_SQ.dcm",  # 2 bytes of pixel data without Rows and Columns
}


def samples() -> list[Path]:
    """Only what is installed: some of pydicom's samples would have to be downloaded."""
    names = map(Path, [*get_testdata_files("**/*"), *get_charset_files("*.dcm")])
    return sorted({path for path in names if path.is_file() and is_dicom(path)})


def readable() -> list[Path]:
    """Those that the fast reader reads."""
    return [path for path in samples() if path.name not in NOT_PART10 | TRUNCATED | ODD]


def is_dicom(path: Path) -> bool:
    return path.suffix == ".dcm" or path.read_bytes()[128:132] == b"DICM"


def read(data: bytes) -> Part10:
    reader = Part10Reader(strict=False)
    reader.feed(data)
    return reader.finish()


def in_order(attributes: dict[str, Any]) -> bool:
    return list(attributes) == sorted(attributes) and all(
        in_order(item) for element in attributes.values() if element["vr"] == "SQ" for item in element.get("Value", [])
    )


def test_the_samples_are_there() -> None:
    assert len(samples()) > 80


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
@pytest.mark.spec("JSON-1", "JSON-2", "JSON-3", "JSON-4", "JSON-5", "JSON-7", "JSON-10", "STOW-15", "META-4")
def test_a_sample_is_read_as_pydicom_reads_it(path: Path) -> None:
    data = path.read_bytes()
    if path.name in NOT_PART10 | TRUNCATED:
        with pytest.raises(InvalidPart10):
            read(data)
        with pytest.raises(InvalidPart10):
            second_opinion(data)
        return
    if path.name in ODD:
        with pytest.raises(InvalidPart10):
            read(data)
        ours = second_opinion(data)
    else:
        ours = read(data)
        assert replace(second_opinion(data), odd=ours.odd) == ours
    assert ours.length == len(data)
    assert in_order(ours.attributes)
    attributes = dict(ours.attributes)
    if path.name == "badVR.dcm":
        assert attributes.pop("00280008") == {"vr": "IS", "Value": ["1A"]}
    theirs = by_pydicom(data)
    if path.name == "DICOMDIR-nooffset":  # STOW-18
        assert attributes.pop("00041220") == {"vr": "UN", "BulkDataURI": "00041220"}
        del theirs["00041220"]
    assert differences(attributes, theirs) == []


@pytest.mark.parametrize("path", readable(), ids=lambda path: path.name)
@pytest.mark.spec("CON-4", "FRM-5", "FRM-7")
def test_the_frames_of_a_sample_are_where_pydicom_finds_them(path: Path) -> None:
    data = path.read_bytes()
    ours = read(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        dataset = pydicom.dcmread(io.BytesIO(data))
    deflated = dataset.file_meta.TransferSyntaxUID.is_deflated
    if "PixelData" not in dataset or deflated:
        assert ours.frames is None
        assert (ours.pixel_data is None) is (deflated or "PixelData" not in dataset)
        return
    assert ours.pixel_data is not None
    if path.name in NO_FRAMES:
        assert ours.frames is None
        return
    count = 15 if path.name == "badVR.dcm" else int(dataset.get("NumberOfFrames") or 1)  # `1A` (FRM-11)
    start = ours.pixel_data.offset
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        assert ours.pixel_data.length is None
        expected = list(generate_frames(dataset.PixelData, number_of_frames=count))
        assert ours.frames is not None
        assert ours.frames.count == count == len(expected)
        for number, frame in enumerate(expected):
            offset, length = encapsulated_frame(ours.frames, number)
            assert strip_items(data[offset : offset + length]) == frame
    else:
        value = dataset.PixelData
        assert ours.pixel_data.length == len(value)
        assert data[start : start + len(value)] == value
        assert ours.frames is not None
        size = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
        if dataset.PhotometricInterpretation == "YBR_FULL_422":
            size = size // 3 * 2
        assert ours.frames.count == count
        for number in range(count):
            assert native_frame(ours.frames, number) == (start + number * size, size, 0)
