"""What the storage tests share."""

import secrets

import pytest

from devhost.azurite import Azurite
from shared.storage.connection import StorageConnection


@pytest.fixture(scope="session")
def connection(azurite: Azurite) -> StorageConnection:
    """The emulator as an adapter sees it."""
    return StorageConnection.from_connection_string(azurite.connection_string)


@pytest.fixture
def prefix() -> str:
    """A name that no other test has: letters and digits, beginning with a letter."""
    return "t" + secrets.token_hex(6)
