"""PS3.4 Table CC.2.5-3 The attributes that searches of the worklist match, with their lists (WQ-10, WQ-11). Pure.

One more attribute is one more line, with codes that no other has ever had; workitems that are stored before lack it in
their lists until they are written again, so a line that comes later needs a re-index beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.dicom.date_times import period
from shared.dicom.elements import items
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
    codes: tuple[str, ...]
    """Its lists; none: it names workitems directly."""
    rank: int = 3
    """How selective it is; 0 is the most selective."""


PATIENT_ID: Final = "00100020"
KEYS: Final[Mapping[str, SearchKey]] = {
    key.path: key
    for key in (
        SearchKey(SOP_INSTANCE_UID, "UI", ()),
        SearchKey("00100010", "PN", ("pn", "pt", "pe"), 2),
        SearchKey(PATIENT_ID, "LO", ("pi",), 1),
        SearchKey("00100021", "LO", ("is",), 4),
        SearchKey("00100030", "DA", ("bd",)),
        SearchKey("00100040", "CS", ("sx",), 4),
        SearchKey("0020000D", "UI", ("su",), 1),
        SearchKey("00380010", "LO", ("ai",), 1),
        SearchKey("00404005", "DT", ("ss",)),
        SearchKey("00404008", "DT", ("ex",)),
        SearchKey("00404010", "DT", ("md",)),
        SearchKey("00404011", "DT", ("ec",)),
        SearchKey("00404018.00080100", "SH", ("wc",)),
        SearchKey("00404025.00080100", "SH", ("sn",)),
        SearchKey("00404026.00080100", "SH", ("sc",)),
        SearchKey("00404027.00080100", "SH", ("sg",)),
        SearchKey("00404034.00404009.00080100", "SH", ("hc",)),
        SearchKey("00404034.00404036", "LO", ("ho",)),
        SearchKey("00404034.00404037", "PN", ("hn", "ht", "he"), 2),
        SearchKey("00404041", "CS", ("ir",), 4),
        SearchKey("0040A370.00080050", "SH", ("an",), 1),
        SearchKey("0040A370.0020000D", "UI", ("rs",), 1),
        SearchKey("0040A370.00321033", "LO", ("rv",)),
        SearchKey("0040A370.00401001", "SH", ("rp",), 1),
        SearchKey("00741000", "CS", ("ps",)),
        SearchKey("00741200", "CS", ("pr",), 4),
        SearchKey("00741202", "LO", ("wl",), 4),
        SearchKey("00741204", "LO", ("pl",)),
        SearchKey("00741224.00081155", "UI", ("ri",), 1),
    )
}
"""By path."""


def texts(attributes: Mapping[str, Any], path: str) -> list[str]:
    """The values of an attribute as DICOM text: the first one of a data set, of a sequence that of each item."""
    tag, _, nested = path.partition(".")
    if nested:
        return [text for item in items(attributes, tag) for text in texts(item, nested)]
    text = indexed_text(attributes, tag)
    return [] if text is None else [text]


def values(attributes: Mapping[str, Any]) -> Iterator[tuple[SearchKey, str]]:
    """Every value that searches match."""
    for key in KEYS.values():
        for text in dict.fromkeys(texts(attributes, key.path)):
            yield key, text


def check(attributes: Mapping[str, Any]) -> None:
    """Refuse values that could not be matched by their VR (WC-26). Raises InvalidWorkitem, which names the tag."""
    for key, text in values(attributes):
        bare = text.strip(" \0")
        fits = {
            "DA": lambda bare=bare: is_date(bare),
            "DT": lambda bare=bare: period("DT", bare, stored=True) is not None,
            "UI": lambda bare=bare: is_uid(bare),
        }.get(key.vr)
        if fits is not None and not fits():
            tag = shown(key.path.rpartition(".")[2])
            raise InvalidWorkitem(f"The value of the attribute with tag '{tag}' is not one of VR {key.vr}.")
