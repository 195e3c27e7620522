"""What a request to export may say, and which containers it may name."""

import pytest

from shared.errors import InvalidRequest, Misconfigured
from shared.export.model import Access
from shared.export.request import new_export
from tests.builders.errors import said
from tests.unit.export.service import SIGNATURE, URI, ExportService, destination, rules, source

OWN = "https://own.blob.core.windows.net"
FAKE = "http://127.0.0.1:10000/devstoreaccount1"


def refusal(document, **changed):
    with pytest.raises(InvalidRequest) as refused:
        new_export(document, rules(**changed))
    return str(refused.value)


def to(uri, **settings):
    return {"destination": destination(blobContainerUri=uri, **settings)}


# --------------------------------------------------------------------------------------------------- shape of a request


@pytest.mark.spec("XPT-2", "XPT-3", "XPT-5", "AERR-3")
@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "syntax"),
        ({}, "'destination'"),
        ({"source": source("1.2")}, "'destination'"),
        ({"destination": {}}, "'destination.type'"),
        ({"destination": {"type": "file", "settings": {}}}, "'destination.type'"),
        ({"destination": {"type": "azureBlob"}}, "'destination.settings'"),
        ({"destination": "x"}, "'destination'"),
        ({"destination": {"type": "azureBlob", "settings": {}}}, "It needs blobContainerUri"),
        ({"destination": destination(connectionString="a=b")}, "It needs blobContainerUri"),
        ({"destination": destination(blobContainerName="cohort")}, "It needs blobContainerUri"),
        ({"destination": destination(blobContainerUri=7)}, "'destination.settings.blobContainerUri'"),
        ({"destination": destination(blobContainerUri=URI, useManagedIdentity="yes")}, "useManagedIdentity"),
        ({"source": {}, "destination": destination()}, "'source.type'"),
        ({"source": {"type": "query", "settings": {}}, "destination": destination()}, "'source.type'"),
        ({"source": {"type": "identifiers"}, "destination": destination()}, "'source.settings'"),
        ({"source": source(), "destination": destination()}, "values"),
        ({"source": {"type": "identifiers", "settings": {}}, "destination": destination()}, "values"),
        ({"source": {"type": "identifiers", "settings": {"values": "1.2"}}, "destination": destination()}, "values"),
    ],
)
def test_what_a_request_lacks_or_mistakes_is_said_with_its_place(document, text):
    assert text in refusal(document)


@pytest.mark.parametrize(
    "document",
    [
        {"destination": destination(), "deidentifi": {"profile": "basic"}},
        {"destination": destination(blobContainerUri=URI, useManagedIdentity=True, prefix="x")},
        {"source": {**source("1.2"), "more": 1}, "destination": destination()},
        {"destination": destination(), "Destination": destination()},
    ],
)
def test_a_member_that_is_misspelt_is_never_taken_for_none(document):
    assert "member" in refusal(document)


@pytest.mark.spec("XPT-4", "GEN-20")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "..",
        "../1.2",
        "1.2/..",
        "1.2/../3.4",
        "1.2\\3.4",
        "1.2/3.4%2F5",
        "1.2/",
        "/1.2",
        "1.2/3.4/5.6/7.8",
        "1.2//3.4",
        "1." * 33,
        12,
        None,
    ],
)
def test_an_identifier_is_one_to_three_uids(value):
    told = refusal({"source": source("1.2", value), "destination": destination()})

    assert told == f"The string '{value}' was not recognized as a valid DICOM identifier."


@pytest.mark.spec("GEN-11")
def test_names_and_types_are_read_in_any_case():
    found = new_export(
        {
            "SOURCE": {"Type": "Identifiers", "Settings": {"VALUES": ["1.2", "1.2/3.4/5.6"]}},
            "Destination": {"type": "AZUREBLOB", "settings": {"BlobContainerURI": URI, "usemanagedidentity": True}},
        },
        rules(),
    )

    assert found.identifiers == ["1.2", "1.2/3.4/5.6"]
    assert (found.destination.url, found.destination.access) == (URI, Access.IDENTITY)


@pytest.mark.spec("XPT-14")
@pytest.mark.parametrize("document", [{"destination": destination()}, {"source": None, "destination": destination()}])
def test_without_a_source_the_whole_partition_is_meant(document):
    assert new_export(document, rules()).identifiers is None


@pytest.mark.spec("AERR-2")
async def test_a_body_that_is_no_json_and_one_that_is_too_large():
    service = ExportService()
    for body, status in ((b"{", 400), (b" " * (16 * 1024**2 + 1), 413)):
        response = await service.ask(body)
        assert response.status == status
        said(response.status, {name.lower(): value for name, value in response.headers}, response.body)


# ---------------------------------------------------------------------------------------------------------- credentials


@pytest.mark.spec("XPT-6", "XPT-7", "XPT-8", "XPT-9", "XPT-10", "XPT-11", "XPT-12")
@pytest.mark.parametrize(
    ("settings", "changed", "text"),
    [
        ({"blobContainerUri": URI, "connectionString": "a=b"}, {}, "blobContainerUri excludes"),
        ({"blobContainerUri": URI, "blobContainerName": "cohort"}, {}, "blobContainerUri excludes"),
        (
            {"connectionString": "AccountName=research;AccountKey=a2V5", "blobContainerName": "cohort"},
            {},
            "Account key authentication is not supported.",
        ),
        (
            {"blobContainerUri": f"{URI}?{SIGNATURE}"},
            {"signatures": False},
            "Shared Access Signatures (SAS) are not supported.",
        ),
        ({"blobContainerUri": URI}, {}, "Containers without credentials are not supported."),
        ({"blobContainerUri": f"{URI}?{SIGNATURE}", "useManagedIdentity": True}, {}, "managed identity"),
        (
            {"connectionString": f"x=1;SharedAccessSignature={SIGNATURE}", "blobContainerName": "cohort"}
            | {"useManagedIdentity": True},
            {},
            "managed identity",
        ),
        (
            {"blobContainerUri": URI, "useManagedIdentity": True},
            {"identity": False},
            "No identity has been configured.",
        ),
        ({"blobContainerUri": f"{URI}?{SIGNATURE}"}, {"secrets": False}, "secret store"),
        ({"blobContainerUri": f"{FAKE}/cohort", "useManagedIdentity": True}, {"listed": [FAKE]}, "https"),
    ],
)
def test_credentials_that_are_refused(settings, changed, text):
    told = refusal({"destination": destination(**settings)}, **changed)

    assert text in told
    assert "abc" not in told


@pytest.mark.spec("XPT-5")
@pytest.mark.parametrize(
    ("settings", "url", "access", "signature"),
    [
        ({"blobContainerUri": URI, "useManagedIdentity": True}, URI, Access.IDENTITY, ""),
        ({"blobContainerUri": f"{URI}/?{SIGNATURE}"}, URI, Access.SIGNATURE, SIGNATURE),
        ({"blobContainerUri": URI}, URI, Access.NONE, ""),
        (
            {
                "connectionString": f"BlobEndpoint={URI[:-7]}/;SharedAccessSignature=?{SIGNATURE}",
                "blobContainerName": "cohort",
            },
            URI,
            Access.SIGNATURE,
            SIGNATURE,
        ),
        (
            {
                "connectionString": f"accountname=research;SharedAccessSignature={SIGNATURE};",
                "blobContainerName": "cohort",
            },
            URI,
            Access.SIGNATURE,
            SIGNATURE,
        ),
        (
            {"connectionString": "UseDevelopmentStorage=true", "blobContainerName": "cohort"},
            f"{FAKE}/cohort",
            Access.EMULATOR,
            "",
        ),
        (
            {"connectionString": "AccountName=devstoreaccount1;AccountKey=a2V5", "blobContainerName": "cohort"},
            f"{FAKE}/cohort",
            Access.EMULATOR,
            "",
        ),
    ],
)
def test_a_destination_as_it_can_be_named(settings, url, access, signature):
    allowed = rules(listed=["https://*.blob.core.windows.net", FAKE], public=True)
    found = new_export({"destination": destination(**settings)}, allowed).destination

    assert (found.url, found.access, found.signature) == (url, access, signature)
    assert "abc" not in repr(found)


# --------------------------------------------------------------------------------------------- what may be connected to


@pytest.mark.spec("XPT-31")
@pytest.mark.parametrize(
    "uri",
    [
        "https://research.blob.core.windows.net",
        "https://research.blob.core.windows.net/a",
        "https://research.blob.core.windows.net/cohort/more",
        "https://research.blob.core.windows.net/Cohort",
        "https://research.blob.core.windows.net/%63ohort",
        "https://research.blob.core.windows.net/../cohort",
        "https://research.blob.core.windows.net/cohort#x",
        "https://research.blob.core.windows.net:99999/cohort",
        "https://research.blob.core.windows.net@evil.example/cohort",
        "https://user:word@research.blob.core.windows.net/cohort",
        "https://evil.example\\@research.blob.core.windows.net/cohort",
        "https://research.blob.core.windows.net./cohort",
        "https://reséarch.blob.core.windows.net/cohort",
        "https://research.blob.core.windows.net/co hort",
        "file:///etc/passwd",
        "ftp://research.blob.core.windows.net/cohort",
        "https:///cohort",
        "//research.blob.core.windows.net/cohort",
        "research",
        "https://[::1/cohort",
    ],
)
def test_what_is_no_container_is_refused(uri):
    assert "must be the URL of a blob container" in refusal(to(uri, useManagedIdentity=True))


@pytest.mark.spec("XPT-31")
@pytest.mark.parametrize(
    "uri",
    [
        "http://research.blob.core.windows.net/cohort?" + SIGNATURE,
        "https://research.blob.core.windows.net:8443/cohort",
        "https://a.research.blob.core.windows.net/cohort",
        "https://blob.core.windows.net/cohort",
        "https://research.blob.core.windows.net.evil.example/cohort",
        "https://169.254.169.254/metadata/cohort",
        "https://localhost/account/cohort",
        "https://[::1]/account/cohort",
        "https://xn--rsearch-cya.blob.core.windows.net.evil/cohort",
        f"{OWN}/other",
        f"{OWN}/dicom",
    ],
)
def test_a_container_that_is_not_listed_is_refused(uri):
    settings = {} if "?" in uri else {"useManagedIdentity": True}
    assert "is not among the destinations" in refusal(to(uri, **settings))


@pytest.mark.spec("XPT-31")
@pytest.mark.parametrize(
    ("listed", "uri", "allowed"),
    [
        ([], URI, False),
        ([URI], URI, True),
        ([URI], URI.replace("cohort", "cohort2"), False),
        (["https://research.blob.core.windows.net"], URI, True),
        (["https://RESEARCH.blob.core.windows.net:443/"], URI.replace("research", "Research"), True),
        (["https://other.blob.core.windows.net", URI], URI, True),
        ([f"{OWN}/exports"], f"{OWN}/exports", True),
        ([OWN], f"{OWN}/exports", False),
        ([f"{OWN}/dicom"], f"{OWN}/dicom", False),
        (["https://192.0.2.7:10000/account"], "https://192.0.2.7:10000/account/cohort", True),
        (["https://192.0.2.7:10000/account"], "https://192.0.2.7:10000/other/cohort", False),
        (["https://[2001:db8::1]/account"], "https://[2001:db8::1]/account/cohort", True),
        (["https://azurite:10000/account"], "https://azurite:10000/account/cohort", True),
    ],
)
def test_what_is_listed_may_be_written_and_nothing_else(listed, uri, allowed):
    document = to(uri, useManagedIdentity=True)
    if allowed:
        assert new_export(document, rules(listed=listed)).destination.url == uri.replace("Research", "research")
    else:
        assert "EXPORT_DESTINATIONS" not in refusal(document, listed=listed)


@pytest.mark.spec("XPT-31")
@pytest.mark.parametrize(
    "query", ["restype=container&comp=list", f"{SIGNATURE}&comp=acl", "sig=a&sig=b", "sv=1", "sig=a b"]
)
def test_a_query_that_is_no_signature_is_refused(query):
    told = refusal(to(f"{URI}?{query}"))

    assert "no shared access signature" in told or "must be the URL" in told


@pytest.mark.spec("XPT-31")
@pytest.mark.parametrize(
    "listed", ["research", "https://*", "https://*.*.net", "ftp://a.b", "https://a.b/c?d", "https://a/b c"]
)
def test_a_list_of_something_else_keeps_the_service_from_starting(listed):
    with pytest.raises(Misconfigured, match="EXPORT_DESTINATIONS"):
        rules(listed=[listed])
