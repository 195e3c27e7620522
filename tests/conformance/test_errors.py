"""Errors as clients of a running service see them (dicomweb §4.1)."""

import pytest
import requests

from tests.builders.errors import said
from tests.builders.images import image
from tests.conformance.exchange import DICOM, JSON, refusal

UID = "1.2.826.0.1.3680043.8.498.404"
ABSENT = f"studies/{UID}/series/{UID}/instances/{UID}"
SECRET = "Confidential"

# Method, path, status, what the message or the advice holds.
REFUSED = [
    ("GET", "studies?limit=0", 400, "between 1 and 200"),
    ("GET", f"studies?PatientNam={SECRET}", 400, "Did you mean PatientName?"),
    ("GET", f"studies?StudyDate={SECRET}", 400, "YYYYMMDD"),
    ("GET", f"studies?PatientID={SECRET}%3Cb%3E", 400, "query string"),
    ("GET", f"studies/{SECRET}", 400, "1.2.840.1"),
    ("GET", f"{ABSENT}/frames/{SECRET}", 400, "frames/1,2,3"),
    ("GET", f"{ABSENT}/frames/0", 400, "start at 1"),
    ("GET", f"{ABSENT}/rendered?quality={SECRET}", 400, "1 to 100"),
    ("GET", f"wado?requestType={SECRET}", 400, "WADO"),
    ("GET", "changefeed?limit=x", 400, "Limit"),
    ("GET", f"operations/{SECRET}", 400, "GUID"),
    ("GET", "partitions/ward/studies", 400, "Data partitions"),
    ("GET", f"studies/{UID}", 404, "Search"),
    ("GET", f"{ABSENT}/metadata", 404, "Search"),
    ("DELETE", ABSENT, 404, "Search"),
    ("GET", "study", 404, "Did you mean /v2/studies?"),
    ("GET", "patients", 404, "/v2/studies?PatientID="),
    ("GET", f"{SECRET}", 404, "/v2/api.yaml"),
    ("DELETE", "studies", 405, "GET, HEAD, POST, PUT"),
    ("PATCH", f"studies/{UID}", 405, "DELETE, GET, HEAD, POST, PUT"),
    ("PROPFIND", "studies", 405, "GET, HEAD, POST, PUT"),
    ("POST", "workitems", 415, "application/dicom+json"),
    ("GET", f"workitems/{SECRET}", 400, "1.2.840.1"),
    ("GET", "color-palettes", 501, "non-patient"),
    ("POST", f"studies/{UID}/export", 404, "/v2/api.yaml"),
]


@pytest.mark.spec("ERR-1", "ERR-2", "URL-11", "URL-16", "QIDO-11")
@pytest.mark.parametrize("refused", REFUSED, ids=lambda each: f"{each[0]} {each[1]}"[:40])
@pytest.mark.parametrize("accept", ["*/*", "*/*, application/problem+json"], ids=["text", "problem"])
def test_a_refusal_says_what_where_and_what_to_do(v2, refused, accept):
    method, path, status, text = refused
    reply = v2.send(method, path, accept)

    assert reply.status_code == status
    assert refusal(reply)
    assert text in reply.text
    assert SECRET not in reply.text


@pytest.mark.spec("ERR-2", "STOW-1")
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "multipart/related",
        "application/octet-stream",
        "nonsense",
    ],
)
def test_a_store_of_another_type_shows_the_command(v2, content_type):
    headers = {} if content_type is None else {"Content_Type": content_type}
    reply = v2.send("POST", "studies", body=b"--b--", **headers)

    assert (reply.status_code, bool(refusal(reply))) == (415, True)
    assert "curl -X POST -H 'Content-Type: application/dicom' --data-binary @image.dcm" in reply.text


@pytest.mark.spec("ERR-2", "WADO-7")
@pytest.mark.parametrize("what", ["", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata"])
def test_a_406_names_what_can_be_had(v2, what):
    one = image()
    v2.store(one)

    reply = v2.get(f"{one.path}{what}", "text/html")

    assert (reply.status_code, bool(refusal(reply))) == (406, True)
    assert "Accept */* or one of: " in reply.text


@pytest.mark.spec("URL-1", "URL-3")
@pytest.mark.parametrize(
    ("path", "status", "text"),
    [("/", 404, "/v2/studies"), ("/studies", 404, "/v2/studies"), ("/docs", 404, "/v2/studies"), ("/v9/x", 400, "/v2")],
)
def test_a_path_without_a_version_says_where_versions_stand(v2, path, status, text):
    reply = requests.get(v2.base.removesuffix("/v2") + path, timeout=60)

    assert (reply.status_code, bool(refusal(reply))) == (status, True)
    assert text in reply.text


@pytest.mark.spec("URL-13")
def test_empty_segments_of_a_path_do_not_count(v2):
    one = image()
    root = v2.base.removesuffix("/v2")
    for target in ("/v2//studies", "//v2/studies", "/v2/studies//"):
        body = requests.post(root + target, one.data, headers={"Content-Type": DICOM}, timeout=60)
        assert body.status_code in {200, 409}, target
    for target in ("/v2//studies", f"/v2//{one.path}/metadata", f"/v2/{one.path.replace('/', '//')}//metadata/"):
        reply = requests.get(root + target, headers={"Accept": JSON}, timeout=60)
        assert reply.status_code == 200, target
        assert "//" not in reply.text.replace("://", ""), target


@pytest.mark.spec("ERR-1", "HDR-4")
def test_the_request_id_of_the_client_is_in_the_body(v2):
    reply = v2.send("GET", f"studies/{UID}", X_Request_Id="mine-1")

    assert said(404, {name.lower(): value for name, value in reply.headers.items()}, reply.content)
    assert reply.text.endswith("Request id: mine-1\n")
