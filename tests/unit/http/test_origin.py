"""Who a request comes from, and under which name, by what is believed of its headers."""

import pytest

from shared.http.messages import Headers
from shared.http.origin import Origin, OriginRule
from tests.builders.http import settings

FORGED = (("Host", "dicom.example"), ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"))
AZURE = {"website_hostname": "app.azurewebsites.net"}


def origin(*headers: tuple[str, str], **fields: object) -> Origin:
    return OriginRule.of(settings(**fields)).origin("127.0.0.1", Headers(headers))


@pytest.mark.parametrize(
    "hostname", ["", "localhost:7071", "127.0.0.1:7071", "[::1]:7071", "0.0.0.0:7071", "pacs.local:7071", "localhost"]
)
def test_forwarding_headers_change_nothing_where_nobody_known_writes_them(hostname):
    found = origin(*FORGED, website_hostname=hostname)

    assert (found.client, found.scheme) == ("127.0.0.1", "http")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7:51234", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7:51234", "203.0.113.7"),
        ("6.6.6.6, [2001:db8::7]:51234", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("unknown", "127.0.0.1"),
        ("6.6.6.6, <script>", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_on_azure_the_entry_that_its_front_end_has_added_is_the_address(forwarded, client):
    assert origin(("X-Forwarded-For", forwarded), **AZURE).client == client


def test_a_second_header_of_the_same_name_is_read_as_one_list():
    assert origin(("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", "198.51.100.1"), **AZURE).client == (
        "198.51.100.1"
    )


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ({"trust_forwarded_headers": True}, "198.51.100.1"),
        ({"trust_forwarded_headers": True, **AZURE}, "203.0.113.7"),
    ],
)
def test_a_gateway_is_one_hop_more(fields, client):
    chain = ("X-Forwarded-For", "6.6.6.6, 203.0.113.7, 198.51.100.1")

    assert origin(chain, **fields).client == client


def test_who_goes_round_the_gateway_is_known_by_what_the_front_end_has_seen():
    assert origin(("X-Forwarded-For", "203.0.113.7"), trust_forwarded_headers=True, **AZURE).client == "203.0.113.7"


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ((), "https"),
        ((("X-Forwarded-Proto", "http"),), "http"),
        ((("X-Forwarded-Proto", "http, HTTPS"),), "https"),
        ((("X-Forwarded-Proto", "gopher"),), "https"),
    ],
)
def test_on_azure_the_scheme_is_https_unless_its_front_end_says_otherwise(headers, scheme):
    assert origin(*headers, **AZURE).scheme == scheme


@pytest.mark.spec("URL-14")
@pytest.mark.parametrize(
    ("hostname", "host", "expected"),
    [
        ("127.0.0.1:7071", "127.0.0.1", "127.0.0.1:7071"),
        ("127.0.0.1:7071", "[::1]", "[::1]:7071"),
        ("0.0.0.0:7071", "192.0.2.1", "192.0.2.1:7071"),
        ("127.0.0.1:7071", "dicom.example:8080", "dicom.example:8080"),
        ("127.0.0.1:80", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:443", "127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1", "127.0.0.1"),
        ("", "127.0.0.1", "127.0.0.1"),
        ("app.azurewebsites.net", "dicom.example", "dicom.example"),
        ("127.0.0.1:7071", "", ""),
    ],
)
def test_a_host_without_a_port_stands_for_the_port_that_it_was_sent_to(hostname, host, expected):
    assert origin(("Host", host), website_hostname=hostname).host == expected


@pytest.mark.parametrize("trusted", [False, True])
def test_the_configured_name_wins_over_what_a_request_says(trusted):
    found = origin(
        ("Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        public_base_url="https://dicom.example/base",
        trust_forwarded_headers=trusted,
    )

    assert (found.scheme, found.host) == ("https", "dicom.example")
