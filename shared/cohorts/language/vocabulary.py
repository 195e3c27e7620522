"""The words of a language: the tables of `words/`, by category (NL-8, NL-12). Pure."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from shared.cohorts.folding import fold

_WORDS: Final = Path(__file__).parent / "words"
LANGUAGES: Final = ("en", "de", "fr", "es", "pt")
"""In the order in which they are preferred."""

type Categories = Mapping[str, str]
"""The categories of a phrase, each with what the phrase says in it."""

MODALITY_CODES: Final = frozenset(
    {
        "AR",
        "ASMT",
        "AU",
        "BDUS",
        "BI",
        "BMD",
        "CFM",
        "CR",
        "CT",
        "DMS",
        "DX",
        "ECG",
        "EEG",
        "EMG",
        "EOG",
        "EPS",
        "ES",
        "GM",
        "HC",
        "HD",
        "IO",
        "IOL",
        "IVOCT",
        "IVUS",
        "KER",
        "KO",
        "LEN",
        "LS",
        "MG",
        "MR",
        "NM",
        "OAM",
        "OCT",
        "OP",
        "OPM",
        "OPT",
        "OPTBSV",
        "OPTENF",
        "OPV",
        "OSS",
        "OT",
        "PA",
        "PLAN",
        "POS",
        "PR",
        "PT",
        "PX",
        "REG",
        "RESP",
        "RF",
        "RG",
        "RTDOSE",
        "RTIMAGE",
        "RTPLAN",
        "RTRECORD",
        "RTSTRUCT",
        "SEG",
        "SM",
        "SMR",
        "SR",
        "SRF",
        "TG",
        "US",
        "VA",
        "XA",
        "XC",
    }
)
"""PS3.3 §C.7.3.1.1.1: a code names itself where it is written in capitals."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The keywords of one language."""

    language: str
    day_first: bool
    """The meaning of 3/4/2024: 3 April; else both readings are possible."""
    phrases: Mapping[tuple[str, ...], Categories]
    longest: int
    months: Mapping[str, int]
    starts: frozenset[str]
    """The words that phrases are made of, for telling languages apart."""

    def lookup(self, words: tuple[str, ...]) -> Categories | None:
        """The categories of a phrase."""
        return self.phrases.get(words)


def phrase_words(text: str) -> tuple[str, ...]:
    """A phrase as the lexer sees it: folded words, or one symbol."""
    return tuple(fold(text).split()) or (text.strip(),)


def _phrases(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Category, value and phrase of each entry."""
    for category, table in document.items():
        if isinstance(table, dict):
            for value, phrases in table.items():
                for phrase in phrases:
                    yield category, "" if value == "words" else value, phrase


@cache
def vocabulary(language: str) -> Vocabulary:
    """The vocabulary of a language of LANGUAGES."""
    document = tomllib.loads((_WORDS / f"{language}.toml").read_text("utf-8"))
    phrases: dict[tuple[str, ...], dict[str, str]] = {}
    for category, value, phrase in _phrases(document):
        phrases.setdefault(phrase_words(phrase), {})[category] = value
    months = {fold(name): int(number) for number, names in document["month"].items() for name in names}
    words = frozenset(word for phrase in phrases for word in phrase if re.search(r"\w", word))
    longest = max(map(len, phrases))
    return Vocabulary(language, document["day_first"], phrases, longest, months, words)
