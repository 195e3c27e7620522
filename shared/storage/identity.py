"""The identity by which a process proves itself to Azure: one credential, whatever it is used for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

            self._credential = (
                ManagedIdentityCredential(client_id=self._client_id) if self._client_id else DefaultAzureCredential()
            )
        return self._credential

    async def close(self) -> None:
        """Close its connections."""
        if self._credential is not None:
            await self._credential.close()
