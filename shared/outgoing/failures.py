"""dicomcast §5.1 Failures of requests to another server, and their meaning. Pure."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import orjson

from shared.errors import DependencyRefused, DicomServiceError, Unavailable

_LONGEST_RETRY_AFTER = 300.0
"""Seconds: a server that asks for more patience is asked again after that all the same."""
_OUTCOME_BYTES = 16 * 1024
"""Longest OperationOutcome that is kept."""


class Failure(StrEnum):
    """The classes of dicomcast §5.1."""

    UNAVAILABLE = "unavailable"
    """No connection, or a gateway that has none: 502, 504."""
    THROTTLED = "throttled"
    """429, 503."""
    TRANSIENT = "transient"
    """No answer in time, 408, 500 and other errors of the server."""
    RACE = "race"
    """412: somebody else was faster."""
    CONFLICT = "conflict"
    """409."""
    AUTHENTICATION = "authentication"
    """401 with a fresh token, or no token to be had."""
    PERMISSION = "permission"
    """403."""
    TOO_LARGE = "tooLarge"
    """413."""
    REFUSED = "refused"
    """400, 404, 405, 410, 422 and the like: this request will not succeed as it is."""
    UNUSABLE = "unusable"
    """An answer that does not say what was asked for."""

    @property
    def of_the_server(self) -> bool:
        """Whether every other request would fail too: what opens a circuit."""
        return self in _OF_THE_SERVER


_OF_THE_SERVER = frozenset(
    {Failure.UNAVAILABLE, Failure.THROTTLED, Failure.AUTHENTICATION, Failure.PERMISSION},
)
_BY_STATUS = {
    401: Failure.AUTHENTICATION,
    403: Failure.PERMISSION,
    408: Failure.TRANSIENT,
    409: Failure.CONFLICT,
    412: Failure.RACE,
    413: Failure.TOO_LARGE,
    429: Failure.THROTTLED,
    502: Failure.UNAVAILABLE,
    503: Failure.THROTTLED,
    504: Failure.UNAVAILABLE,
}


class RequestFailed(DicomServiceError):
    """A request to another server has failed. The text names server and status, never what was sent or answered.

    `status`: of the answer, 0 without one. `retry_after`: seconds that the server asks for, 0 if it does not.
    `outcome`: the OperationOutcome of the answer, which may hold patient data; None without one.
    """

    def __init__(
        self,
        failure: Failure,
        text: str,
        *,
        status: int = 0,
        retry_after: float = 0.0,
        outcome: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.failure = failure
        self.status = status
        self.retry_after = retry_after
        self.outcome = outcome


class ServerNotAvailable(RequestFailed, Unavailable):
    """The same request may succeed later."""


class ServerRefused(RequestFailed, DependencyRefused):
    """The other server does not do it."""


def request_failed(failure: Failure, text: str, **details: Any) -> RequestFailed:
    """The error for a failure of that class."""
    later = failure in (Failure.UNAVAILABLE, Failure.THROTTLED, Failure.TRANSIENT)
    return (ServerNotAvailable if later else ServerRefused)(failure, text, **details)


def failure_of(status: int) -> Failure:
    """The class of an answer that is no success."""
    return _BY_STATUS.get(status, Failure.TRANSIENT if status >= 500 else Failure.REFUSED)


def answer_failed(server: str, status: int, headers: Mapping[str, str], body: bytes) -> RequestFailed:
    """The error of an answer that is no success. `server` is what people call the other side, such as `FHIR`."""
    return request_failed(
        failure_of(status),
        f"The {server} server answered with status {status}.",
        status=status,
        retry_after=retry_after_seconds(headers.get("retry-after", ""), time.time()),
        outcome=operation_outcome(body),
    )


def retry_after_seconds(value: str, now: float) -> float:
    """RFC 9110 §10.2.3 Retry-After in either form, in seconds from `now` (since 1970); at most five minutes, 0 if
    there is none or it cannot be read.
    """
    text = value.strip()
    if text.isdecimal():
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(moment - now, 0.0), _LONGEST_RETRY_AFTER)


def operation_outcome(body: bytes) -> Mapping[str, Any] | None:
    """The OperationOutcome that an answer carries, if it is one and not too long."""
    if not 0 < len(body) <= _OUTCOME_BYTES:
        return None
    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    is_outcome = isinstance(document, dict) and document.get("resourceType") == "OperationOutcome"
    return document if is_outcome else None
