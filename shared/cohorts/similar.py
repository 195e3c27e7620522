"""Patients who are like one patient: a transparent score (cohorts §8.8, COH-13, COH-32)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from shared.cohorts.evaluation.calendar_dates import age_on, interval
from shared.cohorts.evaluation.codes import CodePair, codes_of, pairs_of
from shared.cohorts.evaluation.conditions import condition_date
from shared.cohorts.evaluation.studies import is_there, modalities
from shared.cohorts.gathering.anchor import CODES
from shared.cohorts.gathering.reader import Reader, patient_of
from shared.cohorts.value_sets import ValueSets
from shared.errors import InvalidRequest, NotFound
from shared.fhir.resources import Resource, elements, local_reference, token

WEIGHTS: Final[Mapping[str, int]] = {"diagnosis": 40, "modality": 10, "age": 15, "sex": 5, "site": 15, "stage": 15}
"""`Cohort:SimilarityWeights`."""
FACETS: Final = ("diagnosis", "modality", "age", "sex", "site", "stage")
_REFUSED: Final = frozenset({"refuted", "entered-in-error"})
_YEARS: Final = 10
_NO_IMAGES: Final = frozenset({"SR", "KO", "PR", "AU", "DOC", "REG", "SEG", "PLAN", "RTSTRUCT", "RTPLAN", "RTDOSE"})
"""Modalities that acquire nothing (`ModalityPolicy=acquisition`)."""
SMALL: Final = 5
"""A smaller group is a count only, to a caller without `cohortIdentified`."""
_GROUP: Final = 50


@dataclass(frozen=True, slots=True)
class Likeness:
    """The features of a patient that are compared."""

    patient: Resource
    conditions: Sequence[Resource]
    studies: Sequence[Resource]

    @property
    def usable(self) -> list[Resource]:
        """The conditions that are neither refuted nor entered in error."""
        return [each for each in self.conditions if not codes_of([each.get("verificationStatus")]) & _REFUSED]

    @property
    def codes(self) -> set[CodePair]:
        """The codes of those."""
        return {pair for each in self.usable for pair in _pairs(each.get("code"))}

    @property
    def modalities(self) -> frozenset[str]:
        """The modalities of acquisition, of all studies; all of a study that has no other."""
        found: set[str] = set()
        for study in self.studies:
            if is_there(study):
                codes = set(modalities(study))
                found |= (codes - _NO_IMAGES) or codes
        return frozenset(found)


def _pairs(concept: Any) -> Iterable[CodePair]:
    return pairs_of(concept) if isinstance(concept, Mapping) else ()


@dataclass(frozen=True, slots=True)
class Similarity:
    """Finds and scores."""

    reader: Reader
    sets: ValueSets
    weights: Mapping[str, float]

    async def find(self, patient_id: str, as_of: date) -> list[dict[str, Any]]:
        """The similar patients in the order of their scores. Raises NotFound, InvalidRequest, RequestFailed."""
        index = (await self._likenesses([patient_id])).get(patient_id)
        if index is None:
            raise NotFound("The patient does not exist.")
        if not index.codes:
            raise InvalidRequest("The patient has no coded Condition that is neither refuted nor entered in error.")
        codes = self._expanded(index.codes)
        ids = sorted(await self._candidates(codes) - {patient_id})
        found: list[dict[str, Any]] = []
        for group in (ids[at : at + _GROUP] for at in range(0, len(ids), _GROUP)):
            likenesses = await self._likenesses(group)
            treatments = await self._treatments(sorted(likenesses))
            for other_id, other in likenesses.items():
                if other.codes & codes:
                    found.append(self._hit(index, other, as_of, treatments.get(other_id, [])))
        return sorted(found, key=lambda each: (-each["score"], each["id"]))

    # ------------------------------------------------------------------------------------------------------- inside

    def _sets_of(self, codes: Iterable[CodePair]) -> set[str]:
        held = set(codes)
        return {name for name, each in self.sets.sets.items() if each.codes & held}

    def _expanded(self, codes: set[CodePair]) -> set[CodePair]:
        return codes.union(*(self.sets.sets[name].codes for name in self._sets_of(codes)))

    async def _candidates(self, codes: set[CodePair]) -> set[str]:
        found: set[str] = set()
        pairs = sorted(codes)
        for group in (pairs[at : at + CODES] for at in range(0, len(pairs), CODES)):
            value = ",".join(token(system, code) for system, code in group)
            async for condition in self.reader.each("Condition", (("code", value),)):
                refused = codes_of([condition.get("verificationStatus")]) & _REFUSED
                if not refused and (patient := patient_of(condition, self.reader.base)):
                    found.add(patient)
        return found

    async def _likenesses(self, ids: Sequence[str]) -> dict[str, Likeness]:
        patients = await self.reader.patients(ids)
        there = sorted(patients)
        conditions = await self.reader.of_patients("Condition", there, self.reader.base)
        studies = await self.reader.of_patients("ImagingStudy", there, self.reader.base)
        return {each: Likeness(patients[each], conditions.get(each, ()), studies.get(each, ())) for each in there}

    async def _treatments(self, ids: Sequence[str]) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for kind in ("MedicationRequest", "Procedure"):
            for patient, resources in (await self.reader.of_patients(kind, ids, self.reader.base)).items():
                found.setdefault(patient, []).extend(resources)
        return found

    def _hit(self, index: Likeness, other: Likeness, as_of: date, treatments: Sequence[Resource]) -> dict[str, Any]:
        facets = {
            "diagnosis": self._diagnosis(index, other),
            "modality": _jaccard(index.modalities, other.modalities),
            "age": _age(index.patient, other.patient, as_of),
            "sex": _equal({_known(index.patient.get("gender"))}, {_known(other.patient.get("gender"))}),
            "site": _equal(_sites(index), _sites(other)),
            "stage": _equal(_stages(index), _stages(other)),
        }
        known = {name: facets[name] for name in FACETS if facets[name] is not None}
        score = sum(self.weights.get(name, 0) * value for name, value in known.items() if value is not None)
        day = _diagnosis_day(index, other)
        return {
            "id": local_reference(other.patient),
            "score": _plain(score),
            "facets": {name: _plain(value) for name, value in known.items() if value is not None},
            "unknown": [name for name in FACETS if facets[name] is None],
            "treatments": [_dated(each, day) for each in treatments],
            "outcomes": _outcomes(index, other, day),
        }

    def _diagnosis(self, index: Likeness, other: Likeness) -> float:
        shared = index.codes & other.codes or self._sets_of(index.codes) & self._sets_of(other.codes)
        return 1.0 if shared else 0.0


def _plain(value: float) -> float | int:
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float | None:
    if not one or not other:
        return None
    return len(one & other) / len(one | other)


def _age(one: Resource, other: Resource, as_of: date) -> float | None:
    births = interval(one.get("birthDate")), interval(other.get("birthDate"))
    if births[0] is None or births[1] is None:
        return None
    ages = [(age_on(birth.last, as_of), age_on(birth.first, as_of)) for birth in births if birth is not None]
    (low, high), (other_low, other_high) = ages
    differences = [abs(a - b) for a in range(low, high + 1) for b in range(other_low, other_high + 1)]
    if max(differences) <= _YEARS:
        return 1.0
    return 0.0 if min(differences) > _YEARS else None


def _known(gender: Any) -> str:
    return gender if isinstance(gender, str) and gender != "unknown" else ""


def _equal(one: set[Any], other: set[Any]) -> float | None:
    one, other = one - {""}, other - {""}
    if not one or not other:
        return None
    return 1.0 if one & other else 0.0


def _sites(likeness: Likeness) -> set[Any]:
    concepts = (site for each in likeness.usable for site in elements(each, "bodySite"))
    return {pair for concept in concepts for pair in pairs_of(concept)}


def _stages(likeness: Likeness) -> set[Any]:
    concepts = (stage.get("summary") for each in likeness.usable for stage in elements(each, "stage"))
    return {pair for concept in concepts for pair in _pairs(concept)}


def _diagnosis_day(index: Likeness, other: Likeness) -> date | None:
    """The day of the earliest condition that the other has in common with the index patient, where it is exact."""
    birth = interval(other.patient.get("birthDate"))
    days = [
        condition_date(each, ("onset", "recorded"), birth).days
        for each in other.usable
        if set(_pairs(each.get("code"))) & index.codes
    ]
    exact = [each.first for each in days if each.first == each.last]
    return min(exact, default=None)


def _dated(resource: Resource, day: date | None) -> dict[str, Any]:
    concept = resource.get("medicationCodeableConcept") or resource.get("code")
    written = resource.get("authoredOn") or resource.get("performedDateTime")
    found: dict[str, Any] = {"reference": local_reference(resource), "status": resource.get("status")}
    if isinstance(concept, Mapping) and (pair := next(pairs_of(concept), None)):
        found["code"] = {"system": pair[0], "code": pair[1]}
    when = interval(written)
    if when is not None:
        found["date"] = when.text
        if day is not None and when.precision == "day":
            found["daysFromDiagnosis"] = (when.first - day).days
    return {name: value for name, value in found.items() if value is not None}


def _outcomes(index: Likeness, other: Likeness, day: date | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in other.usable:
        status = sorted(codes_of([each.get("clinicalStatus")]))
        if set(_pairs(each.get("code"))) & index.codes and status and status[0] != "active":
            found.append({"kind": "clinicalStatus", "reference": local_reference(each), "value": status[0]})
    died = other.patient.get("deceasedDateTime") or other.patient.get("deceasedBoolean")
    if died:
        outcome: dict[str, Any] = {"kind": "deceased", "value": died}
        when = interval(died)
        if when is not None and day is not None and when.precision == "day":
            outcome["daysFromDiagnosis"] = (when.first - day).days
        found.append(outcome)
    return found
