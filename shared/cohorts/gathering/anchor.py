"""Whose patients may be members: the first searches of a plan (cohorts §8.3). Pure but for the searches."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.cohorts.evaluation.codes import CodePair, CodeSet
from shared.cohorts.evaluation.patients import Evaluation
from shared.cohorts.gathering.reader import Reader, patient_of
from shared.fhir.client import Parameters
from shared.fhir.resources import resource_id, token

CODES: Final = 50
"""Codes of one search: more are asked for in several."""
_ALL: Final = CodeSet(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Anchor:
    """The resources that name the candidates."""

    kind: str
    """A resource type."""
    codes: CodeSet = _ALL
    """Those of the criterion; without any: all resources of the kind."""

    @property
    def coded(self) -> bool:
        """Whether the server can search for it: a text is no search parameter."""
        return bool(self.codes.pairs) and not self.codes.texts


def anchor_of(evaluation: Evaluation, form: Mapping[str, Any]) -> Anchor:
    """The anchor of a definition; what stands below a `not` is never one."""
    conditions = [each.codes for each, negated in evaluation.conditions if not negated]
    medications = [each.codes for each, negated in evaluation.medications if not negated]
    for kind, entries in (("Condition", conditions), ("MedicationRequest", medications)):
        for codes in entries:
            if codes.pairs and not codes.texts:
                return Anchor(kind, codes)
    if conditions:
        return Anchor("Condition", conditions[0])
    if medications:
        return Anchor("MedicationRequest", medications[0])
    return Anchor("ImagingStudy" if form["imaging"]["required"] else "Patient")


def searches(anchor: Anchor) -> list[tuple[str, Parameters]]:
    """The searches of an anchor, but for those that need the answer of another."""
    if not anchor.coded:
        return [(anchor.kind, ())]
    values = code_values(anchor.codes.pairs)
    found: list[tuple[str, Parameters]] = [(anchor.kind, (("code", value),)) for value in values]
    if anchor.kind == "MedicationRequest":
        found += [("Medication", (("code", value),)) for value in values]
    return found


def code_values(codes: Iterable[CodePair]) -> list[str]:
    """Values of a search for any of some codes, a group of them in each."""
    pairs = sorted(codes)
    groups = (pairs[at : at + CODES] for at in range(0, len(pairs), CODES))
    return [",".join(token(system, code) for system, code in group) for group in groups]


async def candidates(anchor: Anchor, reader: Reader) -> AsyncIterator[str]:
    """The ids of the patients that may be members, not each once."""
    drugs: list[str] = []
    for kind, parameters in searches(anchor):
        async for resource in reader.each(kind, parameters):
            if kind == "Medication":
                drugs.append(resource_id(resource))
            elif found := patient_of(resource, reader.base):
                yield found
    for group in (drugs[at : at + CODES] for at in range(0, len(drugs), CODES)):
        value = ",".join(f"Medication/{each}" for each in group)
        async for resource in reader.each("MedicationRequest", (("medication", value),)):
            if found := patient_of(resource, reader.base):
                yield found
