"""Short-lived permissions to read one blob, for a storage service that copies it (azure-apis §7.2).

A copy into another account is made by that account's service, which has to be let in at the source. It gets a shared
access signature that reads this one blob for an hour, signed with the key that the managed identity is given for that
(a user delegation key), or with the account key where the service works with one.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from azure.core.exceptions import AzureError

from shared.storage.azure_blobs_sdk import failure
from shared.storage.connection import Credential, SharedKey, count_answer, quiet_sdk_logs

if TYPE_CHECKING:
    from azure.storage.blob import UserDelegationKey

_LASTS: Final = timedelta(hours=1)
"""How long a signature is good: longer than any copy is asked for again."""
_KEY_LASTS: Final = timedelta(hours=8)
_CLOCKS: Final = timedelta(minutes=15)
"""Clocks of services may differ by so much."""


class ReadGrants:
    """Signs for the blobs of one container. Belongs to the event loop on which it is first used."""

    def __init__(self, endpoint: str, container: str, credential: Credential) -> None:
        self._endpoint = endpoint
        self._container = container
        self._credential = credential
        self._account = credential.account if isinstance(credential, SharedKey) else _account(endpoint)
        self._key: UserDelegationKey | None = None
        self._key_ends = datetime.min.replace(tzinfo=UTC)
        self._asking = asyncio.Lock()

    async def url(self, name: str) -> str:
        """The URL that reads the blob `name` for an hour. Raises Unavailable, DependencyRefused."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        now = datetime.now(UTC)
        key = None if isinstance(self._credential, SharedKey) else await self._delegated(now)
        signature = generate_blob_sas(
            self._account,
            self._container,
            name,
            account_key=self._credential.key if isinstance(self._credential, SharedKey) else None,
            user_delegation_key=key,
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCKS,
            expiry=now + _LASTS,
        )
        return f"{self._endpoint}/{self._container}/{quote(name)}?{signature}"

    async def _delegated(self, now: datetime) -> "UserDelegationKey":
        """The key of the identity, asked for again well before it ends."""
        async with self._asking:
            if self._key is None or self._key_ends - now < 2 * _LASTS:
                self._key, self._key_ends = await self._ask(now), now + _KEY_LASTS
            return self._key

    async def _ask(self, now: datetime) -> "UserDelegationKey":
        from azure.storage.blob.aio import BlobServiceClient

        if isinstance(self._credential, SharedKey):
            raise TypeError("An account key signs itself")
        quiet_sdk_logs()
        async with BlobServiceClient(
            self._endpoint, self._credential, use_env_settings=False, raw_response_hook=count_answer
        ) as service:
            try:
                return await service.get_user_delegation_key(now - _CLOCKS, now + _KEY_LASTS)
            except AzureError as error:
                raise failure(error) from None


def _account(endpoint: str) -> str:
    """The name of the account in the URI of its blob service."""
    return endpoint.partition("://")[2].partition(".")[0]
