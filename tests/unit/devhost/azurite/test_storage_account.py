"""Connection strings."""

import pytest

from devhost.azurite.storage_account import StorageAccount, emulator_connection
from devhost.settings import Unusable


def test_a_connection_string_names_account_and_endpoint() -> None:
    emulator = StorageAccount.parse(emulator_connection(1, 2, 3))
    assert (emulator.name, emulator.blob_endpoint) == ("devstoreaccount1", "http://127.0.0.1:1/devstoreaccount1")
    assert StorageAccount.parse("UseDevelopmentStorage=true").blob_endpoint.endswith(":10000/devstoreaccount1")
    account = StorageAccount.parse("AccountName=a;AccountKey=b==;EndpointSuffix=core.example")
    assert (account.key, account.blob_endpoint) == ("b==", "https://a.blob.core.example")
    with pytest.raises(Unusable):
        StorageAccount.parse("BlobEndpoint=https://x")
