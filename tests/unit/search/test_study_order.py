"""Studies in the order of their dates (B-23)."""

import random

import pytest

from shared.errors import TooLarge
from shared.index.model import StudyView
from shared.index_schema.study_lists import StudyOrder
from shared.index_search.limits import SearchLimits
from shared.search.date_order import position_of
from shared.storage.ports import Kind
from tests.builders.archive import SMALL_LIMITS, Archive, archive_of

DATES = ("20260102", "", "19991231", "20260102", "20260201", "", "20251231")
"""Of the studies 1.1 to 1.7."""
LATEST = ["1.5", "1.4", "1.1", "1.7", "1.3", "1.6", "1.2"]
EARLIEST = ["1.3", "1.7", "1.4", "1.1", "1.5", "1.6", "1.2"]


async def dated(**options: object) -> Archive:
    return await archive_of(*({"StudyDate": date, "PatientID": "P"} for date in DATES), **options)


@pytest.mark.spec("QIDO-53")
@pytest.mark.parametrize("limits", [SearchLimits(), SMALL_LIMITS])
@pytest.mark.parametrize("keys", ["", "&PatientID=P", "&StudyInstanceUID=" + ",".join(LATEST)])
async def test_studies_are_ordered_by_date_then_newest_first_and_those_without_a_date_are_the_last(
    limits: SearchLimits, keys: str
) -> None:
    archive = await dated()
    archive.limits = limits
    assert await archive.studies(f"orderby=-StudyDate{keys}") == LATEST
    assert await archive.studies(f"orderby=StudyDate{keys}") == EARLIEST
    for offset in range(8):
        page = await archive.page(f"orderby=-StudyDate&limit=2&offset={offset}{keys}")
        assert [result.study.study_instance_uid for result in page.results] == LATEST[offset : offset + 2]
        assert page.more == (offset < 5)


@pytest.mark.spec("QIDO-53")
@pytest.mark.parametrize("limits", [SearchLimits(), SMALL_LIMITS])
async def test_matching_keys_hold_in_every_order(limits: SearchLimits) -> None:
    archive = await dated()
    archive.limits = limits
    assert await archive.studies("orderby=-StudyDate&StudyDate=20260101-") == ["1.5", "1.4", "1.1"]
    assert await archive.studies("orderby=StudyDate&StudyDate=-20260131") == ["1.3", "1.7", "1.4", "1.1"]
    assert await archive.studies("orderby=StudyDate&PatientID=Q") == []


@pytest.mark.spec("QIDO-53")
async def test_a_study_whose_date_changes_stands_where_it_belongs() -> None:
    archive = await dated(shards=1)
    await archive.store("1.3", "1.3.1", "1.3.1.2", StudyDate="20270101")
    assert await archive.studies("orderby=-StudyDate") == ["1.3", "1.5", "1.4", "1.1", "1.7", "1.6", "1.2"]


@pytest.mark.spec("QIDO-53")
async def test_a_study_whose_date_changes_while_the_list_is_read_is_not_lost() -> None:
    archive = await dated(shards=1)

    async def once(kind: Kind, verb: str) -> None:
        if (kind, verb) == ("dicom", "page"):
            archive.tables.before = None
            await archive.store("1.1", "1.1.1", "1.1.1.2", StudyDate="19900101")

    archive.tables.before = once
    assert sorted(await archive.studies("orderby=-StudyDate")) == sorted(LATEST)


@pytest.mark.spec("QIDO-53", "S-5")
async def test_more_studies_than_may_be_sorted_are_refused_rather_than_cut_off() -> None:
    archive = await dated(shards=1)
    archive.limits = SearchLimits(bounded_rows=5, largest_page=3)
    with pytest.raises(TooLarge):
        await archive.studies("orderby=-StudyDate")


@pytest.mark.spec("QIDO-53")
async def test_after_any_history_the_order_is_that_of_the_studies_themselves() -> None:
    for seed in range(10):
        chance = random.Random(seed)
        archive = Archive(shards=chance.choice((1, 3, 16)), page_limit=chance.choice((2, 5, 1000)))
        archive.limits = chance.choice((archive.limits, SMALL_LIMITS))
        for number in range(25):
            study = f"1.{chance.randrange(8)}"
            uids = study, f"{study}.{chance.randrange(2)}", f"{study}.0.{chance.randrange(3)}"
            if chance.random() < 0.7:
                await archive.store(*uids, StudyDate=chance.choice(DATES), StudyID=f"{number}", PatientID="P")
            else:
                await archive.delete(*uids[: chance.randint(1, 3)])
            views: list[StudyView] = [result.study for result in (await archive.page("limit=200")).results]
            for order in (StudyOrder.LATEST_FIRST, StudyOrder.EARLIEST_FIRST):
                expected = sorted(views, key=lambda view: position_of(view, order))
                for keys in ("", "&PatientID=P"):
                    page = await archive.page(f"orderby={order}&limit=200{keys}")
                    assert [result.study for result in page.results] == expected, seed
