"""The storage account behind a connection string, as the triggers use it."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from devhost.settings import DEVELOPMENT_STORAGE, Unusable

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient

ACCOUNT: Final = "devstoreaccount1"
ACCOUNT_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The published key of the emulator."""
HOST_CONTAINER: Final = "azure-webjobs-hosts"
"""Where the host keeps its own state."""


def warm_up() -> None:
    """Import the storage SDK, which takes half a second."""
    import azure.storage.blob.aio  # noqa: F401 - for its effect


def emulator_connection(blob_port: int, queue_port: int, table_port: int) -> str:
    """The connection string of an emulator on this machine."""
    endpoints = {"Blob": blob_port, "Queue": queue_port, "Table": table_port}
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};" + "".join(
        f"{service}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for service, port in endpoints.items()
    )


@dataclass(frozen=True, slots=True)
class StorageAccount:
    """A storage account that is reached with its key."""

    connection_string: str
    name: str
    key: str
    blob_endpoint: str

    @classmethod
    def parse(cls, connection_string: str) -> Self:
        """Read a connection string. Raises Unusable."""
        if connection_string.strip().rstrip(";") == DEVELOPMENT_STORAGE:
            connection_string = emulator_connection(10000, 10001, 10002)
        parts = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
        try:
            name, key = parts["AccountName"], parts["AccountKey"]
        except KeyError as error:
            raise Unusable(f"a storage connection string has no {error}") from None
        suffix = parts.get("EndpointSuffix", "core.windows.net")
        protocol = parts.get("DefaultEndpointsProtocol", "https")
        endpoint = parts.get("BlobEndpoint") or f"{protocol}://{name}.blob.{suffix}"
        return cls(connection_string, name, key, endpoint.rstrip("/"))

    def container(self, name: str) -> Any:
        """An obstore store for one container. Its calls run outside the event loop."""
        from obstore.store import AzureStore

        plain = self.blob_endpoint.startswith("http://")
        return AzureStore(
            container_name=name,
            account_name=self.name,
            account_key=self.key,
            endpoint=self.blob_endpoint,
            client_options={"allow_http": plain},
        )

    async def create_container(self, name: str) -> None:
        """Create a container unless it exists."""
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob.aio import BlobServiceClient

        async with BlobServiceClient.from_connection_string(self.connection_string) as service:
            try:
                await service.create_container(name)
            except ResourceExistsError:
                return

    def queue(self, name: str) -> "QueueClient":
        """A queue whose messages are passed on as they are stored. The caller closes it."""
        from azure.storage.queue.aio import QueueClient

        return QueueClient.from_connection_string(self.connection_string, name)

    async def send(self, queue: str, content: str) -> None:
        """Put one message, as it is to be stored, into a queue that is created when it does not exist."""
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        async with self.queue(queue) as client:
            try:
                await client.send_message(content)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):
                    await client.create_queue()
                await client.send_message(content)
