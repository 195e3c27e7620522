from dataclasses import replace

import pytest

from shared.dicomweb.partitions import Partition
from tests.builders.archive import SMALL_LIMITS as SMALL
from tests.builders.archive import Archive, archive_of

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


@pytest.mark.spec("MATCH-8", "MATCH-11")
async def test_no_modality_in_a_study_means_in_none_of_its_series():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Modality="CT")
    await archive.store("1.1", "1.1.2", "1.1.2.1")
    await archive.store("1.2", "1.2.1", "1.2.1.1")

    assert await archive.studies("ModalitiesInStudy=%22%22&emptyvaluematching=true") == ["1.2"]


@pytest.mark.spec("QIDO-2", "QIDO-3")
async def test_a_path_that_does_not_exist_and_a_list_without_uids_find_nothing():
    archive = await archive_of({})

    assert await archive.series("", "search_study_series", study="9.9") == []
    assert await archive.instances("", "search_series_instances", study="1.1", series="9.9") == []
    assert await archive.studies("StudyInstanceUID=9.9") == []
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


@pytest.mark.spec("QIDO-40")
@pytest.mark.parametrize("resource", ["search_series", "search_instances"])
async def test_above_the_limit_of_sorting_results_are_in_order_study_by_study(resource):
    archive = await archive_of(*({} for _ in range(12)))
    await archive.store("1.1", "1.1.2", "1.1.2.1")
    by_study = [f"1.{number}.1" for number in range(12, 1, -1)] + ["1.1.2", "1.1.1"]
    newest_first = ["1.1.2", *(f"1.{number}.1" for number in range(12, 0, -1))]

    async def found(query: str = "") -> list[str]:
        results = (await archive.page(query, resource)).results
        return [result.series.series_instance_uid for result in results if result.series]

    assert await found() == newest_first
    archive.limits = SMALL
    assert await found() == by_study
    pages = [await found(f"limit=5&offset={offset}") for offset in (0, 5, 10, 15)]
    assert [uid for page in pages for uid in page] == by_study
    archive.limits = replace(SMALL, sorted_rows=100)
    assert await found() == newest_first


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


@pytest.mark.spec("QIDO-42")
async def test_far_beyond_the_first_results_a_page_may_repeat_some_but_never_leaves_one_out():
    archive = await archive_of(*({"PatientID": "P"} for _ in range(12)))
    archive.limits = SMALL
    await archive.delete("1.11")
    everything = await archive.studies("PatientID=P")

    for offset in range(11):
        found = await archive.studies(f"PatientID=P&offset={offset}&limit=200")
        assert found in (everything[offset:], everything[offset - 1 :])
    assert await archive.studies("PatientID=P&offset=12") == []


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
