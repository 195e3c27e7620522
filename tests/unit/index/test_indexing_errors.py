"""The errors of a tag and their count: the same number, whoever writes and whatever gets lost (EQT-43, EQT-46)."""

import asyncio
import random

import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.errors import TooLarge
from shared.index import indexing_errors
from shared.index.indexing_errors import IndexingError, IndexingErrors
from shared.index_schema import keys
from shared.storage.ports import Ambiguous
from tests.fakes.tables import MemoryTableStore

TAG = "t2x0"


def error(number: int) -> IndexingError:
    return IndexingError(
        "0", InstanceIdentifier("1.1", "1.1.1", f"1.1.1.{number}"), number, "wrong", 1_000 + number // 7
    )


def rows(tables: MemoryTableStore) -> int:
    return sum(row.row_key.startswith("r!") for row in tables.rows("idxi", keys.error_partition(TAG)))


@pytest.mark.spec("EQT-43", "EQT-46")
@pytest.mark.parametrize("seed", range(4))
async def test_the_count_is_that_of_the_rows_whoever_writes_and_whatever_answer_is_lost(seed: int) -> None:
    randomly = random.Random(seed)
    tables = MemoryTableStore()

    async def lose(_kind: str, operation: str) -> None:
        if operation == "commit" and randomly.random() < 0.3:
            raise Ambiguous

    tables.after = lose
    one, other = IndexingErrors(tables), IndexingErrors(tables)
    await asyncio.gather(
        one.record((TAG, error(number)) for number in range(120)),
        other.record((TAG, error(number)) for number in range(60, 200)),
    )
    await asyncio.gather(
        one.remove((TAG, error(number).row_key) for number in range(80)),
        other.remove((TAG, error(number).row_key) for number in range(40, 130)),
        one.record([(TAG, error(500))]),
    )
    tables.after = None
    assert rows(tables) == 71
    assert await one.counts([TAG, "t3x0"]) == {TAG: 71, "t3x0": 0}
    window = await one.window(TAG, 200, 0)
    assert window == [error(number) for number in (*range(130, 200), 500)]
    assert await one.window(TAG, 10, 65) == window[65:]


@pytest.mark.spec("EQT-45")
async def test_a_list_passes_over_so_many_errors_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing_errors, "_MOST_SKIPPED", 10)
    monkeypatch.setattr(indexing_errors, "_PAGE", 3)
    errors = IndexingErrors(MemoryTableStore())
    await errors.record((TAG, error(number)) for number in range(20))
    assert await errors.window(TAG, 2, 10) == [error(10), error(11)]
    assert await errors.window(TAG, 2, 20) == []
    with pytest.raises(TooLarge):
        await errors.window(TAG, 2, 11)


@pytest.mark.spec("EQT-43")
async def test_what_is_not_so_is_removed() -> None:
    errors = IndexingErrors(MemoryTableStore())
    await errors.record((TAG, error(number)) for number in range(120))

    async def is_even(each: IndexingError) -> bool:
        return each.version % 2 == 0

    await errors.check(TAG, is_even)
    assert await errors.counts([TAG]) == {TAG: 60}
