"""PS3.15 Table E.1-1 and what PS3.3 names, from the files in `tables`.

`scripts/generate-confidentiality-tables` writes these, but for `our_*`. Keys are tags of eight hexadecimal digits, as
in the DICOM JSON model.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, cast

type Type = Literal["1", "2", "3"]
"""Whether an attribute must have a value, must be there, or may be absent (PS3.5 §7.4). Of several the strictest one,
and a conditional one as if its condition were met: a dummy too many does no harm.
"""

_TABLES = Path(__file__).parent / "tables"

_PIXEL_DATA, _NUMBER_OF_FRAMES = "7FE00010", "00280008"
"""Frames are counted also where a class allows but one: without their number, nobody could find them."""

_SUCCESSORS = {
    "1.2.840.10008.5.1.4.1.1.3": "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.5": "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.6": "1.2.840.10008.5.1.4.1.1.6.1",
}
"""Retired SOP classes of which archives are full, and what PS3.4 has put in their place."""


class Row(NamedTuple):
    """A row of Table E.1-1."""

    basic: str
    """The action of the basic profile: D, Z, X, U, or several of them with `/` in between."""
    options: Mapping[str, str]
    """K or C by the column of an option: dates, patient, device, descriptors, graphics, structure."""


def row(key: str) -> Row | None:
    """The row of an attribute; None where the table has none. Those of repeating groups are not looked up."""
    return _rows().get(key)


@cache
def named(sop_class: str) -> Mapping[str, Type] | None:
    """The attributes outside of sequences that the modules of a SOP class name; None where nobody knows the class, or
    what one of its modules has.
    """
    modules = _sop_classes().get(_SUCCESSORS.get(sop_class, sop_class))
    if modules is None or not _modules().keys() >= set(modules):
        return None
    attributes: dict[str, Type] = {}
    for module in modules:
        for key, kind in _modules()[module].items():
            attributes[key] = min(attributes.get(key, kind), kind)
    if _PIXEL_DATA in attributes:
        attributes.setdefault(_NUMBER_OF_FRAMES, "3")
    return attributes


def named_in(sequence: str) -> Mapping[str, Type]:
    """The attributes that any module names in the items of a sequence."""
    return _sequences().get(sequence, {})


@cache
def standard_uids() -> frozenset[str]:
    """The UIDs that the standard assigns (PS3.6 Annex A)."""
    return frozenset(_lines("uids.txt"))


@cache
def defined_terms() -> frozenset[str]:
    """The defined terms and enumerated values of coded strings (PS3.3), also those that it lists outside of tables."""
    return frozenset(_lines("defined_terms.txt")) | frozenset(_lines("our_terms.txt"))


@cache
def words() -> frozenset[str]:
    """Words that name nobody, in lower case: of meanings of codes, names of attributes and terms, and some more;
    without those that are frequent names, too, and without months, which make a date of the numbers beside them.
    """
    known = frozenset(_lines("words.txt")) | frozenset(_lines("our_words.txt"))
    return known - frozenset(_lines("our_names.txt"))


@cache
def coding_schemes() -> frozenset[str]:
    """The designators of coding schemes that PS3.16 §8 lists and images have codes of."""
    return frozenset(_lines("our_coding_schemes.txt"))


@cache
def _rows() -> Mapping[str, Row]:
    rows: dict[str, Row] = {}
    for line in _lines("confidentiality_profile.tsv"):
        key, basic, options = line.split("\t")
        rows[key] = Row(basic, dict(option.split("=") for option in options.split()))
    return rows


@cache
def _sop_classes() -> Mapping[str, list[str]]:
    pairs = (line.split("\t") for line in _lines("sop_classes.tsv"))
    return {uid: modules.split() for uid, modules in pairs}


@cache
def _modules() -> Mapping[str, Mapping[str, Type]]:
    return _typed("module_attributes.tsv")


@cache
def _sequences() -> Mapping[str, Mapping[str, Type]]:
    return _typed("sequence_attributes.tsv")


def _typed(name: str) -> Mapping[str, Mapping[str, Type]]:
    pairs = (line.split("\t") for line in _lines(name))
    return {
        key: {tag: cast("Type", kind) for tag, kind in (each.split(":") for each in attributes.split())}
        for key, attributes in pairs
    }


def _lines(name: str) -> list[str]:
    return (_TABLES / name).read_text("utf-8").splitlines()
