"""Studies found by the study lists are what the studies' own rows say (storage §6.6, invariant 11)."""

import random

import orjson
import pytest

from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.hints import STALE_SECONDS, Hints
from shared.index import covering_rows
from shared.index.covering_rows import packed, unpacked
from shared.index.model import StudyView
from shared.index.study_rows import read_study
from shared.index_schema import keys, study_lists
from shared.index_schema.clock import HybridClock
from shared.index_search.limits import DEFAULT_LIMITS, SearchLimits
from shared.search.date_order import position_of
from shared.search.transaction import search
from shared.storage.ports import Kind, RowWrite
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from tests.builders.archive import SMALL_LIMITS, Archive, archive_of, results_memory
from tests.fakes.lists import covering

OHIF_LIST = "limit=101&offset=0&fuzzymatching=true&includefield=00081030,00080060,00080090,00100030"


async def rest(archive: Archive, seconds: float = STALE_SECONDS + 1) -> None:
    """Time passes, and the sequencer does what is left to do."""
    archive._now += seconds
    clock = HybridClock(lambda: archive._now)
    trash = Erasure(archive.tables, clock, shards=archive.shards, retention_hours=0)
    cleanup = StudyCleanup(archive.tables, trash, archive.schemas, covering(archive.tables))
    log, hints = ChangeLog(archive.tables), Hints(archive.tables, clock, shards=archive.shards)
    sequencer = Sequencer(archive.tables, clock, cleanup, archive.schemas, hints=hints, shards=archive.shards, log=log)
    for _ in range(3):
        await sequencer.catch_up()


def place_of(archive: Archive, study: str = "1.1") -> keys.StudyPlace:
    return keys.study_place(archive.partition.namespace, study, archive.shards)


def hints(archive: Archive) -> list[str]:
    return [row.row_key for row in archive.tables.rows("hint")]


def listed(archive: Archive) -> list[str]:
    rows = archive.tables.rows("idx", study_lists.partition_key(archive.partition.namespace))
    return [row.row_key for row in rows if not row.row_key.startswith("h!")]


async def settled(*studies: dict[str, str], **options: object) -> Archive:
    """An archive at rest."""
    archive = await archive_of(*studies, **options)
    await rest(archive)
    archive.lists = True
    assert hints(archive) == []
    archive.requests.clear()
    return archive


async def views(archive: Archive, query: str = "limit=200") -> list[StudyView]:
    return [result.study for result in (await archive.page(query)).results]


@pytest.mark.spec("QIDO-40", "QIDO-53")
@pytest.mark.parametrize("shards", [1, 16])
@pytest.mark.parametrize(
    "order",
    [
        "",
        "&orderby=-StudyDate",
        "&orderby=StudyDate",
        "&PatientID=P",
        "&StudyDate=2026",
        "&PatientName=jan*",
        "&PatientName=doe^jané",
        "&PatientName=Yamada*=山田^花*",
        "&PatientName=many03",
    ],
)
async def test_studies_at_rest_cost_one_request_beside_the_hints(shards: int, order: str) -> None:
    order = order.replace("=2026", "=20260101-20261231")
    many = " ".join(f"many{number:02}" for number in range(20))
    names = ["DOE^Jane", "Doe^Jané", "Yamada^Hanako=山田^花子=do^re", "Roe^Jane janet", many]
    values = (
        {"PatientID": "P", "StudyDate": f"202601{number % 28 + 1:02}", "PatientName": names[number % 5]}
        for number in range(120)
    )
    archive = await settled(*values, shards=shards)
    archive.lists = False
    expected = (await archive.response(OHIF_LIST + order)).body
    archive.lists = True
    archive.requests.clear()

    assert orjson.loads(expected)
    assert (await archive.response(OHIF_LIST + order)).body == expected
    assert archive.requests == {"hint": 1, "idx": 2 if "PatientName" in order else 1}
    assert archive.blobs.requests == 0


async def test_a_study_with_a_hint_is_read() -> None:
    archive = await settled({"PatientName": "A"}, {"PatientName": "B"})
    await archive.store("1.1", "1.1.1", "1.1.1.2", PatientName="C")

    archive.requests.clear()
    assert [(view.instances, view.attributes["00100010"]) for view in await views(archive)] == [(1, "B"), (2, "C")]
    assert archive.requests["dicom"] == 1


async def test_a_store_without_study_lists_is_read_study_by_study() -> None:
    archive = await settled({"PatientName": "A"}, {"PatientName": "B"})
    archive.lists = False
    assert len(await views(archive)) == 2
    assert archive.requests["dicom"] == 2
    assert archive.requests["hint"] == 0


async def test_more_changing_studies_than_are_read_leave_it_to_the_postings() -> None:
    archive = await settled({}, shards=1)
    rows = [RowWrite("upsert", "h", f"0!9.{number}!w", {"t": archive._now}) for number in range(101)]
    for at in range(0, len(rows), 100):
        await archive.tables.commit("hint", rows[at : at + 100])
    archive.requests.clear()
    assert len(await views(archive)) == 1
    assert archive.requests == {"hint": 1, "idx": 1, "dicom": 1}


async def test_a_value_is_looked_up_in_the_postings_while_many_studies_are_changing() -> None:
    archive = await settled({"PatientID": "P"}, shards=2)
    for number in range(3):
        await archive.store(f"2.{number}", f"2.{number}.1", f"2.{number}.1.1", PatientID="Q")
    archive.requests.clear()
    assert len(await views(archive, "PatientID=P")) == 1
    assert archive.requests == {"hint": 1, "idx": 2, "dicom": 1}


async def test_a_range_of_dates_is_looked_up_in_the_postings_while_many_studies_are_changing() -> None:
    archive = await settled({"StudyDate": "20260101"}, shards=1)
    for number in range(17):
        await archive.store(f"2.{number}", f"2.{number}.1", f"2.{number}.1.1", StudyDate="20250101")
    archive.requests.clear()
    assert len(await views(archive, "StudyDate=20260101-20261231")) == 1
    assert archive.requests["dicom"] == 1


async def test_changing_studies_that_were_many_are_not_counted_again_at_once() -> None:
    archive = await settled({"PatientID": "P"}, shards=1)
    for number in range(2):
        await archive.store(f"2.{number}", f"2.{number}.1", f"2.{number}.1.1", PatientID="Q")
    ports, query = archive.ports(), archive.query("PatientID=P")
    hints = []
    for seconds in (0.0, 1.9, 0.2):
        archive.seconds += seconds
        archive.requests.clear()
        with results_memory() as lease:
            assert len((await search(ports, archive.partition, query, lease)).results) == 1
        hints.append(archive.requests["hint"])
    assert hints == [1, 0, 1]


@pytest.mark.parametrize("query", ["limit=200", "orderby=-StudyDate", "PatientID=P"])
async def test_a_hint_that_is_dropped_while_the_list_is_read_misleads_nobody(query: str) -> None:
    archive = await settled({"PatientID": "P"}, shards=1)
    await archive.store("1.1", "1.1.1", "1.1.1.2", PatientID="P")
    count = archive.tables.after

    async def once(kind: Kind, _: str) -> None:
        if kind == "idx":
            archive.tables.after = count
            await rest(archive)

    archive.tables.after = once
    assert [view.instances for view in await views(archive, query)] == [2]
    assert hints(archive) == []


async def test_the_lists_are_not_written_by_one_who_is_slow() -> None:
    archive = await settled({"PatientName": "A"}, shards=1)
    writer = covering(archive.tables)
    head, rows = await writer.head(place_of(archive)), await read_study(archive.tables, place_of(archive))
    await archive.store("1.1", "1.1.1", "1.1.1.2", PatientName="B")
    late = await read_study(archive.tables, place_of(archive))
    await rest(archive)
    for old in (rows, late):
        if not old.pending:
            assert old.summary is not None
            changed = {**old.summary.properties, "ver": 99}
            old.summary = type(old.summary)(old.summary.partition_key, old.summary.row_key, changed, old.summary.etag)
            assert not await writer.write(place_of(archive), old, head)
    assert [view.instances for view in await views(archive)] == [2]


async def test_a_slow_writer_does_not_list_what_has_been_deleted() -> None:
    archive = await archive_of({"PatientName": "A"}, shards=1)
    writer = covering(archive.tables)
    await rest(archive, 5)
    rows = await read_study(archive.tables, place_of(archive))
    assert not rows.pending
    await archive.delete("1.1")
    await rest(archive)
    assert hints(archive) == []
    assert not await writer.write(place_of(archive), rows, None)
    assert listed(archive) == []
    archive.lists = True
    assert await views(archive) == []


async def test_the_head_is_read_before_the_study() -> None:
    archive = await settled({"PatientName": "A"}, shards=1)
    archive._now += 200
    await archive.store("1.1", "1.1.1", "1.1.1.2", PatientName="B")
    await rest(archive, 5)
    clock = HybridClock(lambda: archive._now)
    trash = Erasure(archive.tables, clock, shards=1, retention_hours=0)
    slow = StudyCleanup(archive.tables, trash, archive.schemas, covering(archive.tables))
    count = archive.tables.after

    async def once(kind: Kind, verb: str) -> None:
        if (kind, verb) == ("idx", "get"):
            archive.tables.after = count
            await archive.store("1.1", "1.1.1", "1.1.1.3", PatientName="C")
            await rest(archive)

    archive.tables.after = once
    await slow.settle(place_of(archive), emptied=False)
    assert [view.instances for view in await views(archive)] == [3]


async def test_a_study_that_is_changing_is_not_listed() -> None:
    archive = await archive_of({"PatientName": "A"}, shards=1)
    await rest(archive, 5)
    await archive.delete("1.1", "1.1.1", "1.1.1.1")
    rows = await read_study(archive.tables, place_of(archive))
    writer = covering(archive.tables)
    rows.pending = rows.pending or [None]
    assert not await writer.write(place_of(archive), rows, None)


async def test_a_deleted_study_leaves_nothing_that_names_it() -> None:
    archive = await settled({"PatientName": "A", "PatientID": "P", "AccessionNumber": "1"}, shards=1)
    assert len(listed(archive)) == 6
    await archive.delete("1.1")
    assert await views(archive) == []
    await rest(archive)
    assert (hints(archive), listed(archive)) == ([], [])
    assert "1.1" not in str(archive.tables.rows("idx"))
    await archive.store("1.1", "1.1.1", "1.1.1.9", PatientName="B")
    await rest(archive)
    assert [view.attributes["00100010"] for view in await views(archive)] == ["B"]


async def test_a_view_that_is_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = await archive_of({"PatientName": "A"})
    [view] = await views(archive)
    assert unpacked("1.1", packed(view)) == view
    monkeypatch.setattr(covering_rows, "_PLAIN_BYTES", 10)
    assert unpacked("1.1", packed(view)) == view
    monkeypatch.setattr(covering_rows, "_MOST_BYTES", 10)
    assert (packed(view), unpacked("1.1", b"")) == (b"", None)
    await rest(archive)
    archive.lists = True
    archive.requests.clear()
    assert await views(archive) == [view]
    assert archive.requests["dicom"] == 1


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, SMALL_LIMITS, SearchLimits(smallest_page=2, largest_page=3)])
async def test_pages_of_all_offsets_are_parts_of_the_whole(limits: SearchLimits) -> None:
    archive = await settled(*({"StudyDate": f"2026010{number % 7 + 1}"} for number in range(15)))
    archive.limits = limits
    await archive.store("1.3", "1.3.1", "1.3.1.2", StudyDate="20270101")
    for order in ("stored", "-StudyDate", "StudyDate"):
        whole = await archive.studies(f"orderby={order}&limit=200")
        assert len(whole) == 15
        for offset in range(17):
            page = await archive.page(f"orderby={order}&limit=4&offset={offset}")
            assert [result.study.study_instance_uid for result in page.results] == whole[offset : offset + 4]
            assert page.more == (offset < 11)


QUERIES = (
    *("", "PatientID=P1", "PatientID=p2", "AccessionNumber=A", "StudyDate=20260101-20260103", "StudyDate=-20260102"),
    *("StudyDate=20260102-", "StudyDate=20260102", "PatientID=P1&StudyDate=20260101-", "PatientName=B"),
    *(
        "PatientID=P1&ModalitiesInStudy=X",
        "StudyDate=20260101-&PatientName=B",
        "PatientName=äpf*",
        "PatientName=apfel^a",
    ),
    *("PatientName=ap*&fuzzymatching=true", "PatientName=*l&fuzzymatching=true", "PatientName=b?"),
)


async def test_after_any_history_the_lists_say_what_the_studies_say() -> None:
    for seed in range(24):
        chance = random.Random(seed)
        archive = Archive(shards=chance.choice((1, 3, 16)), page_limit=chance.choice((2, 5, 1000)))
        archive.limits = chance.choice((archive.limits, SMALL_LIMITS))
        for number in range(30):
            study, series = f"1.{chance.randrange(6)}", chance.randrange(3)
            uids = study, f"{study}.{series}", f"{study}.{series}.{chance.randrange(3)}"
            match chance.choice(("store", "store", "store", "delete", "rest", "soon", "look")):
                case "store":
                    await archive.store(
                        *uids,
                        PatientName=chance.choice(("Äpfel^Ä", "B", "", "bo Apfelbaum")),
                        PatientID=chance.choice(("P1", " P2 ", "")),
                        AccessionNumber=chance.choice(("a", "")),
                        StudyDate=chance.choice(("20260101", "20260102", "20260103", "")),
                        Modality=chance.choice("XY"),
                        StudyID=f"{number}",
                    )
                case "delete":
                    await archive.delete(*uids[: chance.randint(1, 3)])
                case "rest":
                    await rest(archive)
                case "soon":
                    await rest(archive, 5)
            query = chance.choice(QUERIES)
            archive.lists = False
            before = await views(archive, f"limit=200&{query}")
            archive.lists = True
            assert await views(archive, f"limit=200&{query}") == before, (seed, query)
            for order in study_lists.StudyOrder:
                expected = sorted(before, key=lambda view: position_of(view, order))
                assert await views(archive, f"limit=200&orderby={order}&{query}") == expected, (seed, query, order)
