"""The two resources of the change feed, on stores in memory."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from shared.change_feed import response, transaction
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.index import documents as stored_documents
from shared.index_schema import blob_names
from shared.memory_budget import MemoryBudget
from tests.builders.feed import READER, FeedService, brief, logged
from tests.builders.files import file
from tests.builders.http import field
from tests.builders.images import image, new_uid


@pytest.fixture
def service() -> FeedService:
    return FeedService()


def moment(service: FeedService, seconds: float = 0.0) -> str:
    return quote((datetime.fromtimestamp(service.time(), UTC) + timedelta(seconds=seconds)).isoformat())


async def stored(service: FeedService, count: int = 1, *, apart: float = 1.0):
    files = []
    for _ in range(count):
        service.time.seconds += apart
        files.append(file())
        await service.store(files[-1].data)
    return files


# ------------------------------------------------------------------------------------------------------ the entries


@pytest.mark.spec("CF-20", "CF-22", "CF-26", "GEN-12")
async def test_a_stored_instance_is_one_entry_with_its_metadata(service):
    [one] = await stored(service)
    before = service.time()
    service.time.seconds += 100

    [entry] = await service.feed()

    timestamp, metadata = entry.pop("timestamp"), entry.pop("metadata")
    assert entry == {
        "sequence": 1,
        "partitionName": "Microsoft.Default",
        "studyInstanceUid": one.identifier.study_instance_uid,
        "seriesInstanceUid": one.identifier.series_instance_uid,
        "sopInstanceUid": one.identifier.sop_instance_uid,
        "action": "Create",
        "state": "Current",
    }
    assert metadata["00080018"]["Value"] == [one.identifier.sop_instance_uid]
    committed = datetime.fromisoformat(timestamp)
    assert committed.utcoffset() == timedelta(0)
    assert 0 <= committed.timestamp() - before < 0.01  # of the commit, not of the reading
    assert (await service.feed())[0]["timestamp"] == timestamp


@pytest.mark.spec("CF-5")
@pytest.mark.parametrize("target", ["/v1/changefeed?includeMetadata=false", "/v2/changefeed?includemetadata=False"])
async def test_metadata_are_left_out_when_they_are_not_wanted(service, target):
    await stored(service)

    [entry] = await service.feed(target)

    assert "metadata" not in entry


@pytest.mark.spec("CF-26", "W-3")
async def test_metadata_are_as_the_version_gives_them_elsewhere(service):
    one = image()
    await service.store(one.data)
    [v1], [v2] = [await service.feed(f"/{version}/changefeed") for version in ("v1", "v2")]

    assert "7FE00010" not in v1["metadata"]
    assert v2["metadata"]["7FE00010"] == {
        "vr": "OB",
        "BulkDataURI": f"http://dicom.example/v2/{one.path}/bulkdata/7FE00010",
    }


@pytest.mark.spec("CF-21", "CF-23")
async def test_a_deleted_instance_has_an_entry_more_and_all_its_entries_are_deleted(service):
    one, _ = await stored(service, 2)
    await service.delete(one.identifier)

    entries = await service.feed()

    assert brief(entries) == [(1, "Create", "Deleted"), (2, "Create", "Current"), (3, "Delete", "Deleted")]
    assert ["metadata" in entry for entry in entries] == [False, True, False]


@pytest.mark.spec("CF-23")
async def test_a_deleted_series_or_study_has_one_entry_for_each_instance(service):
    study, series = new_uid(), new_uid()
    files = [file(study=study, series=series), file(study=study, series=series), file(study=study)]
    for one in files:
        await service.store(one.data)
    await service.delete(ResourceIdentifier(study, series))
    assert brief(await service.feed())[3:] == [(4, "Delete", "Deleted"), (5, "Delete", "Deleted")]
    await service.delete(ResourceIdentifier(study))

    assert brief(await service.feed())[3:] == [(number, "Delete", "Deleted") for number in (4, 5, 6)]


@pytest.mark.spec("CF-24", "CF-26")
async def test_an_instance_that_is_stored_again_replaces_what_it_was(service):
    [one] = await stored(service)
    await service.delete(one.identifier)
    await service.store(one.data)

    entries = await service.feed()

    assert brief(entries) == [(1, "Create", "Replaced"), (2, "Delete", "Replaced"), (3, "Create", "Current")]
    assert all(entry["metadata"] == entries[2]["metadata"] for entry in entries)


@pytest.mark.spec("CF-25", "CF-26", "PUT-3")
async def test_a_replaced_instance_has_the_present_metadata_in_all_its_entries(service):
    uids = {"study": new_uid(), "series": new_uid(), "sop_instance": new_uid()}
    await service.store(file({0x00081030: "Old"}, **uids).data)
    await service.store(file({0x00081030: "New"}, **uids).data, replace=True)

    entries = await service.feed()

    assert brief(entries) == [(1, "Create", "Replaced"), (2, "Create", "Current")]
    assert [entry["metadata"]["00081030"]["Value"][0].strip() for entry in entries] == ["New", "New"]


@pytest.mark.spec("CF-25")
async def test_an_updated_instance_has_an_entry_that_says_so(service):
    [one] = await stored(service)
    await service.sequencer.catch_up()
    version = (await service.instance(one.identifier)).version
    await service.append(logged(one.identifier, version - 1, "update"), logged(one.identifier, version, "update"))

    assert brief(await service.feed())[1:] == [(2, "Update", "Replaced"), (3, "Update", "Current")]


@pytest.mark.spec("CF-29")
async def test_a_conflict_is_no_change(service):
    [one] = await stored(service)
    await service.store(one.data)

    assert len(await service.feed()) == 1


@pytest.mark.spec("CF-31")
@pytest.mark.parametrize("target", ["/v1/changefeed", "/v2/changefeed"])
async def test_metadata_that_are_missing_do_not_fail_the_page(target):
    service = FeedService(metadata_inline=False)
    one, other = await stored(service, 2)
    await service.blobs.delete(blob_names.metadata_blob((await service.instance(one.identifier)).blob))

    entries = await service.feed(target)

    assert brief(entries) == [(1, "Create", "Current"), (2, "Create", "Current")]
    assert ["metadata" in entry for entry in entries] == [False, True]
    assert entries[1]["metadata"]["00080018"]["Value"] == [other.identifier.sop_instance_uid]


@pytest.mark.spec("CF-27", "S-8")
@pytest.mark.parametrize("target", ["/v1/changefeed", "/v2/changefeed"])
async def test_what_was_stored_is_in_the_feed_at_once_without_anybody_numbering_it_before(service, target):
    for number in range(1, 4):
        await stored(service)
        assert len(await service.feed(target)) == number
    [one] = await stored(service)
    assert (await service.latest())["sopInstanceUid"] == one.identifier.sop_instance_uid


@pytest.mark.spec("GEN-8", "DP-10", "PART-1")
async def test_the_feed_is_of_all_partitions_and_names_them():
    service = FeedService(data_partitions=True)
    ward = await service.partitions.resolve("Ward-7", create=True)
    one = InstanceIdentifier(new_uid(), new_uid(), new_uid())
    await service.append(logged(one, 1 << 16), logged(one, 1 << 17, namespace=ward.namespace))

    entries = await service.feed()

    assert [entry["partitionName"] for entry in entries] == ["Microsoft.Default", "Ward-7"]
    response = await service.function("change_feed").get("/v2/partitions/Ward-7/changefeed", READER)
    assert response.status == 404


async def test_the_urls_in_metadata_name_the_partition():
    service = FeedService(data_partitions=True)
    one = image()
    await service.store(one.data)

    [entry] = await service.feed()

    expected = f"http://dicom.example/v2/partitions/Microsoft.Default/{one.path}/bulkdata/7FE00010"
    assert entry["metadata"]["7FE00010"]["BulkDataURI"] == expected


# ------------------------------------------------------------------------------------------------------ the windows


@pytest.mark.spec("CF-1", "CF-2", "CF-10", "A-5")
@pytest.mark.parametrize("version", ["v1", "v1.0-prerelease"])
async def test_v1_gives_a_window_of_sequences(service, version):
    await stored(service, 13)

    def sequences(entries):
        return [entry["sequence"] for entry in entries]

    assert sequences(await service.feed(f"/{version}/changefeed")) == list(range(1, 11))
    assert sequences(await service.feed(f"/{version}/changefeed?offset=10")) == [11, 12, 13]
    assert sequences(await service.feed(f"/{version}/changefeed?offset=3&limit=2")) == [4, 5]
    assert await service.feed(f"/{version}/changefeed?offset=13") == []


@pytest.mark.spec("CF-1", "CF-2", "CF-3", "CF-4", "CF-11")
async def test_v2_gives_a_window_of_time(service):
    before = moment(service, 0.5)
    await stored(service, 6)
    entries = await service.feed("/v2/changefeed?includeMetadata=false")
    times = [quote(entry["timestamp"]) for entry in entries]

    async def sequences(query):
        return [entry["sequence"] for entry in await service.feed(f"/v2/changefeed?{query}")]

    assert len(set(times)) == 6  # stored one after the other, numbered together
    assert await sequences(f"startTime={times[2]}") == [3, 4, 5, 6]
    assert await sequences(f"endTime={times[2]}") == [1, 2]
    assert await sequences(f"startTime={times[1]}&endTime={times[4]}") == [2, 3, 4]
    assert await sequences(f"startTime={times[1]}&endTime={times[4]}&offset=1&limit=1") == [3]
    assert await sequences(f"startTime={times[1]}&endTime={times[4]}&offset=3") == []
    assert await sequences(f"startTime={before}&offset=4") == [5, 6]
    assert await sequences(f"endTime={before}") == []
    assert await sequences(f"startTime={moment(service, 1)}") == []
    assert await sequences("startTime=0001-01-01T00:00:00Z&endTime=9999-12-31T23:59:59.9999999Z&limit=2") == [1, 2]
    assert await sequences(f"offset={2**63 - 1}") == []


@pytest.mark.spec("CF-11", "CF-27")
async def test_what_was_stored_before_the_end_of_a_window_is_in_it(service):
    start = moment(service)
    await stored(service, 2)
    service.time.seconds += 0.01
    end = moment(service)
    service.time.seconds += 3600  # nobody has numbered the changes yet

    assert len(await service.feed(f"/v2/changefeed?startTime={start}&endTime={end}")) == 2


@pytest.mark.spec("CF-11", "CF-28", "A-1")
@pytest.mark.parametrize("bounded", [True, False])
async def test_nothing_is_added_to_a_time_that_has_been_read(service, bounded):
    await stored(service)
    service.time.seconds += 60
    end = moment(service)
    first = await service.feed("/v2/changefeed" + (f"?endTime={end}" if bounded else ""))
    late = file()
    service.time.seconds -= 40  # a commit that took long, or a clock that is behind
    await service.again().store(late.data)
    service.time.seconds += 40

    assert await service.feed(f"/v2/changefeed?endTime={end}") == first
    [entry] = await service.feed(f"/v2/changefeed?startTime={end}")
    assert entry["sopInstanceUid"] == late.identifier.sop_instance_uid


@pytest.mark.spec("CF-16", "CF-18")
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_an_empty_feed_is_an_empty_list_and_has_no_latest_entry(service, version):
    listed = await service.function("change_feed").get(f"/{version}/changefeed", READER)
    latest = await service.function("change_feed_latest").get(f"/{version}/changefeed/latest", READER)

    assert (listed.status, listed.body) == (200, b"[]")
    assert field(listed, "content-type") == "application/json; charset=utf-8"
    assert (latest.status, latest.body) == (204, b"")


@pytest.mark.spec("CF-17")
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_latest_entry_is_that_of_the_highest_sequence(service, version):
    await stored(service, 3)

    latest = await service.latest(version)

    assert latest == (await service.feed(f"/{version}/changefeed"))[-1]
    assert latest["sequence"] == 3


@pytest.mark.spec("CF-2")
async def test_a_page_of_many_entries_is_whole(service):
    study = new_uid()
    files = [file(study=study) for _ in range(130)]
    for at in range(0, len(files), 10):
        await service.store(*(one.data for one in files[at : at + 10]))

    entries = await service.feed("/v2/changefeed?limit=200")

    assert [entry["sequence"] for entry in entries] == list(range(1, 131))
    assert {entry["metadata"]["00080018"]["Value"][0] for entry in entries} == {
        one.identifier.sop_instance_uid for one in files
    }


@pytest.mark.spec("CF-2", "CF-18", "STOW-46")
async def test_long_metadata_come_one_after_the_other_within_a_budget_that_is_given_back(service, monkeypatch):
    budget = MemoryBudget(100_000, "busy")
    monkeypatch.setattr(transaction, "CONVERTED", budget)
    monkeypatch.setattr(stored_documents, "_LARGEST_INLINE", 2000)
    monkeypatch.setattr(stored_documents, "INLINE_METADATA", 2000)
    for length in (10, 5000, 20, 6000, 7000):
        await service.store(file({0x0040A160: ("UT", "x" * length)}).data)
    whole, latest = await service.feed(), await service.feed("/v2/changefeed/latest")
    assert [len(entry["metadata"]["0040A160"]["Value"][0]) for entry in whole] == [10, 5000, 20, 6000, 7000]
    for limits in ({"_SHORT": 3000}, {"_SHORT": 3000, "_WHOLE": 1000}):
        for name, value in limits.items():
            monkeypatch.setattr(response if name == "_WHOLE" else transaction, name, value)
        assert await service.feed() == whole
        assert await service.feed("/v2/changefeed/latest") == latest
        assert budget.free == budget.size


# ------------------------------------------------------------------------------------------------------ the boundary


@pytest.mark.spec("CF-15", "CF-12", "CF-13", "AERR-4")
@pytest.mark.parametrize("query", ["limit=0", "limit=201", "offset=-1", "startTime=2026-01-01", "includeMetadata=1"])
async def test_an_invalid_parameter_is_refused_by_its_name(service, query):
    response = await service.function("change_feed").get(f"/v2/changefeed?{query}", READER)

    assert response.status == 400
    assert response.body.startswith(b"The query parameter '")


async def test_what_accepts_no_json_gets_none(service):
    for name, path in (("change_feed", "changefeed"), ("change_feed_latest", "changefeed/latest")):
        for accept, status in (("application/json", 200), ("application/dicom+json", 200), ("image/png", 406)):
            response = await service.function(name).get(f"/v2/{path}", (*READER, ("Accept", accept)))
            assert response.status == (204 if status == 200 and path.endswith("latest") else status)


@pytest.mark.spec("AUTH-15")
async def test_only_a_reader_sees_the_feed(service):
    for name, path in (("change_feed", "changefeed"), ("change_feed_latest", "changefeed/latest")):
        function = service.function(name)
        assert (await function.get(f"/v2/{path}")).status == 401
        assert (await function.get(f"/v2/{path}", (("Authorization", "Bearer write"),))).status == 403


async def test_a_head_request_has_the_headers_and_no_body(service):
    await stored(service)

    response = await service.function("change_feed").request("HEAD", "/v2/changefeed", READER)

    assert (response.status, response.body) == (200, b"")
    assert int(field(response, "content-length")) == len(
        (await service.function("change_feed").get("/v2/changefeed", READER)).body
    )


def test_timestamps_always_have_microseconds_and_an_offset():
    from shared.change_feed.response import Entry, _document
    from shared.change_log.reader import EntryState, FeedEntry

    time = datetime(2026, 1, 31, 9, 15, tzinfo=UTC)
    entry = FeedEntry(2**53 + 1, time, "create", "0", InstanceIdentifier("1", "2", "3"), 1)
    document = json.loads(_document(Entry(entry, "p", EntryState.CURRENT, b"{}")))

    assert document["timestamp"] == "2026-01-31T09:15:00.000000+00:00"
    assert document["sequence"] == 2**53 + 1
    assert document["metadata"] == {}
