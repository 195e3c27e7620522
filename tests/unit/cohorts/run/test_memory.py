"""A run and a manifest of very many members: memory does not grow with the cohort (COH-5)."""

import tracemalloc
from datetime import date

import pytest

from shared.cohorts.definition.reading import read_definition
from shared.cohorts.store import MEMBER, CohortStore
from shared.cohorts.transaction import Cohorts
from shared.cohorts.value_sets import shipped_value_sets
from shared.cohorts.work import CohortWork
from shared.fhir.search_answer import SearchPage
from shared.operations.model import OperationType
from shared.operations.runner import Runner
from tests.builders.cohort_runs import EVERYTHING, Site
from tests.builders.cohorts import SEED
from tests.builders.osteosarcoma import BASE, condition, patient, request, study

PAGE = 200


class ManyPatients:
    """A FHIR client that makes up patients like the first one of cohorts §9 as they are asked for."""

    base = "http://fhir.test/fhir"

    def __init__(self, count):
        self.count = count

    async def pages(self, kind, parameters, *, handling="preferred"):
        asked = dict(parameters)
        ids = (asked.get("patient") or asked.get("_id") or "").replace("Patient/", "").split(",")
        if "code" in asked:
            for start in range(0, self.count, PAGE):
                found = [self._of(kind, f"{at:06}") for at in range(start, min(start + PAGE, self.count))]
                yield SearchPage(found, [], "", None)
            return
        yield SearchPage([found for each in ids if (found := self._of(kind, each))], [], "", None)

    def _of(self, kind, known):
        subject = {"subject": {"reference": f"Patient/{known}"}}
        match kind:
            case "Patient":
                return patient(1) | {"id": known}
            case "Condition":
                return condition(1) | {"id": f"c{known}"} | subject
            case "MedicationRequest":
                return request(1) | {"id": f"m{known}"} | subject
            case "ImagingStudy":
                return study(1) | {"id": f"i{known}"} | subject
            case "Endpoint":
                return {"resourceType": "Endpoint", "id": known, "address": BASE}
            case _:
                return None


class Numbered(CohortStore):
    """A store that counts instead of keeping, so that what is measured is the engine."""

    def __init__(self, tables, count):
        super().__init__(tables)
        self.count = count
        self.noted = self.members = 0
        self.last = {}

    async def add_candidates(self, cohort_id, ids):
        self.noted += len(list(ids))

    async def candidates(self, cohort_id, after):
        start = int(after) + 1 if after else 0
        return [f"{at:06}" for at in range(start, min(start + PAGE, self.count))]

    async def add_entries(self, cohort_id, kind, entries):
        if kind == MEMBER:
            self.members += len(entries)
            self.last = next(reversed(entries.values()), self.last)

    async def entries(self, cohort_id, kind):
        for _ in range(self.count if kind == MEMBER else 0):
            yield self.last


async def peak_of(count):
    """Bytes at most while a cohort of that size is run, and its manifest is read."""
    site, client = Site(empty=True), ManyPatients(count)
    store = Numbered(site.tables, count)
    cohorts = Cohorts(client, store, site.operations, site.terms, value_sets=shipped_value_sets(), now=site.time)
    work = CohortWork(client, store, frozenset({BASE}), lambda *_: None)
    definition = SEED | {"limits": {"patients": 100_000}, "asOf": date(2026, 6, 30).isoformat()}
    cohort_id = (await cohorts.start(read_definition(definition), {})).id
    tracemalloc.start()
    await Runner(site.operations, {OperationType.COHORT: work}, look_seconds=0.01).run()
    length = 0
    async for piece in await cohorts.manifest(cohort_id, EVERYTHING, with_files=False):
        length += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (store.noted, store.members) == (count, count)
    assert length > 400 * count
    return peak


@pytest.mark.nightly
@pytest.mark.spec("COH-5")
@pytest.mark.timeout(3600)
async def test_a_hundred_thousand_members_take_no_more_memory_than_two_thousand():
    await peak_of(400)  # what is loaded once
    few, many = await peak_of(2000), await peak_of(100_000)

    assert many < few + 4 * 1024**2
