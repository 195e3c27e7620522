"""Event reports through Azure Web PubSub, by the REST API of the service (PS3.18 §8.10).

A client without a subprotocol gets each message as it was sent. The token of a URL is Web PubSub's own, good for a
minute and for one subscriber; that of the caller is never in a URL. The ticket in the query makes it good for one
connection: Web PubSub asks about it before it lets a client in (the event `connect`, connection_events.py), and uses it
up. It is a group that the connection joins by its token, too: whether the group has members tells whether it is open.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from shared.dicom.media_types import TEXT
from shared.errors import DependencyRefused, Unavailable
from shared.storage.connection import QUICK_OPTIONS, quiet_sdk_logs
from shared.subscriptions.channel import TICKET_SECONDS

if TYPE_CHECKING:
    from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient

TICKET_PARAMETER: Final = "ticket"
"""The query parameter of a client access URL that has the ticket: base64url and hexadecimal digits."""
HUB: Final = "worklist"
"""The hub of all subscribers, whatever their data partition."""


class WebPubSubChannel:
    """A Channel over one Web PubSub resource. The client is imported and made when it is first needed."""

    def __init__(self, endpoint: str, credential: str | AsyncTokenCredential) -> None:
        """`credential`: the resource's access key (development) or what hands out tokens."""
        self.requests = 0
        self._endpoint = endpoint
        self._credential = AzureKeyCredential(credential) if isinstance(credential, str) else credential
        self._made: WebPubSubServiceClient | None = None

    async def url(self, user: str, ticket: str) -> str:
        """The client access URL, with its token, and with the ticket, which Web PubSub shows to the event handler."""
        answer = await self._answer(
            self._client().get_client_access_token(
                user_id=user, groups=[ticket], roles=[], minutes_to_expire=TICKET_SECONDS // 60
            )
        )
        return f"{answer['url']}&{TICKET_PARAMETER}={ticket}"

    async def is_opened(self, ticket: str) -> bool:
        """Whether the group of a ticket has a member."""
        return bool(await self._answer(self._client().group_exists(ticket)))

    async def is_connected(self, user: str) -> bool:
        """Whether a user has a connection."""
        return bool(await self._answer(self._client().user_exists(user)))

    async def send(self, user: str, text: str) -> None:
        """Send a text message to the connections of a user."""
        # As bytes, which its types do not know: of a text the SDK announces the number of characters, and sends no more
        # bytes than that.
        message: Any = text.encode()
        await self._answer(self._client().send_to_user(user, message, content_type=TEXT))

    async def close(self) -> None:
        """Close the connections."""
        client, self._made = self._made, None
        if client:
            await client.close()

    async def _answer[T](self, asked: Awaitable[T]) -> T:
        self.requests += 1
        try:
            return await asked
        except AzureError as error:
            status = getattr(error, "status_code", None)
            if status in (401, 403):
                raise DependencyRefused(f"Web PubSub refused a request ({status})") from None
            raise Unavailable(f"Web PubSub did not answer ({status or type(error).__name__})") from None

    def _client(self) -> "WebPubSubServiceClient":
        if self._made is None:
            from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient

            quiet_sdk_logs()
            self._made = WebPubSubServiceClient(self._endpoint, HUB, self._credential, **QUICK_OPTIONS)
        return self._made
