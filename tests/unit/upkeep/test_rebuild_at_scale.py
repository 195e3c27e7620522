"""The rebuild of an index of many small instances, killed on the way: the index that was there (DAT-5)."""

import random

import pytest

from tests.builders.files import PATIENT_ID, STUDY_DATE, file
from tests.builders.rebuilding import LosableService
from tests.fakes.tables import MemoryTableStore
from tests.unit.index.chaos import Crashed
from tests.unit.upkeep.test_rebuild import instance_files

OF_A_SERIES, SERIES_OF_A_STUDY = 25, 4


async def archive(instances):
    """So many instances, each stored by a request of its own; of a hundred one is deleted, one replaced."""
    service = LosableService()
    for number in range(instances):
        study, within = divmod(number, OF_A_SERIES * SERIES_OF_A_STUDY)
        series = within // OF_A_SERIES
        uids = f"1.2.{study}", f"1.2.{study}.{series}", f"1.2.{study}.{series}.{number}"
        one = file(
            {PATIENT_ID: f"P{study % 997}", STUDY_DATE: f"20{study % 25:02}0{1 + study % 9}15"},
            study=uids[0],
            series=uids[1],
            sop_instance=uids[2],
        )
        service.time.seconds += 0.01
        assert (await service.store_one(one.data)).failure is None
        if number % 100 == 7:
            await service.delete(one.identifier)
        elif number % 100 == 9:
            service.time.seconds += 1
            assert (await service.store_one(one.data, replace=True)).failure is None
        if number % 1000 == 999:
            await service.settle()
    await service.settle()
    return service


@pytest.mark.nightly
@pytest.mark.timeout(4 * 3600)
@pytest.mark.spec("DAT-5", "DAT-52")
@pytest.mark.parametrize("instances", [2_000, 100_000])
async def test_a_rebuild_of_many_instances_that_is_killed_makes_the_index_that_was_there(instances):
    rng = random.Random(instances)
    service = await archive(instances)
    rows, files = service.index_rows(), instance_files(service)
    tables, kills = MemoryTableStore(), 0
    while True:
        process = service.on(tables)
        left = rng.randrange(instances // 4, instances)

        async def die(*_):
            nonlocal left
            left -= 1
            if left < 0:
                raise Crashed

        if kills < 20:
            tables.before = process.blobs.before = die
        try:
            done = await process.rebuilt()
            break
        except* Crashed:
            kills += 1
            service.time.seconds += 60  # nobody goes on before it
        finally:
            tables.before = process.blobs.before = None
    assert kills > 3
    assert done.files
    for _ in range(instances // 1000 + 1):
        await process.settle()
    assert process.index_rows() == rows
    assert instance_files(process) == files
