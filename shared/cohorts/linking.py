"""Which reports belong to which study, and by what (cohorts §8.3, COH-7). Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.cohorts.evaluation.calendar_dates import interval
from shared.cohorts.evaluation.studies import modalities
from shared.fhir.resources import Resource, elements, identifiers, local_reference, referenced

type Identifier = tuple[str, str]

_ACCESSION: Final = "ACSN"
_MODALITY_WORDS: Final = {"CT": ("ct", "computed"), "MR": ("mr", "magnetic"), "US": ("us", "ultrasound")}


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders that studies and reports refer to; those of one server."""

    base: str
    found: Mapping[str, Resource]

    def keys(self, resource: Resource) -> tuple[set[str], set[Identifier]]:
        """The orders of a resource: references, and identifiers of those that are read or named by identifier."""
        references: set[str] = set()
        names: set[Identifier] = set()
        for element in elements(resource, "basedOn"):
            reference = referenced(element, self.base)
            if reference:
                references.add(reference)
                names |= set(identifiers(self.found.get(reference, {})))
            held = element.get("identifier")
            if isinstance(held, Mapping):
                names |= set(identifiers({"identifier": [held]}))
        return references, {each for each in names if each[1]}


def order_references(resources: Sequence[Resource], base: str) -> set[str]:
    """The orders that resources refer to, to be read."""
    found = {referenced(element, base) for each in resources for element in elements(each, "basedOn")}
    return {each for each in found if each.startswith("ServiceRequest/")}


def link(report: Resource, study: Resource, orders: Orders, *, by_day: bool) -> str:
    """The strongest link of a report to a study; empty if there is none."""
    if local_reference(study) in {referenced(each, orders.base) for each in elements(report, "imagingStudy")}:
        return "imagingStudy"
    references, names = orders.keys(report)
    others, other_names = orders.keys(study)
    if references & others or _share(names, other_names):
        return "basedOn"
    if _share(set(_accessions(report)), set(_accessions(study))):
        return "accession"
    return "day" if by_day and _same_day(report, study) else ""


def _share(one: set[Identifier], other: set[Identifier]) -> bool:
    """Whether an identifier is in both: equal values, and equal systems or one without."""
    return any(
        value == other_value and (system == other_system or not (system and other_system))
        for system, value in one
        for other_system, other_value in other
    )


def _accessions(resource: Resource) -> Iterator[Identifier]:
    for each in elements(resource, "identifier"):
        kind: Any = each.get("type")
        codings = elements(kind, "coding") if isinstance(kind, Mapping) else []
        if any(coding.get("code") == _ACCESSION for coding in codings) and each.get("value"):
            yield str(each.get("system", "")), str(each["value"])


def _same_day(report: Resource, study: Resource) -> bool:
    written, started = interval(report.get("effectiveDateTime")), interval(study.get("started"))
    if written is None or started is None or written.precision != "day" or started.precision != "day":
        return False
    code = report.get("code")
    texts = [str(each.get("display", "")) for each in elements(code, "coding")] if isinstance(code, Mapping) else []
    words = " ".join([*texts, str(code.get("text", "")) if isinstance(code, Mapping) else ""]).lower().split()
    named = {each for each, names in _MODALITY_WORDS.items() if any(name in words for name in names)}
    return written.first == started.first and bool(named & set(modalities(study)))
