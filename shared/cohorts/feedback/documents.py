"""Feedback as FHIR resources: what a reader is told, and what somebody thinks of an agreement (cohorts §8.9). Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

from shared.cohorts.feedback.cases import Case
from shared.cohorts.feedback.outcomes import Outcome
from shared.fhir.resources import escaped, local_reference

type Agreement = Literal["concordant", "minor", "major", "unknown"]

AGREEMENTS: Final = ("concordant", "minor", "major", "unknown")
SYSTEM: Final = "urn:dicomweb:feedback"
"""System of the identifiers and codes that nobody has standardised."""
_DERIVABLE: Final = frozenset(
    {"DocumentReference", "ImagingStudy", "Media", "QuestionnaireResponse", "Observation", "MolecularSequence"}
)
"""Types that R4 allows in `Observation.derivedFrom`."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The opinion of a person on a report, given an outcome."""

    report: str
    outcome: str
    """`Type/id`."""
    agreement: Agreement
    comment: str


def communication(case: Case, outcome: Outcome, practitioner: str, sent: str = "") -> dict[str, Any]:
    """A message to a reader about one outcome. Its identifier is made of reader, report and outcome: of one pair there
    is one. `sent`: an instant; empty while it has not been.
    """
    report = local_reference(case.report)
    told = {
        "resourceType": "Communication",
        "identifier": [{"system": SYSTEM, "value": digest(practitioner, report, outcome.reference)}],
        "status": "completed" if sent else "preparation",
        "category": [{"coding": [{"system": SYSTEM, "code": outcome.strength}], "text": "Outcome of a read"}],
        "subject": {"reference": case.patient},
        "recipient": [{"reference": practitioner}],
        "about": [{"reference": report}, {"reference": outcome.reference}],
    }
    return {**told, "sent": sent} if sent else told


def observation(given: Assessment, patient: str, when: str) -> dict[str, Any]:
    """An assessment as an Observation about a report; the outcome is what it derives from, where R4 allows that."""
    focus = [{"reference": given.report}]
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "identifier": [
            {"system": SYSTEM, "value": digest(given.report, given.outcome, given.agreement, given.comment)}
        ],
        "status": "final",
        "code": {
            "coding": [{"system": SYSTEM, "code": "agreement"}],
            "text": "Agreement of a report with its outcome",
        },
        "subject": {"reference": patient},
        "focus": focus,
        "effectiveDateTime": when,
        "valueCodeableConcept": {"coding": [{"system": SYSTEM, "code": given.agreement}], "text": given.agreement},
    }
    if given.outcome.partition("/")[0] in _DERIVABLE:
        found["derivedFrom"] = [{"reference": given.outcome}]
    else:
        focus.append({"reference": given.outcome})
    return {**found, "note": [{"text": given.comment}]} if given.comment else found


def condition_of(resource: Mapping[str, Any]) -> str:
    """The query of a conditional create: no second resource with that identifier (R4 §3.1.0.8.1)."""
    identifier = resource["identifier"][0]
    value = f"{escaped(identifier['system'])}|{escaped(identifier['value'])}"
    return f"identifier={quote(value, safe='')}"


def digest(*parts: str) -> str:
    """A name that is made of some texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
