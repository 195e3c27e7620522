"""The one shape of an error, as text or as problem details (RFC 9457): what is wrong, where, what to do, and the id by
which the request is found in the logs (ERR-1).

Nothing is imported here: the server answers in this shape what it cannot even read.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

RETRY_SECONDS: Final = 5
"""The value of `Retry-After` in a 503: outages and bursts are over in seconds, or not within minutes."""


@dataclass(frozen=True, slots=True)
class ProblemDetails:
    """An error of `status`. The texts are encoded already where they quote the client (ERR-5)."""

    status: int
    what: str
    where: str
    """The part of the request that it is about: `path`, `header Range`, `query parameter limit`."""
    remedy: str
    request_id: str

    def text(self) -> bytes:
        """The four lines of the plain text."""
        return (
            f"{self.what}\nWhere: {self.where}\nWhat to do: {self.remedy}\nRequest id: {self.request_id}\n"
        ).encode()

    def document(self) -> dict[str, Any]:
        """The members of the JSON object."""
        return {
            "type": "about:blank",
            "title": phrase(self.status),
            "status": self.status,
            "detail": self.what,
            "where": self.where,
            "remedy": self.remedy,
            "requestId": self.request_id,
        }


def phrase(status: int) -> str:
    """The name of a status (RFC 9110 §15)."""
    return HTTPStatus(status).phrase
