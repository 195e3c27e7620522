"""Rules make workitems of what is stored: once for each study, when it has become quiet (AIX-2)."""

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.errors import Conflict, NotFound, Unavailable
from shared.worklist_rules import making, store
from shared.worklist_rules.request import dry_run, rule_document
from tests.builders.service import PARTITION
from tests.builders.worklist import element
from tests.builders.worklist_rules import NODULES, STUDY, RuleService, chest

pytestmark = pytest.mark.spec("AIX-2", "AIX-5", "AIX-6", "AIX-8")


@pytest.fixture
def service() -> RuleService:
    return RuleService()


async def test_a_study_gets_its_workitem_when_it_has_become_quiet(service: RuleService) -> None:
    rule = await service.add_rule()
    await service.store(chest(number=1), chest(number=2), chest(series=2, BodyPartExamined="HEAD"))
    assert await service.run() == 0
    assert await service.after(40) == 0
    await service.store(chest(series=3))
    assert await service.after(40) == 0
    assert await service.after(21) == 1
    workitem = await service.made(rule)
    assert workitem is not None
    assert workitem["00741000"] == element("CS", "SCHEDULED")
    assert workitem["00741204"] == element("LO", "Nodule detection")
    assert workitem["00404025"] == NODULES["template"]["00404025"]
    assert workitem["0020000D"] == element("UI", STUDY)
    assert workitem["00100020"]["Value"]
    assert workitem["0040A370"]["Value"][0]["00080050"] == element("SH", "A-1")
    named = {
        item["0020000E"]["Value"][0]: [each["00081155"]["Value"][0] for each in item["00081199"]["Value"]]
        for item in workitem["00404021"]["Value"]
    }
    assert named == {f"{STUDY}.1": [f"{STUDY}.1.1", f"{STUDY}.1.2"], f"{STUDY}.3": [f"{STUDY}.3.1"]}


async def test_a_study_gets_no_second_workitem_by_a_rule(service: RuleService) -> None:
    rule = await service.add_rule()
    await service.store(chest())
    await service.run()
    assert await service.after(61) == 1
    before = await service.made(rule)
    await service.store(chest(series=2))
    await service.run()
    assert await service.after(61) == 0
    assert await service.made(rule) == before
    assert [each async for each in service.studies.all()] == []


async def test_a_rule_that_is_switched_off_makes_nothing_until_it_is_on_again(service: RuleService) -> None:
    rule = await service.add_rule(enabled=False)
    await service.store(chest())
    await service.run()
    assert await service.after(61) == 0
    assert [each async for each in service.studies.all()] == []
    await service.worklist_rules.replace(PARTITION.namespace, rule, rule_document(NODULES))
    assert await service.after(61) == 0
    await service.store(chest(series=2))
    await service.run()
    assert await service.after(61) == 1
    workitem = await service.made(rule)
    assert workitem is not None
    assert len(workitem["00404021"]["Value"]) == 2


async def test_each_rule_waits_as_long_as_it_says(service: RuleService) -> None:
    soon, late = await service.add_rule(quietSeconds=0), await service.add_rule(quietSeconds=600)
    await service.store(chest())
    assert await service.after(1) == 1
    assert await service.made(soon)
    assert await service.after(300) == 0
    assert await service.after(300) == 1
    assert await service.made(late)
    assert [each async for each in service.studies.all()] == []


@pytest.mark.parametrize(
    ("changed", "makes"),
    [
        ({"filter": {"Modality": "MR"}}, 0),
        ({"filter": {"Modality": ["MR", "CT"]}}, 1),
        ({"filter": {"BodyPartExamined": "ch*"}}, 1),
        ({"filter": {"00180015": "HEAD"}}, 0),
        ({"filter": {"StudyInstanceUID": STUDY}}, 1),
        ({"filter": {"SeriesInstanceUID": f"{STUDY}.7"}}, 0),
        ({"filter": {"PatientComments": '""', "Modality": "CT"}}, 1),
        ({"filter": {"Rows": "999"}}, 0),
        ({"minimumInstances": 2}, 1),
        ({"minimumInstances": 3}, 0),
    ],
)
async def test_a_rule_is_about_the_series_that_meet_all_its_conditions(
    service: RuleService, changed: dict, makes: int
) -> None:
    await service.add_rule(**changed)
    await service.store(chest(number=1), chest(number=2))
    await service.run()
    assert await service.after(61) == makes


async def test_what_was_stored_before_a_rule_makes_nothing(service: RuleService) -> None:
    await service.store(chest())
    service.time.seconds += 10
    rule = await service.add_rule()
    await service.store(chest(series=2, BodyPartExamined="HEAD"))
    await service.run()
    assert await service.after(61) == 0
    await service.store(chest(series=3))
    await service.run()
    assert await service.after(61) == 1
    workitem = await service.made(rule)
    assert workitem is not None
    assert [item["0020000E"]["Value"][0] for item in workitem["00404021"]["Value"]] == [f"{STUDY}.3"]


async def test_a_study_that_was_deleted_meanwhile_makes_nothing(service: RuleService) -> None:
    await service.add_rule()
    await service.store(chest())
    await service.run()
    await service.index.delete(PARTITION, ResourceIdentifier(STUDY))
    assert await service.after(61) == 0
    assert [each async for each in service.studies.all()] == []


async def test_a_deleted_rule_makes_nothing_and_leaves_what_it_has_made(service: RuleService) -> None:
    rule = await service.add_rule()
    await service.store(chest())
    await service.run()
    await service.after(61)
    uid = (await service.worklist_rules.get(PARTITION.namespace, rule)).workitem_uid(STUDY)
    await service.store(chest(study="1.2.826.2"))
    await service.run()
    await service.worklist_rules.delete(PARTITION.namespace, rule)
    assert await service.after(61) == 0
    assert await service.workitems.get(PARTITION.namespace, uid) is not None
    with pytest.raises(NotFound):
        await service.worklist_rules.get(PARTITION.namespace, rule)
    with pytest.raises(NotFound):
        await service.worklist_rules.delete(PARTITION.namespace, rule)


async def test_a_replaced_rule_keeps_its_id_and_what_it_has_made(service: RuleService) -> None:
    rule = await service.add_rule()
    await service.store(chest())
    await service.run()
    await service.after(61)
    document = rule_document({**NODULES, "filter": {"Modality": "CT"}, "name": "Other"})
    replaced = await service.worklist_rules.replace(PARTITION.namespace, rule, document)
    assert (replaced.id, replaced.name) == (rule, "Other")
    await service.store(chest(series=2), chest(study="1.2.826.2", BodyPartExamined="HEAD"))
    await service.run()
    assert await service.after(61) == 1
    with pytest.raises(NotFound):
        await service.worklist_rules.replace(PARTITION.namespace, "0" * 32, document)


async def test_rules_of_a_data_partition_are_bounded(service: RuleService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_RULES", 2)
    first = await service.add_rule()
    await service.add_rule()
    with pytest.raises(Conflict):
        await service.add_rule()
    await service.worklist_rules.delete(PARTITION.namespace, first)
    await service.add_rule()
    assert len(await service.worklist_rules.all(PARTITION.namespace)) == 2


async def test_rules_are_those_of_their_data_partition(service: RuleService) -> None:
    await service.worklist_rules.add("other", rule_document(NODULES))
    await service.store(chest())
    await service.run()
    assert await service.after(61) == 0
    assert await service.worklist_rules.all(PARTITION.namespace) == []
    assert [each async for each in service.studies.all()] == []


async def test_the_references_of_a_workitem_are_bounded(service: RuleService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MOST_REFERENCES", 4)
    rule = await service.add_rule()
    await service.store(*(chest(series, number) for series in (1, 2) for number in (1, 2, 3)))
    await service.run()
    assert await service.after(61) == 1
    workitem = await service.made(rule)
    assert workitem is not None
    assert [len(item["00081199"]["Value"]) for item in workitem["00404021"]["Value"]] == [2, 2]


async def test_a_dry_run_says_what_would_be_made_and_writes_nothing(service: RuleService) -> None:
    await service.store(chest(), chest(study="1.2.826.2", BodyPartExamined="HEAD"))
    before = len(service.tables.rows("worklist"))
    asked = dry_run({**NODULES, "studies": [STUDY, "1.2.826.2", "1.2.826.3"]})
    found = dict(await service.worklist_rules.dry_run(PARTITION.namespace, asked))
    made = found[STUDY]
    assert made is not None
    assert made.series == (f"{STUDY}.1",)
    assert made.attributes["0020000D"] == element("UI", STUDY)
    other = found["1.2.826.2"]
    assert other is not None
    assert other.series == ()
    assert found["1.2.826.3"] is None
    assert len(service.tables.rows("worklist")) == before


async def test_a_change_that_is_told_late_is_no_news(service: RuleService) -> None:
    await service.studies.mark("0", STUDY, 2_000)
    await service.studies.mark("0", STUDY, 1_000)
    assert [each.changed_ms async for each in service.studies.all()] == [2_000]


async def test_a_study_that_changes_while_it_is_judged_is_judged_again(service: RuleService) -> None:
    await service.studies.mark("0", STUDY, 1_000)
    [read] = [each async for each in service.studies.all()]
    await service.studies.mark("0", STUDY, 2_000)
    assert not await service.studies.judged(read, 60)
    assert not await service.studies.forget(read)
    assert [each.changed_ms async for each in service.studies.all()] == [2_000]


class Dead(BaseException):
    """The process has died."""


@pytest.mark.parametrize("answered", [False, True])
async def test_a_process_that_dies_at_any_request_leaves_one_workitem(*, answered: bool) -> None:
    step = 0
    while True:
        step += 1
        service = RuleService()
        rule = await service.add_rule()
        await service.store(chest())
        left = step

        async def die(*_request: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Dead

        service.time.seconds += 1
        setattr(service.tables, "after" if answered else "before", die)
        try:
            await service.run()
            await service.after(61)
        except Dead:
            pass
        service.tables.before = service.tables.after = None
        other = service.beside()
        for _ in range(3):
            await other.after(100)
        assert await other.made(rule), step
        events = [row for row in service.tables.rows("worklist") if row.row_key.startswith("e!")]
        assert len(events) == 1, step
        if left > 0:
            break
    assert step > 10


async def test_a_store_that_does_not_answer_leaves_the_study_for_the_next_run(service: RuleService) -> None:
    rule = await service.add_rule()
    await service.store(chest())
    await service.run()

    async def refuse(kind: str, operation: str) -> None:
        if kind == "worklist" and operation == "commit":
            raise Unavailable("busy")

    service.tables.before = refuse
    with pytest.raises(Unavailable):
        await service.after(61)
    service.tables.before = None
    assert await service.after(61) == 1
    assert await service.made(rule)
