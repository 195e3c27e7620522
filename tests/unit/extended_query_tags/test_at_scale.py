"""Many instances are re-indexed while workers die, and others store and delete; and what a search by a tag costs."""

import asyncio
import random
from collections import Counter

import pytest

from shared.index_schema import keys
from shared.index_schema.changes import schema_in
from shared.index_schema.postings import value_of
from shared.operations.store import LEASE_SECONDS
from tests.unit.extended_query_tags.service import TagService, read, tag
from tests.unit.index.chaos import Crashed

_BAD_EACH = 1000
"""One of so many instances has a value that cannot be indexed."""
_IN_A_REQUEST = 40


class Crowd:
    """A store that is stored to and deleted from, and what must be found in it."""

    def __init__(self, service, bad_each):
        self.service = service
        self.live = {}
        """The AcquisitionNumber of each instance that is there, by its UIDs."""
        self._bad_each = bad_each
        self._next = 0

    async def store(self, count):
        """A study of so many instances."""
        self._next += 1
        study, new = f"1.{self._next}", []
        for number in range(1, count + 1):
            at = len(self.live) + number
            value = "seven" if at % self._bad_each == 0 else at % 100
            uids = study, f"{study}.{number % 3 + 1}", f"{study}.9.{number}"
            new.append((uids, value))
        entries = [self.service.new(*uids, PatientAge="042Y", AcquisitionNumber=value) for uids, value in new]
        await self.service.store_all(entries)
        self.live |= dict(new)

    async def delete(self, randomly):
        """A study, or one instance."""
        study, series, instance = randomly.choice(list(self.live))
        if randomly.random() < 0.5:
            await self.service.delete(study)
            self.live = {uids: value for uids, value in self.live.items() if uids[0] != study}
        else:
            await self.service.delete(study, series, instance)
            del self.live[study, series, instance]

    def valid(self):
        return {uids for uids, value in self.live.items() if value != "seven"}

    def bad(self):
        return {uids for uids, value in self.live.items() if value == "seven"}


async def _reindexed(service, crowd, randomly, *, deaths, acts):
    """Run the re-index to its end, with about so many deaths and acts of others in between."""
    acting = asyncio.Lock()
    seen = Counter()
    chance = 12 / len(crowd.live) ** 0.7

    async def beside(kind, operation):
        if operation != "commit" or kind not in ("dicom", "idx", "idxi") or acting.locked():
            return
        if seen["acts"] < acts and randomly.random() < chance:
            seen["acts"] += 1
            async with acting:
                await (crowd.store(_IN_A_REQUEST) if seen["acts"] % 2 else crowd.delete(randomly))
        if seen["deaths"] < deaths and randomly.random() < chance:
            seen["deaths"] += 1
            raise Crashed

    service.tables.after = beside
    while await service.operations.active():
        try:
            await service.runner.run()
        except Crashed:
            service.time += LEASE_SECONDS + 1
    service.tables.after = None
    assert min(seen["deaths"], seen["acts"]) > 2


@pytest.mark.spec("EQT-30", "EQT-40", "EQT-43")
@pytest.mark.parametrize(
    ("studies", "bad_each", "seed"),
    [
        (12, 50, 1),
        (12, 50, 2),
        pytest.param(500, _BAD_EACH, 3, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
        pytest.param(500, _BAD_EACH, 4, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
    ],
)
async def test_nothing_is_missed_and_nothing_is_there_twice(studies, bad_each, seed):
    randomly = random.Random(seed)
    service = TagService()
    crowd = Crowd(service, bad_each)
    for _ in range(studies):
        await crowd.store(_IN_A_REQUEST)
    await service.add(tag("AcquisitionNumber", "Instance"), tag("PatientAge"))
    await _reindexed(service, crowd, randomly, deaths=6, acts=8)
    await service.clean_up()

    posted = Counter(
        tuple(row.properties[name] for name in ("study", "series", "instance")) for row in postings(service)
    )
    assert posted == Counter(crowd.valid())
    errors = []
    while page := read(await service.errors("AcquisitionNumber", f"?limit=200&offset={len(errors)}")):
        errors += [(each["studyInstanceUid"], each["seriesInstanceUid"], each["sopInstanceUid"]) for each in page]
    assert len(errors) == len(set(errors))
    assert set(errors) == crowd.bad() - stored_meanwhile(service, crowd)
    live = [row for row in service.tables.rows("dicom") if row.row_key[0] in "BC" or row.properties.get("live")]
    assert {schema_in(row) for row in live} == {2}
    found = []
    while page := await service.studies(f"PatientAge=042Y&limit=200&offset={len(found)}"):
        found += page
    assert Counter(found) == Counter({uids[0] for uids in crowd.live})


def postings(service):
    """The rows of the list of the first tag of schema 2."""
    rows = [row for row in service.tables.rows("idxi") if not row.partition_key.startswith("e!")]
    return [row for row in rows if value_of(row.row_key)[0] == "t2x0"]


def stored_meanwhile(service, crowd):
    """Instances that a store has indexed: values that are not valid are its affair (EQT-42, EQT-58)."""
    rows = {row.row_key: row.properties for row in service.tables.rows("dicom")}
    return {uids for uids in crowd.live if "failed" not in rows[keys.instance_row(*uids[1:])]}


@pytest.mark.spec("OP-8", "EQT-6")
async def test_of_two_re_indexes_at_once_one_is_refused_and_two_workers_of_one_do_its_work_once():
    service = TagService()
    crowd = Crowd(service, 50)
    for _ in range(6):
        await crowd.store(_IN_A_REQUEST)
    answers = await asyncio.gather(service.add(tag("AcquisitionNumber", "Instance")), service.add(tag("PatientSex")))
    assert sorted(answer.status for answer in answers) == [202, 409]
    other = TagService(beside=service)
    other.time = service.time + LEASE_SECONDS + 1  # takes for lost what the first one holds
    other.operations._tables = service.tables
    await asyncio.gather(service.runner.run(), other.runner.run())
    while await other.operations.active():
        other.time += LEASE_SECONDS + 1
        await other.runner.run()
    await service.clean_up()
    [path] = [each["path"] for each in read(await service.all())]
    assert path in ("00200012", "00100040")
    if path == "00200012":
        assert len(postings(service)) == len(crowd.valid())
        assert len(read(await service.errors(path, "?limit=200"))) == len(crowd.bad())


@pytest.mark.spec("EQT-30")
@pytest.mark.parametrize("studies", [100, pytest.param(5000, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])])
async def test_a_search_by_a_tag_costs_the_requests_of_one_by_a_built_in_attribute(studies):
    service = TagService()
    for number in range(1, studies + 1):
        text = f"VALUE {number % (studies // 10)}"
        await service.store(
            f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", StudyDescription=text, InstitutionName=text
        )
    await service.ready(tag("InstitutionName"))
    await service.clean_up()
    costs = {}
    for keyword in ("StudyDescription", "InstitutionName"):
        for text in ("VALUE 7", "VALUE 7*", "NOTHING"):
            service.requests.clear()
            response = await service.search(f"{keyword}={text}&limit=200")
            found = len(read(response)) if response.status == 200 else 0
            costs[keyword, text] = (found, service.requests["idx"], service.requests["dicom"], service.requests["idxi"])
    for text in ("VALUE 7", "VALUE 7*", "NOTHING"):
        assert costs["InstitutionName", text] == costs["StudyDescription", text], text
    assert costs["InstitutionName", "VALUE 7"][0] == 10
