"""Changes become dirty studies: few writes, whatever their number and order."""

from dataclasses import dataclass
from types import SimpleNamespace

import orjson
import pytest

from shared.cast.functions import QUEUE
from shared.cast.queueing import Message, read_message
from shared.cast.sweeping import Marking, RemoteSweep, SweepRequests
from shared.change_log.follower import FollowedChange
from shared.change_log.log import LoggedChange
from shared.dicom.identifiers import InstanceIdentifier
from shared.outgoing.server import Answer
from shared.storage.ports import RowWrite
from tests.builders.cast import PARTITION, Cast, instance

STUDY = "2.25.1"


@dataclass
class Partitions:
    async def by_namespace(self, namespace: str):
        return SimpleNamespace(name=PARTITION if namespace == "0" else "Other")


def changes(study: str, numbers: range, namespace: str = "0") -> list[FollowedChange]:
    def change(number: int) -> LoggedChange:
        return LoggedChange("0" * 16, "create", namespace, InstanceIdentifier(study, "2.25.1.1", f"2.25.{number}"))

    return [FollowedChange(number, 0, change(number)) for number in numbers]


def marking(cast: Cast) -> Marking:
    return Marking(cast.studies, cast.hints, Partitions(), cast.settings)


@pytest.mark.spec("CAST-EV-3")
async def test_a_thousand_instances_are_few_writes_and_one_transaction() -> None:
    cast = Cast()
    writes = []

    async def count(_kind: str, operation: str) -> None:
        if operation == "commit":
            writes.append(1)

    cast.tables.before = count
    for page in range(5):
        await marking(cast).handle(changes(STUDY, range(page * 200 + 1, page * 200 + 201)))
    assert len(writes) == 5
    cast.have(STUDY, *(instance(STUDY, 1, number) for number in range(1, 1001)))
    for message, _ in cast.queue.sent:
        asked = read_message(message.encode())
        assert asked is not None
        await cast.worker.study(asked.key, asked.sequence)
    assert cast.fhir.transactions == 1
    assert cast.fhir.all("ImagingStudy")[0]["numberOfInstances"] == 1000


@pytest.mark.spec("CAST-EV-6")
async def test_a_page_that_is_handled_twice_or_late_changes_nothing() -> None:
    cast = Cast()
    await marking(cast).handle(changes(STUDY, range(1, 11)))
    cast.have(STUDY, instance(STUDY))
    await cast.worker.study(cast.key(STUDY))
    for _ in range(3):
        await marking(cast).handle(changes(STUDY, range(1, 11)))
    assert await cast.dirty() == {}


async def test_other_partitions_are_cast_by_setting() -> None:
    cast = Cast()
    await marking(cast).handle(changes(STUDY, range(1, 2), "other"))
    assert await cast.dirty() == {}
    cast = Cast(all_partitions=True)
    await marking(cast).handle(changes(STUDY, range(1, 2), "other"))
    assert await cast.dirty() == {STUDY: ""}


@pytest.mark.spec("CAST-EV-3")
async def test_a_sweep_is_asked_for_once_until_changes_have_settled() -> None:
    cast = Cast()
    processes = [SweepRequests(cast.tables, cast.hints, 5.0, cast.clock) for _ in range(3)]
    for _ in range(4):
        for process in processes:
            await process.ask()
        cast.clock.time += 1
    assert cast.queue.sent == [('{"kind":"sweep"}', 5)]
    cast.clock.time += 2
    await processes[0].ask()
    assert len(cast.queue.sent) == 2


def test_messages_are_read_or_not() -> None:
    assert QUEUE == "dicom-cast"
    assert read_message(b'{"kind":"probe"}') == Message("probe")
    for body in (b"", b"x", b"[]", b'{"kind":"study"}', b'{"kind":"other"}', b"null"):
        assert read_message(body) is None


class Feed:
    """A change feed with gaps."""

    name, base = "DICOMweb", "http://dicom.test/v1"

    def __init__(self, entries: dict[int, str]) -> None:
        self.entries = entries
        self.requests = 0

    async def request(self, _method: str, target: str, **_more: object) -> Answer:
        self.requests += 1
        if target.startswith("changefeed/latest"):
            latest = max(self.entries, default=0)
            return Answer(200, {}, orjson.dumps({"sequence": latest} if latest else None))
        values = dict(pair.split("=") for pair in target.partition("?")[2].split("&"))
        low, limit = int(values["offset"]), int(values["limit"])
        window = [
            {"sequence": number, "studyInstanceUid": study, "partitionName": PARTITION}
            for number, study in sorted(self.entries.items())
            if low < number <= low + limit
        ]
        return Answer(200, {}, orjson.dumps(window))


@pytest.mark.spec("CAST-EV-6")
async def test_the_feed_of_another_server_is_read_over_its_gaps_from_the_checkpoint() -> None:
    cast = Cast()
    feed = Feed({3: "2.25.1", 4: "2.25.1", 950: "2.25.2"})
    sweep = RemoteSweep(feed, cast.tables, marking(cast))
    await sweep.run()
    assert await cast.dirty() == {"2.25.1": "", "2.25.2": ""}
    assert (await sweep.checkpoint())[0] == 950
    assert (await cast.studies.get(cast.key("2.25.1"))).sequence == 4
    assert await sweep.run() == 0
    feed.entries[951] = "2.25.1"
    assert await sweep.run() == 1


@pytest.mark.spec("CAST-EV-6")
async def test_a_sweep_that_dies_before_its_checkpoint_begins_anew() -> None:
    cast = Cast()
    feed = Feed({1: "2.25.1"})
    sweep = RemoteSweep(feed, cast.tables, marking(cast))

    async def die(kind: str, operation: str) -> None:
        if kind == "SyncStateTable" and operation == "commit":
            raise KeyboardInterrupt

    cast.tables.before = die
    with pytest.raises(KeyboardInterrupt):
        await sweep.run()
    cast.tables.before = None
    assert await sweep.run() == 1
    assert await cast.dirty() == {"2.25.1": ""}


async def test_the_checkpoint_is_where_the_archived_dicomcast_left_it() -> None:
    cast = Cast()
    row = RowWrite("insert", "SyncStatePartitionKey", "SyncStateRowKey", {"SyncedSequence": 41})
    await cast.tables.commit("SyncStateTable", [row])
    sweep = RemoteSweep(Feed({41: "2.25.1", 42: "2.25.2"}), cast.tables, marking(cast))
    await sweep.run()
    assert await cast.dirty() == {"2.25.2": ""}
