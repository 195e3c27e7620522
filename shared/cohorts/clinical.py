"""The clinical data of some studies: their reports, or the timelines of their patients, and nobody else's (SHR-6)."""

from collections.abc import Collection, Mapping, Sequence
from itertools import batched
from typing import Any, Final, Literal

from shared.cohorts.evaluation.studies import is_there, study_uid
from shared.cohorts.export.fhir_profile import Disguise, disguised
from shared.cohorts.gathering.reader import GROUP, Reader, patient_of
from shared.cohorts.linking import Orders, link, order_references
from shared.cohorts.timeline import Links, timeline
from shared.deidentification.key import Pseudonyms
from shared.fhir.resources import Resource, local_reference, referenced
from shared.http.roles import WHOLE_SERVICE

type Extent = Literal["reports", "timeline"]
"""The extent of a reading: the reports of the studies, or all that the timelines of their patients list."""

_DICOM_UID: Final = "urn:dicom:uid"
_OID: Final = "urn:oid:"
_STUDY: Final = "ImagingStudy"
_REPORT: Final = "DiagnosticReport"
_WITHDRAWN: Final = "entered-in-error"
_LOGICAL: Final = frozenset({"identifier", "type", "display"})
"""The members of a reference that names what it leads to by an identifier."""
_LEFT_OUT: Final = frozenset({"contained", "text"})
"""Members of a resource that may tell of anybody: other resources, and its narrative."""


async def clinical_data(
    reader: Reader,
    studies: Sequence[str],
    series: Collection[str],
    extent: Extent,
    pseudonyms: Pseudonyms | None = None,
) -> dict[str, Any]:
    """A Bundle (collection) of what is known of studies by UID; `series`: only these of them, none: all.

    No resource of another patient or study is in it, and no reference leads to one; with `pseudonyms` nothing in it
    names anybody. Raises RequestFailed.
    """
    imaging = await _imaging(reader, studies)
    patients = sorted({patient_of(each, reader.base) for each in imaging} - {""})
    if extent == "reports":
        found = await _reports(reader, imaging, patients)
    else:
        found = await _timelines(reader, patients, frozenset(studies))
    kept = {local_reference(each): each for each in found}
    named = {*kept, *(f"Patient/{each}" for each in patients), *map(local_reference, imaging)}
    rules = _Rules(reader.base, frozenset(named), frozenset(studies), frozenset(series))
    shown = {name: rules.confined(each) for name, each in kept.items()}
    if pseudonyms is not None:
        disguises = await _disguises(pseudonyms, imaging, reader.base)
        shown = _disguised(shown, disguises, Disguise(pseudonyms.key, 0, reader.base))
    entries = [{"fullUrl": f"{reader.base}/{name}", "resource": each} for name, each in shown.items()]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


async def _disguises(pseudonyms: Pseudonyms, imaging: Sequence[Resource], base: str) -> dict[str, Disguise]:
    """How the resources of the patients of studies are changed, by their ids. Raises Unavailable."""
    found: dict[str, Disguise] = {}
    for each in imaging:
        patient = patient_of(each, base)
        if patient and patient not in found:
            days = await pseudonyms.days(study_uid(each))
            found[patient] = Disguise(pseudonyms.key, pseudonyms.key.days(patient) if days is None else days, base)
    return found


def _disguised(
    resources: Mapping[str, Resource], disguises: Mapping[str, Disguise], of_nobody: Disguise
) -> dict[str, dict[str, Any]]:
    """Resources under pseudonyms, by their new names; what nothing is listed of goes."""
    found = {}
    for name, each in resources.items():
        patient = patient_of(each, of_nobody.fhir)
        if patient and patient not in disguises:
            continue
        disguise = disguises.get(patient, of_nobody)
        if told := disguised(each, disguise):
            found[disguise.reference(name)] = told
    return found


async def _imaging(reader: Reader, studies: Sequence[str]) -> list[Resource]:
    """The ImagingStudies of some studies."""
    wanted, found = frozenset(studies), []
    for group in batched(studies, GROUP, strict=False):
        value = ",".join(f"{_DICOM_UID}|{_OID}{uid}" for uid in group)
        found += [each async for each in reader.each(_STUDY, (("identifier", value),))]
    return [each for each in found if study_uid(each) in wanted and is_there(each)]


async def _reports(reader: Reader, imaging: Sequence[Resource], patients: Sequence[str]) -> list[Resource]:
    """The reports that are linked to the studies (COH-7)."""
    base = reader.base
    by_patient = await reader.of_patients(_REPORT, patients, base)
    reports = [each for found in by_patient.values() for each in found if each.get("status") != _WITHDRAWN]
    orders = Orders(base, await reader.by_reference(sorted(order_references([*reports, *imaging], base))))
    return [
        report
        for report in reports
        if any(
            patient_of(study, base) == patient_of(report, base) and link(report, study, orders, by_day=False)
            for study in imaging
        )
    ]


async def _timelines(reader: Reader, patients: Sequence[str], studies: frozenset[str]) -> list[Resource]:
    """The patients and what their timelines list, without other studies."""
    found: list[Resource] = []
    for patient in patients:
        told = await timeline(reader, patient, Links(frozenset()), WHOLE_SERVICE, as_of=None, for_study="")
        found += [each for each in told.resources if each["resourceType"] != _STUDY or study_uid(each) in studies]
    return found


class _Rules:
    """The elements that may stand in a resource. `named`: the references that may stand there."""

    def __init__(self, base: str, named: frozenset[str], studies: frozenset[str], series: frozenset[str]) -> None:
        self._base = base
        self._named = named
        self._studies = studies
        self._series = series

    def confined(self, resource: Resource) -> dict[str, Any]:
        """A resource without what leads elsewhere."""
        shown = {name: value for name, value in resource.items() if name not in _LEFT_OUT}
        if resource["resourceType"] == _STUDY and self._series:
            shown["series"] = [each for each in shown.get("series", ()) if each.get("uid") in self._series]
            for count in ("numberOfSeries", "numberOfInstances", "modality"):
                shown.pop(count, None)
        found = self._value(shown)
        return dict(found) if isinstance(found, dict) else {}

    def _value(self, value: Any) -> Any:
        """A value without what leads elsewhere; None if nothing is left."""
        if isinstance(value, Mapping):
            if self._leads_out(value):
                return None
            attachment = "contentType" in value
            members = {
                name: self._value(each) for name, each in value.items() if not (attachment and name in {"url", "hash"})
            }
            return {name: each for name, each in members.items() if each is not None} or None
        if isinstance(value, list):
            return [each for each in map(self._value, value) if each is not None] or None
        if isinstance(value, str) and value.startswith(_OID) and value.removeprefix(_OID) not in self._studies:
            return None
        return value

    def _leads_out(self, value: Mapping[str, Any]) -> bool:
        if "reference" in value:
            return referenced(value, self._base) not in self._named
        return isinstance(value.get("identifier"), Mapping) and value.keys() <= _LOGICAL
