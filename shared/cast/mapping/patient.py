"""dicomcast §4.2 The Patient of a study. Pure."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.cast.mapping.codes import IDENTIFIER_TYPE, is_oid
from shared.cast.mapping.date_times import read_partial_date
from shared.cast.model import Note
from shared.cast.settings import CastSettings, normalised_base
from shared.cast.values import DataSet, item, items, text, trimmed
from shared.fhir.resources import Resource, elements

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
_GENDERS = {"M": "male", "F": "female", "O": "other"}
_TAGS = {"name": "00100010", "gender": "00100040", "birthDate": "00100030"}
_NOTES = {"name": "name-differs", "gender": "gender-differs", "birthDate": "birthDate-differs"}
_WRITTEN: Mapping[str, frozenset[str]] = {
    "fillMissing": frozenset(),
    "never": frozenset(),
    "nameAndGender": frozenset({"name", "gender"}),
    "all": frozenset({"name", "gender", "birthDate"}),
}


@dataclass(frozen=True, slots=True)
class WantedPatient:
    """The Patient as the study has it."""

    system: str
    """Of the identifier; may be empty."""
    value: str
    issuer: str
    """As the study names it."""
    name: Mapping[str, Any]
    """HumanName of the alphabetic group; {} if there is none."""
    representations: tuple[Mapping[str, Any], ...]
    """Those of the ideographic and of the phonetic group."""
    gender: str
    birth_date: str
    others: tuple[tuple[str, str], ...]
    """Further identifiers that may find the Patient."""


def wanted_patient(study: DataSet, settings: CastSettings) -> WantedPatient | None:
    """The Patient of a study's attributes; None without a PatientID."""
    value = text(study, "00100020")
    if not value:
        return None
    groups = [trimmed(group) for group in text(study, "00100010").split("=")]
    represented = zip(("IDE", "SYL"), groups[1:], strict=False)
    birth = text(study, "00100030")
    others = items(study, "00101002") if settings.match_other_patient_ids else []
    return WantedPatient(
        patient_system(study, settings),
        value,
        text(study, "00100021"),
        {"use": "usual", **name} if (name := human_name(groups[0])) else {},
        tuple(_represented(code, name) for code, group in represented if (name := human_name(group))),
        _GENDERS.get(text(study, "00100040"), ""),
        read_partial_date(birth).text if birth else "",
        tuple((patient_system(each, settings), other) for each in others if (other := text(each, "00100020"))),
    )


def patient_system(data_set: DataSet, settings: CastSettings) -> str:
    """The system of a PatientID by who issued it; empty if there is none."""
    if settings.issuer_is_used:
        qualifiers = item(data_set, "00100024")
        if is_oid(text(qualifiers, "00400032")) and text(qualifiers, "00400033") == "ISO":
            return f"urn:oid:{text(qualifiers, '00400032')}"
        issuer = text(data_set, "00100021")
        if issuer in settings.issuers:
            return settings.issuers[issuer]
        if issuer:
            return issuer if len(issuer.split()) == 1 else f"urn:dicom:issuer:{quote(issuer, safe='')}"
    return settings.patient_system


def human_name(group: str) -> dict[str, Any]:
    """One component group of a person name; {} if it is empty (PS3.5 §6.2.1)."""
    family, first, middle, prefix, suffix = [*(trimmed(each) for each in group.split("^")), *[""] * 5][:5]
    name = {
        "family": family,
        "given": [*first.split(), *middle.split()],
        "prefix": [prefix] if prefix else [],
        "suffix": [suffix] if suffix else [],
    }
    return {key: value for key, value in name.items() if value}


def _represented(code: str, name: Mapping[str, Any]) -> dict[str, Any]:
    return {"extension": [{"url": REPRESENTATION, "valueCode": code}], **name}


def new_patient(wanted: WantedPatient, settings: CastSettings) -> dict[str, Any]:
    """The Patient that is created."""
    identifier = {
        "type": {"coding": [{"system": IDENTIFIER_TYPE, "code": "MR"}]},
        "system": wanted.system,
        "value": wanted.value,
    }
    patient = {
        "resourceType": "Patient",
        "meta": {"source": settings.base},
        "identifier": [{name: value for name, value in identifier.items() if value}],
        "name": [dict(each) for each in (wanted.name, *wanted.representations) if each],
        "gender": wanted.gender,
        "birthDate": wanted.birth_date,
    }
    return {name: value for name, value in patient.items() if value}


def updated_patient(
    existing: Resource, wanted: WantedPatient, settings: CastSettings
) -> tuple[dict[str, Any], frozenset[Note]]:
    """The Patient as the policy lets it become, and what differs and is not written."""
    patient: dict[str, Any] = copy.deepcopy(dict(existing))
    source = patient.get("meta", {}).get("source", "")
    ours = normalised_base(source) == settings.base
    policy = settings.patient_update if ours or settings.patient_update_foreign else "never"
    fills, written = policy == "fillMissing", _WRITTEN[policy]
    notes: set[Note] = set()
    for element, value in (("gender", wanted.gender), ("birthDate", wanted.birth_date)):
        if not value or patient.get(element) == value:
            continue
        if element in written or (fills and not patient.get(element)):
            patient[element] = value
        else:
            notes.add(Note(_TAGS[element], _NOTES[element]))
    if wanted.name and not _has_name(patient, wanted.name):
        if "name" in written or (fills and not patient.get("name")):
            _set_name(patient, wanted)
        else:
            notes.add(Note(_TAGS["name"], _NOTES["name"]))
    elif "name" in written:
        _set_name(patient, wanted)
    return patient, frozenset(notes)


def _has_name(patient: Resource, name: Mapping[str, Any]) -> bool:
    """Whether the Patient is called so: by its usual name, else by any."""
    names = [each for each in elements(patient, "name") if not _representation(each)]
    usual = [each for each in names if each.get("use") == "usual"]
    return any(
        each.get("family", "") == name.get("family", "") and each.get("given", []) == name.get("given", [])
        for each in usual or names
    )


def _set_name(patient: dict[str, Any], wanted: WantedPatient) -> None:
    """Overwrite the usual name, and what stands in other scripts; other names stay."""
    names = [dict(each) for each in elements(patient, "name")]
    for name in (wanted.name, *wanted.representations):
        if not name:
            continue
        code = _representation(name)
        at = next((n for n, each in enumerate(names) if _is_same(each, code)), None)
        if at is None:
            names.append(dict(name))
        else:
            kept = {
                key: value for key, value in names[at].items() if key not in ("family", "given", "prefix", "suffix")
            }
            names[at] = {**kept, **name}
    patient["name"] = names


def _is_same(name: Resource, code: str) -> bool:
    return _representation(name) == code if code else name.get("use") == "usual" and not _representation(name)


def _representation(name: Resource) -> str:
    found = (each.get("valueCode", "") for each in elements(name, "extension") if each.get("url") == REPRESENTATION)
    return next((str(code) for code in found if code in ("IDE", "SYL")), "")
