"""Which exception becomes which response (ERR-1 to ERR-5, URL-3, URL-11, D-4).

No other module knows the status of an error.
"""

import html
from collections.abc import Mapping
from http import HTTPStatus

import orjson

from shared.dicom.media_types import JSON_UTF_8, PROBLEM_JSON, TEXT_UTF_8
from shared.errors import (
    Conflict,
    DependencyRefused,
    Forbidden,
    InvalidRequest,
    MissingCredentials,
    NotAcceptable,
    NotFound,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from shared.http.messages import Response
from shared.http.routing import MethodNotAllowed, UnsupportedVersion
from shared.storage.ports import Ambiguous

TEXT = ("Content-Type", TEXT_UTF_8)

STATUS: Mapping[type[BaseException], int] = {
    InvalidRequest: 400,
    MissingCredentials: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedMedia: 415,
    DependencyRefused: 424,
    Unavailable: 503,
    Ambiguous: 503,
}
"""The nearest class in an exception's method resolution order decides; without one it is 500."""

_GENERIC = {
    500: "The server encountered an internal error. Please retry the request. "
    "If the issue persists, please contact support.",
    503: "The service is busy or a data store is unavailable. Please retry the request.",
}


def status_of(error: BaseException) -> int:
    """The status that `error` answers with."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_response(error: BaseException, *, request_id: str, problem: bool, challenge: str) -> Response:
    """The response to a request that failed with `error`.

    `problem`: the client asks for application/problem+json. `challenge`: the value of WWW-Authenticate for a 401.
    An error without a text has an empty body (ERR-2); a 401 always has (AUTH-2).
    """
    status = status_of(error)
    headers: list[tuple[str, str]] = []
    if isinstance(error, UnsupportedVersion):
        body = {"error": {"code": "UnsupportedApiVersion", "message": str(error)}}
        return Response(status, (("Content-Type", JSON_UTF_8),), orjson.dumps(body))
    if isinstance(error, MissingCredentials):
        headers.append(("WWW-Authenticate", challenge))
    elif isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(error.allowed)))
    text = _text(error, status, request_id)
    if problem:
        headers.append(("Content-Type", PROBLEM_JSON))
        return Response(status, tuple(headers), _problem(status, text, request_id))
    if text:
        headers.append(TEXT)
    return Response(status, tuple(headers), text.encode())


def _text(error: BaseException, status: int, request_id: str) -> str:
    if status >= 500:
        return f"{_GENERIC[status]} Request id: {request_id}"
    if status == 401:
        return ""
    return html.escape(str(error), quote=False)


def _problem(status: int, text: str, request_id: str) -> bytes:
    members = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": text,
        "requestId": request_id,
    }
    return orjson.dumps({name: value for name, value in members.items() if value})
