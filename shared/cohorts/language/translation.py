"""A question translated into a definition, or refused with the words that were not understood (cohorts §8.7). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from shared.cohorts.definition.canonical import definition_hash
from shared.cohorts.definition.model import CohortDefinition
from shared.cohorts.definition.reading import InvalidDefinition, read_definition
from shared.cohorts.language.assembly import assemble
from shared.cohorts.language.attachment import attach
from shared.cohorts.language.choices import Choices, every_reading
from shared.cohorts.language.dictionary import Dictionary
from shared.cohorts.language.lexemes import Lexeme, lexemes, tokens
from shared.cohorts.language.notes import notes_of
from shared.cohorts.language.parts import Reason
from shared.cohorts.language.reading import Reading
from shared.cohorts.language.sentence import sentence
from shared.cohorts.language.vocabulary import LANGUAGES, Vocabulary, vocabulary

LONGEST_QUESTION: Final = 2000
"""Characters (NL-10)."""
_KNOWN_SHARE: Final = 0.34
"""The share of words, beside terms and numbers, that a language must know of a question to be its language."""
_BARRING: Final = frozenset({"negation", "alternative", "language"})
"""Reasons with which no definition is offered (NL-11)."""

type Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Words that are not covered."""

    text: str
    start: int
    end: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Understood:
    """One reading of a question."""

    definition: Document
    hash: str
    sentence: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Translation:
    """The meaning of a question."""

    readings: tuple[Understood, ...] = ()
    """One; more where the question has several meanings; none where nothing was understood or must be refused."""
    spans: tuple[tuple[int, int, str], ...] = ()
    """Start, end and member."""
    unmatched: tuple[Unmatched, ...] = ()


@dataclass(slots=True)
class _Read:
    definition: Document
    paths: list[tuple[set[int], str]]
    refused: dict[int, Reason]
    notes: list[str] = field(default_factory=list)


def translate(text: str, dictionary: Dictionary, *, today: date, as_of: str | None = None) -> Translation:
    """The meaning of a question. `as_of`: the day that the request names; a day that the question names wins."""
    words = _language(text, dictionary)
    if words is None:
        return Translation(unmatched=(Unmatched(text, 0, len(text), "language"),))
    cut = lexemes(text, words, dictionary)
    day = date.fromisoformat(as_of) if as_of else today
    reads = list(every_reading(lambda choices: _read(cut, choices, day, as_of)))
    whole = [each for each in reads if not each.refused]
    best = whole or reads[:1]
    if not whole:
        return _refusal(text, cut, best[0], dictionary)
    understood = _distinct(whole, dictionary)
    if not understood:
        return Translation(unmatched=(Unmatched(text, 0, len(text), "unknown"),))
    return Translation(tuple(understood), _spans(cut, best[0].paths))


# ------------------------------------------------------------------------------------------------------------- inside


def _language(text: str, dictionary: Dictionary) -> Vocabulary | None:
    """The language of a question; None where no vocabulary knows enough of it."""
    words = [each.word for each in tokens(text) if each.word[0].isalpha()]
    best: tuple[float, Vocabulary] | None = None
    for language in LANGUAGES:
        known = vocabulary(language)
        counted = [
            word for word in words if not dictionary.meanings(word) and word not in known.months and not word.isdigit()
        ]
        share = sum(word in known.starts for word in counted) / len(counted) if counted else 1.0
        if best is None or share > best[0]:
            best = (share, known)
    return best[1] if best and best[0] >= _KNOWN_SHARE and words else None


def _read(cut: list[Lexeme], choices: Choices, day: date, as_of: str | None) -> _Read:
    reading = Reading(cut, choices, day)
    reading.run()
    attach(reading)
    assembled = assemble(reading, as_of)
    cursor = reading.cursor
    covered = set().union(*(each for each, _ in assembled.paths), cursor.covered)
    for at in range(len(cursor)):
        if at not in covered and at not in cursor.refused:
            _leftover(reading, at)
    _name_the_rest(reading, assembled.paths)
    return _Read(assembled.definition, assembled.paths, dict(cursor.refused), notes_of(reading))


def _name_the_rest(reading: Reading, paths: list[tuple[set[int], str]]) -> None:
    """Words that belong to a phrase without being it: who is asked for, what to do, verbs and joints (NL-12)."""
    cursor = reading.cursor
    named = {at: path for words, path in paths for at in words}
    for at in sorted(cursor.covered - named.keys() - cursor.refused.keys()):
        if cursor.little(at) or "sign" in cursor.lexemes[at] or "comma" in cursor.lexemes[at]:
            continue
        if cursor.has(at, "who"):
            path = "patient"
        elif cursor.has(at, "request", "along"):
            path = "collect"
        else:
            behind = min((each for each in named if each > at), default=None)
            before = max((each for each in named if each < at), default=None)
            nearest = behind if behind is not None else before
            path = named[nearest] if nearest is not None else "patient"
        paths.append(({at}, path))


def _leftover(reading: Reading, at: int) -> None:
    """A word that no phrase has taken: refused unless it is a function word or a sign."""
    cursor = reading.cursor
    lexeme: Lexeme = cursor.lexemes[at]
    if cursor.little(at) or "sign" in lexeme or "comma" in lexeme:
        return
    if "not" in lexeme or "neither" in lexeme:
        cursor.refuse({at}, "negation")
    elif "or" in lexeme or "nor" in lexeme:
        cursor.refuse({at}, "alternative")
    else:
        cursor.refuse({at}, "unknown" if "unknown" in lexeme else "notSupported")


def _checked(definition: Document) -> CohortDefinition | None:
    try:
        return read_definition(definition)
    except InvalidDefinition:
        return None


def _distinct(reads: Iterable[_Read], dictionary: Dictionary) -> list[Understood]:
    """The readings that mean different things."""
    found: dict[tuple[str, str], Understood] = {}
    for read in reads:
        definition = _checked(read.definition)
        if definition is not None:
            key = (definition_hash(definition), read.definition.get("asOf", ""))
            if key not in found:
                found[key] = Understood(read.definition, key[0], sentence(definition, dictionary), tuple(read.notes))
    return list(found.values())


def _refusal(text: str, cut: list[Lexeme], read: _Read, dictionary: Dictionary) -> Translation:
    unmatched: list[Unmatched] = []
    previous = -2
    for at in sorted(read.refused):
        lexeme = cut[at]
        reason = read.refused[at]
        if at == previous + 1 and unmatched and text[unmatched[-1].end : lexeme.start].strip(" -/") == "":
            last = unmatched[-1]
            unmatched[-1] = Unmatched(text[last.start : lexeme.end], last.start, lexeme.end, last.reason)
        else:
            unmatched.append(Unmatched(lexeme.text, lexeme.start, lexeme.end, reason))
        previous = at
    readings: tuple[Understood, ...] = ()
    if not {each.reason for each in unmatched} & _BARRING and not _BARRING & set(read.refused.values()):
        readings = tuple(_distinct([read], dictionary))
    return Translation(readings, _spans(cut, read.paths, without=read.refused), tuple(unmatched))


def _spans(
    cut: list[Lexeme], paths: Iterable[tuple[set[int], str]], *, without: Iterable[int] = ()
) -> tuple[tuple[int, int, str], ...]:
    """Runs of neighbouring words of one member."""
    refused = set(without)
    found: list[tuple[int, int, str]] = []
    for words, path in paths:
        previous = -2
        for at in sorted(words - refused):
            if at == previous + 1 and found and found[-1][2] == path:
                found[-1] = (found[-1][0], cut[at].end, path)
            else:
                found.append((cut[at].start, cut[at].end, path))
            previous = at
    return tuple(sorted(found))
