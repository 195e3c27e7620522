"""The canonical form of a definition and its hash (COH-27), and the form that is written (COH-28). Pure."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from shared.cohorts.definition.durations import Duration
from shared.cohorts.definition.model import (
    DEFAULT_PATIENTS,
    AfterDiagnosis,
    Age,
    Code,
    CohortDefinition,
    Collect,
    Condition,
    ConditionWindow,
    Imaging,
    Medication,
    NoCondition,
    NoMedication,
    NoStudy,
    Window,
)

type Document = dict[str, Any]


def canonical(definition: CohortDefinition) -> Document:
    """The form that is hashed: `name`, `asOf` and `limits` left out, defaults filled, lists in one order."""
    return {
        "version": 1,
        "patient": _patient(definition),
        "conditions": _entries(definition.conditions, _condition),
        "medications": _entries(definition.medications, _medication),
        "imaging": _imaging(definition.imaging or Imaging(required=False)),
        "collect": _collect(definition.collect, definition),
        "consent": {"mode": definition.consent.mode},
    }


def manifest_form(definition: CohortDefinition) -> Document:
    """The canonical form with `name`, `asOf` and `limits` (cohorts §8.5)."""
    form = canonical(definition)
    if definition.name is not None:
        form["name"] = definition.name
    if definition.as_of is not None:
        form["asOf"] = definition.as_of
    form["limits"] = {"patients": definition.limits.patients}
    return form


def definition_hash(definition: CohortDefinition) -> str:
    """`sha256:` and the SHA-256 of the canonical form as RFC 8785 JSON."""
    return f"sha256:{hashlib.sha256(canonical_json(canonical(definition))).hexdigest()}"


def canonical_json(value: Any) -> bytes:
    """RFC 8785 JSON of a value without fractions: names in the order of their UTF-16 code units, no blanks."""
    return orjson.dumps(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------------------- inside


def _patient(definition: CohortDefinition) -> Document:
    age = definition.patient.age
    return ({"age": _age(age)} if age else {}) | {"gender": definition.patient.gender}


def _age(age: Age) -> Document:
    bounds = {"ge": age.least, "le": age.most}
    return {name: value for name, value in bounds.items() if value is not None} | {"at": age.at}


def _entries[E](entries: Iterable[E] | None, form: Callable[[Any], Document]) -> list[Document]:
    forms = [
        {"not": form(entry.not_)} if isinstance(entry, NoCondition | NoMedication) else form(entry)
        for entry in entries or ()
    ]
    return [each for _, each in sorted({canonical_json(each): each for each in forms}.items())]


def _condition(condition: Condition) -> Document:
    return {
        "code": _code(condition.code),
        "when": _when(condition.when),
        "verification": {"not": _distinct(condition.verification.not_)},
    }


def _medication(medication: Medication) -> Document:
    return {
        "code": _code(medication.code),
        "when": _when(medication.when),
        "notStatus": _distinct(medication.not_status),
    }


def _code(code: Code) -> Document:
    form: Document = {}
    if code.value_set is not None:
        form["valueSet"] = _distinct(code.value_sets)
    if code.codes is not None:
        pairs = sorted({(each.system, each.code) for each in code.codes})
        codes = [{"system": system, "code": value} for system, value in pairs]
        form["codes"] = sorted(codes, key=canonical_json)
    if code.text is not None:
        form["text"] = _distinct(code.texts)
    if code.expand is not None:
        form["expand"] = {"url": code.expand.url}
    return form


def _when(when: Window | AfterDiagnosis | str) -> Any:
    if isinstance(when, str):
        return when
    if isinstance(when, AfterDiagnosis):
        return {"after": when.after}
    form: Document = {}
    if when.within is not None:
        form["within"] = str(Duration.parse(when.within))
    if when.since is not None:
        form["since"] = when.since
    if when.until is not None:
        form["until"] = when.until
    if isinstance(when, ConditionWindow):
        form["of"] = list(when.kinds)
    return form


def _imaging(imaging: Imaging) -> Document:
    form: Document = {"required": imaging.required} | _study(imaging)
    if imaging.not_ is not None:
        form["not"] = _study(imaging.not_)
    return form


def _study(study: Imaging | NoStudy) -> Document:
    return {
        "modality": "any" if isinstance(study.modality, str) else _distinct(study.modality),
        "bodySite": "any" if isinstance(study.body_site, str) else _code(study.body_site),
        "when": _when(study.when),
    }


def restricts_studies(definition: CohortDefinition) -> bool:
    """Whether a study of a member may be one that does not match."""
    imaging, age = definition.imaging or Imaging(required=False), definition.patient.age
    anything = imaging.modality == "any" and imaging.body_site == "any" and imaging.when == "any"
    return not anything or imaging.not_ is not None or (age is not None and age.at == "study")


def _collect(collect: Collect, definition: CohortDefinition) -> Document:
    form: Document = {"conditions": collect.conditions}
    if collect.studies is not None:
        form["studies"] = collect.studies if restricts_studies(definition) else "matching"
    if collect.reports is not None:
        reports = collect.reports
        form["reports"] = {
            "linkedTo": reports.linked_to,
            "status": _distinct(reports.status),
            "linkByDay": reports.link_by_day,
        }
    if collect.medications is not None:
        form["medications"] = {
            "when": _when(collect.medications.when),
            "notStatus": _distinct(collect.medications.not_status),
        }
    return form


def _distinct(texts: Iterable[str]) -> list[str]:
    """Each once, in code-point order."""
    return sorted(set(texts))


def limited(definition: CohortDefinition) -> bool:
    """Whether the definition names a limit of its own."""
    return definition.limits.patients != DEFAULT_PATIENTS
