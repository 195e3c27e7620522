"""The work of operations of the type cohort: candidates, then members, a group at a time (cohorts §8.3, COH-5).

Every step may run twice: rows are keyed by patient, and what is counted is counted with the position in one checkpoint.
Memory does not grow with the cohort.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from shared.cohorts.definition.canonical import canonical
from shared.cohorts.definition.reading import read_definition
from shared.cohorts.entries import Entries, Gaps, Surroundings
from shared.cohorts.evaluation.consents import permits_research
from shared.cohorts.evaluation.patients import Evaluation, Record, Verdict
from shared.cohorts.gathering.anchor import anchor_of, candidates
from shared.cohorts.gathering.reader import GROUP, Reader
from shared.cohorts.gathering.records import Needs, records
from shared.cohorts.linking import Orders, order_references
from shared.cohorts.store import INDETERMINATE, MEMBER, CohortStore
from shared.fhir.client import FhirClient
from shared.fhir.resources import elements, local_reference, referenced, resource_id
from shared.operations.model import Document, OperationFailed
from shared.operations.store import Lease

_NOTED: Final = 1000
"""Candidates that are noted together."""
_COUNTS: Final = ("patients", "studies", "reports", "medications", "instances", "indeterminate")

type Audit = Callable[[str, Document, Sequence[str]], None]
"""Notes that the run of a cohort has read patients: id, what is known of the cohort, references."""


class CohortWork:
    """Runs cohorts against one FHIR server."""

    def __init__(self, client: FhirClient, store: CohortStore, allowed: frozenset[str], audit: Audit) -> None:
        self._client = client
        self._store = store
        self._allowed = allowed
        self._audit = audit

    async def __call__(self, lease: Lease) -> Document | None:
        """Do the work to its end. Raises OperationFailed; RequestFailed and Unavailable, to be tried again."""
        cohort_id = lease.operation.id
        head = await self._store.get(cohort_id)
        if head is None:  # it was deleted meanwhile
            raise OperationFailed({"error": "The cohort has been deleted."})
        run = _Run(self._client, self._store, self._allowed, head)
        state = dict(lease.operation.checkpoint)
        if not state:
            await run.find(lease)
            state = {"after": "", "counts": dict.fromkeys(_COUNTS, 0), "warnings": {}}
            await lease.checkpoint(state)
        while ids := await self._store.candidates(cohort_id, state["after"]):
            state = await run.judge(ids, state)
            if state["counts"]["patients"] > head["limit"]:
                raise OperationFailed(await run.too_many(state))
            await lease.checkpoint(state)
            self._audit(cohort_id, head, run.read)
        if (await self._store.get(cohort_id)) is None:
            raise OperationFailed({"error": "The cohort has been deleted."})
        warnings = [f"{count} {text}" for text, count in sorted(state["warnings"].items())]
        warnings += sorted(run.reader.warnings)
        done = {"counts": state["counts"], "warnings": warnings, "status": "succeeded"}
        await self._store.keep(cohort_id, {**head, **done})
        return {"counts": state["counts"]}


class _Run:
    """One run: the definition, its evaluation, and what is read of each group."""

    def __init__(
        self, client: FhirClient, store: CohortStore, allowed: frozenset[str], head: Mapping[str, Any]
    ) -> None:
        self._store = store
        self._id = str(head["id"])
        self._allowed = allowed
        self._form = canonical(read_definition(head["definition"]))
        self._as_of = as_of = date.fromisoformat(head["asOf"])
        value_sets = {
            name: frozenset((code["system"], code["code"]) for code in codes)
            for name, codes in head["valueSets"].items()
        }
        self._evaluation = Evaluation(self._form, value_sets, as_of)
        self._entries = Entries(self._form, as_of)
        self._needs = Needs(self._form, self._evaluation)
        self.reader = Reader(client)
        self.read: list[str] = []
        """The patients of the last step that are members or indeterminate."""

    async def find(self, lease: Lease) -> None:
        """Note every candidate."""
        noted: list[str] = []
        async for patient in candidates(anchor_of(self._evaluation, self._form), self.reader):
            noted.append(patient)
            if len(noted) >= _NOTED:
                await self._store.add_candidates(self._id, noted)
                noted = []
                await lease.checkpoint({})
        await self._store.add_candidates(self._id, noted)

    async def judge(self, ids: Sequence[str], state: Mapping[str, Any]) -> dict[str, Any]:
        """Judge some candidates, write the entries; the state behind them."""
        counts, gaps = dict(state["counts"]), Gaps(dict(state["warnings"]))
        self.read = []
        for group in (ids[at : at + GROUP] for at in range(0, len(ids), GROUP)):
            found = await self._consenting(await records(group, self._needs, self.reader))
            judged = [(each, self._evaluation.judge(each)) for each in found]
            members = [(record, verdict) for record, verdict in judged if verdict.truth.met]
            entries = await self._members(members, gaps)
            unsure = {
                resource_id(record.patient): {
                    "id": local_reference(record.patient),
                    "criterion": verdict.truth.criterion,
                    "why": verdict.truth.why,
                }
                for record, verdict in judged
                if verdict.truth.possible and not verdict.truth.met
            }
            await self._store.add_entries(self._id, MEMBER, entries)
            await self._store.add_entries(self._id, INDETERMINATE, unsure)
            _count(counts, entries.values(), len(unsure))
            self.read += [each["id"] for each in (*entries.values(), *unsure.values())]
        return {"after": ids[-1], "counts": counts, "warnings": gaps.counts}

    async def _consenting(self, found: list[Record]) -> list[Record]:
        """Those of some patients who permit research, where that is required."""
        if self._form["consent"]["mode"] != "require":
            return found
        ids = [resource_id(each.patient) for each in found]
        consents = await self.reader.of_patients("Consent", ids, self.reader.base)
        return [each for each in found if permits_research(consents.get(resource_id(each.patient), ()), self._as_of)]

    async def _members(self, members: Sequence[tuple[Record, Verdict]], gaps: Gaps) -> dict[str, dict[str, Any]]:
        studies = [each for record, verdict in members for each in self._entries.studies_of(record, verdict)]
        reports = {}
        if "reports" in self._form["collect"] and studies:
            ids = [resource_id(record.patient) for record, _ in members]
            reports = await self.reader.of_patients("DiagnosticReport", ids, self.reader.base)
        ordered = [*studies, *(report for each in reports.values() for report in each)]
        orders = await self.reader.by_reference(sorted(order_references(ordered, self.reader.base)))
        endpoints = {referenced(each, self.reader.base) for study in studies for each in elements(study, "endpoint")}
        around = Surroundings(
            reports,
            Orders(self.reader.base, orders),
            await self.reader.by_reference(sorted(endpoints - {""})),
            self._allowed,
            self.reader.base,
        )
        return {
            resource_id(record.patient): self._entries.entry(record, verdict, around, gaps)
            for record, verdict in members
        }

    async def too_many(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The message to a client about a cohort that has reached its limit (COH-5)."""
        form = self._form
        narrower = (
            ("patient.age", "age" not in form["patient"]),
            ("conditions[].when", any(each.get("when") == "any" for each in form["conditions"])),
            ("imaging.modality", form["imaging"]["modality"] == "any"),
            ("imaging.when", form["imaging"]["when"] == "any"),
            ("patient.gender", form["patient"]["gender"] == "any"),
        )
        member = next((name for name, absent in narrower if absent), "limits.patients")
        found = state["counts"]["patients"]
        return {
            "error": f"The limit is reached: {found} patients so far. {member} would narrow the cohort; limits.patients"
            " raises the limit, to 100000 at most.",
            "patients": found,
            "narrow": member,
        }


def _count(counts: dict[str, int], entries: Any, unsure: int) -> None:
    """Add the members of a group."""
    reports: set[str] = set()
    for entry in entries:
        studies = entry.get("studies", ())
        counts["patients"] += 1
        counts["studies"] += len(studies)
        counts["instances"] += sum(each["instances"] for each in studies)
        counts["medications"] += len(entry.get("medications", ()))
        reports |= {each["id"] for study in studies for each in study.get("reports", ())}
    counts["reports"] += len(reports)
    counts["indeterminate"] += unsure
