"""The rules of the re-index, one at a time (storage §8)."""

import pytest

from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.hints import STALE_SECONDS
from shared.index_schema import keys
from shared.index_schema.postings import value_of
from shared.operations.store import LEASE_SECONDS
from shared.registry.schema_registry import State
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from shared.upkeep.study_reindex import StudyReindex
from tests.fakes.lists import covering
from tests.unit.index.chaos import Crashed
from tests.unit.index.virtual_time import now, run
from tests.unit.upkeep.release import ACQUISITION, VALUES, Release, everything, old_store


class WhileItWrites:
    """The tables as the re-index sees them: `act` happens once, before it writes the summary of a study."""

    def __init__(self, tables, act) -> None:
        self._tables = tables
        self._act = act

    def __getattr__(self, name: str):
        return getattr(self._tables, name)

    async def commit(self, kind, operations) -> str:
        if self._act and any(operation.row_key == keys.SUMMARY for operation in operations):
            act, self._act = self._act, None
            await act()
        return await self._tables.commit(kind, operations)


def test_everybody_has_time_to_hear_of_each_step():
    times: dict[str, float] = {}

    async def upgrade() -> None:
        new = Release(await old_store(1))
        new.work._settled_seconds = 90.0
        await new.start()
        start = now()

        async def look(kind: str, operation: str) -> None:
            states = {row.properties["state"] for row in new.tables.rows("conf", "schema")}
            times.setdefault(f"state {max(states)}", now() - start)
            if (kind, operation) == ("hint", "page"):
                times.setdefault("begun", now() - start)

        new.tables.after = look
        await new.runner.run()

    run(upgrade())
    assert times[f"state {State.ANNOUNCED}"] == 0
    assert times[f"state {State.ACTIVE}"] >= 90
    assert times["begun"] >= times[f"state {State.ACTIVE}"] + 90


async def test_what_was_committed_and_never_folded_is_brought_on():
    old = await old_store(1)

    async def die(kind: str, operation: str) -> None:
        if (kind, operation) == ("dicom", "commit"):
            raise Crashed

    old.tables.after = die
    with pytest.raises(Crashed):
        await old.store("1.2", "1.2.1", "1.2.1.1", **VALUES)
    old.tables.after = None
    assert [row.row_key[0] for row in old.tables.rows("dicom", keys.study_partition("0", "1.2"))] == ["A", "D", "I"]
    new = Release(old)
    new.work._catch_up = None  # a cycle that comes by would fold it, too
    await new.reindex()
    assert new.numbers() == {2}
    assert await new.answers() == everything(2)
    await new.clean_up()
    assert new.numbers() == {2}


async def test_a_clean_up_meanwhile_takes_nothing_away():
    old = await old_store(1)
    await old.store("1.1", "1.1.1", "1.1.1.2", PatientID="P", **VALUES)
    cleanup = StudyCleanup(
        old.tables,
        Erasure(old.tables, old.clock, shards=old.shards, retention_hours=0),
        old.schemas,
        covering(old.tables),
    )
    log = ChangeLog(old.tables)
    sequencer = Sequencer(
        old.tables, old.clock, cleanup, old.schemas, hints=old.index.hints, shards=old.shards, log=log
    )
    while not await sequencer.catch_up(thorough=False):
        pass
    await sequencer._finishing.acknowledge()  # and no clean-up
    kinds = [row.row_key[0] for row in old.tables.rows("dicom", keys.study_partition("0", "1.1"))]
    assert kinds == ["A", "B", "C", "G", "I", "I"]
    new = Release(old)
    new.work._studies._tables = WhileItWrites(new.tables, new.clean_up)
    await new.reindex()
    await new.clean_up()
    assert await new.studies() == ["1.1"]
    assert await new.studies("InstitutionalDepartmentName=Radiology") == ["1.1"]


async def test_a_store_meanwhile_is_not_overwritten():
    old = await old_store(1)
    new = Release(old)
    new.work._studies._tables = WhileItWrites(new.tables, lambda: new.store("1.1", "1.1.2", "1.1.2.1", **VALUES))
    await new.reindex()
    [study] = await new.found("includefield=NumberOfStudyRelatedInstances")
    assert study["00201208"]["Value"] == [2]
    assert sorted(await new.instances("AcquisitionNumber=7")) == ["1.1.1.1", "1.1.2.1"]
    assert new.numbers() == {2}


async def test_a_new_value_of_an_instance_is_there_before_its_posting():
    """What removes stale postings goes by the row: a posting that comes earlier could be taken away."""
    old = await old_store(1)
    new = Release(old)
    early = []

    async def look(kind: str, operation: str) -> None:
        if (kind, operation) == ("idxi", "commit"):
            row = next(row for row in new.tables.rows("dicom") if row.row_key.startswith("I!"))
            posted = any(value_of(each.row_key)[0] == "aq" for each in new.tables.rows("idxi"))
            early.append(posted and ACQUISITION.key not in row.properties["attrs"])

    new.tables.after = look
    await new.reindex()
    new.tables.after = None
    assert early
    assert not any(early)
    assert await new.instances("AcquisitionNumber=7") == ["1.1.1.1"]


async def test_a_re_index_leaves_no_hints_of_its_own_while_it_rests():
    new = Release(await old_store(12))
    await Release(new).clean_up()

    await new.reindex()

    assert new.hints_after_cycles[1::2] == [0] * (len(new.hints_after_cycles) // 2)
    assert len(new.hints_after_cycles) >= 6


async def test_what_a_re_index_leaves_is_cleaned_up_though_nobody_else_has_given_a_hint():
    old = await old_store(1)
    old._now += STALE_SECONDS + 1
    await old.clean_up()
    assert list(old.tables.rows("hint")) == []
    new = Release(old)
    new.work._catch_up = None
    await new.reindex()

    def left():
        return [row for row in new.tables.rows("dicom") if keys.kind_of(row.row_key) is keys.RowKind.CLEANUP]

    assert left()
    await new.clean_up()
    assert left() == []


async def test_studies_that_have_a_hint_are_brought_on_once_though_the_process_dies_among_them(monkeypatch):
    async def no_cycle(_: Release) -> None:
        """The hints of the others stay."""

    monkeypatch.setattr(Release, "_cycle", no_cycle)
    new = Release(await old_store(30))
    brought: list[str] = []
    bring = StudyReindex.bring

    async def bring_or_die(self, place, *rest):
        brought.append(place.study_instance_uid)
        if len(brought) == 25:
            raise Crashed
        await bring(self, place, *rest)

    monkeypatch.setattr(StudyReindex, "bring", bring_or_die)
    with pytest.raises(Crashed):
        await new.reindex()
    assert (await new.state()).checkpoint["done"] == [20, 20, 0]
    before = len(brought)

    again = Release(new)
    again.time += LEASE_SECONDS + 1
    await again.reindex()

    assert set(brought[before : before + 10]).isdisjoint(brought[:20])
    assert again.numbers() == {2}
