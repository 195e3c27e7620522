"""PS3.6 Registry of DICOM data elements: tag to VR, VM and keyword, without importing pydicom.

The tables are `data_elements.tsv` and, for private elements, whose meaning depends on their private creator,
`private_elements.tsv` beside this module; both are written by `scripts/generate_dictionary.py`.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

type DataElement = tuple[str, str, str, str]
"""Key (8 upper-case hex digits; for repeating groups with `x`), VR or VRs joined by `/`, VM, keyword."""


@cache
def _tables() -> tuple[dict[int, DataElement], dict[int, dict[int, DataElement]]]:
    elements: dict[int, DataElement] = {}
    repeating: dict[int, dict[int, DataElement]] = {}
    for line in (Path(__file__).parent / "data_elements.tsv").read_text("ascii").splitlines():
        key, vr, vm, keyword = line.split("\t")
        if "x" in key:
            mask = int("".join("0" if digit == "x" else "F" for digit in key), 16)
            repeating.setdefault(mask, {})[int(key.replace("x", "0"), 16)] = (key, vr, vm, keyword)
        else:
            elements[int(key, 16)] = (key, vr, vm, keyword)
    return elements, repeating


@cache
def _private_elements() -> dict[str, dict[str, str]]:
    """VRs by private creator and tag; `x` in a tag is any digit."""
    elements: dict[str, dict[str, str]] = {}
    for line in (Path(__file__).parent / "private_elements.tsv").read_text("ascii").splitlines():
        creator, key, vr = line.split("\t")
        elements.setdefault(creator, {})[key] = vr
    return elements


@cache
def _keywords() -> dict[str, int]:
    return {keyword: tag for tag, (_, _, _, keyword) in data_elements().items() if keyword}


def data_elements() -> Mapping[int, DataElement]:
    """The elements that have one fixed tag, by tag; for callers that look up one element after the other."""
    return _tables()[0]


def data_element(tag: int) -> DataElement | None:
    """The standard element of `tag`, repeating groups (50xx, 60xx and others) included, or None."""
    elements, repeating = _tables()
    element = elements.get(tag)
    if element is None and not tag & 0x10000:
        for mask, group in repeating.items():
            if (element := group.get(tag & mask)) is not None:
                return element
    return element


def private_vr(creator: str, tag: int) -> str | None:
    """The VR of a private element that `creator` defines, several joined by `/`; None if it is not known (META-4)."""
    elements = _private_elements().get(creator)
    if elements is None:
        return None
    key = f"{tag:08X}"
    masks = (key, f"{key[:4]}xx{key[6:]}", f"{key[:2]}xxxx{key[6:]}")
    return next((elements[mask] for mask in masks if mask in elements), None)


def vr_of(tag: int) -> str | None:
    """The VR of a standard element; where the standard leaves a choice, all of them joined by `/` (`US/SS`)."""
    element = data_element(tag)
    return element[1] if element else None


def vm_of(tag: int) -> str | None:
    """The value multiplicity of a standard element, as the standard writes it: `1`, `2-2n`, `1-n`."""
    element = data_element(tag)
    return element[2] if element else None


def keyword_of(tag: int) -> str | None:
    """The keyword of a standard element. The elements of repeating groups share one."""
    element = data_element(tag)
    return (element[3] or None) if element else None


def tag_of(keyword: str) -> int | None:
    """The tag of a keyword, compared case-sensitively (QIDO-10). Keywords of repeating groups name no single tag."""
    return _keywords().get(keyword)
