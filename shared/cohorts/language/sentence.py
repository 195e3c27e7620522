"""A definition said as a sentence, which translates back into it (NL-9, NL-21). Pure."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from shared.cohorts.definition.canonical import restricts_studies
from shared.cohorts.definition.durations import Duration
from shared.cohorts.definition.model import (
    DEFAULT_COLLECTED_NOT,
    DEFAULT_MEDICATION_NOT,
    DEFAULT_OF,
    DEFAULT_REPORT_STATUS,
    DEFAULT_VERIFICATION_NOT,
    AfterDiagnosis,
    Age,
    Code,
    CohortDefinition,
    Condition,
    ConditionWindow,
    Imaging,
    Medication,
    NoCondition,
    NoMedication,
    NoStudy,
    Window,
)
from shared.cohorts.language.dictionary import CodePair, Dictionary, TermKind

_STAGES: Final = {"asOf": "", "diagnosis": " at diagnosis", "study": " at the time of the study"}
_WHO: Final = {
    "any": "Patients",
    "male": "Male patients",
    "female": "Female patients",
    "other": "Patients of other gender",
    "unknown": "Patients of unknown gender",
}
_VOWELS: Final = "AEFHILMNORSX"
"""Letters whose names begin with a vowel."""


def sentence(definition: CohortDefinition, dictionary: Dictionary) -> str:
    """The sentence, without the members that have no words: `text`, `expand`, `linkByDay`, `consent`, `limits`."""
    return _Sentence(dictionary).say(definition)


class _Sentence:
    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary

    def say(self, definition: CohortDefinition) -> str:
        parts = list(_age_part(definition))
        parts += [self._condition(each) for each in definition.conditions or ()]
        parts += [self._medication(each) for each in definition.medications or ()]
        if definition.imaging is not None:
            parts += self._imaging(definition.imaging)
        told = " ".join(each for each in (_WHO[definition.patient.gender], ", ".join(parts)) if each)
        collected = self._collect(definition)
        told += f"; return {', '.join(collected)}" if collected else ""
        start = f"As of {definition.as_of}: " if definition.as_of else ""
        return f"{start}{told}."

    # ------------------------------------------------------------------------------------------------------- entries

    def _condition(self, entry: Condition | NoCondition) -> str:
        condition = entry.not_ if isinstance(entry, NoCondition) else entry
        code = self._code(condition.code, TermKind.CONDITION)
        told = f"with no diagnosis of {code} on record" if entry is not condition else f"with a diagnosis of {code}"
        if isinstance(condition.when, ConditionWindow):
            told += _kinds(condition.when) + _when(condition.when)
        if set(condition.verification.not_) != set(DEFAULT_VERIFICATION_NOT):
            told += _excluded(condition.verification.not_)
        return told

    def _medication(self, entry: Medication | NoMedication) -> str:
        medication = entry.not_ if isinstance(entry, NoMedication) else entry
        code = self._code(medication.code, TermKind.MEDICATION)
        told = f"with no prescription of {code} on record" if entry is not medication else f"prescribed {code}"
        told += _when(medication.when)
        if set(medication.not_status) != set(DEFAULT_MEDICATION_NOT):
            told += _excluded(medication.not_status)
        return told

    # ------------------------------------------------------------------------------------------------------- imaging

    def _imaging(self, imaging: Imaging) -> Iterable[str]:
        narrowed = imaging.modality != "any" or imaging.body_site != "any" or imaging.when != "any"
        if imaging.required or narrowed:
            study = self._study(imaging)
            article = "an" if study[0] in _VOWELS else "a"
            start = "with" if imaging.required else "with or without"
            yield f"{start} {article} {study}{_when(imaging.when)}"
        if imaging.not_ is not None:
            yield f"with no {self._study(imaging.not_)} on record{_when(imaging.not_.when)}"

    def _study(self, study: Imaging | NoStudy) -> str:
        modality = "" if isinstance(study.modality, str) else _or(sorted(set(study.modality))) + " "
        site = "" if isinstance(study.body_site, str) else f" of {self._code(study.body_site, TermKind.BODY_SITE)}"
        return f"{modality}study{site}"

    # ------------------------------------------------------------------------------------------------------- collect

    def _collect(self, definition: CohortDefinition) -> list[str]:
        collect = definition.collect
        told: list[str] = []
        if collect.studies is not None:
            every = collect.studies == "all" and restricts_studies(definition)
            told.append("all their studies" if every else "the matching studies")
        if collect.reports is not None:
            status = set(collect.reports.status)
            told.append("reports" + ("" if status == set(DEFAULT_REPORT_STATUS) else _of_status(status)))
        if collect.medications is not None:
            medications = "medications" + _when(collect.medications.when)
            if set(collect.medications.not_status) != set(DEFAULT_COLLECTED_NOT):
                medications += _excluded(collect.medications.not_status)
            told.append(medications)
        if collect.conditions == "all":
            told.append("all diagnoses")
        return told

    # --------------------------------------------------------------------------------------------------------- codes

    def _code(self, code: Code, kind: TermKind) -> str:
        names = [_set_name(each) for each in sorted(set(code.value_sets))]
        pairs = frozenset((each.system, each.code) for each in code.codes or ())
        texts = [f'text "{each}"' for each in code.texts]
        expanded = [f'value set "{code.expand.url}"'] if code.expand else []
        return _or([*names, *self._terms(pairs, kind), *texts, *expanded])

    def _terms(self, pairs: frozenset[CodePair], kind: TermKind) -> list[str]:
        """The codes by the terms that mean them and nothing else; by themselves where there is none."""
        whole = self._dictionary.term_of(kind, pairs) if pairs else None
        if whole:
            return [whole]
        told: list[str] = []
        left = set(pairs)
        for pair in sorted(pairs):
            if pair not in left:
                continue
            term = self._dictionary.term_within(kind, pair, frozenset(left))
            if term is None:
                told.append(
                    f"code {json.dumps(pair[1], ensure_ascii=False)} of {json.dumps(pair[0], ensure_ascii=False)}"
                )
                left.discard(pair)
            else:
                told.append(term[0])
                left -= term[1]
        return told


def _age_part(definition: CohortDefinition) -> Iterable[str]:
    age = definition.patient.age
    if age is not None:
        yield f"aged {_age(age)}{_STAGES[age.at]}"


def _set_name(name: str) -> str:
    return name if re.fullmatch(r"[\w -]+", name) else f"“{name}”"


def _or(texts: Sequence[str]) -> str:
    return " or ".join(texts)


def _age(age: Age) -> str:
    if age.least is not None and age.least == age.most:
        return str(age.least)
    if age.least is not None and age.most is not None:
        return f"{age.least} to {age.most}"
    return f"{age.least} or more" if age.least is not None else f"{age.most} or less"


def _kinds(window: ConditionWindow) -> str:
    if window.kinds == DEFAULT_OF:
        return ""
    return " " + " else ".join({"onset": "with onset", "recorded": "recorded"}[each] for each in window.kinds)


def _when(when: Any) -> str:
    if isinstance(when, AfterDiagnosis):
        return " after the diagnosis"
    if not isinstance(when, Window):
        return ""
    if when.within is not None:
        duration = Duration.parse(when.within)
        amounts = [(duration.months, "month"), (duration.days, "day")]
        told = [f"{amount} {unit}{'' if amount == 1 else 's'}" for amount, unit in amounts if amount]
        return f" in the last {' and '.join(told)}"
    if when.since is not None and when.until is not None:
        return f" between {when.since} and {when.until}"
    return f" since {when.since}" if when.since is not None else f" until {when.until}"


def _of_status(statuses: Iterable[str]) -> str:
    return f" of status {_or([_status(each) for each in sorted(statuses)])}"


def _status(status: str) -> str:
    return "unknown status" if status == "unknown" else status.replace("-", " ")


def _excluded(statuses: Iterable[str]) -> str:
    told = [_status(each) for each in sorted(set(statuses))]
    return f" of any status but {_or(told)}" if told else " of any status"
