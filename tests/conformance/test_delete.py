"""Deleting studies, series and instances over HTTP (dicomweb §9)."""

import pytest
import requests

from tests.builders.images import image, multipart, new_uid
from tests.conformance.exchange import JSON, parts

AS_STORED = "application/dicom; transfer-syntax=*"


def found(exchange, path):
    reply = exchange.get(path, JSON)
    return len(reply.json()) if reply.status_code == 200 else 0


@pytest.mark.spec("DEL-1", "DEL-2", "DEL-3", "DEL-6")
@pytest.mark.parametrize("accept", [None, "*/*", "image/png"])
def test_a_deleted_instance_is_gone_at_once_and_only_once(v2, accept):
    study, series = new_uid(), new_uid()
    one, other = image(study, series), image(study, series)
    v2.store(one, other)

    reply = v2.send("DELETE", one.path, accept)

    assert (reply.status_code, reply.content) == (204, b"")
    assert v2.get(one.path).status_code == 404
    assert v2.get(f"{one.path}/metadata", JSON).status_code == 404
    assert v2.get(f"{one.path}/frames/1").status_code == 404
    assert found(v2, f"instances?SOPInstanceUID={one.identifier.sop_instance_uid}") == 0
    assert found(v2, f"studies/{study}/series/{series}/instances") == 1
    assert v2.get(other.path, AS_STORED).content == other.data
    assert v2.send("DELETE", one.path, accept).status_code == 404


@pytest.mark.spec("DEL-2", "DEL-6", "DEL-7")
def test_a_deleted_series_leaves_the_rest_of_its_study(v2):
    study, series = new_uid(), new_uid()
    mine, other = [image(study, series) for _ in range(3)], image(study)
    v2.store(*mine, other)

    assert v2.send("DELETE", f"studies/{study}/series/{series}").status_code == 204

    assert v2.get(f"studies/{study}/series/{series}").status_code == 404
    assert all(v2.get(one.path).status_code == 404 for one in mine)
    assert found(v2, f"studies/{study}/series") == 1
    assert [part.body for part in parts(v2.get(f"studies/{study}"))] == [other.data]
    assert v2.send("DELETE", f"studies/{study}/series/{series}").status_code == 404


@pytest.mark.spec("DEL-2", "DEL-3", "DEL-6", "DEL-7", "DEL-13")
def test_a_deleted_study_is_gone_with_all_its_series(v2):
    study = new_uid()
    images = [image(study) for _ in range(4)]
    v2.store(*images)

    assert v2.send("DELETE", f"studies/{study}").status_code == 204

    assert v2.get(f"studies/{study}").status_code == 404
    assert v2.get(f"studies/{study}/metadata", JSON).status_code == 404
    assert all(v2.get(one.path).status_code == 404 for one in images)
    assert found(v2, f"studies?StudyInstanceUID={study}") == 0
    assert found(v2, f"studies/{study}/series") == 0
    assert found(v2, f"studies/{study}/instances") == 0
    assert v2.send("DELETE", f"studies/{study}").status_code == 404


@pytest.mark.spec("DEL-13", "DEL-6")
def test_a_study_larger_than_one_transaction_goes_whole(v2):
    study, series = new_uid(), new_uid()
    v2.store(*[image(study, series, frames=0) for _ in range(130)])
    assert v2.send("DELETE", f"studies/{study}").status_code == 204
    assert v2.get(f"studies/{study}").status_code == 404
    assert found(v2, f"studies/{study}/instances") == 0


@pytest.mark.spec("DEL-7")
def test_the_last_instance_takes_its_series_and_study_with_it(v2):
    one = image()
    study = one.identifier.study_instance_uid
    v2.store(one)
    assert v2.send("DELETE", one.path).status_code == 204
    assert found(v2, f"studies?StudyInstanceUID={study}") == 0
    assert found(v2, f"studies/{study}/series") == 0


@pytest.mark.spec("DEL-3", "WADO-31")
def test_nothing_is_deleted_under_the_wrong_parent(v2):
    one, other = image(), image()
    v2.store(one, other)
    mine, theirs = one.identifier, other.identifier
    for path in (
        f"studies/{new_uid()}",
        f"studies/{mine.study_instance_uid}/series/{theirs.series_instance_uid}",
        one.path.replace(mine.study_instance_uid, theirs.study_instance_uid),
        one.path.replace(mine.series_instance_uid, theirs.series_instance_uid),
        one.path.replace(mine.sop_instance_uid, theirs.sop_instance_uid),
    ):
        assert v2.send("DELETE", path).status_code == 404
    assert v2.get(one.path, AS_STORED).content == one.data
    assert v2.get(other.path, AS_STORED).content == other.data


@pytest.mark.spec("DEL-4", "UID-1", "UID-3")
def test_an_invalid_uid_is_refused(v2):
    for bad in ("abc", "1-2", "1.", "1" * 65):
        assert v2.send("DELETE", f"studies/{bad}").status_code == 400
        assert v2.send("DELETE", f"studies/1/series/{bad}").status_code == 400
        assert v2.send("DELETE", f"studies/1/series/1/instances/{bad}").status_code == 400


@pytest.mark.spec("DEL-5", "DEL-12", "META-8", "S-7")
def test_what_was_deleted_can_be_stored_again_at_once(v2):
    one = image()
    v2.store(one)
    body, content_type = multipart([one.data])
    refused = requests.post(f"{v2.base}/studies", data=body, headers={"Content-Type": content_type}, timeout=60)
    assert refused.status_code == 409
    before = v2.get(f"{one.path}/metadata", JSON).headers["ETag"]
    assert v2.send("DELETE", one.path).status_code == 204
    v2.store(one)
    after = v2.get(f"{one.path}/metadata", JSON).headers["ETag"]
    assert v2.get(one.path, AS_STORED).content == one.data
    assert int(after.removeprefix("W/").strip('"')) > int(before.removeprefix("W/").strip('"'))


@pytest.mark.spec("DEL-14", "URL-11")
def test_all_studies_cannot_be_deleted(v2):
    reply = v2.send("DELETE", "studies")
    assert reply.status_code == 405
    assert "POST" in reply.headers["Allow"]
