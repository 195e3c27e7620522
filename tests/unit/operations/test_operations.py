"""Operations: durable, one worker at a time, gone on with by another one."""

import asyncio
import json
import random

import pytest

from shared.errors import Unavailable
from shared.operations.functions import blueprint
from shared.operations.model import LeaseLost, OperationActive, OperationFailed, OperationStatus, OperationType, Paused
from shared.operations.runner import Runner
from shared.operations.store import Lease, Operations
from shared.storage.ports import Ambiguous
from tests.builders.functions import handler_of
from tests.builders.http import boundary, field
from tests.builders.service import Time
from tests.fakes.tables import MemoryTableStore

EXPORT, REINDEX, UPDATE = OperationType.EXPORT, OperationType.REINDEX, OperationType.UPDATE
READER = (("Authorization", "Bearer read"),)
DAY = 86_400


class Crash(BaseException):
    """The process is gone."""


class World:
    """Stores and a clock; `done` is what the work of operations has done."""

    def __init__(self) -> None:
        self.time = Time()
        self.tables = MemoryTableStore()
        self.operations = Operations(self.tables, self.time)
        self.done: list[int] = []

    def runner(self, work, kind: OperationType = UPDATE, **options: float) -> Runner:
        operations = Operations(self.tables, self.time)
        return Runner(operations, {kind: work}, **{"look_seconds": 0.01, **options})

    async def count(self, lease: Lease) -> dict[str, int]:
        """Work of ten steps."""
        for step in range(lease.operation.checkpoint.get("next", 0), lease.operation.input["steps"]):
            self.done.append(step)
            await lease.checkpoint({"next": step + 1}, percent=step * 10)
        return {"steps": len(set(self.done))}

    async def ask(self, operation_id: str, version: str = "v2", **fields: object):
        functions = blueprint(boundary(**fields), self.operations)
        return await handler_of(functions, "retrieve_operation").get(f"/{version}/operations/{operation_id}", READER)


@pytest.fixture
def world() -> World:
    return World()


# ------------------------------------------------------------------------------------------------------ the resource


@pytest.mark.spec("OP-1", "OP-10", "GEN-21", "GEN-10", "GEN-12")
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_an_active_operation_is_202_with_its_own_url(world, version):
    operation = await world.operations.create(REINDEX, {}, resources=["extendedquerytags/00101010"])
    lease = None
    for status in ("notStarted", "running"):
        response = await world.ask(operation.id, version)
        assert response.status == 202
        assert field(response, "location") == f"http://dicom.example/{version}/operations/{operation.id}"
        assert json.loads(response.body) == {
            "operationId": operation.id,
            "type": "reindex",
            "createdTime": "2023-11-14T22:13:20Z",
            "lastUpdatedTime": "2023-11-14T22:13:20Z",
            "status": status,
            "percentComplete": 0,
            "resources": [f"http://dicom.example/{version}/extendedquerytags/00101010"],
        }
        lease = lease or await world.operations.claim(operation.id)


@pytest.mark.spec("OP-1", "OP-3", "CF-20")
@pytest.mark.parametrize(("version", "word"), [("v1", "completed"), ("v2", "succeeded")])
async def test_a_finished_operation_is_200_in_the_words_of_the_version(world, version, word):
    operation = await world.operations.create(UPDATE, {})
    lease = await world.operations.claim(operation.id)
    await lease.checkpoint({}, percent=30)
    world.time.seconds += 60
    await lease.succeed({"studyProcessed": 1})

    response = await world.ask(operation.id, version)

    assert (response.status, field(response, "location")) == (200, None)
    document = json.loads(response.body)
    assert (document["status"], document["percentComplete"]) == (word, 100)
    assert document["results"] == {"studyProcessed": 1}
    assert document["resources"] == []
    assert document["lastUpdatedTime"] > document["createdTime"]


@pytest.mark.spec("OP-1", "OP-3")
async def test_a_failed_operation_is_200_and_keeps_its_percentage(world):
    operation = await world.operations.create(UPDATE, {})
    lease = await world.operations.claim(operation.id)
    await lease.checkpoint({}, percent=40)
    await lease.fail({"errors": ["no"]})
    response = await world.ask(operation.id)
    document = json.loads(response.body)
    assert (response.status, document["status"], document["percentComplete"]) == (200, "failed", 40)
    assert document["results"] == {"errors": ["no"]}


@pytest.mark.spec("OP-3")
async def test_an_export_has_no_percentage(world):
    operation = await world.operations.create(EXPORT, {})
    assert "percentComplete" not in json.loads((await world.ask(operation.id)).body)
    await (await world.operations.claim(operation.id)).succeed({"exported": 3})
    assert "percentComplete" not in json.loads((await world.ask(operation.id)).body)


@pytest.mark.spec("OP-2", "GEN-21")
async def test_ids_are_guids_with_dashes_or_without(world):
    operation = await world.operations.create(EXPORT, {})
    plain = operation.id
    dashed = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
    for text in (plain, plain.upper(), dashed, dashed.upper()):
        assert json.loads((await world.ask(text)).body)["operationId"] == plain
    assert (await world.ask("0" * 32)).status == 404
    for text in ("x", plain[:-1], plain + "0", plain.replace(plain[0], "g"), dashed.replace("-", "", 1)):
        assert (await world.ask(text)).status == 400


@pytest.mark.spec("GEN-8", "OP-10")
async def test_operations_belong_to_no_partition(world):
    operation = await world.operations.create(EXPORT, {}, resources=["studies/1.2"])
    response = await world.ask(operation.id, data_partitions=True)
    assert field(response, "location") == f"http://dicom.example/v2/operations/{operation.id}"


@pytest.mark.spec("OP-7")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_operations_are_only_read(world, method):
    from shared.dicomweb.routes import allowed_methods, match
    from shared.dicomweb.versions import ApiVersion

    path = f"v2/operations/{'0' * 32}"
    assert match(method, path, data_partitions=False) is None
    assert allowed_methods(path, data_partitions=False, version=ApiVersion.V2) == ("GET", "HEAD")
    assert allowed_methods("v2/operations", data_partitions=False, version=ApiVersion.V2) == ()


# --------------------------------------------------------------------------------------------------------- the store


@pytest.mark.spec("OP-8")
@pytest.mark.parametrize(("kind", "word"), [(REINDEX, "re-index"), (UPDATE, "update")])
async def test_one_of_a_kind_is_active_at_a_time(world, kind, word):
    first = await world.operations.create(kind, {})
    with pytest.raises(OperationActive) as refused:
        await world.operations.create(kind, {})
    text = f"There is already an active {word} operation with ID '{first.id}'."
    assert str(refused.value) == text

    await (await world.operations.claim(first.id)).fail()
    second = await world.operations.create(kind, {})
    assert (await world.operations.get(second.id)).status is OperationStatus.NOT_STARTED


@pytest.mark.spec("OP-8")
async def test_exports_and_different_kinds_overlap(world):
    created = [await world.operations.create(kind, {}) for kind in (EXPORT, EXPORT, UPDATE, REINDEX)]
    assert {each for each, _ in await world.operations.active()} == {each.id for each in created}


@pytest.mark.spec("OP-8", "OP-9")
async def test_of_many_that_are_started_together_one_is(world):
    async def yield_control(*_):
        await asyncio.sleep(0)

    world.tables.before = world.tables.after = yield_control
    outcomes = await asyncio.gather(*(world.operations.create(UPDATE, {}) for _ in range(20)), return_exceptions=True)
    [created] = [each for each in outcomes if not isinstance(each, OperationActive)]
    assert {each.operation_id for each in outcomes if isinstance(each, OperationActive)} == {created.id}


@pytest.mark.spec("OP-9")
@pytest.mark.parametrize("lost_before", [True, False])
async def test_a_lost_answer_makes_nothing_twice_and_loses_nothing(world, lost_before):
    failures = 3

    async def lose(_kind, operation):
        nonlocal failures
        if operation == "commit" and failures:
            failures -= 1
            raise Ambiguous("lost")

    async def again(step):
        nonlocal failures
        failures = 3
        return await step

    setattr(world.tables, "before" if lost_before else "after", lose)
    operation = await again(world.operations.create(UPDATE, {"task": 1}))
    lease = await again(world.operations.claim(operation.id))
    await again(lease.checkpoint({"next": 1}, percent=10))
    await again(lease.succeed({"n": 1}))
    assert (await world.operations.get(operation.id)).results == {"n": 1}
    assert await world.operations.active() == []
    assert len(world.tables.rows("ops")) == 1


async def test_only_one_worker_has_an_operation(world):
    operation = await world.operations.create(UPDATE, {})
    lease = await world.operations.claim(operation.id)
    assert await world.operations.claim(operation.id) is None
    world.time.seconds += 59
    assert await world.operations.claim(operation.id) is None
    await lease.renew()
    world.time.seconds += 59
    assert await world.operations.claim(operation.id) is None
    world.time.seconds += 2
    other = await world.operations.claim(operation.id)
    for step in (lease.checkpoint({}), lease.renew(), lease.succeed(), lease.fail(), lease.release()):
        with pytest.raises(LeaseLost):
            await step
    await other.succeed()
    assert (await world.operations.get(operation.id)).status is OperationStatus.SUCCEEDED
    with pytest.raises(LeaseLost):
        await other.fail()
    assert await world.operations.claim(operation.id) is None
    assert await world.operations.claim("0" * 32) is None


async def test_a_large_task_is_kept_whole(world):
    task = {"studies": [f"1.2.{number}" for number in range(20_000)]}
    operation = await world.operations.create(EXPORT, task)
    lease = await world.operations.claim(operation.id)
    await lease.checkpoint({"done": task["studies"]})
    found = await world.operations.get(operation.id)
    assert (found.input, found.checkpoint) == (task, {"done": task["studies"]})


@pytest.mark.spec("OP-6")
async def test_finished_operations_can_be_read_for_thirty_days(world):
    active, *finished = [await world.operations.create(EXPORT, {}) for _ in range(150)]
    for operation in finished:
        await (await world.operations.claim(operation.id)).succeed()
    world.time.seconds += 30 * DAY - 1
    assert await world.operations.purge() == 0
    assert (await world.ask(finished[0].id)).status == 200
    world.time.seconds += 2
    assert await world.operations.purge() == 149
    assert (await world.ask(finished[0].id)).status == 404
    assert (await world.ask(active.id)).status == 202


@pytest.mark.spec("OP-6")
async def test_what_a_finished_operation_was_told_is_kept_for_seven_days(world):
    told = {"values": {"00100010": ["Doe"]}}
    active, ended = [await world.operations.create(EXPORT, told) for _ in range(2)]
    lease = await world.operations.claim(ended.id)
    await lease.checkpoint({"read": "Doe"})
    await lease.succeed({"exported": 1})
    for seconds, kept in ((7 * DAY - 1, True), (2, False)):
        world.time.seconds += seconds
        assert await world.operations.purge() == 0
        found = await world.operations.get(ended.id)
        assert (bool(found.input), bool(found.checkpoint)) == (kept, kept)
        assert (found.status, found.results) == (OperationStatus.SUCCEEDED, {"exported": 1})
    assert (await world.operations.get(active.id)).input == told


# -------------------------------------------------------------------------------------------------------- the runner


@pytest.mark.spec("OP-9")
async def test_the_work_is_done_in_its_steps(world):
    operation = await world.operations.create(UPDATE, {"steps": 10})
    await world.runner(world.count).run()
    assert world.done == list(range(10))
    assert (await world.operations.get(operation.id)).results == {"steps": 10}


@pytest.mark.spec("OP-9")
@pytest.mark.parametrize("answered", [True, False])
async def test_whatever_request_a_worker_dies_at_another_one_goes_on(answered):
    finished, at = False, 0
    while not finished:
        world = World()
        operation = await world.operations.create(UPDATE, {"steps": 4})
        requests = 0

        async def strike(*_, limit=at):
            nonlocal requests
            requests += 1
            if requests > limit:
                raise Crash

        setattr(world.tables, "before" if answered else "after", strike)
        try:
            await world.runner(world.count).run()
            finished = True
        except Crash:
            pass
        world.tables.before = world.tables.after = None
        world.time.seconds += 61
        await world.runner(world.count).run()

        found = await world.operations.get(operation.id)
        assert found.status is OperationStatus.SUCCEEDED
        assert sorted(set(world.done)) == [0, 1, 2, 3]
        assert len(world.done) <= 5  # at most the step that was under way is done twice
        assert await world.operations.active() == []
        await world.operations.create(UPDATE, {"steps": 1})
        at += 1
    assert at > 10


@pytest.mark.spec("OP-9")
async def test_two_runners_at_once_do_each_operation_once(world):
    for _ in range(6):
        await world.operations.create(EXPORT, {"steps": 5})

    async def yield_control(*_):
        await asyncio.sleep(0)

    world.tables.before = world.tables.after = yield_control
    await asyncio.gather(*(world.runner(world.count, EXPORT).run() for _ in range(3)))
    assert len(world.done) == 30
    assert await world.operations.active() == []


@pytest.mark.spec("OP-9")
async def test_what_fails_is_tried_again_from_its_checkpoint(world):
    operation = await world.operations.create(UPDATE, {"steps": 6})

    async def work(lease):
        for step in range(lease.operation.checkpoint.get("next", 0), 6):
            if random.random() < 0.4:
                raise Unavailable("no")
            world.done.append(step)
            await lease.checkpoint({"next": step + 1})
        return {"ok": True}

    random.seed(3)
    for _ in range(100):
        await world.runner(work).run()
        world.time.seconds += 400
    assert (await world.operations.get(operation.id)).results == {"ok": True}
    assert world.done == list(range(6))


@pytest.mark.spec("OP-9")
async def test_what_always_fails_ends_as_failed_after_a_few_attempts(world):
    operation = await world.operations.create(UPDATE, {})
    attempts = 0

    async def work(_lease):
        nonlocal attempts
        attempts += 1
        raise RuntimeError("a defect")

    for _ in range(20):
        await world.runner(work).run()
        world.time.seconds += 400
    assert attempts == 5
    assert (await world.operations.get(operation.id)).status is OperationStatus.FAILED
    assert await world.operations.active() == []


@pytest.mark.spec("OP-9")
async def test_work_that_kills_its_worker_each_time_ends_as_failed(world):
    operation = await world.operations.create(UPDATE, {})

    async def work(_lease):
        raise Crash

    for _ in range(6):
        try:
            await world.runner(work).run()
        except Crash:
            world.time.seconds += 61
    assert (await world.operations.get(operation.id)).status is OperationStatus.FAILED


async def test_a_failure_for_good_is_not_tried_again(world):
    operation = await world.operations.create(UPDATE, {})

    async def work(_lease):
        raise OperationFailed({"errors": ["nothing to update"]})

    await world.runner(work).run()
    found = await world.operations.get(operation.id)
    assert (found.status, found.results) == (OperationStatus.FAILED, {"errors": ["nothing to update"]})


@pytest.mark.spec("OP-9")
async def test_long_work_pauses_at_a_checkpoint_and_goes_on_in_the_next_run(world):
    operation = await world.operations.create(UPDATE, {"steps": 30})

    async def work(lease):
        for step in range(lease.operation.checkpoint.get("next", 0), 30):
            await asyncio.sleep(0.005)
            world.done.append(step)
            await lease.checkpoint({"next": step + 1})
        return {}

    runs = 0
    while (await world.operations.get(operation.id)).status.active:
        await world.runner(work, run_seconds=0.03).run()
        runs += 1
        assert runs < 30
    assert runs > 1
    assert world.done == list(range(30))


async def test_a_checkpoint_of_work_that_is_to_end_is_kept(world):
    operation = await world.operations.create(UPDATE, {})
    lease = await world.operations.claim(operation.id)
    lease.stopping.set()
    with pytest.raises(Paused):
        await lease.checkpoint({"next": 5}, percent=50)
    found = await world.operations.get(operation.id)
    assert (found.checkpoint, found.percent) == ({"next": 5}, 50)


@pytest.mark.spec("OP-9")
async def test_a_lease_is_kept_while_a_step_takes_long(world):
    operation = await world.operations.create(UPDATE, {})
    taken = []

    async def work(_lease):
        for _ in range(20):
            world.time.seconds += 10  # minutes in all
            await asyncio.sleep(0.01)
            taken.append(await world.operations.claim(operation.id))
        return {}

    await world.runner(work, renew_seconds=0.002).run()
    assert taken == [None] * 20
    assert (await world.operations.get(operation.id)).status is OperationStatus.SUCCEEDED


async def test_who_has_lost_the_lease_stops_working(world):
    operation = await world.operations.create(UPDATE, {})
    stopped, other = [], []

    async def take_it_over():
        while (lease := await world.operations.claim(operation.id)) is None:
            world.time.seconds += 61
        await lease.checkpoint({"by": "another"})

    async def work(_lease):
        other.append(asyncio.create_task(take_it_over()))
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    await asyncio.wait_for(world.runner(work, renew_seconds=0.01).run(), 50)
    assert stopped
    await other[0]
    found = await world.operations.get(operation.id)
    assert (found.status, found.checkpoint) == (OperationStatus.RUNNING, {"by": "another"})


async def test_what_is_created_meanwhile_is_taken_up_in_the_same_run(world):
    await world.operations.create(EXPORT, {"steps": 1})

    async def work(lease):
        if lease.operation.input["steps"] == 1:
            await world.operations.create(EXPORT, {"steps": 2})
            await asyncio.sleep(0.05)
        return {}

    await world.runner(work, EXPORT).run()
    assert await world.operations.active() == []


async def test_an_operation_of_another_kind_is_left_alone(world):
    operation = await world.operations.create(EXPORT, {"steps": 1})
    await world.runner(world.count, UPDATE).run()
    assert (await world.operations.get(operation.id)).status is OperationStatus.NOT_STARTED


@pytest.mark.spec("AUTH-22", "OP-2")
async def test_an_operation_is_shown_to_who_may_see_where_it_acts(world):
    export = await world.operations.create(EXPORT, {}, partition="ward")
    reindex = await world.operations.create(REINDEX, {})
    function = handler_of(blueprint(boundary(), world.operations), "retrieve_operation")

    async def status(operation, token):
        target = f"/v2/operations/{operation.id}"
        return (await function.get(target, (("Authorization", f"Bearer {token}"),))).status

    assert [await status(export, token) for token in ("read", "read@Ward", "read@lab")] == [202, 202, 404]
    assert [await status(reindex, token) for token in ("read", "read@ward")] == [202, 404]
