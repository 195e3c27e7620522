"""The names in the results of an update, a move or its undoing: they are one document, whatever has been changed."""

import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema.blob_names import blob_name, new_upload_id
from shared.ingest.store_options import UpdatedFile
from shared.study_updates.moved_instances import joined, uid_map
from shared.study_updates.task import Progress


def instances(count: int) -> list[InstanceIdentifier]:
    return [InstanceIdentifier("1.2", "1.2.3", f"1.2.3.{number}") for number in range(count)]


@pytest.mark.spec("UPD-31")
@pytest.mark.parametrize(("count", "lines"), [(0, 1), (1, 2), (5, 6), (6, 7), (100, 7)])
def test_of_a_study_that_failed_five_instances_are_named_and_whether_there_are_more(count: int, lines: int) -> None:
    progress = Progress()
    progress.fail("1.2", {f"1.2.3.{number}": "no" for number in range(count)})
    progress.fail("1.3", {})
    errors = progress.results()["errors"]
    assert len(errors) == lines + 1
    assert (errors[0], errors[-1]) == ("Failed to update study 1.2.", "Failed to update study 1.3.")
    assert (errors[-2] == "More instances of study 1.2 could not be updated.") is (count > 5)


@pytest.mark.spec("MRG-9")
def test_five_hundred_instances_that_did_not_go_back_are_named_and_all_are_counted() -> None:
    progress = Progress()
    for part in (instances(300), instances(300), instances(2)):
        progress.leave(part)
    results = Progress.of(progress.checkpoint()).results()
    assert results["instanceNotReverted"] == 602
    assert len(results["notReverted"]) == 500
    assert results["notReverted"][0] == {
        "studyInstanceUid": "1.2",
        "seriesInstanceUid": "1.2.3",
        "sopInstanceUid": "1.2.3.0",
    }
    assert "errors" not in results


@pytest.mark.spec("MRG-3")
def test_a_thousand_instances_that_moved_are_named_and_every_series() -> None:
    made = {}
    for number, old in enumerate(instances(1001)):
        new = InstanceIdentifier("2.1", "2.25.3", f"2.25.{number + 4}")
        made[blob_name("0", new, new_upload_id(number))] = UpdatedFile("operation", "source", moved_from=joined(old))
    told = uid_map(made)
    assert told["seriesInstanceUids"] == {"1.2.3": "2.25.3"}
    assert len(told["sopInstanceUids"]) == 1000
    assert all(int(new.split(".")[2]) == int(old.split(".")[3]) + 4 for old, new in told["sopInstanceUids"].items())
