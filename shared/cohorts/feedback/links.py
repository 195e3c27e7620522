"""The strength of the link of an outcome to a read: by reference, body site, or time alone (cohorts §8.9). Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from shared.cohorts.evaluation.codes import CodePair, pairs_of
from shared.fhir.resources import Resource, elements, local_reference, referenced

type Strength = Literal["explicit", "site", "time"]

STRENGTHS: Final[Sequence[Strength]] = ("explicit", "site", "time")
"""Strongest first."""
_MOST_STEPS: Final = 4
"""References that are followed from an outcome: outcome, observation, order, report."""
_LEADING: Final[Mapping[str, Sequence[str]]] = {
    "Procedure": ("reasonReference", "report", "basedOn"),
    "Condition": ("evidence.detail",),
    "DiagnosticReport": ("basedOn", "imagingStudy", "result"),
    "ServiceRequest": ("reasonReference", "supportingInfo", "basedOn"),
    "Observation": ("focus", "derivedFrom", "partOf"),
}
"""Elements by which a resource says what it follows from."""


def references_of(resource: Resource, base: str) -> Iterator[str]:
    """The resources that a resource says it follows from, as `Type/id`."""
    for name in _LEADING.get(str(resource.get("resourceType")), ()):
        outer, _, inner = name.partition(".")
        for element in elements(resource, outer):
            for each in elements(element, inner) if inner else (element,):
                if found := referenced(each, base):
                    yield found


def leads_to(outcome: Resource, targets: frozenset[str], known: Mapping[str, Resource], base: str) -> bool:
    """Whether references lead from an outcome to a read or its studies, by way of resources that are known."""
    seen = {local_reference(outcome)}
    reached: list[Resource] = [outcome]
    for _ in range(_MOST_STEPS):
        found = {each for resource in reached for each in references_of(resource, base)} - seen
        if found & targets:
            return True
        seen |= found
        reached = [known[each] for each in sorted(found) if each in known]
    return False


def sites_of_studies(studies: Iterable[Resource]) -> set[CodePair]:
    """The coded body sites of the series of some studies."""
    return {
        (str(site.get("system", "")), site["code"])
        for study in studies
        for series in elements(study, "series")
        if isinstance(site := series.get("bodySite"), Mapping) and isinstance(site.get("code"), str)
    }


def sites_of_outcome(outcome: Resource, sites_of_codes: Mapping[CodePair, CodePair]) -> set[CodePair]:
    """The coded body sites of an outcome, and those that a site's map gives its code."""
    held: Any = outcome.get("bodySite")
    concepts = [each for each in (held if isinstance(held, list) else [held]) if isinstance(each, Mapping)]
    found = {pair for each in concepts for pair in pairs_of(each)}
    code = outcome.get("code")
    mapped = pairs_of(code) if isinstance(code, Mapping) else ()
    return found | {sites_of_codes[pair] for pair in mapped if pair in sites_of_codes}
