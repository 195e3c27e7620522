"""One patient against a definition: member, indeterminate, or neither (COH-19). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from shared.cohorts.evaluation.calendar_dates import Interval, age_on, interval
from shared.cohorts.evaluation.codes import CodePair, CodeSet
from shared.cohorts.evaluation.conditions import ConditionCriterion, all_of
from shared.cohorts.evaluation.medications import Drugs, MedicationCriterion
from shared.cohorts.evaluation.studies import StudyCriterion
from shared.cohorts.evaluation.truth import FALSE, TRUE, Evidence, Truth, every, some, unknown
from shared.fhir.resources import Resource, local_reference

type Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """The resources that the FHIR server has of one patient, as far as a definition asks."""

    patient: Resource
    conditions: Sequence[Resource] = ()
    requests: Sequence[Resource] = ()
    studies: Sequence[Resource] = ()
    drugs: Drugs = field(default_factory=lambda: Drugs("", {}))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a definition on one patient."""

    truth: Truth
    age: int | None = None
    """Completed years on the day of the run, or of death; None: unknown."""
    matching: tuple[Resource, ...] = ()
    """The studies that match."""
    possible: int = 0
    """Studies that may match."""


class Evaluation:
    """A definition in its canonical form, ready to judge patients."""

    def __init__(self, form: Document, value_sets: Mapping[str, frozenset[CodePair]], as_of: date) -> None:
        self._form = form
        self._as_of = as_of

        def codes(code: Document) -> CodeSet:
            return CodeSet.of(code, value_sets)

        self.conditions: list[tuple[ConditionCriterion, bool]] = []
        for at, entry in enumerate(form["conditions"]):
            inner, path = _inner(entry, f"conditions[{at}]")
            self.conditions.append((ConditionCriterion.of(inner, path, codes(inner["code"]), as_of), "not" in entry))
        self.medications: list[tuple[MedicationCriterion, bool]] = []
        for at, entry in enumerate(form["medications"]):
            inner, path = _inner(entry, f"medications[{at}]")
            self.medications.append((MedicationCriterion.of(inner, path, codes(inner["code"]), as_of), "not" in entry))
        imaging = form["imaging"]
        self.imaging = _study(imaging, codes, as_of)
        self.no_imaging = _study(imaging["not"], codes, as_of) if "not" in imaging else None
        self._age: Document | None = form["patient"].get("age")

    def judge(self, record: Record) -> Verdict:
        """Whether the patient belongs to the cohort."""
        birth = interval(record.patient.get("birthDate"))
        diagnosis = self._diagnosis(record, birth)
        truths = [self._gender(record.patient)]
        if self._age is not None and self._age["at"] != "study":
            truths.append(self._aged(self._age, record.patient, birth, diagnosis))
        for condition, negated in self.conditions:
            truths.append(_entry(condition.decide(record.conditions, birth), condition.path, negated=negated))
        for medication, negated in self.medications:
            truths.append(_entry(medication.decide(record.requests, record.drugs), medication.path, negated=negated))
        studies = [(study, self._matches(study, birth, diagnosis)) for study in record.studies]
        if self._form["imaging"]["required"]:
            truths.append(_imaging([truth for _, truth in studies], studies))
        if self.no_imaging is not None:
            against = some(self.no_imaging.meets(each, diagnosis) for each in record.studies)
            named = against.within("imaging.not") if against.possible else against
            truths.append(_entry(named, "imaging.not", negated=True))
        matching = tuple(study for study, truth in studies if truth.met)
        possible = sum(truth.possible and not truth.met for _, truth in studies)
        return Verdict(all_of(truths), self._age_now(record.patient, birth), matching, possible)

    # ------------------------------------------------------------------------------------------------------- inside

    def _diagnosis(self, record: Record, birth: Interval | None) -> Interval | None:
        positive = [condition for condition, negated in self.conditions if not negated]
        return positive[0].diagnosis(record.conditions, birth) if len(positive) == 1 else None

    def _gender(self, patient: Resource) -> Truth:
        wanted = self._form["patient"]["gender"]
        if wanted == "any":
            return TRUE
        held = patient.get("gender", "unknown")
        if wanted == "unknown":
            return Truth.of(held == "unknown")
        if held == "unknown":
            return unknown("patient.gender", "gender is unknown")
        return Truth.of(held == wanted)

    def _today(self, patient: Resource) -> Interval:
        """The day of the run, or of death: the dead do not grow older."""
        died = interval(patient.get("deceasedDateTime"))
        if died is None:
            return Interval(self._as_of, self._as_of)
        return Interval(min(died.first, self._as_of), min(died.last, self._as_of), died.text, died.precision)

    def _aged(self, age: Document, patient: Resource, birth: Interval | None, diagnosis: Interval | None) -> Truth:
        if age["at"] == "diagnosis":
            return _age_on(age, birth, diagnosis or Interval(date.min, date.max))
        truth = _age_on(age, birth, self._today(patient))
        if truth.met and patient.get("deceasedBoolean") is True:
            note = (Evidence("patient.age", local_reference(patient), note="deceased on an unknown day"),)
            return Truth(truth.value, evidence=note)
        return truth

    def _matches(self, study: Resource, birth: Interval | None, diagnosis: Interval | None) -> Truth:
        truth = self.imaging.meets(study, diagnosis)
        if self._age is None or self._age["at"] != "study" or not truth.possible:
            return truth
        started = interval(study.get("started"))
        if started is None:
            return every([truth, unknown("patient.age", "a study has no date")])
        return every([truth, _age_on(self._age, birth, started)])

    def _age_now(self, patient: Resource, birth: Interval | None) -> int | None:
        days = self._today(patient)
        if birth is None:
            return None
        youngest, oldest = age_on(birth.last, days.first), age_on(birth.first, days.last)
        return youngest if youngest == oldest else None


def _age_on(age: Document, birth: Interval | None, days: Interval) -> Truth:
    """Whether the age lies within its bounds on each of the days."""
    if birth is None:
        return unknown("patient.age", "no birthDate")
    youngest, oldest = age_on(birth.last, days.first), age_on(birth.first, days.last)
    least, most = age.get("ge", -(10**6)), age.get("le", 10**6)
    if oldest < least or youngest > most:
        return FALSE
    if youngest >= least and oldest <= most:
        return TRUE
    if birth.precision != "day":
        return unknown("patient.age", f"birthDate {birth.text} has {birth.precision} precision")
    return unknown("patient.age", "the day that the age is asked for is not exact")


def _inner(entry: Document, path: str) -> tuple[Document, str]:
    return (entry["not"], f"{path}.not") if "not" in entry else (entry, path)


def _study(study: Document, codes: Any, as_of: date) -> StudyCriterion:
    sites = None if study["bodySite"] == "any" else codes(study["bodySite"])
    return StudyCriterion.of(study, sites, as_of)


def _entry(truth: Truth, path: str, *, negated: bool) -> Truth:
    if not negated:
        return truth
    if truth.possible:
        return Truth(truth.negated().value, truth.criterion, truth.why)
    return Truth(truth.negated().value, evidence=(Evidence(path),))


def _imaging(truths: Sequence[Truth], studies: Sequence[tuple[Resource, Truth]]) -> Truth:
    found = some(truths)
    if not found.possible:
        return FALSE
    if not found.met:
        return found if found.criterion.startswith("patient") else found.within("imaging")
    matching = (study for study, truth in studies if truth.met)
    evidence = (Evidence("imaging", local_reference(each), str(each.get("started", ""))) for each in matching)
    return Truth(found.value, evidence=tuple(evidence))
