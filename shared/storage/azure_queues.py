"""Queues in Azure Storage or Azurite, for work that must be paced (S-6).

Messages are text in base64, as the queue trigger of Azure Functions expects by default. A message may arrive twice.
The client is imported with the first message.
"""

from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineResponse

from shared.errors import DependencyRefused, Unavailable
from shared.storage.connection import Credential, SharedKey, count_answer, quiet_sdk_logs
from shared.storage.ports import QueueNotFound
from shared.storage.retry import DEFAULT_BACKOFF

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient, QueueServiceClient

MAX_MESSAGE_BYTES = 48 * 1024
"""64 KiB once it is base64."""

MAX_DELAY_SECONDS = 7 * 24 * 3600

_NEVER_EXPIRES = -1  # by default a message that nobody took is dropped after a week
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 15


def check_message(message: str, delay_seconds: int) -> None:
    """Raise ValueError unless a queue would take the message."""
    if len(message.encode()) > MAX_MESSAGE_BYTES:
        raise ValueError("A message has at most 48 KiB")
    if not 0 <= delay_seconds <= MAX_DELAY_SECONDS:
        raise ValueError("A message is delayed by 0 seconds to 7 days")


class AzureQueueStore:
    """A QueueStore over one storage account. `requests` counts requests that were answered."""

    def __init__(self, endpoint: str, credential: Credential) -> None:
        self.requests = 0
        self._endpoint = endpoint
        self._credential = credential
        self._client: QueueServiceClient | None = None

    async def send(
        self, queue: str, message: str, *, delay_seconds: int = 0, seconds_to_live: int | None = None
    ) -> None:
        """Append one message, visible after `delay_seconds`, gone after `seconds_to_live` if nobody takes it.

        Raises QueueNotFound, and ValueError when it is too large or too late.
        """
        check_message(message, delay_seconds)
        try:
            await self._queue(queue).send_message(
                message, visibility_timeout=delay_seconds, time_to_live=seconds_to_live or _NEVER_EXPIRES
            )
        except AzureError as error:
            raise _failure(error) from None

    async def length(self, queue: str) -> int:
        """About how many messages there are, those included that are being handled. Raises QueueNotFound."""
        try:
            properties = await self._queue(queue).get_queue_properties()
        except AzureError as error:
            raise _failure(error) from None
        return int(properties.approximate_message_count or 0)

    async def ensure_queue(self, queue: str) -> None:
        """Create a queue if it is missing."""
        try:
            await self._queue(queue).create_queue()
        except AzureError as error:
            if getattr(error, "error_code", None) != "QueueAlreadyExists":
                raise _failure(error) from None

    async def ping(self) -> None:
        """Raise Unavailable or DependencyRefused unless the queues answer."""
        try:
            async for _ in self._service().list_queues(results_per_page=1):
                break
        except AzureError as error:
            raise _failure(error) from None

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client:
            await client.close()

    def _service(self) -> "QueueServiceClient":
        if self._client is None:
            from azure.storage.queue.aio import QueueServiceClient

            quiet_sdk_logs()
            credential = self._credential
            self._client = QueueServiceClient(
                self._endpoint,
                credential={"account_name": credential.account, "account_key": credential.key}
                if isinstance(credential, SharedKey)
                else credential,
                retry_total=DEFAULT_BACKOFF.attempts - 1,
                initial_backoff=1,  # seconds; the client's default is 15
                increment_base=1,
                random_jitter_range=1,
                connection_timeout=_CONNECT_SECONDS,
                read_timeout=_ANSWER_SECONDS,
                use_env_settings=False,
                raw_response_hook=self._count,
            )
        return self._client

    def _count(self, answer: PipelineResponse[Any, Any]) -> None:
        self.requests += 1
        count_answer(answer)

    def _queue(self, name: str) -> "QueueClient":
        from azure.storage.queue import TextBase64EncodePolicy

        return self._service().get_queue_client(name, message_encode_policy=TextBase64EncodePolicy())


def _failure(error: AzureError) -> Exception:
    """The meaning of an SDK exception. Texts hold the service's code alone."""
    code = str(getattr(error, "error_code", None) or "")
    code = code if code.isalnum() else type(error).__name__
    status = getattr(error, "status_code", None)
    if code == "QueueNotFound":
        return QueueNotFound("No queue of that name")
    if status in (401, 403):
        return DependencyRefused(f"Queue Storage refused the request ({status} {code})")
    return Unavailable(f"Queue Storage did not serve the request ({status or 'no answer'} {code})")
