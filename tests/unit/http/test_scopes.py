"""Roles on data sets: an action counts in the partitions of its role alone (AUTH-20 to AUTH-22)."""

import json

import pytest

from shared.dicomweb.resources import RESOURCES
from shared.http.messages import Response
from shared.http.roles import Roles
from tests.builders.http import INSTANCE, KnownPartitions, ask, boundary
from tests.builders.paths import example_path

PARTITIONED = [row for row in RESOURCES.values() if row.partitioned and row.versioned]
OF_THE_SERVICE = [row for row in RESOURCES.values() if not row.partitioned and row.action is not None]

SAME = ("X-Request-Id", "same")


def bearer(token):
    return (("Authorization", f"Bearer {token}"),)


def path(row, partition):
    return f"/v2/partitions/{partition}/{example_path(row.template)}"


# ----------------------------------------------------------------------------------------------------- the document


def permissions(*entries, names=("a", "b")):
    return Roles(
        json.dumps([{"name": name, **entry} for name, entry in zip(names, entries, strict=False)])
    ).permissions(names)


@pytest.mark.spec("AUTH-11", "AUTH-20", "DP-4a", "B-3")
@pytest.mark.parametrize(
    ("scopes", "inside", "outside"),
    [
        (["/"], ["ward", "Microsoft.Default", ""], []),
        (["/partitions/Ward"], ["ward", "WARD"], ["ward2", "war", "", "Microsoft.Default"]),
        (["/partitions/study-*"], ["study-", "STUDY-7"], ["study", "my-study-7"]),
        (["/partitions/*"], ["ward", "Microsoft.Default"], []),
        (["/partitions/a", "/partitions/b*"], ["a", "b", "bc"], ["ab", "c"]),
        (["/partitions/Microsoft.Default"], ["Microsoft.Default"], ["ward"]),
    ],
)
def test_a_scope_is_the_service_a_partition_or_all_that_begin_alike(scopes, inside, outside):
    scope = permissions({"dataActions": ["read"], "scopes": scopes}).scope("read")
    assert [name in scope for name in inside] == [True] * len(inside)
    assert [name in scope for name in outside] == [False] * len(outside)
    assert scope.whole_service == (scopes == ["/"])


@pytest.mark.spec("AUTH-11")
def test_a_role_without_scopes_counts_everywhere():
    assert permissions({"dataActions": ["read"]}).scope("read").whole_service


@pytest.mark.spec("AUTH-13", "AUTH-20")
def test_an_action_counts_inside_the_scopes_of_the_role_that_gives_it():
    found = permissions(
        {"dataActions": ["*"], "notDataActions": ["delete"], "scopes": ["/partitions/own"]},
        {"dataActions": ["read"], "scopes": ["/partitions/shared*"]},
    )
    assert ("own" in found.scope("read"), "shared1" in found.scope("read")) == (True, True)
    assert ("own" in found.scope("write"), "shared1" in found.scope("write")) == (True, False)
    assert not found.scope("delete")
    assert "delete" not in found.actions


# ------------------------------------------------------------------------------------- role x resource x partition


@pytest.mark.spec("AUTH-20", "AUTH-14")
@pytest.mark.parametrize("row", PARTITIONED, ids=lambda row: row.name)
@pytest.mark.parametrize(
    ("role", "partition", "permitted"),
    [
        ("{action}@ward", "ward", True),
        ("{action}@lab", "ward", False),
        ("{action}@wa*", "ward", True),
        ("{action}@WARD", "ward", True),
        ("{action}", "ward", True),
        ("{other}@ward", "ward", False),
        ("{other}+{action}@lab", "ward", False),
        ("{action}@ward", "Microsoft.Default", False),
    ],
)
async def test_each_resource_is_open_in_the_partitions_of_the_role_alone(row, role, partition, permitted):
    other = "read" if row.action != "read" else "write"
    token = role.format(action=row.action, other=other)
    at = boundary(KnownPartitions("ward", "lab", "Microsoft.Default"), data_partitions=True)
    response = await ask(row.methods[0], path(row, partition), bearer(token), at=at)
    assert response.status == (200 if permitted else 403), response.body


@pytest.mark.spec("AUTH-20")
async def test_without_partitions_everything_lies_in_the_default_one():
    assert (await ask("GET", INSTANCE, bearer("read@Microsoft.Default"))).status == 200
    assert (await ask("GET", INSTANCE, bearer("read@micro*"))).status == 200
    assert (await ask("GET", INSTANCE, bearer("read@ward"))).status == 403


@pytest.mark.spec("AUTH-21", "DP-6")
@pytest.mark.parametrize(("method", "token"), [("GET", "read@lab*"), ("POST", "write@lab*")])
async def test_whether_a_partition_exists_is_not_told_to_who_may_not_see_it_nor_is_it_created(method, token):
    known = KnownPartitions("ward")
    at = boundary(known, data_partitions=True)
    for partition in ("ward", "nowhere"):
        target = f"/v2/partitions/{partition}/studies"
        response, refusal = [
            await ask(method, target, (*each, SAME), at=at) for each in (bearer(token), bearer("export"))
        ]
        assert (response.status, response.body) == (403, refusal.body)
    assert known.names == ["ward"]


@pytest.mark.spec("AUTH-20", "PART-4")
async def test_a_store_creates_the_partition_that_its_role_names():
    known = KnownPartitions()
    at = boundary(known, data_partitions=True)
    assert (await ask("POST", "/v2/partitions/lab7/studies", bearer("write@lab*"), at=at)).status == 200
    assert known.names == ["lab7"]


SPELLINGS = [
    *("LAB", "%6cab", "l%61b", "lab%20", "%20lab", "lab.", "lab%00", "lab%0a", "lab;x", "lab,ward", "ward,lab"),
    *(
        "lab%2F..%2Fward",
        "ward%2F..%2Flab",
        "ward%2f%2e%2e%2flab",
        "ward/../lab",
        "ward/%2e%2e/lab",
        "./lab",
        "..;/lab",
    ),
    *("%252e%252e/lab", "ward%255C..%255Clab", "ward%5C..%5Clab", "/lab", "ward//..//lab", "%EF%BD%8Cab", "lab%C2%AD"),
    *("lab%252F", "lab?partition=ward", "lab#ward", "*", "%2A", "w*", "ward/partitions/lab", "%FF", "", "%"),
]
"""Of a partition that the caller may not see, beside one that the caller may."""


@pytest.mark.spec("AUTH-20", "AUTH-21", "DP-4a")
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_of_a_path_leads_into_a_partition_that_is_not_the_caller_s(spelling):
    known, reached = KnownPartitions("ward", "lab"), []
    at = boundary(known, data_partitions=True)

    async def remember(_request, context):
        reached.append(context.partition.name)
        return Response(200)

    for template, method, action in (
        ("studies", "GET", "read"),
        ("studies", "POST", "write"),
        ("studies/1.2", "DELETE", "delete"),
        ("studies/1.2/series/1.3/instances/1.4/frames/1", "GET", "read"),
    ):
        target = f"/v2/partitions/{spelling}/{template}"
        response = await ask(method, target, bearer(f"{action}@ward"), at=at, handler=remember)
        assert response.status in {200, 400, 403, 404, 405}, (target, response.body)

    assert set(reached) <= {"ward"}
    assert known.names == ["ward", "lab"]


STRANGERS = [
    *(("X-Original-URL", "/v2/partitions/lab/studies"), ("X-Rewrite-URL", "/v2/partitions/lab/studies")),
    *(("X-Forwarded-Path", "/v2/partitions/lab/studies"), ("X-Forwarded-Prefix", "/v2/partitions/lab")),
    *(("X-HTTP-Method-Override", "DELETE"), ("X-HTTP-Method", "DELETE"), ("X-Method-Override", "DELETE")),
    *(
        ("X-ARR-ClientCert", "MIIB"),
        ("X-ARR-SSL", "2048|256|CN=x|CN=y"),
        ("X-ARR-LOG-ID", "1"),
        ("X-AppService-Proto", "http"),
    ),
    *(
        ("X-MS-CLIENT-PRINCIPAL-NAME", "owner"),
        ("X-MS-CLIENT-PRINCIPAL-ID", "1"),
        ("X-MS-TOKEN-AAD-ACCESS-TOKEN", "a.b.c"),
    ),
    ("X-MS-CLIENT-PRINCIPAL", "eyJjbGFpbXMiOlt7InR5cCI6InJvbGVzIiwidmFsIjoiZ2xvYmFsQWRtaW4ifV19"),
    *(("X-Functions-Key", "k"), ("X-Forwarded-User", "owner"), ("X-Remote-User", "owner"), ("Cookie", "token=all")),
    *(
        ("Proxy-Authorization", "Bearer all"),
        ("X-Authorization", "Bearer all"),
        ("X-Forwarded-Authorization", "Bearer all"),
    ),
]
"""What gateways, front ends and frameworks say to the servers behind them, and anybody can write."""


@pytest.mark.spec("AUTH-2", "AUTH-20")
@pytest.mark.parametrize(("name", "value"), STRANGERS, ids=[name for name, _ in STRANGERS])
async def test_no_header_of_a_stranger_changes_who_asks_for_what(name, value):
    at, seen = boundary(KnownPartitions("ward", "lab"), data_partitions=True), []

    async def remember(request, context):
        seen.append((request.method, request.path, context.partition.name, context.urls.root))
        return Response(200)

    async def status(*headers):
        return (await ask("GET", "/v2/partitions/ward/studies", headers, at=at, handler=remember)).status

    assert await status((name, value)) == 401
    assert await status((name, value), *bearer("write@ward")) == 403
    assert await status(*bearer("read@ward")) == await status((name, value), *bearer("read@ward")) == 200
    assert seen[0] == seen[1]


@pytest.mark.spec("AUTH-22")
@pytest.mark.parametrize("row", OF_THE_SERVICE, ids=lambda row: row.name)
async def test_what_belongs_to_no_partition_is_shown_in_part_or_needs_the_whole_service(row):
    at = boundary(data_partitions=True)
    target = f"/v2/{row.template}".replace("{operation}", "0" * 32).replace("{study}", "1.2")

    async def status(token):
        return (await ask(row.methods[0], target, bearer(token), at=at)).status

    assert await status(row.action) == 200
    assert await status(f"{row.action}@ward") == (200 if row.shows_own_part else 403)
    assert await status("delete@ward") == 403
