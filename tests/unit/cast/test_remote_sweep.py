"""The change feeds of other servers: windows of sequences, and rows by time."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from shared.cast import remote_sweep
from shared.cast.checkpoints import Checkpoint, Checkpoints
from shared.cast.remote_sweep import RemoteSweep, counts_rows
from shared.cast.study_lists import remote_studies
from shared.outgoing.failures import Failure, RequestFailed
from shared.outgoing.server import Answer
from shared.storage.ports import RowWrite
from tests.builders.cast import PARTITION, Cast
from tests.unit.cast.test_sweeping import marking

BEGIN = datetime(2026, 1, 31, 9, tzinfo=UTC)


class Feed:
    """A change feed of the first version, with gaps: sequences and their studies."""

    name, base = "DICOMweb", "http://dicom.test/v1"
    most = 100

    def __init__(self, entries: dict[int, str]) -> None:
        self.entries = entries
        self.targets: list[str] = []

    async def request(self, _method: str, target: str, **_more: object) -> Answer:
        self.targets.append(target)
        if target.startswith("changefeed/latest"):
            latest = max(self.entries, default=0)
            return Answer(200, {}, orjson.dumps({"sequence": latest})) if latest else Answer(204, {}, b"")
        values = {name: value[0] for name, value in parse_qs(urlsplit(target).query).items()}
        assert 1 <= int(values["limit"]) <= self.most
        return Answer(200, {}, orjson.dumps(self.page(values)))

    def page(self, values: dict[str, str]) -> list[dict[str, object]]:
        low, limit = int(values["offset"]), int(values["limit"])
        return [
            {"sequence": number, "studyInstanceUid": study, "partitionName": PARTITION}
            for number, study in sorted(self.entries.items())
            if low < number <= low + limit
        ]


class RowFeed(Feed):
    """One of the second version: rows by time, of which an offset skips so many."""

    base = "http://dicom.test/v2"
    most = 200

    def __init__(self, entries: dict[int, str], seconds: dict[int, float] | None = None) -> None:
        """`seconds`: when a change was committed; as its sequence says where nothing is told."""
        super().__init__(entries)
        self.seconds = seconds or {}

    def page(self, values: dict[str, str]) -> list[dict[str, object]]:
        start = datetime.fromisoformat(values["startTime"]) if "startTime" in values else BEGIN - timedelta(days=1)
        rows = sorted((BEGIN + timedelta(seconds=self.seconds.get(each, each)), each) for each in self.entries)
        found = [
            {"sequence": number, "studyInstanceUid": self.entries[number], "timestamp": moment.isoformat()}
            for moment, number in rows
            if moment >= start
        ]
        offset = int(values["offset"])
        return found[offset : offset + int(values["limit"])]


def sweeping(cast: Cast, feed: Feed) -> RemoteSweep:
    return RemoteSweep(feed, Checkpoints(cast.tables, cast.clock), marking(cast), rows=isinstance(feed, RowFeed))


async def checkpoint(cast: Cast) -> Checkpoint:
    return await Checkpoints(cast.tables, cast.clock).read()


@pytest.mark.spec("CAST-EV-6")
async def test_the_feed_of_another_server_is_read_over_its_gaps_from_the_checkpoint() -> None:
    cast = Cast()
    feed = Feed({3: "2.25.1", 4: "2.25.1", 950: "2.25.2"})
    sweep = sweeping(cast, feed)
    await sweep.run()
    assert await cast.dirty() == {"2.25.1": "", "2.25.2": ""}
    assert (await checkpoint(cast)).sequence == 950
    assert (await cast.studies.get(cast.key("2.25.1"))).sequence == 4
    assert await sweep.run() == 0
    feed.entries[951] = "2.25.1"
    assert await sweep.run() == 1


@pytest.mark.spec("CAST-EV-6", "CAST-EV-7")
@pytest.mark.parametrize("kind", [Feed, RowFeed])
async def test_a_sweep_that_dies_before_its_checkpoint_begins_anew(kind: type[Feed]) -> None:
    cast = Cast()
    sweep = sweeping(cast, kind({1: "2.25.1"}))

    async def die(table: str, operation: str) -> None:
        if table == "SyncStateTable" and operation == "commit":
            raise KeyboardInterrupt

    cast.tables.before = die
    with pytest.raises(KeyboardInterrupt):
        await sweep.run()
    cast.tables.before = None
    assert await sweep.run() == 1
    assert await cast.dirty() == {"2.25.1": ""}


@pytest.mark.parametrize("kind", [Feed, RowFeed])
async def test_the_checkpoint_is_where_the_archived_dicomcast_left_it(kind: type[Feed]) -> None:
    cast = Cast()
    row = RowWrite("insert", "SyncStatePartitionKey", "SyncStateRowKey", {"SyncedSequence": 41})
    await cast.tables.commit("SyncStateTable", [row])
    await sweeping(cast, kind({41: "2.25.1", 42: "2.25.2"})).run()
    assert await cast.dirty() == {"2.25.2": ""}


@pytest.mark.spec("CAST-EV-7")
async def test_rows_are_read_page_by_page_whatever_their_times_and_none_twice_in_a_run() -> None:
    """Three hundred rows of one moment among others: no window of time can pass them."""
    cast = Cast()
    entries = {number: f"2.25.{number}" for number in range(1, 801)}
    feed = RowFeed(entries, dict.fromkeys(range(150, 550), 150.0))
    assert await sweeping(cast, feed).run() == 800
    assert set(await cast.dirty()) == set(entries.values())
    assert len(feed.targets) == 6
    assert await sweeping(cast, feed).run() == 0
    assert len(feed.targets) == 7


@pytest.mark.spec("CAST-EV-7")
async def test_a_row_that_appears_late_between_others_is_found_with_the_next_change() -> None:
    cast = Cast()
    feed = RowFeed({1: "2.25.1", 3: "2.25.3"}, {1: 1000.0, 3: 1030.0})
    await sweeping(cast, feed).run()
    feed.entries |= {2: "2.25.2", 4: "2.25.4"}
    feed.seconds |= {2: 1010.0, 4: 2000.0}
    await sweeping(cast, feed).run()
    assert set(await cast.dirty()) == {f"2.25.{number}" for number in (1, 2, 3, 4)}


@pytest.mark.spec("CAST-EV-7")
async def test_a_sweep_of_rows_that_was_cut_short_goes_on_where_it_was() -> None:
    cast = Cast()
    feed = RowFeed({number: f"2.25.{number}" for number in range(1, 601)}, dict.fromkeys(range(1, 601), 5.0))
    seen: list[int] = []

    async def die(table: str, operation: str) -> None:
        if table == "SyncStateTable" and operation == "commit":
            seen.append(1)
            if len(seen) == 3:
                raise KeyboardInterrupt

    cast.tables.before = die
    with pytest.raises(KeyboardInterrupt):
        await sweeping(cast, feed).run()
    cast.tables.before = None
    feed.targets.clear()
    await sweeping(cast, feed).run()
    assert [parse_qs(urlsplit(each).query).get("offset") for each in feed.targets] == [None, ["400"], ["600"]]
    assert len(await cast.dirty()) == 600


async def test_two_sweeps_at_once_lose_nothing() -> None:
    cast = Cast()
    feed = RowFeed({number: f"2.25.{number}" for number in range(1, 401)})
    first, second = sweeping(cast, feed), sweeping(cast, feed)

    async def overtake(table: str, operation: str) -> None:
        if table == "SyncStateTable" and operation == "commit":
            cast.tables.before = None
            await second.run()

    cast.tables.before = overtake
    await first.run()
    assert len(await cast.dirty()) == 400
    assert (await checkpoint(cast)).sequence == 400


@pytest.mark.spec("CAST-EV-8")
@pytest.mark.parametrize("kind", [Feed, RowFeed])
async def test_a_checkpoint_that_was_moved_back_has_changes_read_again(kind: type[Feed]) -> None:
    cast = Cast()
    sweep = sweeping(cast, kind({number: f"2.25.{number}" for number in (1, 2, 3)}))
    await sweep.run()
    assert await sweep.position() == (3, 3)
    await sweep.reset(1)
    assert await sweep.position() == (1, 3)
    assert await sweep.run() == 2


@pytest.mark.spec("CAST-EV-7")
@pytest.mark.parametrize(
    ("address", "rows"),
    [
        ("https://dicom.test/v1", False),
        ("https://dicom.test/v1.0-prerelease/", False),
        ("https://dicom.test/v2", True),
        ("https://dicom.test/dicom/V1", False),
    ],
)
def test_the_version_of_the_address_says_what_an_offset_counts(address: str, rows: bool) -> None:
    assert counts_rows(address) is rows


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b'{"sequence": 1}',
        b'[{"sequence": "x"}]',
        b"[1]",
        b'[{"studyInstanceUid": "1.2", "sequence": Infinity}]',
        b'[{"studyInstanceUid": "1.2", "sequence": 9223372036854775808}]',
        b'[{"studyInstanceUid": "1.2", "sequence": -1}]',
        b"[" + b"[]," * 1_100_000 + b"[]]",
    ],
    ids=range(8),
)
async def test_an_answer_that_is_no_feed_is_a_failure_of_the_server(answer: bytes) -> None:
    cast = Cast()
    feed = Feed({1: "2.25.1"})
    right = feed.request

    async def request(method: str, target: str, **more: object) -> Answer:
        return await right(method, target, **more) if "latest" in target else Answer(200, {}, answer)

    feed.request = request
    with pytest.raises(RequestFailed) as raised:
        await sweeping(cast, feed).run()
    assert raised.value.failure is Failure.UNUSABLE
    assert (await checkpoint(cast)).sequence == 0


@pytest.mark.parametrize("latest", [b'{"sequence": "x"}', b'{"sequence": Infinity}', b'{"sequence": 1e30}'])
async def test_a_newest_change_that_is_no_number_is_a_failure_of_the_server(latest: bytes) -> None:
    feed = Feed({1: "2.25.1"})

    async def request(_method: str, _target: str, **_more: object) -> Answer:
        return Answer(200, {}, latest)

    feed.request = request
    with pytest.raises(RequestFailed) as raised:
        await sweeping(Cast(), feed).run()
    assert raised.value.failure is Failure.UNUSABLE


@pytest.mark.spec("CAST-EV-6")
async def test_a_feed_without_end_is_read_in_many_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_sweep, "_PAGES", 3)
    cast = Cast()
    feed = Feed({1: "2.25.1", 10**15: "2.25.2"})
    for sweep in (1, 2):
        await sweeping(cast, feed).run()
        assert (await checkpoint(cast)).sequence == sweep * 300


class Lists:
    """A server with two data partitions, and more studies than a page."""

    name, base = "DICOMweb", "http://dicom.test/v2"

    async def request(self, _method: str, target: str, **_more: object) -> Answer:
        if target == "partitions":
            return Answer(200, {}, orjson.dumps([{"partitionName": PARTITION}, {"partitionName": "a-b"}]))
        path, _, query = target.partition("?")
        offset = int(parse_qs(query)["offset"][0])
        count = 1 if "a-b" in path else 250
        found = [{"0020000D": {"vr": "UI", "Value": [f"2.25.{number}"]}} for number in range(count)][offset:][:200]
        return Answer(200, {}, orjson.dumps(found)) if found else Answer(204, {}, b"")


@pytest.mark.spec("CAST-EV-8")
@pytest.mark.parametrize(("all_partitions", "count"), [(False, 250), (True, 251)])
async def test_all_studies_of_a_server_are_listed(all_partitions: bool, count: int) -> None:
    cast = Cast(all_partitions=all_partitions)
    found = [key async for key in remote_studies(Lists(), cast.settings)]
    assert len(set(found)) == len(found) == count
    assert {key.partition for key in found} == ({PARTITION, "a-b"} if all_partitions else {PARTITION})
