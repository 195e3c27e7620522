"""dicomcast §4.7 The Observations of a study: those that its SRs ask for, beside those that are there. Pure."""

import copy
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from shared.cast.mapping.codes import DICOM_UID
from shared.cast.mapping.measurements import is_measurement
from shared.cast.mapping.observation import EVENT, SUMMARY
from shared.cast.merging import is_ours, same
from shared.cast.model import DoseReport
from shared.cast.settings import CastSettings
from shared.fhir.resources import Resource, elements

_OURS = ("status", "category", "code", "subject", "partOf", "effectiveDateTime", "bodySite", "hasMember", "component")
_OF_MEASUREMENTS = ("valueQuantity", "derivedFrom", "device")
"""Other elements of a measurement that are ours."""


@dataclass(frozen=True, slots=True)
class DoseChange:
    """One Observation that is to be written or deleted."""

    existing: Resource | None
    """As it is; None: it is created."""
    wanted: dict[str, Any] | None
    """As it shall be; None: it is deleted."""


@dataclass(frozen=True, slots=True)
class DoseReferences:
    """Resources that Observations refer to."""

    patient: str
    study: str
    devices: Mapping[str, str] = field(default_factory=dict)
    """Of the measurements of an SR, by its SOP Instance UID."""


def code_of(observation: Resource) -> tuple[str, str]:
    """System and code of an Observation."""
    code = observation.get("code")
    codings = elements(code, "coding") if isinstance(code, Mapping) else []
    return (str(codings[0].get("system", "")), str(codings[0].get("code", ""))) if codings else ("", "")


def key_of(observation: Resource) -> str:
    """The value of the identifier by which an Observation of ours is found: that of its SR, or of its event."""
    held = elements(observation, "identifier")
    return str(held[0].get("value", "")) if held else ""


def wanted_observations(reports: Sequence[DoseReport]) -> dict[tuple[str, str], dict[str, Any]]:
    """The Observations that all SRs of a study ask for, by code and key: an event of several SRs is one."""
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for report in reports:
        for observation in report.observations:
            key = code_of(observation)[1], key_of(observation)
            if key in wanted:
                held = wanted[key]["identifier"]
                held += [each for each in observation["identifier"] if each not in held]
            else:
                wanted[key] = copy.deepcopy(dict(observation))
    return wanted


def dose_changes(
    reports: Sequence[DoseReport],
    existing: Sequence[Resource],
    references: DoseReferences,
    written_reports: AbstractSet[str] | None,
    settings: CastSettings,
) -> list[DoseChange]:
    """The changes to be made, creations and updates first.

    `existing`: Observations with the identifier of the study. `written_reports`: SOP Instance UIDs of the SRs whose
    Observations this service wrote; None: nothing is recorded.
    """
    wanted = wanted_observations(reports)
    for observation in wanted.values():
        observation["subject"] = {"reference": references.patient}
        observation["partOf"] = [{"reference": references.study}]
        if is_measurement(observation):
            observation["derivedFrom"] = [{"reference": references.study}]
            if device := next((references.devices[uid] for uid in _reports(observation, references.devices)), ""):
                observation["device"] = {"reference": device}
    held = _held(existing)
    adopted = _adopted(wanted, held, existing)
    changes: list[DoseChange] = []
    for key, observation in wanted.items():
        before = held.get(key) or adopted.get(key)
        changes.append(
            DoseChange(before, _merged(before, observation, written_reports, settings) if before else observation)
        )
    for key, before in held.items():
        if key not in wanted:
            changes.append(DoseChange(before, _withdrawn(before, reports, written_reports, settings)))
    # Whether a summary has changed is known once its events have references.
    return [
        each
        for each in changes
        if not (each.existing and each.wanted and code_of(each.wanted) != SUMMARY and same(each.existing, each.wanted))
    ]


def _held(existing: Sequence[Resource]) -> dict[tuple[str, str], Resource]:
    """Observations that this service wrote, or may have written, by code and key."""
    held: dict[tuple[str, str], Resource] = {}
    for observation in existing:
        code, key = code_of(observation), _key(observation)
        if (code in (SUMMARY, EVENT) or is_measurement(observation)) and key:
            held[code[1], key] = observation
    return held


def reports_of(observation: Resource) -> set[str]:
    """SOP Instance UIDs of the SRs that an Observation names."""
    return {value.removeprefix("urn:oid:") for value in _report_values(observation)}


def _reports(observation: Resource, known: Mapping[str, str]) -> list[str]:
    """Those of some SRs that an Observation names, in order."""
    return sorted(reports_of(observation) & known.keys())


def _report_values(observation: Resource) -> list[str]:
    if not _is_keyed(observation):
        return []
    untyped = (each for each in elements(observation, "identifier") if not each.get("type"))
    return [str(each.get("value", "")) for each in untyped if each.get("system") == DICOM_UID]


def _key(observation: Resource) -> str:
    """The key of one that this service wrote; empty for others."""
    return key_of(observation) if len(elements(observation, "identifier")) > 1 and _is_keyed(observation) else ""


def _is_keyed(observation: Resource) -> bool:
    """Whether an identifier of type Study Instance UID stands beside the key."""
    return any(each.get("type") and each.get("system") == DICOM_UID for each in elements(observation, "identifier"))


def _adopted(
    wanted: Mapping[tuple[str, str], Resource],
    held: Mapping[tuple[str, str], Resource],
    existing: Sequence[Resource],
) -> dict[tuple[str, str], Resource]:
    """Observations that the archived DICOMcast wrote, where code and study leave no doubt which is which."""
    found: dict[tuple[str, str], Resource] = {}
    for code in (SUMMARY, EVENT):
        missing = [key for key in wanted if key[0] == code[1] and key not in held]
        older = [each for each in existing if code_of(each) == code and not _is_keyed(each)]
        if len(missing) == len(older) == 1:
            found[missing[0]] = older[0]
    return found


def _merged(
    before: Resource, wanted: Resource, written_reports: AbstractSet[str] | None, settings: CastSettings
) -> dict[str, Any]:
    ours = (*_OURS, *_OF_MEASUREMENTS) if is_measurement(wanted) else _OURS
    merged = {name: value for name, value in before.items() if name not in ours}
    merged |= {name: wanted[name] for name in ours if name in wanted}
    if "hasMember" in before and "hasMember" not in wanted:
        merged["hasMember"] = before["hasMember"]
    others = [
        each
        for each in elements(before, "identifier")
        if each not in wanted["identifier"] and not _is_withdrawn(each, before, written_reports, settings)
    ]
    merged["identifier"] = [*wanted["identifier"], *others]
    return merged


def _is_withdrawn(
    identifier: Resource, before: Resource, written_reports: AbstractSet[str] | None, settings: CastSettings
) -> bool:
    """Whether an identifier names an SR that this service wrote and that is wanted no more."""
    if identifier.get("system") != DICOM_UID or identifier.get("type"):
        return False
    uid = str(identifier.get("value", "")).removeprefix("urn:oid:")
    return uid in written_reports if written_reports is not None else is_ours(before, settings)


def _withdrawn(
    before: Resource, reports: Sequence[DoseReport], written_reports: AbstractSet[str] | None, settings: CastSettings
) -> dict[str, Any] | None:
    """An Observation that no SR asks for any more: without our SRs, or deleted once none is left."""
    written = (
        written_reports if written_reports is None else written_reports | {each.sop_instance_uid for each in reports}
    )
    held = elements(before, "identifier")
    rest = {**before, "identifier": [each for each in held if not _is_withdrawn(each, before, written, settings)]}
    return copy.deepcopy(rest) if reports_of(rest) else None
