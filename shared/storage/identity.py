"""The identity by which a process proves itself to Azure: one credential, whatever it is used for."""

import asyncio
from collections import defaultdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential


class Identity:
    """The managed identity of a deployment; without one, whatever credential the machine has.

    Belongs to the event loop on which it is first used. Each credential asks for tokens of its own: one serves all.
    """

    def __init__(self, client_id: str) -> None:
        """`client_id`: of a user-assigned managed identity; empty for the default chain of credentials."""
        self._client_id = client_id
        self._credential: AsyncTokenCredential | None = None

    def credential(self) -> "AsyncTokenCredential":
        """The credential that hands out tokens, made when it is first asked for: an emulator needs none."""
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

            self._credential = _AskedOnce(
                ManagedIdentityCredential(client_id=self._client_id) if self._client_id else DefaultAzureCredential()
            )
        return self._credential

    async def close(self) -> None:
        """Close its connections."""
        if self._credential is not None:
            await self._credential.close()


class _AskedOnce:
    """A credential that is asked once for a token that several want at the same time: the others find it kept."""

    def __init__(self, credential: "AsyncTokenCredential") -> None:
        self._credential = credential
        self._asking: defaultdict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        async with self._asking[scopes]:
            return await self._credential.get_token(*scopes, **options)

    async def close(self) -> None:
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()
