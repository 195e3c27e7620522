"""The reads of one reader with what became of them (cohorts §8.9, COH-14, COH-33).

Reads are found first, by reader alone: dates of reports are compared here, since no search parameter covers both
`effective` and `issued`. Then a group of them at a time is read with the charts of its patients.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.cohorts.definition.durations import Duration
from shared.cohorts.evaluation.codes import CodePair
from shared.cohorts.feedback.links import references_of
from shared.cohorts.feedback.moments import Moment, order_of, read_at
from shared.cohorts.feedback.outcomes import (
    WRITTEN,
    Chart,
    Outcome,
    Read,
    Surroundings,
    is_decided,
    outcomes_of,
    studies_of,
)
from shared.cohorts.feedback.places import Places
from shared.cohorts.gathering.reader import GROUP, Reader, patient_of
from shared.cohorts.linking import Orders, order_references
from shared.errors import InvalidRequest
from shared.fhir.resources import Resource, elements, local_reference, referenced, resource_id
from shared.http.roles import Scope

_MOST_READS: Final = 20_000
"""Reads of one request: what is held of each is a report of some KB."""
_ORDER_STEPS: Final = 3
"""Orders of orders that are read."""
_HISTORIES_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Case:
    """A read and its outcomes."""

    report: Resource
    studies: Sequence[Resource]
    """Those that the caller sees, the one with the strongest link first."""
    patient: str
    """`Patient/id`."""
    moment: Moment | None
    outcomes: Sequence[Outcome]
    undecided: int
    """Outcomes with a date that does not tell whether they lie in the window."""


@dataclass(slots=True)
class Tally:
    """Counters of a reading of cases."""

    reads: int = 0
    with_outcome: int = 0
    undecided: int = 0
    without_study: int = 0
    outside: int = 0

    @property
    def coverage(self) -> str:
        """How many reads have an outcome."""
        return f"{self.with_outcome} of {self.reads}"

    @property
    def warnings(self) -> list[str]:
        """The cases that were left out, and why."""
        told = (
            (self.undecided, "outcomes have a date that does not tell whether they lie in the window"),
            (self.without_study, "reports have no ImagingStudy and are left out"),
            (self.outside, "reports have studies outside your scopes alone and are left out"),
        )
        return [f"{count} {text}" for count, text in told if count]


class Cases:
    """The cases of one FHIR server."""

    def __init__(
        self, reader: Reader, places: Places, reach: Duration, sites_of_codes: Mapping[CodePair, CodePair]
    ) -> None:
        self._reader = reader
        self._places = places
        self._reach = reach
        self._sites_of_codes = sites_of_codes

    async def of(self, practitioner: str, since: date | None, scope: Scope, tally: Tally) -> AsyncIterator[list[Case]]:
        """The cases of a reader, earliest read first, a group at a time; `tally` counts along.

        Raises InvalidRequest for more than can be answered at once; RequestFailed.
        """
        reads = await self._reads(practitioner, since)
        for at in range(0, len(reads), GROUP):
            yield await self._group(reads[at : at + GROUP], scope, tally)

    async def of_patients(
        self, patients: Sequence[str], practitioner: str, scope: Scope, tally: Tally
    ) -> AsyncIterator[list[Case]]:
        """The cases of a reader about some patients, by id. Raises RequestFailed."""
        held = await self._reader.of_patients("DiagnosticReport", patients, self._reader.base)
        reads = [each for reports in held.values() for each in reports if self._is_read_of(each, practitioner)]
        for at in range(0, len(reads), GROUP):
            yield await self._group(reads[at : at + GROUP], scope, tally)

    async def study_is_visible(self, report: Resource, scope: Scope) -> bool:
        """Whether a caller may know of a report: of one of its studies, or of everything. Raises RequestFailed."""
        if scope.whole_service:
            return True
        return bool(await self._group([report], scope, Tally()))

    # ------------------------------------------------------------------------------------------------------- inside

    async def _reads(self, practitioner: str, since: date | None) -> list[Resource]:
        found: dict[str, Resource] = {}
        for parameter in ("results-interpreter", "performer"):
            async for report in self._reader.each("DiagnosticReport", ((parameter, practitioner),)):
                if self._is_read_of(report, practitioner) and _is_since(read_at(report), since):
                    found[resource_id(report)] = report
                if len(found) > _MOST_READS:
                    raise InvalidRequest(
                        f"There are more than {_MOST_READS} reads.",
                        where="query parameter since",
                        remedy="Ask with a later since.",
                    )
        return sorted(found.values(), key=lambda each: (order_of(read_at(each)), resource_id(each)))

    def _is_read_of(self, report: Resource, practitioner: str) -> bool:
        """The reader is `resultsInterpreter`, else `performer`."""
        readers = elements(report, "resultsInterpreter") or elements(report, "performer")
        named = {referenced(each, self._reader.base) for each in readers}
        return practitioner in named and report.get("status") in WRITTEN and bool(patient_of(report, self._reader.base))

    async def _group(self, reports: Sequence[Resource], scope: Scope, tally: Tally) -> list[Case]:
        base = self._reader.base
        patients = sorted({patient_of(each, base) for each in reports})
        charts = await self._charts(patients)
        around = await self._surroundings(patients, charts)
        studies = [study for each in charts.values() for study in each.studies]
        visible = await self._places.visible(studies, scope)
        cases: list[Case] = []
        for report in reports:
            patient = patient_of(report, base)
            chart = charts[patient]
            reported = studies_of(report, chart, around.orders)
            seen = [each for each in reported if local_reference(each) in visible]
            if not seen:
                tally.without_study += not reported
                tally.outside += bool(reported)
                continue
            moment, outcomes, undecided = read_at(report), list[Outcome](), 0
            if moment is not None:
                outcomes, undecided = outcomes_of(Read(report, moment, seen), chart, around, self._reach)
            tally.reads += 1
            tally.with_outcome += bool(outcomes)
            tally.undecided += undecided
            cases.append(Case(report, seen, f"Patient/{patient}", moment, outcomes, undecided))
        return cases

    async def _charts(self, patients: Sequence[str]) -> dict[str, Chart]:
        of = {
            kind: await self._reader.of_patients(kind, patients, self._reader.base)
            for kind in ("DiagnosticReport", "Procedure", "Condition", "ImagingStudy")
        }
        conditions = [each for held in of["Condition"].values() for each in held if is_decided(each)]
        histories = await self._histories(conditions)
        return {
            each: Chart(
                of["DiagnosticReport"].get(each, ()),
                of["Procedure"].get(each, ()),
                of["Condition"].get(each, ()),
                of["ImagingStudy"].get(each, ()),
                histories,
            )
            for each in patients
        }

    async def _histories(self, conditions: Sequence[Resource]) -> dict[str, Sequence[Resource]]:
        """The versions of diagnoses that are confirmed or refuted."""
        slots = asyncio.Semaphore(_HISTORIES_AT_ONCE)

        async def read(reference: str) -> tuple[str, Sequence[Resource]]:
            async with slots:
                return reference, await self._reader.history(reference)

        return dict(await asyncio.gather(*(read(local_reference(each)) for each in conditions)))

    async def _surroundings(self, patients: Sequence[str], charts: Mapping[str, Chart]) -> Surroundings:
        """Observations that follow from something, and orders; those of orders too."""
        base = self._reader.base

        def follows(observation: Resource) -> bool:
            return any(True for _ in references_of(observation, base))

        observations = await self._reader.of_patients("Observation", patients, base, keep=follows)
        known = {local_reference(each): each for held in observations.values() for each in held}
        asking = [
            resource
            for chart in charts.values()
            for held in (chart.reports, chart.procedures, chart.studies)
            for resource in held
        ]
        orders: dict[str, Resource] = {}
        for _ in range(_ORDER_STEPS):
            missing = order_references(asking, base) - orders.keys()
            if not missing:
                break
            found = await self._reader.by_reference(sorted(missing))
            orders |= found
            asking = list(found.values())
        return Surroundings(base, Orders(base, orders), known | orders, self._sites_of_codes)


def _is_since(moment: Moment | None, since: date | None) -> bool:
    """Whether it may have been on that day or later."""
    return since is None or (moment is not None and moment.last >= since)
