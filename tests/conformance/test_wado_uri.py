"""WADO-URI over HTTP (PS3.18 §9, W-8)."""

import io

import pytest
import requests
from PIL import Image as Picture

from tests.builders.images import ELE, image, new_uid

pytestmark = pytest.mark.spec("URI-1", "W-8")


def ask(v2, one, **parameters):
    uids = one.identifier
    named = {
        "requestType": "WADO",
        "studyUID": uids.study_instance_uid,
        "seriesUID": uids.series_instance_uid,
        "objectUID": uids.sop_instance_uid,
    }
    return requests.get(f"{v2.base}/wado", params=named | parameters, timeout=60)


def test_a_file_and_pictures_of_it(v2):
    one = image(frames=2)
    v2.store(one)
    reply = ask(v2, one, contentType="application/dicom", transferSyntax="*")
    assert (reply.status_code, reply.content) == (200, one.data)
    assert reply.headers["Content-Type"] == f"application/dicom; transfer-syntax={ELE}"
    reply = ask(v2, one)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "image/jpeg")
    reply = ask(v2, one, contentType="image/png", frameNumber=2, rows=60, columns=80)
    picture = Picture.open(io.BytesIO(reply.content))
    assert (picture.format, picture.size) == ("PNG", (80, 60))


def test_what_is_missing_wrong_or_unknown(v2):
    one = image()
    v2.store(one)
    for parameters, status in (
        ({"requestType": ""}, 400),
        ({"studyUID": ""}, 400),
        ({"objectUID": "abc"}, 400),
        ({"anonymize": "yes"}, 400),
        ({"transferSyntax": "*"}, 400),
        ({"contentType": "text/html"}, 406),
        ({"objectUID": new_uid()}, 404),
        ({"seriesUID": new_uid(), "contentType": "application/dicom"}, 404),
        ({"frameNumber": 2}, 404),
    ):
        assert ask(v2, one, **parameters).status_code == status, parameters
