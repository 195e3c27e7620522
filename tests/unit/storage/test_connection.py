import logging

import pytest

from shared.errors import Misconfigured
from shared.storage.connection import SharedKey, StorageConnection, quiet_sdk_logs

KEY = "c2VjcmV0"


def test_the_short_form_of_the_emulator_is_understood() -> None:
    connection = StorageConnection.from_connection_string("UseDevelopmentStorage=true")
    assert connection.blob_endpoint == "http://127.0.0.1:10000/devstoreaccount1"
    assert connection.queue_endpoint == "http://127.0.0.1:10001/devstoreaccount1"
    assert connection.table_endpoint == "http://127.0.0.1:10002/devstoreaccount1"
    elsewhere = StorageConnection.from_connection_string(
        "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite/;"
    )
    assert elsewhere.table_endpoint == "http://azurite:10002/devstoreaccount1"


def test_endpoints_follow_from_the_account() -> None:
    connection = StorageConnection.from_connection_string(f"AccountName=acc;AccountKey={KEY}==")
    assert connection.blob_endpoint == "https://acc.blob.core.windows.net"
    assert connection.table_endpoint == "https://acc.table.core.windows.net"
    assert connection.queue_endpoint == "https://acc.queue.core.windows.net"
    assert connection.credential == SharedKey("acc", KEY + "==")


def test_endpoints_may_be_given_in_any_case_and_order() -> None:
    connection = StorageConnection.from_connection_string(
        f" accountkey={KEY} ; BLOBENDPOINT=http://localhost:1/devstoreaccount1/ ;AccountName=devstoreaccount1;"
        "DefaultEndpointsProtocol=http;EndpointSuffix=core.chinacloudapi.cn"
    )
    assert connection.blob_endpoint == "http://localhost:1/devstoreaccount1"
    assert connection.table_endpoint == "http://devstoreaccount1.table.core.chinacloudapi.cn"


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"AccountKey={KEY}",
        "AccountName=acc",
        f"AccountName=acc;AccountKey={KEY};BlobEndpoint=file:///x",
        "nonsense",
    ],
)
def test_an_unusable_connection_string_is_a_misconfiguration_that_shows_nothing_of_it(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        StorageConnection.from_connection_string(text)
    assert KEY not in str(caught.value)


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(StorageConnection.from_connection_string(f"AccountName=acc;AccountKey={KEY}"))


class Tokens:
    """A credential, as far as its type goes."""


def test_a_deployment_has_uris_and_a_credential() -> None:
    tokens = Tokens()
    connection = StorageConnection.from_uris(
        "https://a.blob.core.windows.net/",
        "https://a.table.core.windows.net",
        "https://a.queue.core.windows.net",
        tokens,
    )
    assert connection.blob_endpoint == "https://a.blob.core.windows.net"
    assert connection.credential is tokens
    for broken in ("a.blob.core.windows.net", "https://", "https://a?sv=1"):
        with pytest.raises(Misconfigured):
            StorageConnection.from_uris(broken, broken, broken, tokens)


def test_the_sdk_does_not_log_its_requests() -> None:
    logger = logging.getLogger("azure")
    before = logger.level
    try:
        quiet_sdk_logs()
        name = "azure.core.pipeline.policies.http_logging_policy"
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    finally:
        logger.setLevel(before)
