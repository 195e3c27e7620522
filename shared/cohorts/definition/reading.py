"""A definition read from JSON, with errors that name the place (COH-1, COH-17, AERR-3). Pure."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from shared.cohorts.definition.model import (
    AfterDiagnosis,
    Age,
    CohortDefinition,
    Condition,
    Imaging,
    Medication,
    NoCondition,
    NoMedication,
    Window,
)
from shared.errors import InvalidRequest

_REASONS: Final = {
    "missing": "it is required",
    "extra_forbidden": "there is no such member",
    "union_tag_invalid": "it has the wrong type",
}


class InvalidDefinition(InvalidRequest):
    """A definition breaks the schema or a check beyond it. `path` names the place, such as `conditions[0].when`."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"The field '{path}' in request body is invalid: {reason}.", where="request body")
        self.path = path
        self.reason = reason


def read_definition(document: Any) -> CohortDefinition:
    """The definition of a JSON document. Raises InvalidDefinition for the first thing that is wrong."""
    if not isinstance(document, dict):
        raise InvalidDefinition("$", "a definition is a JSON object")
    try:
        definition = CohortDefinition.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=True)[0]
        raise InvalidDefinition(_path(first["loc"]), _reason(first)) from None
    for path, reason in _contradictions(definition):
        raise InvalidDefinition(path, reason)
    return definition


def _path(location: tuple[int | str, ...]) -> str:
    """`('conditions', 0, '<object>', 'when')` → `conditions[0].when`."""
    parts: list[str] = []
    for part in location:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif not (part.startswith("<") and part.endswith(">")):
            parts.append(f".{part}"[:200])
    return "".join(parts).removeprefix(".") or "$"


def _reason(error: Any) -> str:
    known = _REASONS.get(error["type"])
    if known:
        return known
    text = str(error["msg"]).removeprefix("Value error, ").strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _contradictions(definition: CohortDefinition) -> Iterator[tuple[str, str]]:
    """Contradictions that no schema tells (COH-17)."""
    age = definition.patient.age
    imaging = definition.imaging
    if age is not None:
        yield from _age(age, imaging, definition)
    for path, when in _windows(definition):
        if when.since is not None and when.until is not None and when.since > when.until:
            yield path, "since must not be later than until"
    after = isinstance(imaging.when, AfterDiagnosis) if imaging else False
    after_not = isinstance(imaging.not_.when, AfterDiagnosis) if imaging and imaging.not_ else False
    if len(definition.required_conditions) != 1:
        needs = "after: diagnosis needs exactly one entry of conditions that is not a not"
        if after:
            yield "imaging.when.after", needs
        if after_not:
            yield "imaging.not.when.after", needs
    if not _has_criterion(definition):
        yield "$", "it needs at least one criterion: an age, a gender, a condition, a medication or imaging"


def _age(age: Age, imaging: Imaging | None, definition: CohortDefinition) -> Iterator[tuple[str, str]]:
    if age.least is not None and age.most is not None and age.least > age.most:
        yield "patient.age", "the lower age must not be above the upper age"
    if age.at == "study" and not (imaging and imaging.required):
        yield "patient.age.at", "study needs imaging.required: true"
    if age.at == "diagnosis" and len(definition.required_conditions) != 1:
        yield "patient.age.at", "diagnosis needs exactly one entry of conditions that is not a not"


def _windows(definition: CohortDefinition) -> Iterator[tuple[str, Window]]:
    for name, entries in (("conditions", definition.conditions), ("medications", definition.medications)):
        for at, entry in enumerate(entries or []):
            negated = isinstance(entry, NoCondition | NoMedication)
            inner = entry.not_ if isinstance(entry, NoCondition | NoMedication) else entry
            if isinstance(inner, Condition | Medication) and isinstance(inner.when, Window):
                yield f"{name}[{at}]{'.not' if negated else ''}.when", inner.when
    imaging = definition.imaging
    if imaging and isinstance(imaging.when, Window):
        yield "imaging.when", imaging.when
    if imaging and imaging.not_ and isinstance(imaging.not_.when, Window):
        yield "imaging.not.when", imaging.not_.when
    collected = definition.collect.medications
    if collected and isinstance(collected.when, Window):
        yield "collect.medications.when", collected.when


def _has_criterion(definition: CohortDefinition) -> bool:
    imaging = definition.imaging
    return bool(
        definition.patient.age
        or definition.patient.gender != "any"
        or definition.conditions
        or definition.medications
        or (imaging and (imaging.required or imaging.not_))
    )
