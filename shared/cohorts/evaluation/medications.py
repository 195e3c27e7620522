"""MedicationRequests (COH-20). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.cohorts.evaluation.calendar_dates import DayWindow, interval
from shared.cohorts.evaluation.codes import CodeSet
from shared.cohorts.evaluation.truth import FALSE, TRUE, Evidence, Truth, some, unknown
from shared.fhir.resources import Resource, elements, local_reference, referenced, resource_id


@dataclass(frozen=True, slots=True)
class Drugs:
    """The Medication resources that requests refer to, by reference; those of a server."""

    base: str
    found: Mapping[str, Resource]

    def concept(self, request: Resource) -> Resource | None:
        """The drug that was prescribed: a CodeableConcept, also of the Medication referred to; None: unreadable."""
        own = request.get("medicationCodeableConcept")
        if isinstance(own, Mapping):
            return own
        reference = request.get("medicationReference")
        name = referenced(reference, self.base)
        held: Resource | None
        if name.startswith("#"):
            held = next((each for each in elements(request, "contained") if resource_id(each) == name[1:]), None)
        else:
            held = self.found.get(name)
        code = held.get("code") if held is not None else None
        return code if isinstance(code, Mapping) else None


def dated(request: Resource, window: DayWindow | None) -> Truth:
    """Whether the request was made in the window."""
    if window is None:
        return TRUE
    days = interval(request.get("authoredOn"))
    return window.holds(days, "authoredOn") if days else unknown("when", "no authoredOn")


@dataclass(frozen=True, slots=True)
class MedicationCriterion:
    """An entry of `medications`."""

    path: str
    codes: CodeSet
    window: DayWindow | None
    refused: frozenset[str]

    @classmethod
    def of(cls, entry: Mapping[str, Any], path: str, codes: CodeSet, as_of: date) -> "MedicationCriterion":
        """The criterion of a canonical entry."""
        return cls(path, codes, DayWindow.of(entry["when"], as_of), frozenset(entry["notStatus"]))

    def meets(self, request: Resource, drugs: Drugs) -> Truth:
        """Whether one request has everything that is asked."""
        if request.get("doNotPerform") is True or request.get("status") in self.refused:
            return FALSE
        concept = drugs.concept(request)
        if concept is not None and not self.codes.holds(concept):
            return FALSE
        truth = dated(request, self.window)
        if truth.possible and concept is None:
            truth = unknown("code", "the drug of a request cannot be read")
        evidence = (Evidence(self.path, local_reference(request), str(request.get("authoredOn", ""))),)
        return Truth(truth.value, truth.criterion, truth.why, evidence)

    def decide(self, requests: Sequence[Resource], drugs: Drugs) -> Truth:
        """Whether the patient has such a request."""
        truths = [self.meets(each, drugs) for each in requests]
        found = some(truths)
        if not found.met:
            return found.within(self.path) if found.possible else FALSE
        return Truth(found.value, evidence=tuple(each for truth in truths if truth.met for each in truth.evidence))
