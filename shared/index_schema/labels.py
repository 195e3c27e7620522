"""Labels of studies: what one may be, how two compare, and their postings (exchange §5). Pure."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from shared.index_schema import keys
from shared.index_schema.postings import Postings, tail

CODE: Final = "lb"
"""The code of the lists of studies by label."""
MOST: Final = 50
"""Labels of one study: they fit one property of a row, and one transaction of postings."""
LONGEST: Final = 64
_PUNCTUATION: Final = frozenset(" -_.:")


def normal(label: str) -> str:
    """A label as it is kept: trimmed, composed characters."""
    return unicodedata.normalize("NFC", label).strip(" ")


def is_label(label: str) -> bool:
    """Whether a normal text may be a label (SEL-2)."""
    return 1 <= len(label) <= LONGEST and all(map(is_character, label))


def is_character(character: str) -> bool:
    """Whether labels may have that character."""
    return character in _PUNCTUATION or character.isalpha() or character.isdecimal()


def folded(label: str) -> str:
    """A label as it is compared: without case."""
    return label.casefold()


def joined(labels: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Labels and those of `more` that are not among them; of two that are equal the first spelling stays."""
    found: dict[str, str] = {}
    for label in (*labels, *more):
        found.setdefault(folded(label), label)
    return tuple(found.values())


def without(labels: Iterable[str], gone: Iterable[str]) -> tuple[str, ...]:
    """Labels but those of `gone`."""
    names = set(map(folded, gone))
    return tuple(label for label in labels if folded(label) not in names)


def label_postings(sort_key: str, study: str, labels: Sequence[str]) -> Postings:
    """The postings of a study that has these labels."""
    return {
        f"{CODE}!{keys.encode(label)}!{tail(sort_key)}": {"study": study, "label": label} for label in reversed(labels)
    }
