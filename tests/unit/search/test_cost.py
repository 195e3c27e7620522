import asyncio
from dataclasses import replace

import pytest

from shared.errors import TooLarge
from shared.index_schema import keys
from shared.index_schema.schema import BUILT_IN
from shared.storage.ports import RowWrite
from tests.builders.archive import SMALL_LIMITS as SMALL
from tests.builders.archive import Archive, archive_of


async def crowd(archive: Archive, studies: int) -> None:
    """Make the index as large as if there were so many other studies."""
    by_shard: dict[str, list[RowWrite]] = {}
    for number in range(studies):
        place = keys.study_place(archive.partition.namespace, f"3.{number}", archive.shards)
        attributes = {"00100020": f"X{number % 20}", "00100010": f"Doe^{number}", "00080020": "20200101"}
        rows = BUILT_IN.study_postings(keys.new_sort_key(number), f"3.{number}", attributes, 1)
        rows |= BUILT_IN.series_postings(keys.new_sort_key(number), f"3.{number}", f"3.{number}.1", {"00080060": "CT"})
        operations = by_shard.setdefault(place.postings, [])
        operations += (RowWrite("upsert", place.postings, key, properties) for key, properties in rows.items())
    for operations in by_shard.values():
        for start in range(0, len(operations), 100):
            await archive.tables.commit("idx", operations[start : start + 100])


async def test_a_search_by_patient_costs_the_same_among_few_and_among_many_studies():
    costs = []
    for others in (100, 5000):
        archive = Archive(shards=8)
        await archive.store("1.1", "1.1.1", "1.1.1.1", PatientID="P", StudyDate="20200101", Modality="CT")
        await crowd(archive, others)
        for query in ("PatientID=P", "PatientID=P&StudyDate=20200101-&ModalitiesInStudy=CT&PatientName=*"):
            archive.requests.clear()
            assert await archive.studies(query) == ["1.1"]
            costs.append(dict(archive.requests))

    assert costs == [{"idx": 8, "dicom": 1}] * 4


@pytest.mark.spec("QIDO-36")
async def test_what_rows_say_is_answered_without_reading_metadata():
    archive = await archive_of(*({"PatientID": "P", "PatientName": "Doe^John", "Modality": "CT"} for _ in range(3)))
    archive.requests.clear()

    fields = "includefield=00081030%2C00080060%2C00080090%2C00100030"
    response = await archive.response(f"limit=101&offset=0&fuzzymatching=true&{fields}&00100020=P")

    assert response.status == 200
    assert archive.requests == {"idx": archive.shards, "dicom": 3}
    assert archive.blobs.requests == 0


async def test_metadata_are_read_once_for_each_result_that_needs_them():
    archive = await archive_of(*({"PatientID": "P", "Rows": 5} for _ in range(3)))
    archive.requests.clear()

    assert len(await archive.found("PatientID=P&includefield=Rows&limit=2")) == 2
    assert archive.requests == {"idx": archive.shards, "dicom": 3 + 2}


async def test_most_instances_of_a_series_are_read_together_and_a_few_one_by_one():
    archive = Archive()
    for number in range(10):
        await archive.store("1.1", "1.1.1", f"1.1.1.{number}", Rows=5)
    inside = {"resource": "search_series_instances", "study": "1.1", "series": "1.1.1"}
    archive.requests.clear()
    await archive.found("includefield=Rows", **inside)
    assert archive.requests == {"dicom": 1 + 1 + 1}

    archive.requests.clear()
    await archive.found("includefield=Rows&limit=2", **inside)
    assert archive.requests == {"dicom": 1 + 1 + 2}

    archive.requests.clear()
    await archive.found("", **inside)
    assert archive.requests == {"dicom": 1 + 1}

    archive.requests.clear()
    assert len(await archive.found("SOPInstanceUID=1.1.1.3,1.1.1.4", **inside)) == 2
    assert archive.requests == {"dicom": 1 + 2}


async def test_no_more_than_64_studies_are_read_at_once():
    archive = await archive_of(*({} for _ in range(150)), shards=1)
    now, most = 0, 0

    async def before(kind: str, _: str) -> None:
        nonlocal now, most
        if kind == "dicom":
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)

    async def after(kind: str, _: str) -> None:
        nonlocal now
        now -= kind == "dicom"

    archive.tables.before, archive.tables.after = before, after
    assert len((await archive.page("limit=200", "search_series")).results) == 150
    assert 2 <= most <= 64


@pytest.mark.spec("QIDO-45")
async def test_a_search_that_no_index_serves_ends_when_it_has_read_its_rows():
    archive = await archive_of(*({"StudyDescription": "x", "PatientID": "P"} for _ in range(100)))
    archive.limits = replace(SMALL, bounded_rows=80)

    with pytest.raises(TooLarge, match="No index serves"):
        await archive.studies("StudyDescription=*y*")
    assert len(await archive.studies("StudyDescription=*x*&limit=3")) == 3
    assert len(await archive.studies("")) == 100
    assert len(await archive.studies("PatientID=P")) == 100
    assert await archive.studies("PatientID=Q&StudyDescription=*y*") == []


@pytest.mark.spec("QIDO-45")
async def test_a_search_that_no_index_serves_ends_when_its_time_is_up():
    archive = await archive_of(*({"StudyDescription": "x"} for _ in range(30)))
    archive.limits = SMALL

    async def slow(*_: str) -> None:
        archive.seconds += 1

    archive.tables.before = slow
    with pytest.raises(TooLarge):
        await archive.studies("StudyDescription=*y*")
    assert len(await archive.studies("")) == 30
