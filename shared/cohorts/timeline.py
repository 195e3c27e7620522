"""The timeline of one patient: what happened, newest first, with links to images and reports (cohorts §8.8, COH-12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from shared.cohorts.entries import base_of, partition_of
from shared.cohorts.evaluation.calendar_dates import Interval, interval
from shared.cohorts.evaluation.codes import pairs_of, texts_of
from shared.cohorts.evaluation.studies import is_there, modalities, study_uid
from shared.cohorts.gathering.reader import Reader
from shared.cohorts.linking import Orders, link, order_references
from shared.errors import NotFound
from shared.fhir.resources import Resource, elements, local_reference, referenced
from shared.http.roles import Scope

KINDS: Final = (
    "Encounter",
    "Condition",
    "Procedure",
    "MedicationRequest",
    "MedicationStatement",
    "AllergyIntolerance",
    "DiagnosticReport",
    "ImagingStudy",
    "Observation",
    "Immunization",
    "CarePlan",
    "DocumentReference",
)
_OBSERVATIONS: Final = frozenset({"laboratory", "vital-signs", "imaging"})
"""Categories of observations that are listed."""
_DATES: Final = (
    "started",
    "effectiveDateTime",
    "performedDateTime",
    "onsetDateTime",
    "authoredOn",
    "occurrenceDateTime",
    "recordedDate",
    "date",
    "created",
    "issued",
    "dateAsserted",
    "effectiveInstant",
)
_PERIODS: Final = ("period", "effectivePeriod", "performedPeriod", "onsetPeriod")
_PRECISIONS: Final = {"year": 0, "month": 1, "day": 2, "second": 3}


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of images."""

    allowed: frozenset[str]
    viewer: str = ""
    """`Cohort:ViewerTemplate`."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A timeline: its entries, and the resources behind them in the same order."""

    entries: list[dict[str, Any]]
    resources: list[Resource] = field(repr=False)


async def timeline(
    reader: Reader, patient_id: str, links: Links, scope: Scope, *, as_of: date | None, for_study: str
) -> Timeline:
    """The timeline of a patient; with `for_study` the priors of that study first. Raises NotFound, RequestFailed."""
    patient = (await reader.patients([patient_id])).get(patient_id)
    if patient is None:
        raise NotFound("The patient does not exist.")
    found: list[Resource] = []
    for kind in KINDS:
        found += (await reader.of_patients(kind, [patient_id], reader.base)).get(patient_id, [])
    listed = [each for each in found if _is_listed(each)]
    base = reader.base
    orders = Orders(base, await reader.by_reference(sorted(order_references(listed, base))))
    references = {referenced(each, base) for study in listed for each in elements(study, "endpoint")} - {""}
    endpoints = await reader.by_reference(sorted(references))
    reports = [each for each in listed if each["resourceType"] == "DiagnosticReport"]
    rows = []
    for resource in listed:
        when = _date(resource)
        if as_of is not None and when is not None and when.first > as_of:
            continue
        entry = _entry(resource, when)
        if resource["resourceType"] == "ImagingStudy":
            address = _wado(resource, endpoints, links, base)
            if not _visible(address, scope):
                continue
            entry["links"] = _study_links(resource, address, reports, orders, links)
        rows.append((entry, resource, when))
    rows.sort(key=lambda row: str(row[0]["reference"]))
    rows.sort(key=lambda row: _key(row[2]), reverse=True)
    if for_study:
        rows = _priors_first(rows, for_study)
    return Timeline([entry for entry, _, _ in rows], [patient, *(resource for _, resource, _ in rows)])


# ------------------------------------------------------------------------------------------------------------- inside


def _is_listed(resource: Resource) -> bool:
    if resource.get("status") == "entered-in-error" or not is_there(resource):
        return False
    if resource["resourceType"] != "Observation":
        return True
    return any(code in _OBSERVATIONS for each in elements(resource, "category") for _, code in pairs_of(each))


def _date(resource: Resource) -> Interval | None:
    for name in _DATES:
        if name in resource:
            return interval(resource[name])
    for name in _PERIODS:
        period = resource.get(name)
        if isinstance(period, Mapping) and "start" in period:
            return interval(period["start"])
    return None


def _key(when: Interval | None) -> tuple[int, str, int, str]:
    """Newest first when reversed: a year before its months, a month before its days; no date at all comes last."""
    if when is None:
        return (0, "", 0, "")
    return (1, when.last.isoformat(), -_PRECISIONS[_precision(when)], when.text)


def _precision(when: Interval) -> str:
    return "second" if "T" in when.text else when.precision


def _entry(resource: Resource, when: Interval | None) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if when is not None:
        entry |= {"date": when.text, "precision": _precision(when)}
    entry |= {"kind": resource["resourceType"], "title": _title(resource)}
    if isinstance(resource.get("status"), str):
        entry["status"] = resource["status"]
    entry["reference"] = local_reference(resource)
    concept = _concept(resource)
    if pair := next(pairs_of(concept), None):
        entry["code"] = {"system": pair[0], "code": pair[1]}
    entry["links"] = {}
    return entry


def _concept(resource: Resource) -> Resource:
    for name in ("code", "medicationCodeableConcept", "vaccineCode", "type"):
        value = resource.get(name)
        if isinstance(value, Mapping):
            return value
    return {}


def _title(resource: Resource) -> str:
    description = resource.get("description") or resource.get("title")
    texts = [description] if isinstance(description, str) else list(texts_of(_concept(resource)))
    if not texts and resource["resourceType"] == "ImagingStudy":
        texts = [", ".join(modalities(resource))]
    codes = [code for _, code in pairs_of(_concept(resource))]
    return next(iter([*texts, *codes]), "")


def _wado(study: Resource, endpoints: Mapping[str, Resource], links: Links, base: str) -> str:
    address = base_of(study, endpoints, links.allowed, base)
    return f"{address}/studies/{study_uid(study)}" if address and study_uid(study) else ""


def _visible(address: str, scope: Scope) -> bool:
    return scope.whole_service or (bool(address) and partition_of(address) in scope)


def _study_links(
    study: Resource, address: str, reports: Sequence[Resource], orders: Orders, links: Links
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if address:
        found["wado"] = address
        if links.viewer:
            found["viewer"] = links.viewer.replace("{studyInstanceUid}", study_uid(study)).replace(
                "{partition}", partition_of(address)
            )
    if linked := [local_reference(each) for each in reports if link(each, study, orders, by_day=False)]:
        found["report"] = linked
    return found


type _Row = tuple[dict[str, Any], Resource, Interval | None]


def _priors_first(rows: list[_Row], uid: str) -> list[_Row]:
    """Studies before the one of that UID: of the same body site, then of the same modality, then the rest; each with
    its reports. Then everything else.
    """
    index = next((row for row in rows if study_uid(row[1]) == uid and row[0]["kind"] == "ImagingStudy"), None)
    if index is None:
        return rows
    priors = [
        row for row in rows if row[0]["kind"] == "ImagingStudy" and row is not index and _is_before(row[2], index[2])
    ]
    sites, kinds = _sites(index[1]), set(modalities(index[1]))

    def distance(row: _Row) -> int:
        return 0 if sites & _sites(row[1]) else 1 if kinds & set(modalities(row[1])) else 2

    by_reference = {row[0]["reference"]: row for row in rows}
    first: list[_Row] = []
    for row in sorted(priors, key=distance):
        for each in (row, *(by_reference[name] for name in row[0]["links"].get("report", ()) if name in by_reference)):
            if each not in first:
                first.append(each)
    return [*first, *(row for row in rows if row not in first)]


def _is_before(one: Interval | None, other: Interval | None) -> bool:
    if one is None or other is None:
        return False
    if "T" in one.text and "T" in other.text and one.first == other.first:
        return one.text < other.text
    return one.first < other.first


def _sites(study: Resource) -> set[tuple[str, str]]:
    sites = (each.get("bodySite") for each in elements(study, "series"))
    coded = (each for each in sites if isinstance(each, Mapping) and "code" in each)
    return {(str(each.get("system", "")), str(each["code"])) for each in coded}


def bundle(found: Timeline, base: str) -> dict[str, Any]:
    """The resources as a Bundle of the type collection."""
    entries = [{"fullUrl": f"{base}/{local_reference(each)}", "resource": each} for each in found.resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
