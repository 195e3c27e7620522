"""PS3.15 §E.3 (D) Values that mean nothing, for attributes that must have one (PS3.5 §7.4.1)."""

from typing import Any, Final

from shared.deidentification.tables import named_in
from shared.dicom.dictionary import vr_of

type Element = dict[str, Any]

TEXT: Final = "REMOVED"

_VALUES: Final[dict[str, Any]] = {
    "AS": "000Y",
    "AT": "00000000",
    "DA": "19000101",
    "DT": "19000101000000",
    "PN": {"Alphabetic": TEXT},
    "TM": "000000",
    "UI": "2.25.0",
    "UR": "urn:removed",
}
_NUMBERS: Final = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NO_BYTES: Final = "AAAAAAAAAAA="
"""Eight zeros: a whole number of the longest words."""
_DEEPEST: Final = 4
"""Of sequences in a dummy: those that must be in each other are codes, as a rule."""


def dummy(key: str, vr: str) -> Element:
    """An element with a value that means nothing; of a sequence one item with what it must have."""
    return _dummy(key, vr, _DEEPEST)


def _dummy(key: str, vr: str, depth: int) -> Element:
    if vr == "SQ":
        return {"vr": vr, "Value": [_item(key, depth)]}
    if vr in _BYTES:
        return {"vr": vr, "InlineBinary": _NO_BYTES}
    return {"vr": vr, "Value": [0 if vr in _NUMBERS else _VALUES.get(vr, TEXT)]}


def _item(sequence: str, depth: int) -> dict[str, Element]:
    item: dict[str, Element] = {}
    for key, kind in named_in(sequence).items():
        vr = (vr_of(int(key, 16)) or "").partition("/")[0]
        if kind == "3" or not vr or key in _OTHER_FORMS or (vr == "SQ" and not depth):
            continue
        item[key] = _dummy(key, vr, depth - 1) if kind == "1" else {"vr": vr}
    return item


_OTHER_FORMS: Final = frozenset(
    {"00080119", "00080120", "00080121", "00080122", "00080103", "0008010D", "00080106", "00080107"}
)
"""Elements of a code that may stand beside its short value, or are of its context group."""
