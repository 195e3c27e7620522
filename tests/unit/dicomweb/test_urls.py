import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicomweb.urls import Urls, base_url, forwarded_prefix
from shared.errors import InvalidRequest

INSTANCE = InstanceIdentifier("1.2", "1.2.3", "1.2.3.4")


@pytest.mark.spec("URL-10")
def test_urls_keep_the_version_segment_of_the_request():
    urls = Urls("https://pacs.example", "v1.0-prerelease", None)

    assert urls.study("1.2") == "https://pacs.example/v1.0-prerelease/studies/1.2"
    assert urls.series("1.2", "1.2.3") == "https://pacs.example/v1.0-prerelease/studies/1.2/series/1.2.3"


@pytest.mark.spec("URL-10")
def test_urls_name_the_partition_when_there_is_one():
    urls = Urls("https://pacs.example", "v2", "ward")

    assert urls.instance(INSTANCE) == (
        "https://pacs.example/v2/partitions/ward/studies/1.2/series/1.2.3/instances/1.2.3.4"
    )
    assert urls.frame(INSTANCE, 7) == urls.instance(INSTANCE) + "/frames/7"
    assert urls.bulk_data(INSTANCE, "00400260/1/00420011") == urls.instance(INSTANCE) + "/bulkdata/00400260/1/00420011"


@pytest.mark.spec("CON-8")
def test_padding_never_reaches_a_url():
    padded = InstanceIdentifier("1.2 ", "1.2.3\0", "1.2.3.4\0\0")

    assert Urls("http://h", "v2", None).instance(padded) == Urls("http://h", "v2", None).instance(INSTANCE)


@pytest.mark.spec("GEN-41")
def test_a_forwarded_prefix_stands_for_version_and_partition():
    assert Urls("https://h", "v2", "ward", "/imaging").study("1.2") == "https://h/imaging/studies/1.2"


@pytest.mark.spec("URL-10")
def test_the_base_is_the_scheme_and_host_of_the_request():
    assert base_url("http", "localhost:7071", "", None) == "http://localhost:7071"
    assert base_url("https", "[::1]:8443", "", None) == "https://[::1]:8443"


@pytest.mark.spec("GEN-40", "GEN-42")
def test_a_trusted_proxy_names_the_host():
    forwarded = ("https", "dicom.hospital.example, internal")

    assert base_url("http", "10.0.0.4", "", forwarded) == "https://dicom.hospital.example"
    assert base_url("http", "10.0.0.4", "https://configured", forwarded) == "https://dicom.hospital.example"


def test_the_configured_base_wins_over_the_request():
    assert base_url("http", "10.0.0.4", "https://dicom.example/base/", None) == "https://dicom.example/base"
    assert base_url("http", "10.0.0.4", "https://dicom.example", (None, None)) == "https://dicom.example"


@pytest.mark.parametrize("host", ["", "a b", "a/b", 'a"b', "a<b>", "a\r\nb", "a@b", "h:port"])
def test_a_host_that_cannot_stand_in_a_url_is_refused(host):
    with pytest.raises(InvalidRequest):
        base_url("https", host, "", None)


@pytest.mark.parametrize(
    ("value", "prefix"), [(None, None), ("", None), ("/a/b/", "/a/b"), ("/", ""), ("/a, /b", "/a")]
)
def test_a_forwarded_prefix_loses_its_trailing_slash(value, prefix):
    assert forwarded_prefix(value) == prefix


@pytest.mark.parametrize("value", ["a", "https://evil.example", '/a"b', "/a b"])
def test_a_forwarded_prefix_that_is_no_path_is_refused(value):
    with pytest.raises(InvalidRequest):
        forwarded_prefix(value)
