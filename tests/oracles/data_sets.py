"""DICOM JSON as pydicom makes it, to compare ours with. It differs on purpose in what is listed here.

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
from typing import Any

import pydicom

BULK = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


def by_pydicom(data: bytes) -> dict[str, Any]:
    """The DICOM JSON of a Part 10 file; every bulk value is the text "bulk"."""
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
    """Where our DICOM JSON is not that of `by_pydicom`. A BulkDataURI of ours is the path of its element."""
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
