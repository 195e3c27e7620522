"""Feedback of one service: cases, deliveries, assessments, predictions (cohorts §8.9, §8.10)."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from shared.cohorts.definition.durations import Duration
from shared.cohorts.evaluation.codes import CodePair
from shared.cohorts.feedback.cases import Case, Cases, Tally
from shared.cohorts.feedback.documents import Assessment, communication, condition_of, observation
from shared.cohorts.feedback.models import FeedbackModel
from shared.cohorts.feedback.places import Places
from shared.cohorts.feedback.predictions import Line, Page, Predictions
from shared.cohorts.gathering.reader import Reader, patient_of
from shared.cohorts.manifest import pseudonym
from shared.cohorts.store import new_key
from shared.fhir.client import FhirClient
from shared.fhir.resources import local_reference
from shared.http.json_body import invalid_field
from shared.http.roles import WHOLE_SERVICE, Scope
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import RowWrite, TableStore

_PARTITION: Final = "feedback"
_KEY: Final = "key"

type Audit = Callable[[Iterable[str]], None]
"""Notes that patients, by reference, have been read."""


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """`Feedback:…`."""

    window_days: int
    """Days after a read in which an outcome counts."""
    sites_of_codes: Mapping[CodePair, CodePair]
    """Body sites of codes of procedures."""
    models: Sequence[FeedbackModel]
    allowed: frozenset[str]
    """Bases of DICOMweb, normalised."""


class Feedback:
    """Feedback on the reads and predictions that one FHIR server knows of."""

    def __init__(
        self, client: FhirClient, tables: TableStore, settings: FeedbackSettings, now: Callable[[], float]
    ) -> None:
        self._client = client
        self._tables = tables
        self._settings = settings
        self._now = now

    async def cases(
        self, practitioner: str, since: date | None, scope: Scope, audit: Audit
    ) -> "tuple[AsyncIterator[list[Case]], Tally, set[str]]":
        """The cases of a reader, what is counted along, and warnings; each patient is audited as it is read."""
        reader, tally = Reader(self._client), Tally()

        async def groups() -> AsyncIterator[list[Case]]:
            async for group in self._cases(reader).of(practitioner, since, scope, tally):
                audit(dict.fromkeys(each.patient for each in group))
                yield group

        return groups(), tally, reader.warnings

    async def deliver(self, practitioner: str, since: date | None, scope: Scope, audit: Audit) -> dict[str, int]:
        """Tell a reader of each outcome once; how many were told now, and before (COH-34). Raises RequestFailed."""
        counts = {"delivered": 0, "existing": 0}
        groups, _, _ = await self.cases(practitioner, since, scope, audit)
        async for group in groups:
            await self._tell(group, practitioner, counts)
        return counts

    async def deliver_about(
        self, references: Sequence[str], practitioners: Sequence[str], audit: Audit
    ) -> dict[str, int]:
        """Tell some readers of the outcomes of the patients of some resources (COH-40); what is gone has none.

        Raises RequestFailed.
        """
        counts = {"delivered": 0, "existing": 0}
        reader = Reader(self._client)
        found = (await reader.by_reference(references)).values()
        patients = sorted({patient for each in found if (patient := patient_of(each, reader.base))})
        cases = self._cases(reader)
        for practitioner in practitioners if patients else ():
            async for group in cases.of_patients(patients, practitioner, WHOLE_SERVICE, Tally()):
                audit(dict.fromkeys(each.patient for each in group))
                await self._tell(group, practitioner, counts)
        return counts

    async def assess(self, given: Assessment, scope: Scope, audit: Audit) -> str:
        """Keep an assessment, once; `Observation/id` (COH-36). Raises InvalidRequest, RequestFailed."""
        reader = Reader(self._client)
        found = await reader.by_reference([given.report, given.outcome])
        report, outcome = found.get(given.report), found.get(given.outcome)
        patient = patient_of(report, reader.base) if report else ""
        if report is None or not patient or not await self._cases(reader).study_is_visible(report, scope):
            raise invalid_field("report", "There is no such report.")
        if outcome is None or patient_of(outcome, reader.base) != patient:
            raise invalid_field("outcome", "The patient of the report has no such outcome.")
        audit([f"Patient/{patient}"])
        document = observation(given, f"Patient/{patient}", self._today())
        kept, _ = await self._client.create(document, if_none_exist=condition_of(document))
        return local_reference(kept)

    async def predictions(
        self, device: str, since: date | None, after: str, scope: Scope, audit: Audit
    ) -> tuple[AsyncIterator[Sequence[Line]], Page]:
        """The predictions of a model behind a token, and their page. Raises NotFound, InvalidRequest, RequestFailed."""
        reader, key = Reader(self._client), await self._key()
        predictions = Predictions(
            reader,
            Places(reader, self._settings.allowed),
            self._settings.models,
            lambda patient: pseudonym(key, patient).rpartition("/")[2],
        )
        page = await predictions.page(device, since, after)

        async def groups() -> AsyncIterator[Sequence[Line]]:
            async for group in predictions.lines(page, scope):
                audit(dict.fromkeys(each.patient for each in group))
                yield group

        return groups(), page

    # ------------------------------------------------------------------------------------------------------- inside

    async def _tell(self, cases: Sequence[Case], practitioner: str, counts: dict[str, int]) -> None:
        """Tell of each pair once, and count it."""
        for case in cases:
            for outcome in case.outcomes:
                told = communication(case, outcome, practitioner, self._today())
                _, new = await self._client.create(told, if_none_exist=condition_of(told))
                counts["delivered" if new else "existing"] += 1

    def _cases(self, reader: Reader) -> Cases:
        reach = Duration(0, self._settings.window_days)
        return Cases(reader, Places(reader, self._settings.allowed), reach, self._settings.sites_of_codes)

    def _today(self) -> str:
        found = datetime.fromtimestamp(self._now(), UTC)
        return found.isoformat(timespec="seconds").replace("+00:00", "Z")

    async def _key(self) -> str:
        """The key of the pseudonyms in lines, made once: equal input gives equal lines. Raises Unavailable."""
        rounds = Rounds("The key of feedback cannot be kept")
        while (row := await self._tables.get("ops", _PARTITION, _KEY)) is None:
            await rounds.next()
            made: dict[str, Any] = {"key": new_key()}
            await best_effort_commit(self._tables, "ops", [RowWrite("insert", _PARTITION, _KEY, made)])
        return str(row.properties["key"])
