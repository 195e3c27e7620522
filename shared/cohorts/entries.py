"""The entry of a member in the manifest (cohorts §8.5, COH-25). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from urllib.parse import unquote

from shared.cohorts.evaluation.calendar_dates import DayWindow
from shared.cohorts.evaluation.codes import codes_of, pairs_of
from shared.cohorts.evaluation.conditions import condition_date
from shared.cohorts.evaluation.medications import dated
from shared.cohorts.evaluation.patients import Record, Verdict
from shared.cohorts.evaluation.studies import instance_count, is_there, modalities, series_of, study_uid
from shared.cohorts.linking import Orders, link
from shared.fhir.resources import Resource, elements, local_reference, referenced

type Document = Mapping[str, Any]

_NOT_LISTED: Final = frozenset({"refuted", "entered-in-error"})
"""Verification statuses of conditions that `collect.conditions: all` leaves out."""
DEFAULT_PARTITION: Final = "Microsoft.Default"


@dataclass(slots=True)
class Gaps:
    """The resources that were left out, by reason: the warnings of a result."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, text: str, number: int = 1) -> None:
        """Count something."""
        if number:
            self.counts[text] = self.counts.get(text, 0) + number


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The resources that are read of members beside their records."""

    reports: Mapping[str, Sequence[Resource]]
    """By patient id."""
    orders: Orders
    endpoints: Mapping[str, Resource]
    allowed: frozenset[str]
    """Bases that may stand in a result, normalised."""
    base: str
    """Of the FHIR server."""


class Entries:
    """Makes entries, as a definition wants them."""

    def __init__(self, form: Document, as_of: date) -> None:
        self._collect = form["collect"]
        self._as_of = as_of

    def studies_of(self, record: Record, verdict: Verdict) -> Sequence[Resource]:
        """The studies that are listed, or whose reports are."""
        if "studies" not in self._collect and "reports" not in self._collect:
            return ()
        if self._collect.get("studies") == "all":
            return [each for each in record.studies if is_there(each)]
        return verdict.matching

    def entry(self, record: Record, verdict: Verdict, around: Surroundings, gaps: Gaps) -> dict[str, Any]:
        """The entry of one member."""
        patient = local_reference(record.patient)
        found: dict[str, Any] = {
            "id": patient,
            "age": verdict.age,
            "evidence": [_evidence(each) for each in verdict.truth.evidence],
        }
        if self._collect["conditions"] == "all":
            found["conditions"] = [
                self._condition(each)
                for each in record.conditions
                if not codes_of([each.get("verificationStatus")]) & _NOT_LISTED
            ]
        studies = self.studies_of(record, verdict)
        if "studies" in self._collect or "reports" in self._collect:
            reports = around.reports.get(patient.partition("/")[2], ())
            found["studies"] = [self._study(each, reports, around, gaps) for each in studies]
            if self._collect.get("studies") != "all":
                gaps.add("studies of members may match and are left out", verdict.possible)
        if "medications" in self._collect:
            found["medications"] = self._medications(record, gaps)
        return {name: value for name, value in found.items() if value is not None}

    # ------------------------------------------------------------------------------------------------------- inside

    def _condition(self, condition: Resource) -> dict[str, Any]:
        code = _coding(condition.get("code"))
        day = condition_date(condition, ("onset", "recorded"), None).text
        return {"id": local_reference(condition)} | ({"code": code} if code else {}) | ({"date": day} if day else {})

    def _study(self, study: Resource, reports: Sequence[Resource], around: Surroundings, gaps: Gaps) -> dict[str, Any]:
        uid = study_uid(study)
        found: dict[str, Any] = {"id": local_reference(study), "uid": uid, "modality": modalities(study)}
        if "started" in study:
            found["started"] = study["started"]
        found["instances"] = instance_count(study)
        base = base_of(study, around.endpoints, around.allowed, around.base)
        if base and uid:
            found["retrieve"] = f"{base}/studies/{uid}"
        else:
            gaps.add("studies have no Endpoint that is allowed (Cohort:AllowedEndpoints): no address is given")
        if "reports" in self._collect:
            found["reports"] = list(self._reports(study, reports, around))
        return found

    def _reports(self, study: Resource, reports: Sequence[Resource], around: Surroundings) -> list[dict[str, str]]:
        wanted = self._collect["reports"]
        links = (
            (report, link(report, study, around.orders, by_day=wanted["linkByDay"]))
            for report in reports
            if report.get("status") in wanted["status"]
        )
        return [{"id": local_reference(report), "link": found} for report, found in links if found]

    def _medications(self, record: Record, gaps: Gaps) -> list[dict[str, Any]]:
        wanted = self._collect["medications"]
        window = DayWindow.of(wanted["when"], self._as_of)
        listed: list[dict[str, Any]] = []
        for request in record.requests:
            if request.get("status") in wanted["notStatus"]:
                continue
            when = dated(request, window)
            if not when.met:
                gaps.add("medications without an exact date are left out", int(when.possible))
                continue
            listed.append(_medication(request, record))
        return listed


def _medication(request: Resource, record: Record) -> dict[str, Any]:
    concept = record.drugs.concept(request)
    found: dict[str, Any] = {"id": local_reference(request)}
    if code := _coding(concept):
        found["code"] = code
    elif concept is not None and isinstance(concept.get("text"), str):
        found["code"] = {"text": concept["text"]}
    if reference := referenced(request.get("medicationReference"), record.drugs.base):
        found["medication"] = reference
    for name in ("status", "authoredOn"):
        if name in request:
            found[name] = request[name]
    if request.get("doNotPerform") is True:
        found["doNotPerform"] = True
    return found


def _coding(concept: Any) -> dict[str, str]:
    if not isinstance(concept, Mapping):
        return {}
    return next(({"system": system, "code": code} for system, code in pairs_of(concept)), {})


def _evidence(evidence: Any) -> dict[str, str]:
    told = {
        "criterion": evidence.criterion,
        "resource": evidence.resource,
        "date": evidence.date,
        "note": evidence.note,
    }
    return {name: value for name, value in told.items() if value}


def files(study: Resource, retrieve: str) -> list[dict[str, str]]:
    """The instances of a study, by series and SOP Instance UID (COH-29)."""
    found = [
        {
            "studyInstanceUid": study_uid(study),
            "seriesInstanceUid": str(series.get("uid", "")),
            "sopInstanceUid": str(instance.get("uid", "")),
            "sopClassUid": str((instance.get("sopClass") or {}).get("code", "")).removeprefix("urn:oid:"),
            "url": f"{retrieve}/series/{series.get('uid', '')}/instances/{instance.get('uid', '')}",
        }
        for series in series_of(study)
        for instance in elements(series, "instance")
    ]
    return sorted(found, key=lambda each: (each["seriesInstanceUid"], each["sopInstanceUid"]))


def base_of(study: Resource, endpoints: Mapping[str, Resource], allowed: frozenset[str], fhir: str) -> str:
    """The address of the Endpoint of a study on the FHIR server at `fhir`; empty unless it is an allowed base."""
    for each in elements(study, "endpoint"):
        address = normalised(str(endpoints.get(referenced(each, fhir), {}).get("address", "")))
        if is_allowed(address, allowed):
            return address
    return ""


def normalised(address: str) -> str:
    """An address as it is compared: scheme and host in lower case, no slash at the end."""
    scheme, separator, rest = address.strip().partition("://")
    host, slash, path = rest.partition("/")
    port = {"http": ":80", "https": ":443"}.get(scheme.lower(), "")
    host = host.lower().removesuffix(port) if port else host.lower()
    return f"{scheme.lower()}{separator}{host}{slash}{path}".rstrip("/")


def is_allowed(address: str, allowed: frozenset[str]) -> bool:
    """Whether an address is an allowed base, or a data partition of one."""
    return any(
        address == base or (address.startswith(f"{base}/partitions/") and "/" not in address[len(base) + 12 :])
        for base in allowed
    )


def partition_of(retrieve: str) -> str:
    """The data partition that a study of that address is in."""
    before, found, after = retrieve.partition("/partitions/")
    return unquote(after.partition("/")[0]) if found and before else DEFAULT_PARTITION
