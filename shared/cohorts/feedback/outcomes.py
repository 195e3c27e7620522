"""Outcomes of a patient after a read: pathology, procedures, diagnoses, later reports (cohorts §8.9). Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from shared.cohorts.definition.durations import Duration
from shared.cohorts.evaluation.codes import CodePair, codes_of, texts_of
from shared.cohorts.feedback.links import STRENGTHS, Strength, leads_to, sites_of_outcome, sites_of_studies
from shared.cohorts.feedback.moments import Moment, order_of, performed_at, read_at
from shared.cohorts.linking import Orders, link
from shared.fhir.resources import Resource, elements, local_reference

WRITTEN: Final = frozenset({"final", "amended", "corrected", "appended"})
"""Statuses of a report that somebody stands by."""
_PATHOLOGY: Final = frozenset({"PAT", "SP", "CP"})
"""Of v2-0074."""
_DECIDED: Final = frozenset({"confirmed", "refuted"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that may tell whether a read was right."""

    resource: Resource
    strength: Strength
    moment: Moment
    known_by: str = ""
    """Of a Condition: `history`, or `recordedDate`."""

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return local_reference(self.resource)

    @property
    def text(self) -> str:
        """Its text."""
        return text_of(self.resource)


@dataclass(frozen=True, slots=True)
class Chart:
    """The resources that are read of one patient."""

    reports: Sequence[Resource] = ()
    procedures: Sequence[Resource] = ()
    conditions: Sequence[Resource] = ()
    studies: Sequence[Resource] = ()
    histories: Mapping[str, Sequence[Resource]] = field(default_factory=dict)
    """The versions of conditions, by reference, oldest first; of those that the server offers them of."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The resources that are read beside the charts of a group of patients."""

    base: str
    """Of the FHIR server."""
    orders: Orders
    known: Mapping[str, Resource]
    """Observations and orders, by reference."""
    sites_of_codes: Mapping[CodePair, CodePair]
    """`Feedback:ProcedureSites`."""


@dataclass(frozen=True, slots=True)
class Read:
    """A report as somebody's read of a study."""

    report: Resource
    moment: Moment
    studies: Sequence[Resource]
    """The studies that it reports, the one with the strongest link first."""


def studies_of(report: Resource, chart: Chart, orders: Orders) -> list[Resource]:
    """The studies of a report, strongest link first (COH-7)."""
    links = ("imagingStudy", "basedOn", "accession")
    ranked = [(link(report, study, orders, by_day=False), study) for study in chart.studies]
    found = [(links.index(by), local_reference(study), study) for by, study in ranked if by]
    return [study for _, _, study in sorted(found, key=lambda each: each[:2])]


def outcomes_of(read: Read, chart: Chart, around: Surroundings, reach: Duration) -> tuple[list[Outcome], int]:
    """The outcomes of a read, explicit ones first, each once; and how many have a date that decides nothing."""
    targets = frozenset(map(local_reference, (read.report, *read.studies)))
    sites = sites_of_studies(read.studies)
    found: list[Outcome] = []
    undecided = 0
    for resource, moment, known_by in _evidence(read, chart, around, sites):
        inside = moment.within(read.moment, reach)
        if inside is None:
            undecided += 1
        if not inside:
            continue
        found.append(Outcome(resource, _strength(resource, targets, sites, chart, around), moment, known_by))
    ordered = sorted(found, key=lambda each: (STRENGTHS.index(each.strength), order_of(each.moment), each.reference))
    return ordered, undecided


def text_of(resource: Resource) -> str:
    """The text of a report, procedure or diagnosis: its conclusion, else the text of its code, else the code."""
    if isinstance(resource.get("conclusion"), str):
        return str(resource["conclusion"])
    code = resource.get("code")
    if not isinstance(code, Mapping):
        return ""
    return next(texts_of(code), next(iter(sorted(codes_of([code]))), ""))


# ------------------------------------------------------------------------------------------------------------- inside


def _strength(
    resource: Resource, targets: frozenset[str], sites: set[CodePair], chart: Chart, around: Surroundings
) -> Strength:
    if leads_to(resource, targets, around.known, around.base):
        return "explicit"
    held = sites_of_outcome(resource, around.sites_of_codes)
    if resource.get("resourceType") == "DiagnosticReport":
        held |= sites_of_studies(studies_of(resource, chart, around.orders))
    return "site" if held & sites else "time"


def _evidence(
    read: Read, chart: Chart, around: Surroundings, sites: set[CodePair]
) -> Iterator[tuple[Resource, Moment, str]]:
    """The resources that may be outcomes, with their dates."""
    own = local_reference(read.report)
    reported = {local_reference(each) for each in read.studies}
    for report in chart.reports:
        moment = read_at(report)
        if moment is None or local_reference(report) == own or report.get("status") not in WRITTEN:
            continue
        if codes_of(elements(report, "category")) & _PATHOLOGY:
            yield report, moment, ""
            continue
        studies = studies_of(report, chart, around.orders)
        again = any(local_reference(each) in reported for each in studies)
        if again or sites_of_studies(studies) & sites:
            yield report, moment, ""
    for procedure in chart.procedures:
        moment = performed_at(procedure)
        if moment is not None and procedure.get("status") == "completed":
            yield procedure, moment, ""
    for condition in chart.conditions:
        if found := _decided(condition, chart.histories.get(local_reference(condition), ())):
            yield condition, *found


def _decided(condition: Resource, versions: Sequence[Resource]) -> tuple[Moment, str] | None:
    """When a diagnosis became confirmed or refuted, and how that is known; None: it is neither, or nobody knows."""
    now = _verification(condition)
    if now not in _DECIDED:
        return None
    for before, after in reversed(list(pairwise(versions))):
        if _verification(after) == now != _verification(before):
            meta: Any = after.get("meta")
            moment = Moment.of(meta.get("lastUpdated") if isinstance(meta, Mapping) else None)
            return (moment, "history") if moment else None
    moment = Moment.of(condition.get("recordedDate"))
    return (moment, "recordedDate") if moment else None


def _verification(condition: Resource) -> str:
    return next(iter(sorted(codes_of([condition.get("verificationStatus")]))), "")


def is_decided(condition: Resource) -> bool:
    """Whether a diagnosis is confirmed or refuted: whether its versions are worth reading."""
    return _verification(condition) in _DECIDED
