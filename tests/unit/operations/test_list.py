"""The list of operations that operators see (B-21)."""

import json

import pytest

from shared.operations.functions import blueprint
from tests.builders.functions import handler_of
from tests.builders.http import boundary
from tests.unit.operations.test_operations import DAY, EXPORT, REINDEX, UPDATE, World


@pytest.fixture
def world() -> World:
    return World()


async def listed(world, query="", caller="all", **fields):
    functions = blueprint(boundary(**fields), world.operations)
    target = f"/v2/admin/operations{query}"
    return await handler_of(functions, "list_operations").get(target, (("Authorization", f"Bearer {caller}"),))


@pytest.mark.spec("B-21")
async def test_operators_see_the_operations_of_the_last_days_newest_first(world):
    kinds = (REINDEX, UPDATE, EXPORT)
    created = []
    for kind in kinds:
        created.append(await world.operations.create(kind, {"patientId": "4711"}, partition="Ward-7"))
        world.time.seconds += 1
    await (await world.operations.claim(created[1].id)).succeed({"studyProcessed": 1})

    response = await listed(world)

    entries = json.loads(response.body)
    assert (response.status, [each["operationId"] for each in entries]) == (200, [each.id for each in created[::-1]])
    assert [each["status"] for each in entries] == ["notStarted", "succeeded", "notStarted"]
    assert entries[1]["results"] == {"studyProcessed": 1}
    assert entries[1]["partitionName"] == "Ward-7"
    assert entries[1]["href"] == f"http://dicom.example/v2/operations/{created[1].id}"
    assert b"4711" not in response.body
    world.time.seconds += 30 * DAY + 1
    await world.operations.purge()
    assert [each["type"] for each in json.loads((await listed(world)).body)] == ["export", "reindex"]


@pytest.mark.spec("B-21", "GEN-30")
async def test_the_list_comes_in_pages(world):
    created = []
    for _ in range(5):
        created.insert(0, (await world.operations.create(EXPORT, {})).id)
        world.time.seconds += 1
    for query, found in (("?limit=2", created[:2]), ("?limit=2&offset=3", created[3:]), ("?offset=9", [])):
        assert [each["operationId"] for each in json.loads((await listed(world, query)).body)] == found
    for query in ("?limit=0", "?limit=201", "?offset=-1", "?limit=1&limit=2"):
        assert (await listed(world, query)).status == 400


@pytest.mark.spec("B-21", "AUTH-14")
@pytest.mark.parametrize("caller", ["read", "write+read", "delete"])
async def test_who_may_not_do_everything_sees_no_list(world, caller):
    assert (await listed(world, caller=caller)).status == 403
