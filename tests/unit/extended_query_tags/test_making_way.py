"""What searches lose beside a re-index, over data stores that serve one request at a time."""

import asyncio
from functools import partial

import pytest

from shared.pacing import Foreground, Pace
from shared.upkeep import reindex
from tests.unit.extended_query_tags.service import TagService, tag
from tests.unit.index.virtual_time import now, run, sleep

STUDIES, IN_A_STUDY = 2, 8
REQUEST_SECONDS = 0.005


async def searches_lost():
    """The share of the searches a second that a re-index costs one client, who never pauses."""
    service = TagService()
    for study in range(1, STUDIES + 1):
        new = [
            service.new(f"1.{study}", f"1.{study}.1", f"1.{study}.1.{number}", InstitutionName="Hospital")
            for number in range(1, IN_A_STUDY + 1)
        ]
        await service.store_all(new)
    foreground = service.work._foreground = Foreground(now)
    served = asyncio.Lock()

    async def one_at_a_time(*_):
        async with served:
            await sleep(REQUEST_SECONDS)

    async def searching(until):
        count, begin = 0, now()
        while not until():
            foreground.note()
            await service.search("PatientID=P")
            count += 1
        return count / (now() - begin)

    service.tables.before = one_at_a_time
    begin = now()
    alone = await searching(lambda: now() - begin > 0.3)
    await service.add(tag("InstitutionName"))
    working = asyncio.create_task(service.runner.run())
    beside = await searching(working.done)
    await working
    service.tables.before = None
    assert await service.studies("InstitutionName=Hospital") != []
    return 1 - beside / alone


async def at_once(function, *arguments, **named):
    """Stands for a thread, which the loop of virtual time has not."""
    return function(*arguments, **named)


@pytest.mark.spec("EQT-30")
def test_searches_lose_at_most_a_tenth(monkeypatch):
    monkeypatch.setattr(asyncio, "to_thread", at_once)
    monkeypatch.setattr(reindex, "Pace", partial(Pace, processor=lambda: 0.0))
    assert 0 < run(searches_lost()) < 0.1
