"""Writes the registries of data elements in shared/dicom from pydicom's copies of them: `data_elements.tsv` (PS3.6 §6
to §8) and `private_elements.tsv`, what is known of private elements.

Run after an upgrade of pydicom; `tests/unit/dicom/test_dictionary.py` fails while a file is behind.
"""

import re
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries

DICOM = Path(__file__).parent.parent / "shared" / "dicom"
TARGET = DICOM / "data_elements.tsv"
PRIVATE_TARGET = DICOM / "private_elements.tsv"

_PRIVATE_TAG = re.compile("[0-9A-F]{4}(?:xx|[1-9A-F][0-9A-F])[0-9A-F]{2}|[0-9A-F]{2}xxxx[0-9A-F]{2}")


def lines() -> list[str]:
    """One line per element: tag (x = any digit), VRs, VM, keyword; tab-separated, ascending by tag."""
    rows = [(f"{tag:08X}", vr, vm, keyword) for tag, (vr, vm, _, _, keyword) in DicomDictionary.items()]
    rows += [(mask, vr, vm, keyword) for mask, (vr, vm, _, _, keyword) in RepeatersDictionary.items()]
    # Items and delimiters are no data elements: they have no VR.
    return ["\t".join((tag, vr.replace(" or ", "/"), vm, word)) for tag, vr, vm, word in sorted(rows) if vr != "NONE"]


def private_lines() -> list[str]:
    """One line per private element: creator, tag (x = any digit), VRs; tab-separated, ascending. Those of unknown VR,
    which say nothing, and those that are in no block of a creator are left out.
    """
    rows = {
        (creator, tag, re.sub(" or |_", "/", vr))
        for creator, elements in private_dictionaries.items()
        for tag, (vr, *_) in elements.items()
        if vr != "UN" and _PRIVATE_TAG.fullmatch(tag)
    }
    return ["\t".join(row) for row in sorted(rows)]


if __name__ == "__main__":
    for target, content in ((TARGET, lines()), (PRIVATE_TARGET, private_lines())):
        target.write_text("\n".join(content) + "\n", encoding="ascii")
        print(f"{target}: {len(content)} elements")
