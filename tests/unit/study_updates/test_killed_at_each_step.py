"""A process dies before or after each of its requests: until the end every instance is the old version or the new one,
and another process finishes the update.
"""

import asyncio
import json
from contextlib import suppress
from itertools import count

import pytest

from shared.operations.model import OperationStatus
from shared.operations.store import LEASE_SECONDS
from shared.study_updates import study_update
from shared.study_updates.new_version import VersionMaker
from tests.builders.updating import NAME, UpdatingService, name
from tests.unit.study_updates.test_update import stored, study_of

STUDIES = ("1.2.3", "1.2.4")


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(study_update, "_INSTANCES_AT_ONCE", 2)


async def killed(step, *, after):
    """A service whose worker dies at its `step`-th request, its instances, the operation, and whether it died."""
    service = UpdatingService()
    images = [each for study in STUDIES for each in study_of(3, study)]
    await stored(service, *images)
    operation = await service.begin(STUDIES, name("New"))
    return service, images, operation, await dying(service, step, after=after)


async def dying(service, step, *, after):
    """Work on the operations of a service in a process that dies at its `step`-th request; whether it has."""
    worker = service.beside()
    requests = count(1)

    async def die(*_):
        await asyncio.sleep(0)
        if next(requests) >= step:
            raise Crash

    died = False
    for store in (service.tables, service.blobs):
        setattr(store, "after" if after else "before", die)
    try:
        await worker.runner.run()
    except (Crash, BaseExceptionGroup):
        died = True
    finally:
        for store in (service.tables, service.blobs):
            store.before = store.after = None
    return died


async def taken_up(service, operation):
    """Another process, once the lease of the first has run out, and the operation as that has ended it."""
    service.time.seconds += 120
    other = service.beside()
    return other, await other.finished(operation)


async def check_versions(service, images):
    """Every instance is whole: one version or the other, with its file, its metadata, and its original."""
    for each in images:
        now = await service.current(each.identifier)
        data = service.blobs.content(now.blob)
        assert len(data) == now.length
        original = now.first_version
        assert service.blobs.content(original.blob) == each.data
        new = json.loads(now.metadata)[NAME]["Value"] == [{"Alphabetic": "New"}]
        assert new is (now.original is not None)
        assert data[now.frames.first :][: len(each.frames[0])] == each.frames[0]


@pytest.mark.spec("OP-9", "UPD-28")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_an_update_goes_on_wherever_its_process_died(after):
    for step in count(1, 3):
        service, images, operation, died = await killed(step, after=after)
        await check_versions(service, images)
        other, ended = await taken_up(service, operation)

        assert ended.status is OperationStatus.SUCCEEDED
        assert ended.results == {"studyProcessed": 2, "studyUpdated": 2, "studyFailed": 0, "instanceUpdated": 6}
        await check_versions(other, images)
        for each in images:
            assert (await other.current(each.identifier)).original is not None
        await other.settle()
        pages = await other.log.pages(1, 100)
        assert [change.operation for page in pages for change in page.changes].count("update") == 6
        files = [each for each in service.blobs.names() if each.endswith(".dcm")]
        assert len(files) == 12
        assert len([each for each in service.blobs.names() if each.endswith(".committed")]) == 6
        if not died:
            assert step > 60
            return


async def _worked(service, monkeypatch, dies):
    """Another worker takes the update up; it dies at the first file that it writes for which `dies` returns True."""
    service.time.seconds += LEASE_SECONDS + 1
    write = VersionMaker.write

    async def write_or_die(maker, instance):
        if dies(instance):
            raise Crash
        await write(maker, instance)

    with monkeypatch.context() as patched, suppress(Crash, BaseExceptionGroup):
        patched.setattr(VersionMaker, "write", write_or_die)
        await service.beside().runner.run()


@pytest.mark.spec("OP-9")
async def test_work_comes_to_its_end_when_each_worker_that_dies_has_got_further(monkeypatch):
    service = UpdatingService()
    images = study_of(24, STUDIES[0])
    await stored(service, *images)
    operation = await service.begin(STUDIES[:1], name("New"))

    for _ in range(10):  # twice as many as may die without progress
        files = count(1)
        await _worked(service, monkeypatch, lambda _, files=files: next(files) > 2)
        assert await service.operations.is_active(operation.id)
    await _worked(service, monkeypatch, lambda _: False)

    ended = await service.operations.get(operation.id)
    assert ended.status is OperationStatus.SUCCEEDED
    assert ended.results["instanceUpdated"] == len(images)


@pytest.mark.spec("OP-9")
async def test_an_instance_that_takes_each_worker_down_ends_the_update_as_failed(monkeypatch):
    service = UpdatingService()
    images = study_of(6, STUDIES[0])
    await stored(service, *images)
    operation = await service.begin(STUDIES[:1], name("New"))
    met = []

    def dies(instance):
        if instance.stored.identifier == images[4].identifier:
            met.append(instance)
            return True
        return False

    for _ in range(8):
        await _worked(service, monkeypatch, dies)

    assert (await service.operations.get(operation.id)).status is OperationStatus.FAILED
    assert len(met) == 5
    for each in images:
        assert (await service.current(each.identifier)).original is None
