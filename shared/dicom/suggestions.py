"""Which attribute a misspelt keyword most likely means, for the texts of refusals (PS3.6; QIDO-11, D-27).

The cost of a suggestion does not depend on the client: long names get none, and of the thousands of keywords only a
case-insensitive spelling or one that is a single edit away is looked up; the few `usual` ones are compared as a whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from string import ascii_lowercase, digits
from typing import Final

from shared.dicom.dictionary import data_elements

_LONGEST: Final = 64
"""Characters of a name that is looked at: no keyword is longer than that by more than a few."""
_LIKENESS: Final = 0.8
"""Of names that are compared as a whole: `PatientFullName` is like `PatientName`, `Patient` is not."""
_LETTERS: Final = ascii_lowercase + digits


@cache
def _by_lower_case() -> Mapping[str, str]:
    return {keyword.lower(): keyword for _, _, _, keyword in data_elements().values() if keyword}


def same_but_for_case(name: str) -> str | None:
    """The keyword that `name` is in another case, or None."""
    return _by_lower_case().get(name.lower())


def most_like(name: str, keywords: Iterable[str]) -> str | None:
    """The one of a few `keywords` that `name` is most like, whatever the case, or None if it is like none."""
    preferred = {keyword.lower(): keyword for keyword in keywords}
    close = get_close_matches(name.lower(), preferred, n=1, cutoff=_LIKENESS) if len(name) <= _LONGEST else []
    return preferred[close[0]] if close else None


def nearest_keyword(name: str, usual: Iterable[str]) -> str | None:
    """The keyword that `name` is most like, or None if it is like none. `usual` keywords come first."""
    if not name or len(name) > _LONGEST:
        return None
    if known := same_but_for_case(name) or most_like(name, usual):
        return known
    keywords = _by_lower_case()
    return next((keywords[text] for text in _one_edit_away(name.lower()) if text in keywords), None)


def _one_edit_away(text: str) -> Iterator[str]:
    """Every text that differs from `text` in one letter: left out, doubled, replaced, or changed with its neighbour."""
    for place in range(len(text) + 1):
        head, tail = text[:place], text[place:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in _LETTERS:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]
