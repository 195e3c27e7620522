"""PS3.4 Table CC.2.5-3 The attributes that searches of the worklist match, with their lists (WQ-10, WQ-11). Pure.

One more attribute is one more line, with codes that no other has ever had; workitems that are stored before lack it in
their lists until they are written again, so a line that comes later needs a re-index beside it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.date_times import period
from shared.dicom.elements import items, values
from shared.dicom.identifiers import is_uid
from shared.index_schema.attribute_extraction import indexed_text
from shared.index_schema.postings import is_date
from shared.workitems.requirements import InvalidWorkitem, shown
from shared.workitems.workitem import SOP_INSTANCE_UID


@dataclass(frozen=True, slots=True)
class SearchKey:
    """An attribute that searches match."""

    path: str
    """Tags of 8 upper-case hex digits, joined by dots; of a sequence every item counts."""
    vr: str
    codes: tuple[str, ...] = ()
    """Its lists; none: it names workitems directly, or is a key beside a more selective one, of which workitems would
    have a row for nothing.
    """
    rank: int = 3
    """How selective it is; 0 is the most selective."""


def _code(sequence: str, code: str, long_code: str, urn: str) -> tuple[SearchKey, ...]:
    """The attributes of a code sequence that name the code, with the lists of each."""
    return (
        SearchKey(f"{sequence}.00080100", "SH", (code,)),
        SearchKey(f"{sequence}.00080102", "SH"),
        SearchKey(f"{sequence}.00080119", "UC", (long_code,)),
        SearchKey(f"{sequence}.00080120", "UR", (urn,)),
    )


def _designator(sequence: str, local: str, universal: str, universal_type: str) -> tuple[SearchKey, ...]:
    """The attributes of an issuer (HL7v2 hierarchic designator), with the lists of each."""
    return (
        SearchKey(f"{sequence}.00400031", "UT", (local,), 4),
        SearchKey(f"{sequence}.00400032", "UT", (universal,), 4),
        SearchKey(f"{sequence}.00400033", "CS", (universal_type,), 5),
    )


PATIENT_ID: Final = "00100020"
KEYS: Final[Mapping[str, SearchKey]] = {
    key.path: key
    for key in (
        SearchKey(SOP_INSTANCE_UID, "UI"),
        SearchKey("00100010", "PN", ("pn", "pt", "pe"), 2),
        SearchKey(PATIENT_ID, "LO", ("pi",), 1),
        SearchKey("00100021", "LO", ("is",), 4),
        SearchKey("00100024.00400032", "UT", ("iu",), 4),
        SearchKey("00100024.00400033", "CS", ("it",), 5),
        SearchKey("00100030", "DA", ("bd",)),
        SearchKey("00100040", "CS", ("sx",), 4),
        SearchKey("0020000D", "UI", ("su",), 1),
        SearchKey("00380010", "LO", ("ai",), 1),
        *_designator("00380014", "al", "au", "at"),
        SearchKey("00404005", "DT", ("ss",)),
        SearchKey("00404008", "DT", ("ex",)),
        SearchKey("00404010", "DT", ("md",)),
        SearchKey("00404011", "DT", ("ec",)),
        *_code("00404018", "wc", "wx", "wu"),
        *_code("00404025", "sn", "nx", "nu"),
        *_code("00404026", "sc", "cx", "cu"),
        *_code("00404027", "sg", "gx", "gu"),
        *_code("00404034.00404009", "hc", "hx", "hu"),
        SearchKey("00404034.00404036", "LO", ("ho",)),
        SearchKey("00404034.00404037", "PN", ("hn", "ht", "he"), 2),
        SearchKey("00404041", "CS", ("ir",), 4),
        SearchKey("0040A370.00080050", "SH", ("an",), 1),
        *_designator("0040A370.00080051", "rl", "ru", "rt"),
        SearchKey("0040A370.0020000D", "UI", ("rs",), 1),
        SearchKey("0040A370.00321033", "LO", ("rv",)),
        SearchKey("0040A370.00401001", "SH", ("rp",), 1),
        SearchKey("00741000", "CS", ("ps",)),
        SearchKey("00741200", "CS", ("pr",), 4),
        SearchKey("00741202", "LO", ("wl",), 4),
        SearchKey("00741204", "LO", ("pl",)),
        SearchKey("00741224.00081150", "UI"),
        SearchKey("00741224.00081155", "UI", ("ri",), 1),
    )
}
"""By path."""

type _Tree = dict[str, "_Tree"]


def _tree(paths: Iterable[str]) -> _Tree:
    found: _Tree = {}
    for path in paths:
        place = found
        for tag in path.split("."):
            place = place.setdefault(tag, {})
    return found


_TREE: Final = _tree(KEYS)
"""Their tags, each with those within it."""
_PATHS: Final = {tag: tuple(path for path in KEYS if path.startswith(tag)) for tag in _TREE}
"""The paths within each tag of the top level."""


def texts(attributes: Mapping[str, Any], path: str) -> list[str]:
    """The values of an attribute as DICOM text: the first one of a data set, of a sequence that of each item."""
    tag, _, nested = path.partition(".")
    if nested:
        return [text for item in items(attributes, tag) for text in texts(item, nested)]
    text = indexed_text(attributes, tag)
    return [] if text is None else [text]


def texts_by_path(attributes: Mapping[str, Any]) -> dict[str, list[str]]:
    """The values of every attribute that searches match and that has some."""
    return {
        path: found
        for tag, paths in _PATHS.items()
        if values(attributes, tag)
        for path in paths
        if (found := texts(attributes, path))
    }


def searched(attributes: Mapping[str, Any]) -> Attributes:
    """The part of a data set that searches match: of each element the first value, of a sequence every item."""
    return _part(attributes, _TREE)


def tags() -> Iterable[str]:
    """The attributes of the top level that searches match, or match something in."""
    return _TREE


def _part(attributes: Mapping[str, Any], tree: _Tree) -> Attributes:
    found: Attributes = {}
    for tag, nested in tree.items():
        if present := values(attributes, tag):
            kept = [_part(item, nested) for item in items(attributes, tag)] if nested else [present[0]]
            found[tag] = {"vr": attributes[tag].get("vr", ""), "Value": kept}
    return found


def check(attributes: Mapping[str, Any]) -> None:
    """Refuse values that could not be matched by their VR (WC-26). Raises InvalidWorkitem, which names the tag."""
    for path, found in texts_by_path(attributes).items():
        vr = KEYS[path].vr
        fits = _FITS.get(vr)
        if fits is not None and not all(fits(text.strip(" \0")) for text in found):
            tag = shown(path.rpartition(".")[2])
            raise InvalidWorkitem(f"The value of the attribute with tag '{tag}' is not one of VR {vr}.")


_FITS: Final[Mapping[str, Callable[[str], bool]]] = {
    "DA": is_date,
    "DT": lambda text: period("DT", text, stored=True) is not None,
    "UI": is_uid,
}
"""The checks of values that are matched, by their VR."""
