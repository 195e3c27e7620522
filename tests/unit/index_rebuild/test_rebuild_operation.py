"""The rebuild as an operation: who may start it, what it excludes, and its end wherever its worker died (DAT-5)."""

import asyncio
import json
import random

import pytest

from shared.errors import Unavailable
from shared.http.roles import ACTIONS
from shared.index_rebuild.functions import blueprint
from shared.index_rebuild.transaction import IndexRebuilds
from shared.index_rebuild.work import RebuildWork
from shared.ingest import rebuild
from shared.ingest.rebuild import index_is_whole
from shared.operations.model import OperationActive, OperationStatus, OperationType, Paused
from shared.operations.runner import Runner
from shared.pacing import Foreground
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.builders.images import image
from tests.builders.updating import UpdatingService
from tests.fakes.tables import MemoryTableStore
from tests.unit.index.chaos import Crashed
from tests.unit.upkeep.test_rebuild import instance_files

PATH = "/v2/admin/rebuild"
FILES = 13
OBSOLETE = 2


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(rebuild, "_BLOBS_AT_ONCE", 7)


async def archive():
    """Five studies of two instances: one is replaced, one deleted, one corrected."""
    service = UpdatingService()
    for study in range(5):
        for at in range(2):
            await service.store_one(image(f"1.{study}", f"1.{study}.1", f"1.{study}.1.{at}", PatientID="P1").data)
            service.time.seconds += 1
    await service.store_one(image("1.2", "1.2.1", "1.2.1.0", PatientID="P9").data, replace=True)
    await service.delete(image("1.3", "1.3.1", "1.3.1.1").identifier)
    await service.updated(["1.4"], {"00100010": ["Now^Named"]})
    await service.settle()
    return service


def worker(service):
    return Runner(service.operations, {OperationType.REBUILD: RebuildWork(service.rebuild)}, look_seconds=0.01)


def index(service):
    """The rows of the index, but for the order of instances that were updated together: any may be the newest."""
    rows = service.index_rows()
    for row in rows.values():
        if isinstance(row, dict):
            row["index"] = json.loads(row["index"])
            row["original"] = {**json.loads(row["original"]), "v": 0} if row.get("original") else None
        elif isinstance(row, tuple):
            row[1].pop("newest")
    return rows


async def _there():
    """All tables are there."""


async def asked(service, headers=ALL, path=PATH, prepare=_there, **options):
    functions = blueprint(boundary(), IndexRebuilds(service.operations, prepare, **options))
    return await handler_of(functions, "rebuild_index").request("POST", path, headers)


async def begun(service):
    response = await asked(service)
    assert response.status == 202, response.body
    return json.loads(response.body)["id"]


async def health(service):
    return await index_is_whole(service.tables, service.tables.ping)()


@pytest.mark.spec("DAT-5", "DAT-51", "OP-9")
async def test_killed_again_and_again_it_makes_the_index_that_was_there():
    rng = random.Random(12)
    service = await archive()
    rows, files = index(service), instance_files(service)
    process = service.on(MemoryTableStore())
    await process.partitions.check_at_start(enabled=False)
    operation_id = await begun(process)
    kills = degraded = 0
    while (await process.operations.get(operation_id)).status.active:
        process = process.on(process.tables)
        left = rng.randrange(25, 120)

        async def die(*_):
            nonlocal left
            await asyncio.sleep(0)
            left -= 1
            if left < 0:
                raise Crashed

        if kills < 8:
            process.tables.before = process.blobs.before = die
        try:
            await worker(process).run()
        except (Crashed, BaseExceptionGroup):
            kills += 1
        finally:
            process.tables.before = process.blobs.before = None
        degraded += await health(process) is not None
        process.time.seconds += 120  # its lease is over
    assert min(kills, degraded) > 2

    ended = await process.operations.get(operation_id)
    assert ended.status is OperationStatus.SUCCEEDED
    # What it has to look at again after a kill counts again, as known.
    assert ended.results["indexed"] <= FILES - OBSOLETE <= ended.results["indexed"] + ended.results["known"]
    assert await health(process) is None
    await process.settle()
    assert index(process) == rows
    assert instance_files(process) == files


@pytest.mark.spec("DAT-5")
async def test_again_it_finds_nothing_to_do_and_changes_nothing():
    service = await archive()
    rows, feed = service.index_rows(), await service.feed()
    operation_id = await begun(service)
    await worker(service).run()
    ended = await service.operations.get(operation_id)
    assert (ended.status, ended.results["indexed"]) == (OperationStatus.SUCCEEDED, 0)
    await service.settle()
    assert service.index_rows() == rows
    assert await service.feed() == feed


@pytest.mark.spec("DAT-5", "OP-9")
async def test_a_run_that_has_no_time_left_ends_at_a_page_and_the_next_goes_on():
    service = await archive()
    operation_id = await begun(service)
    lease = await service.operations.claim(operation_id)
    lease.stopping.set()
    with pytest.raises(Paused):
        await RebuildWork(service.rebuild)(lease)
    await lease.release()
    paused = await service.operations.get(operation_id)
    assert paused.status is OperationStatus.RUNNING
    assert 0 < paused.results["files"] < FILES
    assert paused.checkpoint["after"]
    assert await health(service) is not None
    await worker(service).run()
    ended = await service.operations.get(operation_id)
    assert ended.status is OperationStatus.SUCCEEDED
    assert ended.results["files"] > paused.results["files"]


@pytest.mark.spec("DAT-51", "OP-9")
async def test_stores_that_do_not_answer_are_tried_again_and_health_says_so(monkeypatch):
    monkeypatch.setattr("shared.storage.optimistic.PAUSES", ())
    service = await archive()
    process = service.on(MemoryTableStore())
    operation_id = await begun(process)

    async def refuse(_kind, operation):
        if operation == "open":
            raise Unavailable("busy")

    process.blobs.before = refuse
    await worker(process).run()
    process.blobs.before = None
    assert (await process.operations.get(operation_id)).status.active
    assert await health(process) is not None
    process.time.seconds += 120
    await worker(process).run()
    assert (await process.operations.get(operation_id)).status is OperationStatus.SUCCEEDED
    assert await health(process) is None


@pytest.mark.spec("DAT-5")
@pytest.mark.parametrize(
    "token",
    [
        *(f"{'+'.join(sorted(ACTIONS - {left}))}" for left in sorted(ACTIONS)),
        "+".join(f"{each}@w*" for each in sorted(ACTIONS)),
    ],
)
async def test_it_takes_every_action_in_the_whole_service(token):
    service = UpdatingService()
    assert (await asked(service, (("Authorization", f"Bearer {token}"),))).status == 403
    assert await service.operations.active() == []


@pytest.mark.spec("DAT-5")
async def test_nobody_may_in_v1_without_a_token_or_while_operations_are_switched_off():
    service = UpdatingService()
    assert (await asked(service, ())).status == 401
    assert (await asked(service, path="/v1/admin/rebuild")).status == 405
    assert (await asked(service, enabled=False)).status == 400
    assert await service.operations.active() == []


@pytest.mark.spec("OP-8")
async def test_one_at_a_time_and_none_beside_what_finds_its_studies_in_the_index():
    service = await archive()
    first = await begun(service)
    again = await asked(service)
    assert (again.status, dict(again.headers)["Location"].endswith(f"/v2/operations/{first}")) == (409, True)
    with pytest.raises(OperationActive):
        await service.begin(["1.1"], {"00100010": ["A^B"]})
    await worker(service).run()
    await service.begin(["1.1"], {"00100010": ["A^B"]})
    assert (await asked(service)).status == 409


@pytest.mark.spec("DAT-51")
@pytest.mark.parametrize(("busy", "at_once"), [(True, 1), (False, 5)])
async def test_beside_clients_it_works_on_one_study_at_a_time(monkeypatch, busy, at_once):
    monkeypatch.setattr(rebuild, "_BLOBS_AT_ONCE", 100)
    monkeypatch.setattr(rebuild, "_LONGEST_PAUSE", 0.0)
    service = await archive()
    process = service.on(MemoryTableStore())
    foreground = process.rebuild._foreground = Foreground(lambda: 0.0)
    if busy:
        foreground.note()
    ensure, beside, most = process.ingest.ensure_study, 0, 0

    async def watched(names):
        nonlocal beside, most
        beside += 1
        most = max(most, beside)
        for _ in range(100):
            await asyncio.sleep(0)
        try:
            return await ensure(names)
        finally:
            beside -= 1

    process.ingest.ensure_study = watched
    await process.rebuilt()
    assert most == at_once


@pytest.mark.spec("DAT-5")
async def test_what_the_store_lacks_is_created_before_anything_is_noted_in_it():
    service = UpdatingService()
    prepared = []

    async def prepare():
        prepared.append(await service.operations.active())

    async def refuse():
        raise Unavailable

    assert (await asked(service, prepare=refuse)).status == 503
    assert await service.operations.active() == []
    assert (await asked(service, prepare=prepare)).status == 202
    assert prepared == [[]]
    assert (await asked(service, ALL[:0], prepare=prepare)).status == 401
    assert prepared == [[]]
