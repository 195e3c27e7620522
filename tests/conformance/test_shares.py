"""Shares over HTTP: a stranger with a link, and the same stranger without it."""

import json

import pytest

from tests.builders.images import image
from tests.conformance.exchange import Exchange, refusal

FILE = "application/dicom; transfer-syntax=*"


@pytest.fixture
def study(v2):
    """A study of two series."""
    one = image()
    other = image(one.identifier.study_instance_uid)
    v2.store(one, other)
    return one, other


def share(v2, body):
    return v2.send("POST", "shares", body=json.dumps(body).encode(), Content_Type="application/json")


def opened(service, reply):
    """A client that has nothing but the token of a share."""
    return Exchange(service.url, "v2", {"Authorization": f"Bearer {reply.json()['token']}"})


@pytest.mark.spec("SHR-1", "SHR-2", "SHR-3")
def test_a_stranger_sees_the_shared_study_and_nothing_else(service, v2, study):
    one, _ = study
    foreign = image()
    v2.store(foreign)
    made = share(v2, {"studies": [one.identifier.study_instance_uid], "expiresIn": "PT1H"})
    assert made.status_code == 201, made.text
    stranger = opened(service, made)

    [found] = stranger.get("studies").json()

    assert found["0020000D"]["Value"] == [one.identifier.study_instance_uid]
    assert stranger.get(one.path, FILE).content == one.data
    assert stranger.get(f"{one.path}/rendered", "image/jpeg").status_code == 200
    assert stranger.get(f"studies/{one.identifier.study_instance_uid}", "application/zip").content[:2] == b"PK"
    assert stranger.get(foreign.path, FILE).status_code == 404
    assert stranger.get("changefeed").status_code == 404
    assert stranger.send("DELETE", f"studies/{one.identifier.study_instance_uid}").status_code == 404
    assert v2.get(one.path, FILE).status_code == 200


@pytest.mark.spec("SHR-2")
def test_a_share_of_series_has_no_other_series(service, v2, study):
    one, other = study
    members = {"studies": [one.identifier.study_instance_uid], "series": [one.identifier.series_instance_uid]}
    stranger = opened(service, share(v2, {**members, "expiresIn": "PT1H"}))

    [series] = stranger.get("series").json()

    assert series["0020000E"]["Value"] == [one.identifier.series_instance_uid]
    assert stranger.get(f"{other.path}/metadata").status_code == 404
    assert len(stranger.get(f"studies/{one.identifier.study_instance_uid}/metadata").json()) == 1


@pytest.mark.spec("SHR-4")
def test_a_revoked_share_is_over_with_the_next_request(service, v2, study):
    one, _ = study
    made = share(v2, {"studies": [one.identifier.study_instance_uid], "expiresIn": "P1D"})
    stranger = opened(service, made)
    assert stranger.get("studies").status_code == 200

    assert v2.send("DELETE", f"shares/{made.json()['id']}").status_code == 204

    assert stranger.get("studies").status_code == 401
    assert stranger.get(one.path, FILE).status_code == 401
    assert made.json()["id"] not in {each["id"] for each in v2.get("shares").json()}


@pytest.mark.spec("SHR-1")
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"studies": ["1.2.3.4.5.6.7.8"], "expiresIn": "P1D"}, 404, "does not exist"),
        ({"studies": ["1.2.3"]}, 400, "expiresIn"),
        ({"studies": ["1.2.3"], "expiresIn": "P1Y"}, 400, "expiresIn"),
        ({"partition": True, "expiresIn": "P1D", "reader": "x"}, 400, "not known"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(v2, body, status, words):
    reply = share(v2, body)

    assert reply.status_code == status
    assert words in refusal(reply)
