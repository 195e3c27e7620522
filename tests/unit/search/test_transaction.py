import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.dicomweb.versions import ApiVersion
from shared.errors import TooLarge
from shared.index.postings import series_postings, study_postings
from shared.search.attributes import RESOURCES
from shared.search.limits import DEFAULT_LIMITS, SearchLimits
from shared.search.request import SearchQuery, parse_search
from shared.search.response import SearchResult
from shared.search.verification import is_instance_match, is_match, matching_series
from shared.storage import keys
from shared.storage.ports import Operation
from tests.builders.archive import Archive


async def archive_of(*studies: dict[str, Any], **options: Any) -> Archive:
    """An archive of one-instance studies 1.1, 1.2, …, the last one the newest."""
    archive = Archive(**options)
    for number, values in enumerate(studies, start=1):
        await archive.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **values)
    return archive


# ----------------------------------------------------------------------------------------------------- what is found


@pytest.mark.spec("QIDO-46", "QIDO-4")
async def test_a_study_is_found_as_soon_as_it_is_stored_and_no_more_once_it_is_deleted():
    archive = await archive_of({"PatientID": "A"}, {"PatientID": "B"})

    assert await archive.studies("PatientID=A") == ["1.1"]
    assert await archive.studies() == ["1.2", "1.1"]
    assert await archive.studies("PatientID=A&StudyInstanceUID=1.2") == []

    await archive.delete("1.1")

    assert await archive.studies("PatientID=A") == []
    assert await archive.studies() == ["1.2"]
    assert await archive.studies("StudyInstanceUID=1.1") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientName=doe%5Ejohn", ["1.1"]),
        ("PatientName=Doe*", ["1.2", "1.1"]),
        ("PatientName=*j*", ["1.2", "1.1"]),
        ("PatientName=jan&fuzzymatching=true", ["1.2"]),
        ("PatientName=*oe*&fuzzymatching=true", ["1.2", "1.1"]),
        ("PatientName=smith&fuzzymatching=true", ["1.3"]),
        ("PatientName=smithers&fuzzymatching=true", []),
        ("StudyDate=20200101-20201231", ["1.2", "1.1"]),
        ("StudyDate=20210101-", ["1.3"]),
        ("StudyDate=-20200101", ["1.1"]),
        ("StudyDescription=chest*", ["1.1"]),
        ("StudyDescription=*x-ray", ["1.3", "1.1"]),
        ("ModalitiesInStudy=CT,MR", ["1.2", "1.1"]),
        ("ModalitiesInStudy=DX&PatientName=sm*", ["1.3"]),
        ("ModalitiesInStudy=CT&PatientName=sm*", []),
        ("StudyInstanceUID=1.1,1.3,1.9", ["1.3", "1.1"]),
        ("AccessionNumber=%22%22&emptyvaluematching=true", ["1.3", "1.1"]),
        ("StudyTime=09-10", ["1.2"]),
        ("PatientID=p1", ["1.1"]),
        ("PatientID=*&StudyDate=*", ["1.3", "1.2", "1.1"]),
        ("PatientName=%5E", []),
    ],
)
@pytest.mark.spec("MATCH-2", "MATCH-3", "MATCH-5", "MATCH-8", "MATCH-11")
async def test_keys_select_studies(query, expected):
    archive = await archive_of(
        {
            "PatientName": "Doe^John",
            "PatientID": "P1",
            "StudyDate": "20200101",
            "Modality": "CT",
            "StudyDescription": "Chest X-Ray",
        },
        {
            "PatientName": "Doe^Jane",
            "StudyDate": "20200615",
            "StudyTime": "093000",
            "Modality": "MR",
            "AccessionNumber": "A1",
        },
        {"PatientName": "Smith", "StudyDate": "20210101", "Modality": "DX", "StudyDescription": "Hand X-Ray"},
    )

    assert await archive.studies(query) == expected


@pytest.mark.spec("MATCH-10", "IDX-2")
async def test_a_study_is_matched_by_its_latest_values_also_when_instances_are_searched():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", PatientName="Old")
    await archive.store("1.1", "1.1.1", "1.1.1.2", PatientName="New")

    assert await archive.instances("PatientName=New") == ["1.1.1.2", "1.1.1.1"]
    assert await archive.instances("PatientName=Old") == []


@pytest.mark.spec("QIDO-4")
async def test_series_level_keys_must_match_in_one_series():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Modality="CT", ManufacturerModelName="A")
    await archive.store("1.1", "1.1.2", "1.1.2.1", Modality="MR", ManufacturerModelName="B")

    assert await archive.series("Modality=CT&ManufacturerModelName=A") == ["1.1.1"]
    assert await archive.series("Modality=CT&ManufacturerModelName=B") == []
    assert await archive.instances("Modality=MR") == ["1.1.2.1"]
    assert await archive.series("ModalitiesInStudy=MR&Modality=CT") == ["1.1.1"]


async def test_attributes_in_sequences_select_series():
    archive = Archive()
    request = {"RequestedProcedureID": "R1", "ScheduledProcedureStepID": "S1"}
    await archive.store("1.1", "1.1.1", "1.1.1.1", RequestAttributesSequence=[request])
    await archive.store("1.1", "1.1.2", "1.1.2.1")

    assert await archive.series("RequestAttributesSequence.RequestedProcedureID=r1") == ["1.1.1"]
    assert await archive.series("00400275.00400009=S2") == []


@pytest.mark.spec("QIDO-2", "QIDO-3")
async def test_a_path_that_does_not_exist_and_a_uid_that_is_none_find_nothing():
    archive = await archive_of({})

    assert await archive.series("", "search_study_series", study="9.9") == []
    assert await archive.instances("", "search_series_instances", study="1.1", series="9.9") == []
    assert await archive.studies("StudyInstanceUID=nonsense") == []
    assert await archive.series("SeriesInstanceUID=nonsense") == []
    assert await archive.instances("SOPInstanceUID=,") == []


async def test_searches_inside_a_study_and_a_series():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Modality="CT", InstanceNumber=1)
    await archive.store("1.1", "1.1.1", "1.1.1.2", Modality="CT", InstanceNumber=2)
    await archive.store("1.1", "1.1.2", "1.1.2.1", Modality="MR", InstanceNumber=2)
    await archive.store("1.2", "1.2.1", "1.2.1.1", Modality="CT", InstanceNumber=2)

    assert await archive.series("", "search_study_series", study="1.1") == ["1.1.2", "1.1.1"]
    assert await archive.series("Modality=CT", "search_study_series", study="1.1") == ["1.1.1"]
    assert await archive.instances("Modality=CT", "search_study_instances", study="1.1") == ["1.1.1.2", "1.1.1.1"]
    assert await archive.instances("InstanceNumber=02", "search_study_instances", study="1.1") == [
        "1.1.2.1",
        "1.1.1.2",
    ]
    inside = {"resource": "search_series_instances", "study": "1.1", "series": "1.1.1"}
    assert await archive.instances("InstanceNumber=2", **inside) == ["1.1.1.2"]
    assert await archive.instances("SOPInstanceUID=1.1.1.1,1.1.2.1", **inside) == ["1.1.1.1"]
    assert await archive.instances("SOPClassUID=1.2.840.10008.5.1.4.1.1.4", **inside) == ["1.1.1.2", "1.1.1.1"]
    assert await archive.instances("SOPInstanceUID=1.1.2.1") == ["1.1.2.1"]
    assert await archive.instances("SOPInstanceUID=1.1.2.1&Modality=CT") == []


@pytest.mark.spec("CON-1")
async def test_one_sop_instance_uid_in_two_studies_is_two_instances():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "7.7")
    await archive.store("1.2", "1.2.1", "7.7")

    assert await archive.instances("SOPInstanceUID=7.7") == ["7.7", "7.7"]
    assert len(await archive.instances("SOPInstanceUID=7.7&StudyInstanceUID=1.2")) == 1


# -------------------------------------------------------------------------------------------------- order and paging


@pytest.mark.spec("QIDO-40", "QIDO-41", "QIDO-43")
async def test_results_are_newest_first_and_an_old_study_stays_in_its_place():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1")
    await archive.store("1.2", "1.2.1", "1.2.1.1")
    await archive.store("1.1", "1.1.2", "1.1.2.1")
    await archive.store("1.2", "1.2.1", "1.2.1.2")

    assert await archive.studies() == ["1.2", "1.1"]
    assert await archive.series() == ["1.1.2", "1.2.1", "1.1.1"]
    assert await archive.instances() == ["1.2.1.2", "1.1.2.1", "1.2.1.1", "1.1.1.1"]


@pytest.mark.spec("QIDO-41")
async def test_a_replaced_instance_moves_to_the_front():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1")
    await archive.store("1.1", "1.1.1", "1.1.1.2")
    await archive.store_all([archive.new("1.1", "1.1.1", "1.1.1.1", replace=True)])

    assert await archive.instances() == ["1.1.1.1", "1.1.1.2"]


@pytest.mark.spec("QIDO-44")
@pytest.mark.parametrize("resource", ["search_studies", "search_series", "search_instances"])
async def test_pages_join_without_gap_and_the_last_one_says_so(resource):
    archive = await archive_of(*({"PatientID": "P"} for _ in range(7)))
    everything = (await archive.page("PatientID=P", resource)).results

    pages = [await archive.page(f"PatientID=P&limit=3&offset={offset}", resource) for offset in (0, 3, 6, 9)]

    assert [len(page.results) for page in pages] == [3, 3, 1, 0]
    assert [page.more for page in pages] == [True, True, False, False]
    assert [result for page in pages for result in page.results] == everything
    assert not (await archive.page("PatientID=P&limit=7", resource)).more


async def test_an_offset_far_beyond_the_results_finds_nothing():
    archive = await archive_of({}, {})

    assert await archive.studies(f"offset={2**63 - 1}") == []
    assert await archive.series(f"offset={2**63 - 1}") == []


@pytest.mark.spec("QIDO-46")
async def test_what_is_deleted_does_not_count_as_skipped():
    archive = await archive_of({"PatientID": "P"}, {"PatientID": "P"}, {"PatientID": "P"})
    await archive.delete("1.3")

    assert await archive.studies("PatientID=P&offset=1") == ["1.1"]
    assert await archive.studies("offset=1") == ["1.1"]


@pytest.mark.spec("QIDO-46")
async def test_a_study_that_was_deleted_and_stored_again_is_found_once_and_in_front():
    archive = await archive_of({"PatientID": "P"}, {"PatientID": "P"})
    await archive.delete("1.1")
    await archive.store("1.1", "1.1.1", "1.1.1.1", PatientID="P")

    assert sorted(await archive.studies("PatientID=P")) == ["1.1", "1.2"]


@pytest.mark.spec("CON-7", "PART-11")
async def test_a_search_sees_its_own_partition_alone():
    archive = await archive_of({"PatientID": "P"})
    archive.partition = Partition(2, "other", "abc", archive.partition.created)

    assert await archive.studies() == []
    assert await archive.studies("PatientID=P") == []
    assert await archive.studies("StudyInstanceUID=1.1") == []


# ------------------------------------------------------------------------------------------------- what it may cost

SMALL = SearchLimits(
    few=2, sorted_rows=30, smallest_page=2, largest_page=4, distinct_values=3, wasted_reads=5, verified_skips=3
)
"""Limits under which a few studies are many, so that all ways of searching are gone."""


async def crowd(archive: Archive, studies: int) -> None:
    """Make the index as large as if there were so many other studies."""
    by_shard: dict[str, list[Operation]] = {}
    for number in range(studies):
        place = keys.study_place(archive.partition.namespace, f"3.{number}", archive.shards)
        attributes = {"00100020": f"X{number % 20}", "00100010": f"Doe^{number}", "00080020": "20200101"}
        rows = study_postings(keys.new_sort_key(number), f"3.{number}", attributes)
        rows |= series_postings(keys.new_sort_key(number), f"3.{number}", f"3.{number}.1", {"00080060": "CT"})
        operations = by_shard.setdefault(place.postings, [])
        operations += (Operation("upsert", place.postings, key, properties) for key, properties in rows.items())
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


# --------------------------------------------------------------------------------------- all ways find what is there

PATIENTS = ["P1", "P2", "P1\0", "Q"]
NAMES = ["Doe^John", "Doe^Jane", "Müller^Jörg", "Smith=スミス", "smith^john", ""]
DATES = ["20191231", "20200101", "20200115", "20210704", "20230101", ""]
DESCRIPTIONS = ["Chest", "chest ct", "Head", "Hand", "Heart", "Hip", ""]
MODALITIES = ["CT", "MR", "DX", ""]

KEYS = {
    "study": [
        "PatientID=P1",
        "PatientID=P*",
        "PatientID=*1",
        "PatientName=Doe%5EJohn",
        "PatientName=doe*",
        "PatientName=*j*",
        "PatientName=smith*",
        "PatientName=muller",
        "StudyDate=20200101",
        "StudyDate=20200101-20200131",
        "StudyDate=20200110-",
        "StudyDate=-20200101",
        "StudyDescription=chest",
        "StudyDescription=h*",
        "StudyDescription=*a*",
        "StudyDescription=c*&StudyDate=20200101-20211231",
        "ModalitiesInStudy=CT",
        "ModalitiesInStudy=MR,DX",
        "ModalitiesInStudy=%22%22",
        "StudyDescription=%22%22",
        "StudyInstanceUID=1.1,1.2,1.5",
    ],
    "series": ["Modality=CT", "Modality=MR,DX", "SeriesInstanceUID=1.1.1,1.2.2", "SeriesNumber=1"],
    "instance": ["InstanceNumber=2", "SOPInstanceUID=1.1.1.1,1.2.1.2"],
}

instances = st.fixed_dictionaries(
    {
        "study": st.integers(1, 9),
        "series": st.integers(1, 2),
        "instance": st.integers(1, 3),
        "PatientID": st.sampled_from(PATIENTS),
        "PatientName": st.sampled_from(NAMES),
        "StudyDate": st.sampled_from(DATES),
        "StudyDescription": st.sampled_from(DESCRIPTIONS),
        "Modality": st.sampled_from(MODALITIES),
        "SeriesNumber": st.sampled_from([1, 2]),
        "InstanceNumber": st.sampled_from([1, 2]),
    }
)


@st.composite
def searches(draw) -> tuple[str, str, dict[str, str]]:
    resource = draw(st.sampled_from(sorted(RESOURCES)))
    chosen: dict[str, str] = {}
    for level in RESOURCES[resource]:
        for key in draw(st.lists(st.sampled_from(KEYS[level]), max_size=2)):
            chosen.setdefault(key.partition("=")[0], key)
    names = [name for key in chosen.values() for name in re.findall(r"(\w+)=", key)]
    keys = list(chosen.values()) if len(set(names)) == len(names) else list(chosen.values())[:1]
    paging = [f"limit={draw(st.sampled_from([1, 2, 5, 200]))}", f"offset={draw(st.integers(0, 6))}"]
    fuzzy = ["fuzzymatching=true"] if draw(st.booleans()) else []
    route = {"study": "1.1", "series": "1.1.1"} if "series_instances" in resource else {}
    route = {"study": "1.1"} if "search_study" in resource else route
    return resource, "&".join([*keys, *paging, *fuzzy, "emptyvaluematching=true"]), route


async def by_looking_at_everything(archive: Archive, query: SearchQuery) -> list[str]:
    """The UIDs of all results, in order, found without the index."""
    studies = {row.partition_key.split("!")[1] for row in archive.tables.rows("dicom")}
    views = [view for study in studies if (view := await archive.lookup.study(archive.partition, study))]
    chosen = [view for view in views if query.study in (None, view.study_instance_uid) and is_match(view, query)]
    if query.level == "study":
        return [view.study_instance_uid for view in sorted(chosen, key=lambda view: view.sort_key)]
    series = [item for view in chosen for item in matching_series(view, query)]
    if query.level == "series":
        return [item.series_instance_uid for item in sorted(series, key=lambda item: item.sort_key)]
    below = {item.series_instance_uid for item in series}
    stored = [
        instance
        for view in chosen
        for instance in await archive.lookup.instances(
            archive.partition, ResourceIdentifier(view.study_instance_uid), metadata=False
        )
        if instance.identifier.series_instance_uid in below and is_instance_match(instance, query)
    ]
    return [item.identifier.sop_instance_uid for item in sorted(stored, key=lambda item: -item.version)]


def shown(result: SearchResult, query: SearchQuery) -> str:
    identifier = result.identifier
    return {
        "study": identifier.study_instance_uid,
        "series": identifier.series_instance_uid,
        "instance": identifier.sop_instance_uid,
    }[query.level]


@given(
    stored=st.lists(instances, min_size=1, max_size=14),
    deleted=st.lists(st.integers(0, 13), max_size=3),
    asked=st.lists(searches(), min_size=4, max_size=8),
    limits=st.sampled_from([DEFAULT_LIMITS, SMALL, replace(SMALL, few=0, sorted_rows=10_000, rows_beside=1)]),
    tables=st.sampled_from([{"shards": 1}, {"shards": 3, "page_limit": 2, "empty_page_every": 3}]),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_a_search_finds_what_looking_at_everything_finds(stored, deleted, asked, limits, tables):
    archive = Archive(**tables)
    archive.limits = limits
    for values in stored:
        study = f"1.{values['study']}"
        series = f"{study}.{values['series']}"
        rest = {name: value for name, value in values.items() if name[0].isupper()}
        await archive.store(study, series, f"{series}.{values['instance']}", **rest)
    for position in deleted:
        if position < len(stored):
            await archive.delete(f"1.{stored[position]['study']}", f"1.{stored[position]['study']}.1")

    for resource, text, route in asked:
        query = parse_search(resource, route, text, ApiVersion.V2)
        expected = await by_looking_at_everything(archive, query)

        page = await archive.page(text, resource, **route)
        found = [shown(result, query) for result in page.results]

        end = query.offset + query.limit
        if query.level == "study" or limits.sorted_rows > 1000:
            assert found == expected[query.offset : end], (resource, text)
        else:
            assert len(found) == len(expected[query.offset : end]), (resource, text)
            assert set(found) <= set(expected), (resource, text)
        assert page.more == (len(expected) > end), (resource, text)
