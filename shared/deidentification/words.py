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
_NUMBER = re.compile(r"[^\w]*\d+(?:[.,]\d+)?[^\w]*")
_PARTS_OF_DATE = re.compile(r"\d+([-./:])\d+\1\d+")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile("|".join(_MONTHS))
_CODE = re.compile(r"[A-Z0-9_ ]{0,16}", re.ASCII)
_COMPARED = re.compile(r"[\W_]+")
_MOST_DIGITS, _LONGEST_RUN, _SHORT = 6, 3, 3
_SHORTEST_WORD: Final = 2
"""Letters: one alone is the initial of nobody in particular."""
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
        self._long_names = tuple(name for name in known.names if len(name) >= _LONG_NAME)
        self._identifiers = frozenset(_bare(each) for each in known.identifiers)
        self._long_identifiers = tuple(each for each in self._identifiers if len(each) >= _LONG_NAME)
        self._dates = frozenset(form for date in known.dates for form in _forms(date))

    def clean(self, text: str) -> Cleaned:
        """A text of which only harmless words stay."""
        return self._cleaned(text, all_words=True)

    def without_known(self, text: str) -> Cleaned:
        """A text that may say anything but who the subject is."""
        return self._cleaned(text, all_words=False)

    def code(self, text: str) -> Cleaned:
        """A CS value: a defined term, or made of harmless words; else nothing."""
        text = text.strip(" ")
        if text in defined_terms():
            return Cleaned(text, identified=False)
        if self.names(text):
            return Cleaned("", identified=True)
        harmless = _CODE.fullmatch(text) and all(_is_harmless(part) for part in re.split("[ _]", text))
        return Cleaned(text if harmless else "", identified=False)

    def is_identifier(self, text: str) -> bool:
        """Whether a whole number is an identifier or a date of the subject or study."""
        return _bare(text) in self._identifiers or text in self._dates

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

    def _cleaned(self, text: str, *, all_words: bool) -> Cleaned:
        chunks = _CHUNK.findall(text)
        named = [self.names(chunk) for chunk in chunks]
        gone = [one or (all_words and not _is_harmless(chunk)) for one, chunk in zip(named, chunks, strict=True)]
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
    return len(text) < _SHORTEST_WORD or text.lower() in words()


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
