"""A process dies before or after each of its requests: another one comes to the same end, and nothing of others is
touched on the way.
"""

import asyncio
from itertools import count

import pytest

from shared.operations.model import OperationStatus
from tests.builders.images import image
from tests.builders.worklist import element, new_workitem
from tests.unit.patient_erasure.service import ErasingService
from tests.unit.patient_erasure.test_erasure import BODY, GONE, KEPT
from tests.unit.study_updates.test_update import name, stored


class Crash(BaseException):
    """The process is gone."""


async def archive():
    """A study whose instances have two versions, one in the trash, a workitem, a file to be imported; somebody else's
    study.
    """
    service = ErasingService(two_persons=False)
    gone = [image("1.1", "1.1.1", f"1.1.1.{at}", **GONE) for at in (1, 2)]
    kept, other = image("2.1", "2.1.1", "2.1.1.1", **KEPT), image("1.2", "1.2.1", "1.2.1.1", **GONE)
    await stored(service, *gone, kept, other)
    await service.updated(["1.1"], name("Erasee^Corrected"))
    await service.delete(other.identifier)
    await service.settle()
    await service.workitems.create("0", "3.1", new_workitem(t00100020=element("LO", GONE["PatientID"])))
    service.imports.drop("one.dcm", gone[0].data, None)
    return service, kept


async def killed(step, *, after):
    """A service whose worker died at its `step`-th request, what is kept, the operation, and whether it died."""
    service, kept = await archive()
    operation_id = await service.begun(BODY)
    worker = service.beside()
    requests = count(1)

    async def die(*_):
        await asyncio.sleep(0)
        if next(requests) >= step:
            raise Crash

    stores = (service.tables, service.blobs, service.imports)
    for store in stores:
        setattr(store, "after" if after else "before", die)
    died = False
    try:
        await worker.runner.run()
    except (Crash, BaseExceptionGroup):
        died = True
    finally:
        for store in stores:
            store.before = store.after = None
    return service, kept, operation_id, died


async def check(step, *, after):
    """Whether the worker died at that step; whatever it was, the end is the same."""
    service, kept, operation_id, died = await killed(step, after=after)
    assert await service.instance(kept.identifier)
    service.time.seconds += 120
    other = service.beside()

    ended = await other.ended(operation_id)

    assert ended.status is OperationStatus.SUCCEEDED
    assert (ended.results["studiesErased"], ended.results["instancesErased"]) == (1, 2)
    await other.settle()
    assert other.places_with(GONE["PatientID"], "Erasee") == []
    assert service.imports.names() == []
    assert len([each for each in service.blobs.names() if each.endswith(".dcm")]) == 1
    now = await other.instance(kept.identifier)
    assert service.blobs.content(now.blob) == kept.data
    pages = await other.log.pages(1, 100)
    assert [change.operation for page in pages for change in page.changes].count("delete") == 3
    return died


@pytest.mark.spec("PHI-14", "OP-9")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", range(4))
async def test_an_erasure_goes_on_wherever_its_process_died(after, part):
    for step in count(1 + 31 * part, 124):
        if not await check(step, after=after):
            assert step > 100
            return


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_an_erasure_goes_on_wherever_its_process_died_at_every_step(after):
    step = 1
    while await check(step, after=after):
        step += 1
    assert step > 100
