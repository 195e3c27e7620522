"""The changes of a study's Observations as entries of a transaction (dicomcast §3.5, §4.7). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.cast.dose_merging import DoseChange, code_of, key_of
from shared.cast.mapping.codes import DICOM_UID
from shared.cast.mapping.measurements import is_measurement
from shared.cast.mapping.observation import EVENT, SUMMARY
from shared.cast.matching import condition
from shared.cast.merging import same
from shared.cast.model import Study
from shared.fhir.resources import Resource, local_reference, token, version_id
from shared.fhir.transaction import Entry, create


def observation_entries(changes: Sequence[DoseChange], study: Study, existing: Sequence[Resource]) -> list[Entry]:
    """Events first, so that a summary can name its own."""
    entries: list[Entry] = []
    named = {key_of(each): local_reference(each) for each in existing if code_of(each) == EVENT}
    for change in sorted(changes, key=lambda each: code_of(each.wanted or each.existing or {}) == SUMMARY):
        entry = _observation_entry(change)
        if change.wanted is not None and code_of(change.wanted) == EVENT:
            named[key_of(change.wanted)] = entry.url if entry.method == "PUT" else entry.full_url
        entries.append(entry)
    members = {
        report.sop_instance_uid: [
            {"reference": named[key_of(each)]}
            for each in report.observations
            if code_of(each) == EVENT and key_of(each) in named
        ]
        for report in study.reports
    }
    return [found for each in entries if (found := _with_members(each, members, existing))]


def _observation_entry(change: DoseChange) -> Entry:
    if change.wanted is None:
        return Entry("DELETE", local_reference(change.existing or {}))
    if change.existing is None:
        system, code = code_of(change.wanted)
        terms = [("code", f"{system}|{code}")]
        if is_measurement(change.wanted):  # what is tracked over time has a measurement in each study
            study = change.wanted["identifier"][1]
            terms.append(("identifier", token(study["system"], study["value"])))
        return create(change.wanted, condition(DICOM_UID, key_of(change.wanted), *terms))
    return Entry("PUT", local_reference(change.existing), change.wanted, if_match=version_id(change.existing))


def _with_members(
    entry: Entry, members: Mapping[str, list[dict[str, str]]], existing: Sequence[Resource]
) -> Entry | None:
    """A summary that names its events; None if that leaves it as it is."""
    resource = entry.resource
    if resource is None or code_of(resource) != SUMMARY:
        return entry
    found = members.get(key_of(resource).removeprefix("urn:oid:"), [])
    changed = {name: value for name, value in resource.items() if name != "hasMember"}
    if found:
        changed["hasMember"] = found
    if entry.method == "PUT" and any(local_reference(each) == entry.url and same(each, changed) for each in existing):
        return None
    return replace(entry, resource=changed)
