"""The change feed over HTTP (azure-apis §4). Others store meanwhile: each test looks at its own instances."""

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.builders.images import image, multipart, new_uid
from tests.conformance.exchange import Exchange, Reply


def latest_sequence(exchange: Exchange) -> int:
    reply = exchange.get("changefeed/latest?includeMetadata=false")
    assert reply.status_code in {200, 204}
    return reply.json()["sequence"] if reply.status_code == 200 else 0


def entries_since(v1: Exchange, sequence: int, *, metadata: bool = False) -> list[dict]:
    """All entries behind a sequence, by windows of sequences."""
    found: list[dict] = []
    last = latest_sequence(v1)
    while sequence < last:
        query = f"offset={sequence}&limit=100&includeMetadata={str(metadata).lower()}"
        found += listed(v1.get(f"changefeed?{query}"))
        sequence += 100
    return found


def listed(reply: Reply) -> list[dict]:
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return reply.json()


def mine(entries: list[dict], *images) -> list[tuple[str, str]]:
    """Action and state of the entries of some instances, in order."""
    wanted = {one.identifier.sop_instance_uid for one in images}
    return [(entry["action"], entry["state"]) for entry in entries if entry["sopInstanceUid"] in wanted]


def times(text: str) -> str:
    return quote(text, safe="")


def now(seconds: float = 0.0) -> str:
    return times((datetime.now(UTC) + timedelta(seconds=seconds)).isoformat())


@pytest.mark.spec("CF-20", "CF-21", "CF-22", "CF-27", "S-8")
def test_what_is_stored_is_in_the_feed_when_the_store_is_answered(v1, v2):
    before = latest_sequence(v2)
    one = image(PatientName="Feed^First")
    v2.store(one)

    for exchange in (v1, v2):
        latest = exchange.get("changefeed/latest").json()
        assert latest["sequence"] > before
    [entry] = [each for each in entries_since(v1, before, metadata=True) if mine([each], one)]

    assert entry["partitionName"] == "Microsoft.Default"
    assert entry["studyInstanceUid"] == one.identifier.study_instance_uid
    assert entry["seriesInstanceUid"] == one.identifier.series_instance_uid
    assert (entry["action"], entry["state"]) == ("Create", "Current")
    stamp = datetime.fromisoformat(entry["timestamp"])
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 60
    assert entry["metadata"]["00100010"]["Value"] == [{"Alphabetic": "Feed^First"}]
    assert "7FE00010" not in entry["metadata"]
    assert set(entry) == {
        "sequence", "partitionName", "studyInstanceUid", "seriesInstanceUid", "sopInstanceUid",
        "action", "timestamp", "state", "metadata",
    }  # fmt: skip  # a table


@pytest.mark.spec("CF-21", "CF-23", "CF-24", "CF-26", "CF-29")
def test_the_life_of_an_instance(v1, v2):
    before = latest_sequence(v2)
    one = image()
    v2.store(one)
    body, content_type = multipart([one.data])
    assert v2.send("DELETE", one.path).status_code == 204
    entries = entries_since(v1, before, metadata=True)
    assert mine(entries, one) == [("Create", "Deleted"), ("Delete", "Deleted")]
    assert not any("metadata" in entry for entry in entries if mine([entry], one))

    v2.store(one)

    entries = entries_since(v1, before, metadata=True)
    assert mine(entries, one) == [("Create", "Replaced"), ("Delete", "Replaced"), ("Create", "Current")]
    own = [entry for entry in entries if mine([entry], one)]
    assert own[0]["metadata"] == own[1]["metadata"] == own[2]["metadata"]
    reply = v2._session.post(f"{v2.base}/studies", data=body, headers={"Content-Type": content_type}, timeout=60)
    assert reply.status_code == 409
    assert len(mine(entries_since(v1, before), one)) == 3


@pytest.mark.spec("CF-23")
def test_a_study_that_is_deleted_has_an_entry_for_each_instance(v1, v2):
    before = latest_sequence(v2)
    study = new_uid()
    images = [image(study) for _ in range(3)]
    v2.store(*images)
    assert v2.send("DELETE", f"studies/{study}").status_code == 204

    assert mine(entries_since(v1, before), *images) == [("Create", "Deleted")] * 3 + [("Delete", "Deleted")] * 3


@pytest.mark.spec("PUT-3", "CF-21", "CF-26")
def test_a_replaced_instance(v1, v2):
    before = latest_sequence(v2)
    one = image(StudyDescription="Old")
    uids = (one.identifier.study_instance_uid, one.identifier.series_instance_uid, one.identifier.sop_instance_uid)
    v2.store(one)
    v2.store(image(*uids, StudyDescription="New"), method="PUT")

    own = [entry for entry in entries_since(v1, before, metadata=True) if mine([entry], one)]

    assert mine(own, one) == [("Create", "Replaced"), ("Create", "Current")]
    assert {entry["metadata"]["00081030"]["Value"][0] for entry in own} == {"New"}


@pytest.mark.spec("CF-1", "CF-2", "CF-5", "CF-10", "CF-28", "GEN-6")
def test_v1_reads_windows_of_sequences(service, v1, v2):
    before = latest_sequence(v2)
    study = new_uid()
    v2.store(*[image(study, frames=0) for _ in range(12)])
    last = latest_sequence(v2)
    assert last >= before + 12

    window = listed(v1.get(f"ChangeFeed?OFFSET={before}&Limit=5&includemetadata=FALSE"))
    assert [entry["sequence"] for entry in window] == list(range(before + 1, before + 6))
    assert not any("metadata" in entry for entry in window)
    assert len(listed(v1.get(f"changefeed?offset={before}"))) == 10
    assert listed(v1.get(f"changefeed?offset={last + 100_000}")) == []
    prerelease = Exchange(service.url, "v1.0-prerelease")
    query = f"changefeed?offset={before}&limit=5&includeMetadata=false"
    assert listed(prerelease.get(query)) == listed(v1.get(query))


@pytest.mark.spec("CF-3", "CF-4", "CF-11", "CF-16")
def test_v2_reads_windows_of_time(v2):
    start = now(-0.001)
    images = []
    for _ in range(3):
        images.append(image())
        v2.store(images[-1])
        time.sleep(0.02)
    end = now(0.001)

    entries = listed(v2.get(f"changefeed?startTime={start}&endTime={end}&limit=200&includeMetadata=false"))
    assert mine(entries, *images) == [("Create", "Current")] * 3
    assert entries == sorted(entries, key=lambda entry: (entry["timestamp"], entry["sequence"]))
    first, _, third = [times(entry["timestamp"]) for entry in entries if mine([entry], *images)]
    inner = listed(v2.get(f"changefeed?startTime={first}&endTime={third}&limit=200&includeMetadata=false"))
    assert len(mine(inner, *images)) == 2
    skipped = listed(v2.get(f"changefeed?startTime={first}&endTime={third}&offset=1&limit=200&includeMetadata=false"))
    assert [entry["sequence"] for entry in skipped] == [entry["sequence"] for entry in inner][1:]
    again = listed(v2.get(f"changefeed?startTime={start}&endTime={end}&limit=200&includeMetadata=false"))
    assert again == entries
    assert listed(v2.get(f"changefeed?startTime={now(3600)}")) == []
    assert listed(v2.get(f"changefeed?endTime={times('2001-01-01T00:00:00Z')}")) == []


@pytest.mark.spec("CF-12", "CF-13", "CF-14", "CF-15", "ERR-1", "AERR-4", "GEN-16")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=0", "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."),
        ("limit=201", "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."),
        ("limit=x", "The query parameter 'Limit' is invalid. "),
        ("offset=-1", "The query parameter 'Offset' is invalid. "),
        (f"offset={2**63}", "The query parameter 'Offset' is invalid. "),
        ("includeMetadata=0", "The query parameter 'IncludeMetadata' is invalid. "),
        (
            "startTime=2026-01-01T00:00:00",
            "The query parameter 'StartTime' is invalid. Date and time value must specify a time zone.",
        ),
        ("endTime=2026-01-01T00:00:00+01:00", "The query parameter 'EndTime' is invalid. "),
        (
            "startTime=2026-01-01T00:00:00Z&endTime=2026-01-01T00:00:00Z",
            "The query parameter 'EndTime' is invalid. ",
        ),
    ],
)
def test_an_invalid_parameter_is_refused_in_one_sentence(v2, query, text):
    reply = v2.get(f"changefeed?{query}")

    assert reply.status_code == 400
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.text.startswith(text)


@pytest.mark.spec("CF-2", "CF-15", "CF-19")
def test_v1_has_limits_of_its_own_and_no_times(v1):
    assert v1.get("changefeed?limit=101").status_code == 400
    assert v1.get("changefeed?limit=100&startTime=nonsense&endTime=nonsense").status_code == 200


@pytest.mark.spec("CF-17")
def test_latest_reads_include_metadata_only(v1, v2):
    v2.store(image())
    for exchange in (v1, v2):
        assert "metadata" not in exchange.get("changefeed/latest?includeMetadata=false&limit=0&offset=x").json()
        assert exchange.get("changefeed/latest?includeMetadata=nay").status_code == 400


@pytest.mark.spec("CF-30", "URL-11")
@pytest.mark.parametrize("path", ["changefeed", "changefeed/latest"])
def test_nobody_can_alter_the_feed(v1, v2, path):
    for exchange in (v1, v2):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            reply = exchange.send(method, path)
            assert reply.status_code == 405
            assert reply.headers["Allow"] == "GET, HEAD"


@pytest.mark.spec("GEN-8", "PART-2")
def test_the_feed_is_in_no_partition(v2):
    assert v2.get("partitions/Microsoft.Default/changefeed").status_code in {400, 404}


@pytest.mark.spec("OP-2", "OP-7")
def test_an_unknown_operation_is_not_found(v1, v2):
    for exchange in (v1, v2):
        assert exchange.get(f"operations/{'0' * 32}").status_code == 404
        assert exchange.get("operations/00000000-0000-0000-0000-000000000000").status_code == 404
        assert exchange.get("operations/x").status_code == 400
        assert exchange.get("operations").status_code == 404
        assert exchange.send("DELETE", f"operations/{'0' * 32}").status_code == 405
