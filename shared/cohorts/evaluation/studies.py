"""ImagingStudies (COH-21 to COH-23). Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from shared.cohorts.evaluation.calendar_dates import DayWindow, Interval, interval
from shared.cohorts.evaluation.codes import CodeSet
from shared.cohorts.evaluation.truth import FALSE, TRUE, Truth, every, some, unknown
from shared.fhir.resources import Resource, elements, identifiers

DCM: Final = ("http://dicom.nema.org/resources/ontology/DCM", "DCM")
"""DICOM's system, and what the reference's DICOMcast wrote for it."""
_GONE: Final = frozenset({"entered-in-error", "cancelled"})
"""Statuses of studies that are none."""


def study_uid(study: Resource) -> str:
    """Its Study Instance UID; empty if it has none."""
    found = (value for system, value in identifiers(study) if system == "urn:dicom:uid")
    return next(found, "").removeprefix("urn:oid:")


def modalities(study: Resource) -> list[str]:
    """Those of the study, then those of its series, each once."""
    codings = [*elements(study, "modality"), *(each.get("modality") for each in elements(study, "series"))]
    return list(dict.fromkeys(_modality(each) for each in codings if _modality(each)))


def _modality(coding: Any) -> str:
    if isinstance(coding, Mapping) and coding.get("system") in DCM and isinstance(coding.get("code"), str):
        return str(coding["code"])
    return ""


def is_there(study: Resource) -> bool:
    """Whether it has not been withdrawn."""
    return study.get("status") not in _GONE


def instance_count(study: Resource) -> int:
    """Its instances, as far as the resource tells."""
    if isinstance(study.get("numberOfInstances"), int):
        return int(study["numberOfInstances"])
    series = elements(study, "series")
    return sum(int(each.get("numberOfInstances") or len(elements(each, "instance"))) for each in series)


@dataclass(frozen=True, slots=True)
class StudyCriterion:
    """`imaging`, or its `not`."""

    wanted: frozenset[str] | None
    """Modalities; None: any."""
    sites: CodeSet | None
    window: DayWindow | None
    after_diagnosis: bool
    as_of: date

    @classmethod
    def of(cls, study: Mapping[str, Any], sites: CodeSet | None, as_of: date) -> "StudyCriterion":
        """The criterion of the canonical members of a study."""
        wanted = None if study["modality"] == "any" else frozenset(study["modality"])
        after = isinstance(study["when"], dict) and "after" in study["when"]
        return cls(wanted, sites, DayWindow.of(study["when"], as_of), after, as_of)

    def meets(self, study: Resource, diagnosis: Interval | None) -> Truth:
        """Whether one study has everything that is asked."""
        if not is_there(study):
            return FALSE
        return every([self._kind(study), self._when(study, diagnosis)])

    def _kind(self, study: Resource) -> Truth:
        if self.sites is None:
            return self._modality(modalities(study))
        series = elements(study, "series")
        if not series:
            known = self._modality(modalities(study))
            return every([known, unknown("bodySite", "the study has no series")]) if known.possible else FALSE
        return some(
            every([self._modality(list(filter(None, [_modality(each.get("modality"))]))), self._site(each)])
            for each in series
        )

    def _modality(self, codes: Sequence[str]) -> Truth:
        if self.wanted is None:
            return TRUE
        if not codes:
            return unknown("modality", "the study has no modality")
        return Truth.of(bool(self.wanted.intersection(codes)))

    def _site(self, series: Resource) -> Truth:
        site = series.get("bodySite")
        if self.sites is None:
            return TRUE
        if not isinstance(site, Mapping) or not isinstance(site.get("code"), str):
            return unknown("bodySite", "a series has no coded body site")
        return Truth.of(self.sites.holds({"coding": [site]}))

    def _when(self, study: Resource, diagnosis: Interval | None) -> Truth:
        if self.window is None and not self.after_diagnosis:
            return TRUE
        started = interval(study.get("started"))
        if started is None:
            return unknown("when", "a study has no date")
        if self.window is not None:
            return self.window.holds(started, "started")
        if diagnosis is None or started.first > self.as_of or started.last <= diagnosis.first:
            return FALSE
        if started.first > diagnosis.last:
            return TRUE
        return unknown("when", "the study or the diagnosis has no exact day")


def series_of(study: Resource) -> Iterator[Resource]:
    """Its series by UID, in order."""
    yield from sorted(elements(study, "series"), key=lambda each: str(each.get("uid", "")))
