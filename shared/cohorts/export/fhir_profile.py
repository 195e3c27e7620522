"""DEID-10 FHIR resources that name nobody: an allow-list of elements for each type of resource. Pure.

What is not listed goes: narrative, contained resources, extensions, notes, displays, texts, names and addresses. Dates
move with those of the patient's files; one that is no day goes, since it cannot be moved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

from shared.deidentification.key import Key
from shared.fhir.resources import Resource, elements, identifiers, local_reference, referenced

_OLDEST: Final = 90
"""Ages from here on are one group: few people are as old, and can be told by it."""
_LONGEST_CODE: Final = 64
_UIDS: Final = "urn:dicom:uid"


@dataclass(frozen=True, slots=True)
class Disguise:
    """The changes to the resources of one patient."""

    key: Key
    days: int
    """By which dates move: as in the files of the patient."""
    fhir: str
    """The address of the FHIR server, whose references are local."""
    texts: bool = False
    """Whether free texts stay (`freeText: "keep"`)."""

    def reference(self, reference: str) -> str:
        """`Type/pseudonym`."""
        return f"{reference.partition('/')[0]}/{self.key.subject(reference)}"

    def day(self, value: Any) -> str | None:
        """A date, or the day of an instant, moved; None where it is no whole day."""
        text = value if isinstance(value, str) else ""
        try:
            moved = date.fromisoformat(text[:10]) + timedelta(days=self.days)
        except (ValueError, OverflowError):
            return None
        return moved.isoformat() + text[10:]


type Rule = Callable[[Disguise, Any], Any]
"""A rule: the new form of an element; None: it goes."""


def disguised(resource: Resource, disguise: Disguise) -> dict[str, Any] | None:
    """The new form of a resource; None for a type that nothing is listed of."""
    rules = _ALLOWED.get(str(resource.get("resourceType")))
    if rules is None:
        return None
    reference = disguise.reference(local_reference(resource))
    found: dict[str, Any] = {"resourceType": resource["resourceType"], "id": reference.partition("/")[2]}
    return found | _members(rules, disguise, resource)


# ------------------------------------------------------------------------------------------------------------- inside


def _members(rules: Mapping[str, Rule], disguise: Disguise, value: Resource) -> dict[str, Any]:
    made = {name: rule(disguise, value[name]) for name, rule in rules.items() if name in value}
    return {name: each for name, each in made.items() if each not in (None, [], {})}


def _code(_disguise: Disguise, value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= _LONGEST_CODE else None


def _boolean(_disguise: Disguise, value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(_disguise: Disguise, value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(disguise: Disguise, value: Any) -> str | None:
    return value if disguise.texts and isinstance(value, str) else None


def _day(disguise: Disguise, value: Any) -> str | None:
    return disguise.day(value)


def _uid(disguise: Disguise, value: Any) -> str | None:
    return disguise.key.uid(value) if isinstance(value, str) else None


def _reference(disguise: Disguise, value: Any) -> dict[str, str] | None:
    found = referenced(value, disguise.fhir)
    return {"reference": disguise.reference(found)} if found.count("/") == 1 and "://" not in found else None


def _age(_disguise: Disguise, value: Any) -> dict[str, Any] | None:
    amount = value.get("value") if isinstance(value, Mapping) else None
    if not isinstance(amount, int | float) or amount >= _OLDEST:
        return None
    return {name: value[name] for name in ("value", "system", "code", "unit") if name in value}


def _studies(disguise: Disguise, value: Any) -> list[dict[str, str]]:
    """The Study Instance UIDs among identifiers."""
    found = [text for system, text in identifiers({"identifier": value}) if system == _UIDS]
    return [{"system": _UIDS, "value": f"urn:oid:{disguise.key.uid(each.removeprefix('urn:oid:'))}"} for each in found]


def _object(rules: Mapping[str, Rule], disguise: Disguise, value: Any) -> dict[str, Any] | None:
    return _members(rules, disguise, value) if isinstance(value, Mapping) else None


def _list(rule: Rule, disguise: Disguise, value: Any) -> list[Any]:
    made = [rule(disguise, each) for each in value] if isinstance(value, list) else []
    return [each for each in made if each not in (None, [], {})]


def _coding(_disguise: Disguise, value: Any) -> dict[str, str] | None:
    """System and code; the display is a free text."""
    code = value.get("code") if isinstance(value, Mapping) else None
    if not isinstance(code, str) or len(code) > _LONGEST_CODE:
        return None
    return ({"system": value["system"]} if isinstance(value.get("system"), str) else {}) | {"code": code}


def _concept(disguise: Disguise, value: Any) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    found: dict[str, Any] = {}
    if codings := _list(_coding, disguise, elements(value, "coding")):
        found["coding"] = codings
    if text := _text(disguise, value.get("text")):
        found["text"] = text
    return found


_concepts: Final = partial(_list, _concept)
_codings: Final = partial(_list, _coding)
_references: Final = partial(_list, _reference)
_INSTANCE: Final[Mapping[str, Rule]] = {"uid": _uid, "sopClass": _coding, "number": _number}
_SERIES: Final[Mapping[str, Rule]] = {
    "uid": _uid,
    "number": _number,
    "modality": _coding,
    "numberOfInstances": _number,
    "bodySite": _coding,
    "laterality": _coding,
    "started": _day,
    "instance": partial(_list, partial(_object, _INSTANCE)),
}
_ALLOWED: Final[Mapping[str, Mapping[str, Rule]]] = {
    "Patient": {"gender": _code, "deceasedBoolean": _boolean, "deceasedDateTime": _day},
    "Condition": {
        "clinicalStatus": _concept,
        "verificationStatus": _concept,
        "category": _concepts,
        "severity": _concept,
        "code": _concept,
        "bodySite": _concepts,
        "subject": _reference,
        "onsetDateTime": _day,
        "onsetAge": _age,
        "abatementDateTime": _day,
        "recordedDate": _day,
    },
    "ImagingStudy": {
        "identifier": _studies,
        "status": _code,
        "modality": _codings,
        "subject": _reference,
        "started": _day,
        "numberOfSeries": _number,
        "numberOfInstances": _number,
        "series": partial(_list, partial(_object, _SERIES)),
    },
    "DiagnosticReport": {
        "status": _code,
        "category": _concepts,
        "code": _concept,
        "subject": _reference,
        "effectiveDateTime": _day,
        "issued": _day,
        "imagingStudy": _references,
        "conclusion": _text,
        "conclusionCode": _concepts,
    },
    "MedicationRequest": {
        "status": _code,
        "intent": _code,
        "doNotPerform": _boolean,
        "medicationCodeableConcept": _concept,
        "medicationReference": _reference,
        "subject": _reference,
        "authoredOn": _day,
    },
    "Medication": {"code": _concept, "status": _code, "form": _concept},
}
"""Elements that stay, by type of resource."""
