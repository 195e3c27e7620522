"""A process dies before or after each of its requests: until the end every instance is the old version or the new one,
and another process finishes the update.
"""

import asyncio
import json
from contextlib import suppress
from itertools import count

import pytest

from shared.operations.model import OperationStatus
from shared.study_updates import study_update
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
    return service, images, operation, died


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
        service.time.seconds += 120
        other = service.beside()
        with suppress(Crash):
            ended = await other.finished(operation)

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
