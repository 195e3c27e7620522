"""Writes shared/dicom/data_elements.tsv, the registry of data elements (PS3.6 §6 to §8), from pydicom's copy of it.

Run after an upgrade of pydicom; `tests/unit/dicom/test_dictionary.py` fails while the file is behind.
"""

from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

TARGET = Path(__file__).parent.parent / "shared" / "dicom" / "data_elements.tsv"


def lines() -> list[str]:
    """One line per element: tag (x = any digit), VRs, VM, keyword; tab-separated, ascending by tag."""
    rows = [(f"{tag:08X}", vr, vm, keyword) for tag, (vr, vm, _, _, keyword) in DicomDictionary.items()]
    rows += [(mask, vr, vm, keyword) for mask, (vr, vm, _, _, keyword) in RepeatersDictionary.items()]
    # Items and delimiters are no data elements: they have no VR.
    return ["\t".join((tag, vr.replace(" or ", "/"), vm, word)) for tag, vr, vm, word in sorted(rows) if vr != "NONE"]


if __name__ == "__main__":
    TARGET.write_text("\n".join(lines()) + "\n", encoding="ascii")
    print(f"{TARGET}: {len(lines())} elements")
