"""Every sample file in pydicom's wheel: what we read is what pydicom reads, but for the corrections listed here.

| Correction | Why |
|---|---|
| bulk values are `BulkDataURI`, also small ones | they are never in metadata documents (CON-4, W-3) |
| no group lengths | JSON-2 |
| an empty sequence has no `Value` | JSON-3 |
| an empty value among others is null, not "" | JSON-3 |
| absent groups of a name are absent, not "" | JSON-5 |
| trailing NULs stay, except in UIDs; trailing blanks stay in UIDs | JSON-6, CON-9; compared without either |
| DS and IS are compared as numbers: 1 and 1.0 are one | JSON-4 |
| an IS that is no number is text | JSON-4; pydicom cannot write it |
| LUTData in implicit VR is OW, never US | it may be of any length |
"""

import io
import math
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

BULK = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}

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


def by_pydicom(data: bytes) -> dict[str, Any]:
    with warnings.catch_warnings():
        # pydicom warns of what is odd in its samples and in their values. That they are odd is what they are for.
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(data))
        if dataset.get_item(0x00280008) is not None and dataset.get_item(0x00280008).value == b"1A":
            del dataset[0x00280008]  # pydicom cannot write it
        return dataset.to_json_dict(bulk_data_threshold=0, bulk_data_element_handler=lambda _: "bulk")


def text(value: Any) -> Any:
    return value.rstrip(" \0") or None if isinstance(value, str) else value


def same_value(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, dict):
        groups = {name: text(group) for name, group in theirs.items() if text(group)}
        return ({name: text(group) for name, group in ours.items()} if ours else {}) == groups
    if isinstance(theirs, float) and not math.isfinite(theirs):
        return ours in {"NaN", "Infinity", "-Infinity"}
    return text(ours) == text(theirs)


def differences(ours: dict[str, Any], theirs: dict[str, Any], path: str = "") -> list[str]:
    theirs = {tag: element for tag, element in theirs.items() if not tag.endswith("0000")}
    found = [f"{path}{tag} is in one only" for tag in ours.keys() ^ theirs.keys()]
    for tag in ours.keys() & theirs.keys():
        mine, other = ours[tag], theirs[tag]
        here = f"{path}{tag}"
        if mine["vr"] in BULK:
            private = int(tag[:4], 16) % 2 == 1
            empty = not any(other.get(name) for name in ("Value", "InlineBinary", "BulkDataURI"))
            right_vr = mine["vr"] == other["vr"] or (mine["vr"] == "UN" and private) or tag == "00283006"
            expected = {"vr": mine["vr"]} if empty else {"vr": mine["vr"], "BulkDataURI": here}
            if not right_vr or mine != expected:
                found.append(f"{here}: {mine}, not {other['vr']}")
        elif mine["vr"] != other["vr"]:
            found.append(f"{here} is {mine['vr']}, not {other['vr']}")
        elif mine["vr"] == "SQ":
            items = mine.get("Value", []), other.get("Value", [])
            if len(items[0]) != len(items[1]):
                found.append(f"{here} has {len(items[0])} items, not {len(items[1])}")
            for number, (item, expected) in enumerate(zip(*items, strict=False), 1):
                found += differences(item, expected, f"{here}/{number}/")
        else:
            values = mine.get("Value", []), other.get("Value", [])
            if len(values[0]) != len(values[1]) and any(map(text, values[1])):
                found.append(f"{here}: {values[0]}, not {values[1]}")
            found += [f"{here}: {a!r}, not {b!r}" for a, b in zip(*values, strict=False) if not same_value(a, b)]
    return found


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
