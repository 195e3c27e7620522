"""Phrases of status: `only final reports`, `excluding cancelled ones`, `of any status but draft` (NL-16). Pure."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from shared.cohorts.definition.model import (
    DEFAULT_COLLECTED_NOT,
    DEFAULT_MEDICATION_NOT,
    DEFAULT_REPORT_STATUS,
    DEFAULT_VERIFICATION_NOT,
    MedicationStatus,
    ReportStatus,
    Verification,
)
from shared.cohorts.language.cursor import Cursor
from shared.cohorts.language.dictionary import TermKind
from shared.cohorts.language.parts import DiagnosisPart, DrugPart, DrugsPart, Event, ReportPart

REPORT: Final = get_args(ReportStatus.__value__)
VERIFICATION: Final = get_args(Verification.__value__)
MEDICATION: Final = get_args(MedicationStatus.__value__)

type Form = Literal["exactly", "without", "any"]


@dataclass(slots=True)
class StatusPhrase:
    """The statuses that count by a phrase."""

    form: Form
    statuses: list[str]
    words: set[int]
    add_to_default: bool
    before_noun: bool
    """It stands before its noun."""


def status_at(cursor: Cursor) -> StatusPhrase | None:
    """The phrase that begins at the cursor; the cursor is behind it then."""
    at = cursor.at
    if cursor.has(at, "status_but"):
        found, end = _list(cursor, at + 1)
        return _phrase(cursor, "without", found, at, end, add=False) if found else None
    if cursor.has(at, "any_status"):
        cursor.at = at + 1
        return StatusPhrase("any", [], {at}, add_to_default=False, before_noun=False)
    if cursor.has(at, "of_status"):
        inner = cursor.skip(at + 1, "only")
        negated = cursor.has(inner, "not")
        found, end = _list(cursor, inner + 1 if negated else inner)
        form: Form = "without" if negated else "exactly"
        return _phrase(cursor, form, found, at, end, add=negated) if found else None
    if cursor.has(at, "not", "only", "status"):
        inner = cursor.skip(at + 1, "only", "possessive") if not cursor.has(at, "status") else at
        found, end = _list(cursor, inner)
        if found:
            form = "without" if cursor.has(at, "not") else "exactly"
            return _phrase(cursor, form, found, at, end, add=form == "without")
    return None


def _list(cursor: Cursor, at: int) -> tuple[list[str], int]:
    """Statuses joined by commas, `or` and `and`."""
    found: list[str] = []
    end = at
    while cursor.has(at, "status"):
        found.append(cursor.value(at, "status"))
        end = at + 1
        at = end
        while cursor.has(at, "comma", "or", "and", "of_kind"):
            at += 1
    return found, end


def _phrase(cursor: Cursor, form: Form, found: list[str], at: int, end: int, *, add: bool) -> StatusPhrase:
    words = set(range(at, end))
    while cursor.has(end, "of_kind"):
        words.add(end)
        end += 1
    cursor.at = end
    inner = cursor.skip(end, "possessive")
    noun = cursor.has(inner, "report_noun", "drug_noun", "drug_verb", "diagnosis_noun", "modality", "study_noun") or (
        inner < len(cursor) and cursor.lexemes[inner].means(*TermKind)
    )
    before = noun and not cursor.has(end, "comma", "sign") and not cursor.has(at, "of_status", "status_but")
    return StatusPhrase(form, found, words, add, before)


def apply_status(phrase: StatusPhrase, event: Event) -> bool:
    """Set the statuses that count for an event; whether they are of its kind."""
    if isinstance(event, ReportPart):
        return _reports(phrase, event)
    if isinstance(event, DiagnosisPart):
        return _excluded(phrase, event, VERIFICATION, DEFAULT_VERIFICATION_NOT)
    if isinstance(event, DrugPart):
        return _excluded(phrase, event, MEDICATION, DEFAULT_MEDICATION_NOT)
    return isinstance(event, DrugsPart) and _excluded(phrase, event, MEDICATION, DEFAULT_COLLECTED_NOT)


def _reports(phrase: StatusPhrase, event: ReportPart) -> bool:
    if not set(phrase.statuses) <= set(REPORT):
        return False
    if phrase.form == "any":
        event.status = list(REPORT)
    elif phrase.form == "exactly":
        event.status = list(dict.fromkeys(phrase.statuses))
    else:
        base = (event.status or DEFAULT_REPORT_STATUS) if phrase.add_to_default else REPORT
        event.status = [each for each in base if each not in phrase.statuses]
    event.status_words |= phrase.words
    return bool(event.status)


def _excluded(phrase: StatusPhrase, event: Event, known: tuple[str, ...], default: tuple[str, ...]) -> bool:
    if not set(phrase.statuses) <= set(known):
        return False
    if phrase.form == "any":
        event.excluded = []
    elif phrase.form == "exactly":
        event.excluded = [each for each in known if each not in phrase.statuses]
    else:
        base = (event.excluded if event.excluded is not None else default) if phrase.add_to_default else ()
        event.excluded = [*base, *(each for each in dict.fromkeys(phrase.statuses) if each not in base)]
    event.status_words |= phrase.words
    return True
