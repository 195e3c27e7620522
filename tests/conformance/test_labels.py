"""Labels of studies over HTTP (exchange §5)."""

import json

import pytest

from tests.builders.images import image
from tests.conformance.exchange import Exchange, refusal
from tests.conformance.searching import Patient, studies


def change(exchange, one, **members):
    path = f"studies/{one.identifier.study_instance_uid}/labels"
    return exchange.send("PATCH", path, body=json.dumps(members).encode(), Content_Type="application/json")


def labels(exchange, one):
    return exchange.get(f"studies/{one.identifier.study_instance_uid}/labels")


@pytest.mark.spec("SEL-1", "SEL-2")
def test_labels_are_added_removed_and_read(v2):
    one = image(frames=0)
    v2.store(one)

    added = change(v2, one, add=["Tumour Board", " to read "])
    removed = change(v2, one, add=["TUMOUR BOARD"], remove=["to read", "no such label"])

    assert (added.status_code, added.json()) == (200, {"labels": ["Tumour Board", "to read"]})
    assert (removed.status_code, removed.json()) == (200, {"labels": ["Tumour Board"]})
    assert labels(v2, one).json() == {"labels": ["Tumour Board"]}


@pytest.mark.spec("SEL-2")
def test_what_is_no_label_is_refused_and_changes_nothing(v2):
    one = image(frames=0)
    v2.store(one)
    change(v2, one, add=["a"])

    for members in ({"add": ["b", "<c>"]}, {"add": ["x" * 65]}, {"add": [f"n{at}" for at in range(50)]}, {"set": []}):
        reply = change(v2, one, **members)
        assert reply.status_code == 400, members
        assert "<c>" not in refusal(reply)

    assert labels(v2, one).json() == {"labels": ["a"]}


@pytest.mark.spec("SEL-3")
def test_labels_are_searched_and_listed(v2):
    patient = Patient()
    one, other = patient.image(), patient.image()
    v2.store(one)
    v2.store(other)
    word = patient.word
    change(v2, one, add=[f"{word} Board", f"{word} read"])
    change(v2, other, add=[f"{word} board"])

    both = {one.identifier.study_instance_uid, other.identifier.study_instance_uid}
    assert studies(v2, f"Label={word} BOARD") == both
    assert studies(v2, f"Label=none,{word} r*&PatientID={patient.id}") == {one.identifier.study_instance_uid}
    assert studies(v2, f"Label={word} none") == set()
    listed = v2.get(f"labels?StudyInstanceUID={one.identifier.study_instance_uid},1.2.3").json()
    assert listed == [
        {"studyInstanceUid": one.identifier.study_instance_uid, "labels": [f"{word} Board", f"{word} read"]}
    ]
    used = {each["label"].lower(): each["studies"] for each in v2.get("labels").json()}
    assert (used[f"{word} board"], used[f"{word} read"]) == (2, 1)


@pytest.mark.spec("SEL-1", "SEL-4")
def test_a_study_that_is_deleted_has_no_labels(v2):
    one = image(frames=0)
    v2.store(one)
    change(v2, one, add=["a"])

    v2.send("DELETE", f"studies/{one.identifier.study_instance_uid}")

    assert labels(v2, one).status_code == 404
    assert change(v2, one, add=["b"]).status_code == 404
    v2.store(one)
    assert labels(v2, one).json() == {"labels": []}


@pytest.mark.spec("SEL-1", "SHR-3")
def test_whoever_has_a_share_has_no_labels(service, v2):
    one = image(frames=0)
    v2.store(one)
    change(v2, one, add=["a"])
    body = json.dumps({"studies": [one.identifier.study_instance_uid], "expiresIn": "PT1H"}).encode()
    token = v2.send("POST", "shares", body=body, Content_Type="application/json").json()["token"]
    stranger = Exchange(service.url, "v2", {"Authorization": f"Bearer {token}"})

    assert labels(stranger, one).status_code == 404
    assert stranger.get("labels").status_code == 404
    assert stranger.get("studies?Label=a").status_code == 400


@pytest.mark.spec("SEL-1")
def test_the_first_version_has_no_labels(service, v2):
    one = image(frames=0)
    v2.store(one)
    v1 = Exchange(service.url, "v1")

    assert labels(v1, one).status_code == 405
    assert v1.get("studies?Label=a").status_code == 400
