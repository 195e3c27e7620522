import json
from datetime import UTC, datetime

import pytest

from shared.dicomweb.partitions import Partition
from shared.dicomweb.resources import RESOURCES
from shared.partitions import functions
from shared.partitions.response import partition_list
from tests.builders.functions import handler_of
from tests.builders.http import ALL, KnownPartitions, ask, boundary, error, field


@pytest.mark.spec("PART-10", "PART-9", "DP-7")
async def test_the_list_names_every_partition_in_the_order_of_their_keys():
    at = boundary(data_partitions=True)
    blueprint = functions.blueprint(at, KnownPartitions("ward", "research"))

    response = await handler_of(blueprint, "list_partitions").get("/v2/partitions", ALL)

    assert response.status == 200
    assert field(response, "content-type").startswith("application/json")
    assert [(entry["partitionKey"], entry["partitionName"]) for entry in json.loads(response.body)] == [
        (1, "Microsoft.Default"),
        (2, "ward"),
        (3, "research"),
    ]


@pytest.mark.spec("PART-1", "DP-2")
async def test_the_list_is_refused_while_partitions_are_off():
    blueprint = functions.blueprint(boundary(), KnownPartitions())

    response = await handler_of(blueprint, "list_partitions").get("/v2/partitions", ALL)

    assert error(response) == (400, "Data partitions feature is disabled.")


@pytest.mark.spec("PART-10", "GEN-15")
def test_dates_carry_their_offset():
    created = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)

    (entry,) = json.loads(partition_list([Partition(2, "ward", "2", created)]))

    assert entry == {"partitionKey": 2, "partitionName": "ward", "createdDate": "2026-11-21T10:30:00+00:00"}


@pytest.mark.spec("PART-9")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_partitions_cannot_be_changed(method):
    assert RESOURCES["list_partitions"].methods == ("GET", "HEAD")
    assert (await ask(method, "/v2/partitions", at=boundary(data_partitions=True))).status == 405


@pytest.mark.spec("AUTH-22")
async def test_the_list_names_what_lies_in_the_scopes_of_the_caller():
    at = boundary(data_partitions=True)
    function = handler_of(functions.blueprint(at, KnownPartitions("ward", "research")), "list_partitions")

    async def names(token):
        response = await function.get("/v2/partitions", (("Authorization", f"Bearer {token}"),))
        return [entry["partitionName"] for entry in json.loads(response.body)]

    assert await names("read@RE*") == ["research"]
    assert await names("read@nothing") == []
    assert await names("read@Microsoft.Default+read@ward") == ["Microsoft.Default", "ward"]
