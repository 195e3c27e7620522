"""PS3.15 §E.3.5 Texts cleaned by an allow-list: words of the standard stay, and what names nobody (DEID-5).

No list of names could ever be long enough, so none is used: what is not known to be harmless goes.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.deidentification.known_values import KnownValues
from shared.deidentification.tables import defined_terms, words
from shared.dicom.person_names import fold

GONE: Final = "***"
"""Stands for the words that were taken out, one or several."""

_CHUNK = re.compile(r"\S+")
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+")
_SPELT = re.compile(rb"[0-9A-Za-z]{4}")
"""Bytes that may be a word; those of few numbers are."""
_NUMBER = re.compile(r"[^\w]*\d+(?:[.,]\d+)?[^\w]*")
_PARTS_OF_DATE = re.compile(r"\d+([-./:])\d+\1\d+")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile("|".join(_MONTHS))
_CODE = re.compile(r"[A-Z0-9_ ]{0,16}", re.ASCII)
_CAMEL_CASE = re.compile("[A-Z][a-z]+")
_COMPARED = re.compile(r"[\W_]+")
_MOST_DIGITS, _LONGEST_RUN, _SHORT = 6, 3, 3
_SHORTEST_WORD: Final = 2
"""Letters: one alone is the initial of nobody in particular."""
_MOST_TEXT: Final = 4 * 1024**2
"""Characters of the texts of one data set that are looked at, each of them a few hundred times at most."""
_REPEATED, _MOST_SEEN = 64, 4096
"""Characters of a text, and texts, that are remembered: codes come again in every frame."""
_SHORTEST_NUMBER: Final = 6
"""Digits from which a number is compared with identifiers: a PatientID may well be 512, and so may Rows."""
_LONGEST_NUMBER: Final = 15
"""Digits of a number that is exact as a float."""
_LONG_NAME: Final = 4
"""Letters from which a name is also found inside of a word: `SMITHJ`."""


class Cleaned(NamedTuple):
    """A text after it was cleaned."""

    text: str
    """Without what was taken out; empty where nothing is left."""
    identified: bool
    """Whether something was taken out because it names the subject or the study."""


class Texts:
    """Cleans the texts of one data set."""

    def __init__(self, known: KnownValues) -> None:
        self._known = known
        self._left = 0 if known.too_many else _MOST_TEXT
        self._seen: dict[tuple[str, bool], Cleaned] = {}
        self._chunks: dict[str, tuple[bool, bool]] = {}
        self._long_names = tuple(name for name in known.names if len(name) >= _LONG_NAME)
        self._identifiers = frozenset(_bare(each) for each in known.identifiers)
        self._long_identifiers = tuple(each for each in self._identifiers if len(each) >= _LONG_NAME)
        self._dates = frozenset(form for date in known.dates for form in _forms(date))
        numbers = (each for each in self._identifiers | known.dates if len(each) >= _SHORTEST_NUMBER)
        self._spelt = (*self._long_names, *numbers)
        """Names and numbers that other numbers do not have in their bytes by chance."""

        digits = {
            each for each in self._identifiers | known.dates if each.isdecimal() and len(each) >= _SHORTEST_NUMBER
        }
        self.numbers = frozenset(float(each) for each in digits if len(each) <= _LONGEST_NUMBER)
        """The identifiers and dates that are numbers."""

    def clean(self, text: str) -> Cleaned:
        """A text of which only harmless words stay."""
        return self._cleaned(text, all_words=True)

    def without_known(self, text: str) -> Cleaned:
        """A text that may say anything but who the subject is."""
        return self._cleaned(text, all_words=False)

    def _cleaned(self, text: str, *, all_words: bool) -> Cleaned:
        """Of very much text nothing stays: the work on one data set is bounded."""
        key = (text, all_words)
        if len(text) <= _REPEATED and key in self._seen:
            return self._seen[key]
        self._left -= len(text)
        result = self._without(text, all_words=all_words) if self._left >= 0 else Cleaned("", identified=False)
        if len(text) <= _REPEATED and len(self._seen) < _MOST_SEEN:
            self._seen[key] = result
        return result

    def code(self, text: str) -> Cleaned:
        """A CS value: a defined term, or made of harmless words; else nothing."""
        text = text.strip(" ")
        if text in defined_terms():
            return Cleaned(text, identified=False)
        self._left -= len(text)
        if self._left < 0:
            return Cleaned("", identified=False)
        if self.names(text):
            return Cleaned("", identified=True)
        parts = re.split("[ _]", text)
        harmless = _CODE.fullmatch(text) and all(_is_harmless(part) or _is_short(part) for part in parts)
        return Cleaned(text if harmless else "", identified=False)

    def names(self, text: str) -> bool:
        """Whether a text, as a whole or with one of its words, names the subject or the study."""
        bare = _bare(text)
        if bare in self._identifiers or any(each in bare for each in self._long_identifiers):
            return True
        folded = fold(text)
        digits = _digits(folded) if self._dates else ""
        if any(date in digits for date in self._dates):
            return True
        found = _LETTERS.findall(folded)
        if not self._known.names.isdisjoint(found):
            return True
        return any(name in word for word in found for name in self._long_names if len(word) > len(name))

    def spelt(self, data: bytes) -> bool:
        """Whether the bytes of numbers are the letters of a name, or the characters of an identifier or a date."""
        if not _SPELT.search(data):
            return False
        self._left -= len(data)
        text = data.decode("latin-1").lower()
        return self._left < 0 or any(each in text for each in self._spelt)

    def _judged(self, chunk: str) -> tuple[bool, bool]:
        """Whether a chunk names somebody, and whether it is harmless."""
        known = self._chunks.get(chunk)
        if known is None:
            known = self.names(chunk), _is_harmless(chunk)
            if len(chunk) <= _REPEATED and len(self._chunks) < _MOST_SEEN:
                self._chunks[chunk] = known
        return known

    def _without(self, text: str, *, all_words: bool) -> Cleaned:
        chunks = _CHUNK.findall(text)
        judged = [self._judged(chunk) for chunk in chunks]
        named = [one for one, _ in judged]
        gone = [one or (all_words and not harmless) for one, harmless in judged]
        if all_words:
            _take_numbers_along(chunks, gone)
        identified = any(named)
        kept: list[str] = []
        for chunk, is_gone in zip(chunks, gone, strict=True):
            if not is_gone:
                kept.append(chunk)
            elif kept[-1:] != [GONE]:
                kept.append(GONE)
        left = " ".join(kept) if any(each != GONE for each in kept) else ""
        if self.names(left):
            return Cleaned("", identified=True)  # by several words together, such as a date in three
        return Cleaned(left if GONE in kept else text, identified)


def is_word(text: str) -> bool:
    """Whether letters without digits between them are a word that names nobody."""
    if len(text) < _SHORTEST_WORD or text.lower() in words():
        return True
    joined = _CAMEL_CASE.findall(text)
    return len(joined) > 1 and "".join(joined) == text and all(part.lower() in words() for part in joined)


def _is_short(part: str) -> bool:
    """Whether a part of a CS value is too short for a name: `HFS`, `OM`."""
    return len(part) <= _SHORT and part.isalpha()


def _is_harmless(chunk: str) -> bool:
    """Whether words, small numbers or what is made of both (`T2`, `B30f`, `5mm`) is all there is."""
    runs = _DIGITS.findall(chunk)
    if any(len(run) > _LONGEST_RUN for run in runs) or sum(map(len, runs)) > _MOST_DIGITS:
        return False
    if _PARTS_OF_DATE.search(chunk):
        return False
    return all(is_word(word) or (runs and len(word) <= _SHORT) for word in _LETTERS.findall(chunk))


def _digits(text: str) -> str:
    """The digits of a text in lower case, months by their number and days with two digits, as dates are compared."""
    numbered = _MONTH.sub(lambda found: f"{_MONTHS.index(found[0]) + 1:02}", text)
    return "".join(run.zfill(2) for run in _DIGITS.findall(numbered))


def _take_numbers_along(chunks: Sequence[str], gone: list[bool]) -> None:
    """Numbers beside each other, or beside what is gone, were parts of a date or a telephone number, and go too."""
    numbers = [bool(_NUMBER.fullmatch(chunk)) for chunk in chunks]
    for order in (range(len(chunks)), range(len(chunks) - 1, -1, -1)):
        for at in order:
            beside = (at - 1, at + 1)
            if numbers[at] and any(0 <= one < len(chunks) and (gone[one] or numbers[one]) for one in beside):
                gone[at] = True


def _bare(text: str) -> str:
    return _COMPARED.sub("", text.lower())


def _forms(date: str) -> tuple[str, ...]:
    """The ways in which a date of eight digits is written, punctuation aside."""
    year, month, day = date[:4], date[4:6], date[6:]
    return date, day + month + year, month + day + year, date[2:], day + month + year[2:], month + day + year[2:]
