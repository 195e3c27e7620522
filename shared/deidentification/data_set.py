"""PS3.15 §E.1.1 A data set de-identified element by element, at every level of nesting (DEID-2).

It is an allow-list: what neither Table E.1-1 nor a module of the SOP class names is left out, and of what is named a
value stays only if its VR and form cannot name anybody, or an option says so.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from shared.deidentification import codes, private_elements
from shared.deidentification.actions import Action, action, required
from shared.deidentification.bulk_lengths import entries_of_table
from shared.deidentification.dummies import Element, dummy
from shared.deidentification.key import Key
from shared.deidentification.profile import Option, Profile
from shared.deidentification.report import Deed, Report
from shared.deidentification.structured_content import CONTENT_SEQUENCE, Contents
from shared.deidentification.tables import Type, named_in
from shared.deidentification.temporal import capped_age, shifted
from shared.deidentification.words import Cleaned, Texts
from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import vm_of, vr_of
from shared.dicom.identifiers import is_uid
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS

_TEMPORAL: Final = frozenset({"DA", "TM", "DT"})
_TEXT: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_LONGEST: Final = {"LO": 64, "SH": 16}
_NUMBERS: Final = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_WORDS: Final = frozenset({"OD", "OF", "OL", "OV", "OW"})
_ICC_PROFILE: Final = "00282000"
"""It has texts of its own; without it colours are sRGB, more or less."""
_BYTES_THAT_STAY: Final = frozenset({"7FE00010", "54001010"})
"""PixelData and WaveformData: of all bytes without words these alone are the image."""
_GRAPHICS: Final = frozenset({"00700001"})
_DRAWN: Final = ("00700008", "00700009", "00700209")
"""TextObjectSequence, GraphicObjectSequence, CompoundGraphicSequence: what a graphic annotation draws."""
_CHARACTER_SET: Final = "00080005"


class DataSetCleaner:
    """De-identifies one data set; what it does is in its report."""

    def __init__(self, profile: Profile, key: Key, texts: Texts, days: int, report: Report) -> None:
        self._options = profile.options
        self._key = key
        self._texts = texts
        self._days = days
        self._report = report
        self._contents = Contents(self, report, whole=Option.STRUCTURE in profile.options)

    def level(self, attributes: Attributes, named: Mapping[str, Type]) -> Attributes:
        """The elements that stay of a data set or item, whose definition names `named`."""
        kept: Attributes = {}
        for key, element in attributes.items():
            if key == _CHARACTER_SET:
                continue  # of the file that is written, not of this one
            tag = int(key, 16)
            if tag & 0x10000:
                self._private(tag, element, attributes, kept)
                continue
            result = self._standard(key, element, attributes, named.get(key))
            if result is None:
                self._report.note(key, Deed.REMOVED)
            else:
                kept[key] = result
        return dict(sorted(kept.items()))

    def sequence(self, key: str, items: Sequence[Any]) -> Element:
        """A sequence with all its items."""
        named = named_in(key)
        return {"vr": "SQ", "Value": [self.level(item or {}, named) for item in items]}

    def least(self, key: str, vr: str, named: Type | None) -> Element | None:
        """The least that has to be left of an element whose value may not stay; None: nothing."""
        return self._reduced(required(named), key, vr)

    def temporal(self, vr: str, values: Sequence[Any]) -> list[str | None] | None:
        """Dates and times, moved; None where they may not stay at all."""
        if Option.DATES not in self._options:
            return None
        moved = [None if value is None else shifted(vr, str(value), self._days) for value in values]
        return moved if any(moved) else None

    def _standard(self, key: str, element: Element, level: Attributes, named: Type | None) -> Element | None:
        todo = action(key, named, self._options)
        known_vrs = (vr_of(int(key, 16)) or "").split("/")
        vr = element["vr"]
        if vr not in known_vrs and not (vr in _TEXT and known_vrs[0] in _TEXT):
            # What is not of the VR that the attribute has is not what its name says.
            return None if todo is Action.REMOVE else self._reduced(required(named), key, known_vrs[0])
        if todo in {Action.REMOVE, Action.EMPTY, Action.DUMMY}:
            if todo is Action.DUMMY and key == CONTENT_SEQUENCE:
                return self._contents.tree(element)
            if todo is Action.DUMMY and key in _GRAPHICS:
                return self._undrawn(key, element)
            return self._reduced(todo, key, vr)
        if not element.get("Value") and "BulkDataURI" not in element:
            return {"vr": vr}
        if todo is Action.MAP:
            return self._uids(key, element) if vr == "UI" else self.sequence(key, element["Value"])
        return self._valued(key, vr, element, level, named, todo)

    def _valued(  # noqa: PLR0917 - what is known of one element
        self, key: str, vr: str, element: Element, level: Attributes, named: Type | None, todo: Action
    ) -> Element | None:
        values: Sequence[Any] = element.get("Value", ())
        if vr == "SQ":
            return self._contents.tree(element) if key == CONTENT_SEQUENCE else self.sequence(key, values)
        if vr == "UI":
            retained = todo is Action.RETAIN and all(self._is_of_nobody(str(value)) for value in values)
            return _copy(element) if retained else self._uids(key, element)
        if vr in _TEMPORAL:
            moved = self.temporal(vr, values)
            if moved is not None:
                self._report.note(key, Deed.REPLACED)
                return {"vr": vr, "Value": moved}
        elif vr in _NUMBERS or vr in {"DS", "IS"}:
            return self._numbers(key, vr, values, level, named)
        elif vr == "CS":
            return self._coded(key, values, named)
        elif vr == "AS" and todo is Action.RETAIN:
            return self._ages(key, values, named)
        elif vr in _TEXT:
            return self._text(key, vr, values, level, named, todo)
        elif key == _ICC_PROFILE:
            return None
        elif vr in _WORDS or key in _BYTES_THAT_STAY:
            return _copy(element)
        elif vr == "AE" and todo is Action.RETAIN:
            return self._text(key, vr, values, level, named, todo)
        return self._reduced(required(named), key, vr)

    def _private(self, tag: int, element: Element, level: Attributes, kept: Attributes) -> None:
        key = f"{tag:08X}"
        creator = private_elements.creator_of(tag, level) if Option.PRIVATE in self._options else None
        if creator is not None and element["vr"] in private_elements.SAFE_VRS and element.get("Value"):
            spelt = element["vr"] in _NUMBERS and private_elements.may_spell(_bytes(element["vr"], element["Value"]))
            result = None if spelt else self._valued(key, element["vr"], element, level, None, Action.JUDGE)
            if result is not None:
                kept[creator] = {"vr": "LO", "Value": list(level[creator]["Value"][:1])}
                kept[key] = result
                return
        if tag & 0xFF00:
            self._report.note(key, Deed.REMOVED)

    def _reduced(self, todo: Action, key: str, vr: str) -> Element | None:
        if todo is Action.REMOVE:
            return None
        self._report.note(key, Deed.EMPTIED if todo is Action.EMPTY else Deed.REPLACED)
        return {"vr": vr} if todo is Action.EMPTY else dummy(key, vr)

    def _is_of_nobody(self, uid: str) -> bool:
        return is_uid(uid) and not self._texts.names(uid)

    def _uids(self, key: str, element: Element) -> Element:
        values = [None if value is None else self._key.uid(str(value)) for value in element["Value"]]
        if values != element["Value"]:
            self._report.note(key, Deed.REPLACED)
        return {"vr": "UI", "Value": values}

    def _numbers(
        self, key: str, vr: str, values: Sequence[Any], level: Attributes, named: Type | None
    ) -> Element | None:
        entries = entries_of_table(level, key)
        if vr in _NUMBERS and len(values) > (_most_values(int(key, 16)) if entries is None else entries):
            return self.least(key, vr, named)  # whoever has more of them than there may be wrote a text with them
        texts = vr in {"DS", "IS"} and any(isinstance(value, str) for value in values)
        spelt = vr in _NUMBERS and self._texts.spelt(_bytes(vr, values))
        if not texts and not spelt and self._texts.numbers.isdisjoint(values):
            return {"vr": vr, "Value": list(values)}
        if vr in _NUMBERS:
            self._report.note(key, Deed.IDENTIFIED)
            return self.least(key, vr, named)
        kept = [None if isinstance(value, str) or value in self._texts.numbers else value for value in values]
        self._report.note(key, Deed.IDENTIFIED)
        return {"vr": vr, "Value": kept} if any(each is not None for each in kept) else self.least(key, vr, named)

    def _coded(self, key: str, values: Sequence[Any], named: Type | None) -> Element | None:
        cleaned = [Cleaned("", identified=False) if value is None else self._texts.code(str(value)) for value in values]
        return self._result(key, "CS", values, cleaned, named)

    def _ages(self, key: str, values: Sequence[Any], named: Type | None) -> Element | None:
        capped = [Cleaned(capped_age(str(value)) or "", identified=False) for value in values]
        return self._result(key, "AS", values, capped, named)

    def _text(  # noqa: PLR0917 - what is known of one element
        self, key: str, vr: str, values: Sequence[Any], level: Attributes, named: Type | None, todo: Action
    ) -> Element | None:
        if key in {codes.CODE_VALUE, codes.LONG_CODE_VALUE, codes.SCHEME}:
            cleaned = [self._code(key, str(value or ""), level) for value in values]
        else:
            clean = self._texts.without_known if todo is Action.RETAIN else self._texts.clean
            cleaned = [clean(str(value or "")) for value in values]
        return self._result(key, vr, values, cleaned, named)

    def _code(self, key: str, value: str, item: Attributes) -> Cleaned:
        if self._texts.names(value):
            return Cleaned("", identified=True)
        fits = codes.is_known_scheme(value.strip(" ")) if key == codes.SCHEME else codes.is_code(value, item)
        return Cleaned(value, identified=False) if fits else self._texts.clean(value)

    def _result(
        self, key: str, vr: str, values: Sequence[Any], cleaned: Sequence[Cleaned], named: Type | None
    ) -> Element | None:
        texts = [each.text[: _LONGEST.get(vr)] for each in cleaned]
        if texts == [value or "" for value in values]:
            return {"vr": vr, "Value": list(values)}
        self._report.note(key, Deed.IDENTIFIED if any(each.identified for each in cleaned) else Deed.CLEANED)
        if not any(texts):
            return self.least(key, vr, named)
        return {"vr": vr, "Value": [text or None for text in texts]}

    def _undrawn(self, key: str, element: Element) -> Element:
        """Graphic annotations that still say which images they are on, and draw nothing."""
        named = named_in(key)
        items = [
            self.level({tag: one for tag, one in (item or {}).items() if tag not in _DRAWN}, named)
            for item in element.get("Value", ())
        ]
        self._report.note(key, Deed.REPLACED)
        return {"vr": "SQ", "Value": items}


@cache
def _most_values(tag: int) -> float:
    """The values that an element of numbers may have at most (PS3.6)."""
    most = (vm_of(tag) or "n").rpartition("-")[2]
    return int(most) if most.isdecimal() else math.inf


def _bytes(vr: str, values: Sequence[Any]) -> bytes:
    """The bytes that numbers have in a file."""
    if vr == "AT":
        return b"".join(bytes.fromhex(str(each))[half : half + 2][::-1] for each in values for half in (0, 2))
    numbers = [each for each in values if isinstance(each, int | float)]
    return struct.pack(f"<{len(numbers)}{VALUE_REPRESENTATIONS[vr].code}", *numbers)


def _copy(element: Element) -> Element:
    """An element of its own, so that the source can be freed, or changed, without it."""
    return {name: list(value) if isinstance(value, list) else value for name, value in element.items()}
