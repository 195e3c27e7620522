"""What an export writes, what it counts, and what it does about what cannot be copied."""

import asyncio
import json

import pytest

from shared.errors import Unavailable
from shared.export import sources, transaction
from shared.export.copying import DELETED, LOST
from shared.export.work import NO_MATCH
from tests.builders.errors import said
from tests.unit.export.service import SIGNATURE, URI, ExportService, destination, source


@pytest.fixture
async def service():
    """Two studies: 1.1 with two series, 1.2 with one instance."""
    service = ExportService()
    await service.add("1.1", "1.1.1", "1.1.1.1")
    await service.add("1.1", "1.1.1", "1.1.1.2")
    await service.add("1.1", "1.1.2", "1.1.2.1")
    await service.add("1.2", "1.2.1", "1.2.1.1")
    return service


def names(*paths):
    return {path: path.encode() for path in paths}


STUDY = ("1.1/1.1.1/1.1.1.1", "1.1/1.1.1/1.1.1.2", "1.1/1.1.2/1.1.2.1")
OTHER = "1.2/1.2.1/1.2.1.1"


@pytest.mark.spec("XPT-14", "XPT-20", "XPT-22", "XPT-24", "XPT-25", "XPT-30")
async def test_an_export_is_an_operation_that_ends_with_its_files_and_an_empty_log(service):
    response = await service.ask({"source": source("1.1"), "destination": destination()})
    assert response.status == 202
    started = json.loads(response.body)
    assert dict(response.headers)["Location"] == started["href"]
    assert service.container.log(started["id"]) == [], "the log is there before the answer"

    waiting = await service.state(started["id"])
    href = f"{URI}/{started['id']}/errors.log"
    assert (waiting["status"], waiting["results"]) == ("notStarted", {"exported": 0, "skipped": 0, "errorHref": href})
    assert "percentComplete" not in waiting

    await service.runner.run()
    done = await service.state(started["id"])
    assert (done["status"], done["results"]) == ("succeeded", {"exported": 3, "skipped": 0, "errorHref": href})
    assert service.exported(started["id"]) == names(*STUDY)
    assert service.container.log(started["id"]) == []


@pytest.mark.spec("XPT-21", "XPT-23", "XPT-24")
@pytest.mark.parametrize(
    ("values", "files", "unknown"),
    [
        (["1.1"], STUDY, []),
        (["1.1/1.1.1"], STUDY[:2], []),
        (["1.1/1.1.2/1.1.2.1", "1.2/1.2.1/1.2.1.1"], [STUDY[2], OTHER], []),
        (["1.2", "1.1/1.1.2/1.1.2.1", "1.1/1.1.1"], [*STUDY, OTHER], []),
        (["1.9", "1.2", "1.1/1.9"], [OTHER], ["1.9", "1.1/1.9"]),
        (["1.1/1.1.1/1.9", "1.1/1.1.1/1.1.1.1"], STUDY[:1], ["1.1/1.1.1/1.9"]),
        ([" 1.2 "], [OTHER], []),
        (["1.9/1.9.1/1.1.1.1", "1.2/1.2.1/1.2.1.1"], [OTHER], ["1.9/1.9.1/1.1.1.1"]),
    ],
)
async def test_identifiers_of_each_level_are_exported_and_unknown_ones_are_logged(service, values, files, unknown):
    operation_id, results = await service.export(*values)

    assert service.exported(operation_id) == names(*files)
    lines = [json.loads(line) for line in service.container.log(operation_id)]
    assert [(line["identifier"], line["error"]) for line in lines] == [(each, NO_MATCH) for each in unknown]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert (results["exported"], results["skipped"]) == (len(files), len(unknown))


@pytest.mark.spec("XPT-24", "XPT-26")
@pytest.mark.parametrize("copies", [True, False])
async def test_what_is_named_several_times_is_one_file_whoever_writes_it(service, copies):
    service.container.copies = copies

    operation_id, results = await service.export("1.1", "1.1", "1.1/1.1.1", STUDY[0], STUDY[0])

    assert service.exported(operation_id) == names(*STUDY)
    assert 3 <= results["exported"] <= 3 + 3 + 2 + 1 + 1, "copied once, or once for each time it is named"
    assert results["skipped"] == 0
    assert service.container.log(operation_id) == []


@pytest.mark.spec("XPT-14", "DP-11")
async def test_without_a_source_all_of_the_partition_is_exported_and_nothing_else(service):
    other = ExportService(
        beside=service, partition=type(service.partition)(2, "ward", "ward", service.partition.created)
    )
    await other.add("1.7", "1.7.1", "1.7.1.1")

    operation_id, results = await service.export()

    assert service.exported(operation_id) == names(*STUDY, OTHER)
    assert (results["exported"], results["skipped"]) == (4, 0)
    assert (await service.operations.get(operation_id)).partition == "Microsoft.Default"


@pytest.mark.parametrize("values", [[], ["2.1", "2.2", "2.3"]], ids=["partition", "studies"])
@pytest.mark.parametrize(("rows", "most"), [(2, 2**31), (256, 2500), (1, 2**31), (256, 2**31)])
async def test_studies_of_any_size_are_read_in_pages_without_a_gap(monkeypatch, values, rows, most):
    monkeypatch.setattr(sources, "_INSTANCES", rows)
    monkeypatch.setattr(sources, "_BYTES", most)
    monkeypatch.setattr(sources, "_ENOUGH", 3)
    monkeypatch.setattr(sources, "_STUDIES", 2)
    service = ExportService(page_limit=3, empty_page_every=4)
    expected = {}
    for study, count in (("2.1", 7), ("2.2", 1), ("2.3", 4)):
        for number in range(count):
            path = (study, f"{study}.{number % 2}", f"{study}.{number % 2}.{number}")
            expected["/".join(path)] = await service.add(*path)

    operation_id, results = await service.export(*values)

    assert service.exported(operation_id) == expected
    assert (results["exported"], results["skipped"]) == (len(expected), 0)


async def test_a_study_of_nothing_but_deleted_instances_matches_nothing(monkeypatch, service):
    monkeypatch.setattr(sources, "_INSTANCES", 1)
    await service.add("1.1", "1.1.3", "1.1.3.1")
    await service.delete("1.1")

    operation_id, results = await service.export("1.1", "1.2")

    assert service.exported(operation_id) == names(OTHER)
    assert (results["exported"], results["skipped"]) == (1, 1)


async def test_a_study_that_goes_between_two_pages_takes_nothing_of_the_next_one_along(monkeypatch):
    monkeypatch.setattr(sources, "_INSTANCES", 1)
    service = ExportService(shards=1)
    await service.add("1.1", "1.1.1", "1.1.1.1")
    for number in (8, 9):
        await service.add("1.2", "1.2.9", f"1.2.9.{number}")
    operation_id = await service.start()
    source_of = sources.PartitionSource(
        service.tables, service.lookup, await service.operations.get(operation_id), shards=service.shards
    )
    first = await source_of.page({})
    assert first.following["study"] == "1.2"
    gone = {**first.following, "study": "1.3", "listed": ""}

    assert len((await source_of.page(gone)).instances) == 1, "the first row of the study is read, not what follows"


# ---------------------------------------------------------------------------------------------- what cannot be copied


@pytest.mark.spec("XPT-27")
async def test_a_file_that_is_gone_is_logged_and_skipped(service):
    [lost] = [name for name in service.blobs.names() if "/1.1.1.2/" in name]
    await service.blobs.delete(lost)

    operation_id, results = await service.export("1.1")

    assert service.exported(operation_id) == names(STUDY[0], STUDY[2])
    assert json.loads(service.container.log(operation_id)[0]) | {"timestamp": ""} == {
        "timestamp": "",
        "identifier": "1.1/1.1.1/1.1.1.2",
        "error": LOST,
    }
    assert (results["exported"], results["skipped"]) == (2, 1)


@pytest.mark.spec("XPT-27", "XPT-21")
async def test_what_is_deleted_or_replaced_while_it_is_copied(service):
    newer = service.new("1.1", "1.1.1", "1.1.1.1", replace=True)
    service.blobs.drop(newer.blob, b"newer")
    meddled = False
    one_at_a_time = asyncio.Lock()

    async def meddle(operation):
        nonlocal meddled
        async with one_at_a_time:
            if operation != "copy" or meddled:
                return
            meddled = True
            await service.store_all([newer])
            await service.delete("1.1", "1.1.2")
            for name in service.blobs.names():
                if name != newer.blob and ("/1.1.1.1/" in name or "/1.1.2.1/" in name):
                    await service.blobs.delete(name)

    service.container.before = meddle
    operation_id, results = await service.export("1.1")

    assert service.exported(operation_id) == {STUDY[0]: b"newer", STUDY[1]: STUDY[1].encode()}
    assert [json.loads(line)["error"] for line in service.container.log(operation_id)] == [DELETED]
    assert (results["exported"], results["skipped"]) == (2, 1)


@pytest.mark.spec("XPT-21", "XPT-26")
async def test_files_are_streamed_where_the_destination_does_not_copy(service):
    service.container.copies = False

    operation_id, _ = await service.export()
    assert service.exported(operation_id) == names(*STUDY, OTHER)
    assert {operation for operation, _ in service.container.calls} == {"create", "copy", "write"}


async def test_a_destination_that_never_copies_is_not_asked_for_each_file():
    service = ExportService()
    service.container.copies = False
    for number in range(100):
        await service.add("1.1", "1.1.1", f"1.1.1.{number}")

    _, results = await service.export()

    asked = [operation for operation, _ in service.container.calls]
    assert results["exported"] == asked.count("write") == 100
    assert asked.count("copy") <= 32 + 16


@pytest.mark.spec("XPT-21")
async def test_a_file_that_is_too_large_for_a_copy_is_streamed():
    service = ExportService()
    data = await service.add(length=256 * 1024**2 + 1)

    operation_id, _ = await service.export()

    assert list(service.exported(operation_id).values()) == [data]
    assert [operation for operation, _ in service.container.calls] == ["create", "write"]


@pytest.mark.spec("XPT-27", "XPT-28")
async def test_a_destination_that_refuses_fails_the_export_after_some_attempts(service):
    operation_id = await service.start("1.1", to=destination(blobContainerUri=f"{URI}?{SIGNATURE}"))
    service.container.refused = "403 AuthorizationFailure"

    for attempt in range(1, 7):
        await service.runner.run()
        service.time.seconds += 400
        assert ((await service.state(operation_id))["status"] == "failed") is (attempt >= 5)

    state = await service.state(operation_id)
    assert (state["status"], state["results"]["exported"]) == ("failed", 0)
    assert state["results"]["errorHref"] == f"{URI}/{operation_id}/errors.log"
    assert await service.records.sweep() == 1
    assert service.secrets.kept == {}


@pytest.mark.spec("XPT-27", "OP-9")
async def test_a_destination_that_is_away_for_a_while_delays_the_export(service):
    operation_id = await service.start("1.1")
    away = 2

    async def fail(operation):
        nonlocal away
        if operation == "copy" and away:
            away -= 1
            raise Unavailable("away")

    service.container.before = fail
    for _ in range(3):
        await service.runner.run()
        service.time.seconds += 400

    assert (await service.state(operation_id))["results"]["exported"] == 3
    assert service.exported(operation_id) == names(*STUDY)


# ------------------------------------------------------------------------------------------------------------ secrets


@pytest.mark.spec("XPT-28")
async def test_a_signature_is_in_the_secret_store_alone_and_goes_when_the_export_ends(service):
    operation_id = await service.start("1.1", to=destination(blobContainerUri=f"{URI}?{SIGNATURE}"))
    assert list(service.secrets.kept.values()) == [SIGNATURE]
    assert "sig=" not in repr([row.properties for row in service.tables.rows("ops")])
    assert "abc" not in json.dumps(await service.state(operation_id))
    assert SIGNATURE not in repr(service.connected)

    await service.runner.run()

    assert service.connected[-1].signature == SIGNATURE
    assert service.secrets.kept == {}
    assert [row.row_key for row in service.tables.rows("ops")] == [f"o!{operation_id}"]


@pytest.mark.spec("XPT-28")
async def test_an_export_whose_secret_is_gone_fails(service):
    operation_id = await service.start("1.1", to=destination(blobContainerUri=f"{URI}?{SIGNATURE}"))
    service.secrets.kept.clear()

    await service.runner.run()

    assert (await service.state(operation_id))["status"] == "failed"


@pytest.mark.spec("XPT-28")
async def test_what_is_left_of_an_export_that_never_began_is_swept_after_an_hour(service):
    await service.records.keep("0" * 32, ["1.1"] * 250, SIGNATURE)
    assert await service.records.sweep() == 0
    running = await service.start("1.1")

    service.time.seconds += 3601

    assert await service.records.sweep() == 1
    assert service.secrets.kept == {}
    assert {row.partition_key for row in service.tables.rows("ops")} == {
        "operations",
        "exports",
        f"export!{running}",
    }


@pytest.mark.spec("XPT-13")
async def test_a_container_that_does_not_answer_is_not_waited_for(monkeypatch, service):
    assert transaction._CONNECT_SECONDS <= 30
    monkeypatch.setattr(transaction, "_CONNECT_SECONDS", 0.01)

    async def silent(_operation):
        await asyncio.Event().wait()

    service.container.before = silent
    response = await service.ask({"source": source("1.1"), "destination": destination()})
    told = said(response.status, {name.lower(): value for name, value in response.headers}, response.body)["what"]
    assert response.status == 400
    assert "Cannot connect to the container 'cohort' of" in told
    assert service.tables.rows("ops") == []


@pytest.mark.spec("XPT-13")
@pytest.mark.parametrize(
    ("failure", "text"),
    [("404 ContainerNotFound", "cannot write to"), ("403 AuthorizationFailure", "cannot write to"), ("", "connect")],
)
async def test_a_container_that_cannot_be_written_is_refused_before_anything_begins(service, failure, text):
    service.container.refused = failure
    if not failure:

        async def away(_operation):
            raise Unavailable("no answer")

        service.container.before = away

    response = await service.ask({"source": source("1.1"), "destination": destination()})

    told = said(response.status, {name.lower(): value for name, value in response.headers}, response.body)["what"]
    assert response.status == 400
    assert text in told
    assert "'cohort'" in told
    assert "research.blob.core.windows.net" in told
    assert failure in told
    assert service.tables.rows("ops") == []
