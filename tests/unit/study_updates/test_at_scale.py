"""Many instances are updated while workers die, and others store, replace and delete beside them."""

import asyncio
import json
import random
from collections import Counter

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.operations.model import OperationStatus
from shared.operations.store import LEASE_SECONDS
from tests.builders.images import image
from tests.builders.service import PARTITION
from tests.builders.updating import NAME, UpdatingService, name
from tests.unit.index.chaos import Crashed

_IN_A_REQUEST = 40


class Crowd:
    """Studies that are updated, stored to and deleted from, and what must be found in them."""

    def __init__(self, service: UpdatingService, studies: int) -> None:
        self.service = service
        self.studies = [f"1.{number}" for number in range(1, studies + 1)]
        self.listed: dict[object, object] = {}
        """The images that were there when the update began, by identifier."""
        self.later: dict[object, object] = {}
        """Those that were stored afterwards: into a study that was not looked at yet they are updated, too."""
        self.replaced: set[object] = set()
        self.deleted: set[object] = set()
        self._next = 0

    def _images(self, study: str, count: int) -> list:
        self._next += 1
        return [
            image(study, f"{study}.{self._next % 3}", f"{study}.{self._next}.{number}", PatientName="Old")
            for number in range(count)
        ]

    async def fill(self, per_study: int) -> None:
        """What is to be updated."""
        for study in self.studies:
            for _ in range(per_study // _IN_A_REQUEST):
                images = self._images(study, _IN_A_REQUEST)
                await self.service.store(*(each.data for each in images))
                self.listed |= {each.identifier: each for each in images}

    async def act(self, randomly: random.Random) -> None:
        """Store, replace or delete."""
        live = [each for each in self.listed.values() if each.identifier not in self.deleted]
        chosen, kind = randomly.choice(live), randomly.randrange(3)
        if kind == 0:
            images = self._images(chosen.identifier.study_instance_uid, 3)
            await self.service.store(*(each.data for each in images))
            self.later |= {each.identifier: each for each in images}
        elif kind == 1:
            self.service.time.seconds += 5
            await self.service.store(chosen.data, replace=True)
            self.replaced.add(chosen.identifier)
        else:
            one = chosen.identifier
            scope = ResourceIdentifier(one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid)
            assert await self.service.index.delete(PARTITION, scope) == 1
            self.deleted.add(one)


async def _updated(service: UpdatingService, crowd: Crowd, operation, randomly, *, deaths: int, acts: int):
    """Run the update to its end, with about so many deaths and acts of others in between."""
    seen: Counter[str] = Counter()
    acts_begun: list[asyncio.Future[None]] = []
    acting = True
    chance = 20 / len(crowd.listed)
    worker = service.beside()

    async def beside(*_: object) -> None:
        nonlocal acting
        if acting:
            return
        if seen["acts"] < acts and randomly.random() < chance:
            seen["acts"] += 1
            acting = True
            # Others go on when the worker dies that they stand beside here.
            acts_begun.append(asyncio.ensure_future(crowd.act(randomly)))
            await asyncio.shield(acts_begun[-1])
            acting = False
        if seen["deaths"] < deaths and randomly.random() < chance:
            seen["deaths"] += 1
            raise Crashed

    service.tables.after = service.blobs.after = beside
    while await service.operations.is_active(operation.id):
        acting = False
        try:
            await worker.runner.run()
        except Crashed:
            service.time.seconds += LEASE_SECONDS + 1
            worker = service.beside()
        except BaseExceptionGroup as group:
            if group.subgroup(Crashed) is None:
                raise
            service.time.seconds += LEASE_SECONDS + 1
            worker = service.beside()
        acting = True
        await asyncio.gather(*acts_begun)
        service.time.seconds += 400
    service.tables.after = service.blobs.after = None
    assert min(seen["deaths"], seen["acts"]) > 2
    return await service.operations.get(operation.id)


@pytest.mark.spec("OP-9", "UPD-28", "UPD-32", "UPD-34")
@pytest.mark.parametrize(
    ("studies", "per_study", "deaths", "seed"),
    [
        (3, 80, 4, 1),
        (3, 80, 4, 2),
        pytest.param(5, 1000, 12, 3, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
    ],
)
async def test_nothing_is_missed_nothing_changes_twice_and_nothing_is_lost(studies, per_study, deaths, seed):
    randomly = random.Random(seed)
    service = UpdatingService()
    crowd = Crowd(service, studies)
    await crowd.fill(per_study)
    operation = await service.begin(crowd.studies, name("New"))
    ended = await _updated(service, crowd, operation, randomly, deaths=deaths, acts=9)
    await service.settle()

    assert ended.status is OperationStatus.SUCCEEDED
    assert ended.results["studyUpdated"] == studies
    updates: Counter[object] = Counter()
    for page in await service.log.pages(1, 10**6):
        updates.update(change.identifier for change in page.changes if change.operation == "update")
    assert set(updates.values()) == {1}
    for each in (*crowd.listed.values(), *crowd.later.values()):
        found = await service.instance(each.identifier)
        assert (found is None) == (each.identifier in crowd.deleted)
        if found is None:
            continue
        new = found.original is not None
        assert new or each.identifier in crowd.replaced or each.identifier in crowd.later
        assert json.loads(found.metadata)[NAME]["Value"] == [{"Alphabetic": "New" if new else "Old"}]
        assert len(service.blobs.content(found.blob)) == found.length
        assert service.blobs.content(found.first_version.blob) == each.data
    await service.outlive_retention()
    live = [await service.instance(each) for each in (*crowd.listed, *crowd.later) if each not in crowd.deleted]
    files = Counter(file for each in live for file in {each.blob, each.first_version.blob})
    assert files == Counter(each for each in service.blobs.names() if each.endswith(".dcm"))
