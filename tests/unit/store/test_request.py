from datetime import timedelta

import pytest

from shared.dicomweb.multipart import PartHeaders
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.http.messages import Headers, Request
from shared.store.request import Multipart, SingleFile, check_part_type, parse_store

V1, V2 = ApiVersion.V1, ApiVersion.V2
TIME = "msdicom-expiry-time-milliseconds"
OPTION = "msdicom-expiry-option"
LEVEL = "msdicom-expiry-level"


def request(content_type="application/dicom", *, method="POST", **headers):
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if content_type is not None:
        fields.append(("Content-Type", content_type))
    return Request(method, "https", "example.org", "/v2/studies", headers=Headers(fields))


@pytest.mark.spec("STOW-1", "STOW-2", "STOW-5", "D-8")
@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/dicom", SingleFile()),
        ("Application/DICOM", SingleFile()),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", SingleFile()),
        ("multipart/related; boundary=abc", Multipart(b"abc", None)),
        ('multipart/related; type="application/dicom"; boundary="a b"', Multipart(b"a b", "application/dicom")),
        ("multipart/related; type=application/dicom; boundary=abc", Multipart(b"abc", "application/dicom")),
    ],
)
def test_the_content_type_says_what_the_body_is(content_type, content):
    assert parse_store(request(content_type), V2).content == content


@pytest.mark.spec("STOW-1", "STOW-2", "ERR-2")
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/dicom+json",
        "multipart/form-data; boundary=abc",
        "multipart/mixed; boundary=abc",
        "multipart/related",
        "multipart/related; type=application/dicom",
        "multipart/related; boundary=",
        "nonsense",
        "",
    ],
)
def test_another_content_type_is_refused_with_the_command_that_stores_a_file(content_type):
    with pytest.raises(UnsupportedMedia) as caught:
        parse_store(request(content_type), V2)

    assert str(caught.value)
    assert "curl -X POST -H 'Content-Type: application/dicom' --data-binary @image.dcm" in caught.value.remedy


@pytest.mark.spec("STOW-1", "ERR-2")
@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/x-www-form-urlencoded", "A form is no store: curl sends this type for -d"),
        ("multipart/form-data; boundary=abc", "A form is no store: curl sends this type for -F"),
        ("application/octet-stream", "a DICOM file is application/dicom"),
        ("multipart/related; type=application/dicom", "has no boundary"),
        ("nonsense", "no media type"),
    ],
)
def test_a_slip_is_named(content_type, text):
    with pytest.raises(UnsupportedMedia, match=text):
        parse_store(request(content_type), V2)


@pytest.mark.spec("STOW-1", "W-11")
def test_a_missing_content_type_is_left_to_what_follows_the_accept_check():
    assert parse_store(request(None), V2).content is None


@pytest.mark.spec("STOW-2")
def test_a_start_parameter_is_not_supported():
    with pytest.raises(InvalidRequest):
        parse_store(request("multipart/related; boundary=abc; start=first"), V2)


@pytest.mark.spec("STOW-3", "STOW-4", "STOW-5", "D-8")
@pytest.mark.parametrize(
    ("value", "part_type", "first", "accepted"),
    [
        ("application/dicom", None, True, True),
        ("APPLICATION/dicom", None, False, True),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90", None, False, True),
        ("image/jpeg", "application/dicom", True, False),
        ("application/dicom+json", None, True, False),
        ("nonsense", "application/dicom", True, False),
        (None, "application/dicom", True, True),
        (None, "Application/Dicom", True, True),
        (None, None, True, False),
        (None, "image/jpeg", True, False),
        (None, "application/dicom", False, False),
    ],
)
def test_every_part_must_be_a_file(value, part_type, first, accepted):
    headers = PartHeaders(() if value is None else (("content-type", value),))
    content = Multipart(b"abc", part_type)

    if accepted:
        check_part_type(headers, content, first=first)
    else:
        with pytest.raises(UnsupportedMedia, match="application/dicom"):
            check_part_type(headers, content, first=first)


@pytest.mark.spec("PUT-1")
def test_put_replaces():
    assert parse_store(request(method="PUT"), V2).replace is True
    assert parse_store(request(), V2).replace is False


@pytest.mark.spec("EXP-1")
@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({}, None),
        ({TIME: "60000"}, timedelta(minutes=1)),
        ({TIME: " 1 ", OPTION: "RelativeToNow", LEVEL: "Study"}, timedelta(milliseconds=1)),
        ({TIME: "1", OPTION: "relativetonow", LEVEL: "study"}, timedelta(milliseconds=1)),
    ],
)
def test_expiry_is_a_lifetime(headers, after):
    assert parse_store(request(**headers), V2).lifetime == after


@pytest.mark.spec("EXP-2")
@pytest.mark.parametrize(
    "headers",
    [
        {TIME: "0"},
        {TIME: "-1"},
        {TIME: "1.5"},
        {TIME: "soon"},
        {TIME: ""},
        {TIME: "９"},
        {TIME: "9" * 15},
        {TIME: "9" * 18},
        {TIME: "9" * 5000},
        {TIME: "1", OPTION: "Absolute"},
        {TIME: "1", LEVEL: "Series"},
        {OPTION: "RelativeToNow"},
        {LEVEL: "Study"},
    ],
)
def test_a_bad_expiry_is_refused_in_v2_and_ignored_in_v1(headers):
    with pytest.raises(InvalidRequest):
        parse_store(request(**headers), V2)

    assert parse_store(request(**headers), V1).lifetime is None


@pytest.mark.spec("XMD-0", "B-6")
@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("name", ["msdicom-meta-LO-00091001", "MSDICOM-META-"])
def test_an_attribute_outside_the_files_is_refused_before_anything_is_read(name, method, version):
    with pytest.raises(InvalidRequest):
        parse_store(request(method=method, **{name: "Trial 7"}), version)


@pytest.mark.spec("EXP-2")
def test_two_expiry_times_are_refused():
    fields = [("Content-Type", "application/dicom"), (TIME, "1"), (TIME, "2")]
    twice = Request("POST", "https", "example.org", "/v2/studies", headers=Headers(fields))

    with pytest.raises(InvalidRequest):
        parse_store(twice, V2)
