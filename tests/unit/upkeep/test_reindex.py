"""A store gets to a later schema while it is used: one more line of the table is all that a release changes."""

import asyncio
from dataclasses import replace

import pytest

from shared.errors import TooLarge, Unavailable
from shared.index.model import CommitOutcome
from shared.index_schema import keys, study_lists
from shared.index_schema.changes import schema_in
from shared.index_schema.postings import value_of
from shared.index_schema.schema import BUILT_IN
from shared.ingest.index_commit import commit_instances
from shared.operations.model import OperationStatus, OperationType
from shared.operations.store import LEASE_SECONDS
from shared.registry.schema_registry import MOST_AGE_SECONDS, SchemaRegistry, State
from shared.upkeep import reindex
from shared.upkeep.scrubber import Scrubber
from tests.builders.archive import Archive
from tests.builders.http import DEFAULT_PARTITION
from tests.unit.index.chaos import Crashed
from tests.unit.upkeep.release import (
    ADDED,
    BODY_PART,
    DEPARTMENT,
    VALUES,
    Partitions,
    Release,
    everything,
    old_store,
)


async def test_the_new_attributes_are_found_and_returned_before_while_and_after_the_reindex_runs():
    old = await old_store()
    new = Release(old)
    assert await new.answers() == everything()
    await new.start()
    assert await new.answers() == everything()
    seen = []

    async def look(kind: str, operation: str) -> None:
        if operation == "commit" and kind in ("dicom", "idx", "idxi", "conf", "ops") and not looking.locked():
            async with looking:
                seen.append(await new.answers() == everything())

    looking = asyncio.Lock()
    new.tables.after = look
    await new.runner.run()
    new.tables.after = None
    assert len(seen) > 10
    assert all(seen)
    assert new.numbers() == {2}
    assert await new.answers() == everything()
    assert new.schemas.known.missing == frozenset()


async def test_after_the_reindex_lists_serve_the_new_attributes_and_rows_return_them():
    old = await old_store()
    new = Release(old)
    await new.reindex()
    new.requests = old.requests
    old.requests.clear()
    assert await new.studies("InstitutionalDepartmentName=Radiology") == ["1.3", "1.2", "1.1"]
    assert old.requests == {"idx": new.shards, "dicom": 3}
    old.requests.clear()
    assert len(await new.found("BodyPartExamined=CHEST&includefield=InstitutionalDepartmentName", "search_series")) == 3
    assert old.requests == {"idx": new.shards, "dicom": 3}
    assert old.requests["blobs"] == 0


async def test_while_it_runs_a_search_by_a_new_attribute_alone_is_bounded():
    old = await old_store(4)
    new = Release(old)
    await new.schemas.refresh()
    new.limits = replace(new.limits, bounded_rows=2)
    with pytest.raises(TooLarge):
        await new.studies("InstitutionalDepartmentName=nowhere")


async def test_it_starts_by_itself_shows_how_far_it_is_and_ends():
    new = Release(await old_store())
    await new.start()
    await new.start()
    operation = await new.state()
    assert (operation.type, operation.status, operation.input) == (
        OperationType.REINDEX,
        OperationStatus.NOT_STARTED,
        {"schema": 2},
    )
    await new.runner.run()
    done = await new.operations.get(operation.id)
    assert (done.status, done.percent) == (OperationStatus.SUCCEEDED, 100)
    assert done.results == {"schema": 2, "studies": 3, "instances": 3, "unreadable": 0}
    await new.start()
    assert await new.operations.active() == []


@pytest.mark.parametrize("hinted", [True, False])
async def test_it_shows_how_far_it_is_among_studies_that_have_just_been_stored_and_all_others(monkeypatch, hinted):
    monkeypatch.setattr(reindex, "_STUDIES_OF_A_STEP", 1)
    monkeypatch.setattr(reindex, "_STUDIES_IN_A_PAGE", 1)
    old = await old_store(4)
    if not hinted:
        later = Release(old, added=())
        await later.clean_up()
        old = later
    new = Release(old)
    assert bool(await new.index.hints.all()) == hinted
    await new.start()
    operation = await new.state()
    seen = []

    async def look(kind: str, action: str) -> None:
        if (kind, action) == ("ops", "commit"):
            seen.append((await new.operations.get(operation.id)).percent)

    new.tables.after = look
    await new.runner.run()
    assert seen == sorted(seen)
    assert {0, 25, 50, 75, 99, 100} <= set(seen)


@pytest.mark.parametrize("every", [1, 2, 3, 5])
async def test_it_goes_on_wherever_its_process_is_killed(every: int):
    old = await old_store(4)
    new = Release(old)
    left = every
    kills = 0

    async def die(kind: str, operation: str) -> None:
        nonlocal left, kills
        if operation == "commit" and kind in ("dicom", "idx", "idxi", "conf"):
            left -= 1
            if left <= 0:
                left = every + kills // 3
                kills += 1
                raise Crashed

    await new.start()
    old.tables.after = die
    while await new.operations.active():
        try:
            await new.runner.run()
        except Crashed:
            new = Release(new)
            new.time += (LEASE_SECONDS + 1) * (kills + 1)
        assert kills < 400
    old.tables.after = None
    assert kills > 3
    assert new.numbers() == {2}
    assert await new.answers() == everything(4)


async def test_stores_deletes_and_replacements_go_on_meanwhile():
    old = await old_store(8)
    new = Release(old)
    await new.start()
    other = {**VALUES, "AcquisitionNumber": 8}
    steps = iter(
        (
            lambda: new.delete("1.2"),
            lambda: new.store("1.9", "1.9.1", "1.9.1.1", **VALUES),
            lambda: new.store_all([new.new("1.3", "1.3.1", "1.3.1.1", replace=True, **other)]),
            lambda: new.store("1.4", "1.4.1", "1.4.1.2", **{**VALUES, "InstitutionalDepartmentName": "Surgery"}),
            lambda: new.delete("1.5", "1.5.1", "1.5.1.1"),
        )
    )
    acting = asyncio.Lock()

    async def act(kind: str, operation: str) -> None:
        if kind == "dicom" and operation == "commit" and not acting.locked():
            async with acting:
                if (step := next(steps, None)) is not None:
                    await step()

    old.tables.before = act
    await new.runner.run()
    old.tables.before = None
    assert next(steps, None) is None
    assert new.numbers() == {2}
    found = await new.answers()
    assert found["department"] == ["1.1", "1.3", "1.6", "1.7", "1.8", "1.9"]
    assert found["acquisition"] == ["1.1.1.1", "1.4.1.1", "1.4.1.2", "1.6.1.1", "1.7.1.1", "1.8.1.1", "1.9.1.1"]
    assert await new.instances("AcquisitionNumber=8") == ["1.3.1.1"]


async def test_an_older_release_that_goes_on_writes_the_schema_of_the_store():
    old = await old_store()
    new = Release(old)
    await new.reindex()
    again = Release(new, added=())
    await again.schemas.refresh()
    await again.store("1.4", "1.4.1", "1.4.1.1", **VALUES)
    assert await new.answers() == everything(4)
    assert await again.answers() == everything(4)


async def test_what_a_writer_read_before_it_heard_of_the_schema_is_read_again():
    old = await old_store()
    late = [old.new("1.4", "1.4.1", "1.4.1.1", **VALUES)]
    new = Release(old)
    await new.reindex()
    writer = Release(new, added=())
    assert await writer.index.commit(DEFAULT_PARTITION, late) == [CommitOutcome.OUTDATED]
    assert await writer.studies("StudyInstanceUID=1.4") == []
    assert await commit_instances(writer.index, writer.blobs, DEFAULT_PARTITION, late) == [CommitOutcome.STORED]
    assert await new.answers() == everything(4)
    assert new.numbers() == {2}


async def test_nothing_is_committed_on_knowledge_that_is_too_old():
    old = await old_store()
    ages = iter([MOST_AGE_SECONDS + 1])
    old.schemas.age = lambda: next(ages, 0.0)
    before = len(old.tables.rows("dicom"))
    commits = []

    async def look(kind: str, operation: str) -> None:
        if kind == "dicom" and operation == "commit":
            commits.append(next(ages, None))

    old.tables.before = look
    await old.store("1.4", "1.4.1", "1.4.1.1", **VALUES)
    assert commits[0] is None
    assert len(old.tables.rows("dicom")) > before


@pytest.mark.parametrize("folded", [True, False], ids=["by a fold", "by the scrubber"])
async def test_what_somebody_who_never_heard_of_the_schema_writes_starts_the_reindex_again(folded: bool):
    old = await old_store()
    new = Release(old)
    await new.reindex()
    deaf = Archive(beside=new)
    if folded:
        deaf.index._folder._schemas = new.schemas
        deaf.schemas.reopen = new.schemas.reopen
    else:
        deaf.schemas.reopen = nothing
    await deaf.store("1.4", "1.4.1", "1.4.1.1", **VALUES)
    if not folded:
        scrubber = Scrubber(
            new.tables, new.blobs, new.clock, Partitions(), nothing, schemas=new.schemas, shards=new.shards
        )
        while not (await scrubber.run()).finished:
            pass
    await new.schemas.refresh()
    assert new.schemas.known.missing == {2}
    assert await new.answers() == everything(4)
    await new.reindex()
    assert await new.answers() == everything(4)
    assert new.numbers() == {2}


async def nothing(*_: object) -> None:
    """Nobody does anything."""


async def test_metadata_in_blobs_are_read_and_missing_ones_are_counted():
    old = Release(added=())
    for number in (1, 2):
        await old.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", inline=False, **VALUES)
    [gone] = [name for name in old.blobs.names() if "1.2.1.1" in name and name.endswith(".json")]
    await old.blobs.delete(gone)
    new = Release(old)
    await new.start()
    operation = await new.state()
    await new.runner.run()
    assert (await new.operations.get(operation.id)).results["unreadable"] == 1
    assert await new.studies("InstitutionalDepartmentName=Radiology") == ["1.1"]
    assert new.numbers() == {2}


async def test_a_large_study_is_brought_on_in_steps():
    old = Release(added=())
    instances = [old.new("1.1", f"1.1.{n % 95}", f"1.1.{n % 95}.{n}", **VALUES) for n in range(190)]
    await old.store_all(instances)
    new = Release(old)
    await new.reindex()
    assert new.numbers() == {2}
    assert len(await new.series("BodyPartExamined=CHEST&limit=200")) == 95
    assert len(await new.instances("AcquisitionNumber=7&limit=200")) == 190


async def test_after_it_postings_are_exactly_what_the_rows_imply():
    old = await old_store()
    await old.store("1.1", "1.1.1", "1.1.1.2", PatientID="P", **{**VALUES, "InstitutionalDepartmentName": ""})
    new = Release(old)
    await new.reindex()
    await new.clean_up()
    expected = Release(added=ADDED)
    await expected.reindex()
    for number in (1, 2, 3):
        await expected.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **VALUES)
    await expected.store("1.1", "1.1.1", "1.1.1.2", PatientID="P", **{**VALUES, "InstitutionalDepartmentName": ""})
    await expected.clean_up()
    one, other = (
        sorted(
            value_of(row.row_key)
            for kind in ("idx", "idxi")
            for row in each.tables.rows(kind)
            if row.partition_key != study_lists.partition_key(keys.DEFAULT_NAMESPACE)
        )
        for each in (new, expected)
    )
    assert one == other


async def test_two_releases_that_start_at_once_announce_what_both_have():
    old = await old_store(1)
    releases = [Release(old, added=(DEPARTMENT,)), Release(old, added=(BODY_PART,)), Release(old)]
    await asyncio.gather(*(release.schemas.refresh() for release in releases))
    for release in releases:
        known = await release.schemas.refresh()
        assert {each.key for each in ADDED} <= known.attributes.keys()
        assert known.number == 1
    await releases[0].reindex()
    assert await releases[1].answers() == everything(1)


async def test_a_schema_that_the_store_does_not_know_is_not_guessed():
    registry = SchemaRegistry(Archive().tables, lambda: 0.0, added=())
    with pytest.raises(Unavailable):
        await registry.at_least(2)


async def test_the_store_is_asked_for_its_schema_once_in_a_while():
    archive = Archive()
    now = 0.0
    registry = SchemaRegistry(archive.tables, lambda: now, added=())
    await asyncio.gather(*(registry.current() for _ in range(3)))
    await registry.current()
    assert archive.requests == {"conf": 1}
    now = MOST_AGE_SECONDS
    await registry.current()
    assert archive.requests == {"conf": 2}
    assert registry.known.number == 1


async def test_steps_of_a_schema_are_idempotent_and_never_go_back_but_by_reopening():
    registry = SchemaRegistry(Archive().tables, lambda: 0.0, added=ADDED)
    await registry.refresh()
    await registry.advance(2, State.COMPLETE)
    await registry.advance(2, State.ACTIVE)
    assert (registry.known.number, registry.known.complete) == (2, {1, 2})
    await registry.reopen(2)
    await registry.reopen(2)
    assert (registry.known.number, registry.known.missing) == (2, {2})


async def test_rows_without_a_number_are_of_schema_1():
    archive = Archive()
    await archive.store(**VALUES)
    assert all("schema" not in row.properties for row in archive.tables.rows("dicom"))
    assert schema_in(archive.tables.rows("dicom")[0]) == 1
    assert BUILT_IN.number == 1


@pytest.mark.spec("STOW-46", "EQT-30")
async def test_a_long_document_is_read_in_steps_to_the_same_values():
    old = Release(added=())
    items = [{"ReferencedSOPInstanceUID": f"1.2.{number}"} for number in range(40_000)]
    await old.store("1.1", "1.1.1", "1.1.1.1", inline=False, **VALUES, ReferencedImageSequence=items)
    new = Release(old)
    await new.reindex()
    assert new.numbers() == {2}
    assert await new.answers() == everything(1)
