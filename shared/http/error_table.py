"""Which exception becomes which response (ERR-1 to ERR-5, URL-3, URL-11, D-4).

No other module knows the status of an error, and none but `shared.problem_details` its shape.
"""

import html
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from shared.dicom.media_types import JSON_UTF_8, PROBLEM_JSON, TEXT_UTF_8
from shared.dicomweb.resource import Resource
from shared.errors import (
    Conflict,
    DependencyRefused,
    DicomServiceError,
    Forbidden,
    Gone,
    InvalidRequest,
    InvalidUid,
    MissingCredentials,
    NotAcceptable,
    NotFound,
    NotInRelease,
    RangeUnsatisfiable,
    ShareUsedUp,
    TooLarge,
    TooManyAttempts,
    Unavailable,
    UnsupportedMedia,
)
from shared.http.messages import Response
from shared.http.routing import MethodNotAllowed, UnsupportedVersion
from shared.problem_details import RETRY_SECONDS, ProblemDetails, phrase
from shared.storage.ports import Ambiguous

TEXT = ("Content-Type", TEXT_UTF_8)

_RETRY: Final = ("Retry-After", str(RETRY_SECONDS))
_INTERNAL: Final = (
    "The server encountered an internal error. Please retry the request. If the issue persists, please contact support."
)
_BUSY: Final = "The service is busy or a data store is unavailable. Please retry the request."
_REPEAT: Final = "Send the request again; name the request id when you ask for help."


class _Row(NamedTuple):
    """The texts of a kind of error that does not say them itself."""

    status: int
    where: str
    remedy: str
    text: str = ""


TABLE: Mapping[type[BaseException], _Row] = {
    InvalidRequest: _Row(
        400, "request", "Mend what is named and send the request again; /v2/api.yaml describes every request."
    ),
    InvalidUid: _Row(
        400, "path", "Send a UID as it is in the data set: digits and dots, at most 64 characters, such as 1.2.840.1."
    ),
    MissingCredentials: _Row(
        401,
        "header Authorization",
        "Send a valid access token as 'Authorization: Bearer TOKEN'; the header WWW-Authenticate of this answer names "
        "its issuer and audience.",
        "The request has no access token that is valid here.",
    ),
    Forbidden: _Row(
        403,
        "header Authorization",
        "Ask the administrator of the service for a role with the data action that the request needs.",
    ),
    NotFound: _Row(
        404,
        "path",
        "Search for what there is, for instance with GET /v2/studies; mind version, partition and UIDs of the path.",
    ),
    MethodNotAllowed: _Row(405, "method", "Use one of the methods that the header Allow names."),
    NotAcceptable: _Row(406, "header Accept, or query parameter accept", "Accept */*, which every resource satisfies."),
    Conflict: _Row(409, "request", "Look at the present state and send a request that agrees with it."),
    Gone: _Row(410, "path", "Nothing brings it back; create another one."),
    TooLarge: _Row(
        413, "request body", "Send less in one request; large archives go through the import container (make import)."
    ),
    UnsupportedMedia: _Row(415, "header Content-Type", "Send a media type that /v2/api.yaml names for the request."),
    RangeUnsatisfiable: _Row(416, "header Range", "Ask for bytes that there are."),
    DependencyRefused: _Row(
        424,
        "storage account",
        "Ask the administrator of the service whether its identity may use the storage account.",
        "The storage that the service depends on has refused the operation.",
    ),
    ShareUsedUp: _Row(
        429, "caller", f"Wait for your other requests to end, or send this one again after {RETRY_SECONDS} seconds."
    ),
    TooManyAttempts: _Row(429, "header Authorization", f"Send the request again after {RETRY_SECONDS} seconds."),
    NotInRelease: _Row(501, "path", "Look into /v2/conformance for what this release has."),
    Unavailable: _Row(503, "service", f"Send the request again after {RETRY_SECONDS} seconds.", _BUSY),
    Ambiguous: _Row(503, "service", f"Send the request again after {RETRY_SECONDS} seconds.", _BUSY),
}
"""The nearest class in an exception's method resolution order decides; without one it is 500.

A text here stands for that of the error: of tokens it would help who guesses them (AUTH-2), of the service's own
failures it is none of the client's business (ERR-4).
"""

_UNEXPECTED: Final = _Row(500, "service", _REPEAT, _INTERNAL)


def _row(error: BaseException) -> _Row:
    return next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), _UNEXPECTED)


def status_of(error: BaseException) -> int:
    """The status that `error` answers with."""
    return _row(error).status


def error_response(
    error: BaseException, *, request_id: str, problem: bool, challenge: str, resource: Resource | None = None
) -> Response:
    """The response to a request for `resource` that failed with `error`. It always has a body (ERR-2).

    `problem`: the client asks for application/problem+json. `challenge`: the value of WWW-Authenticate for a 401.
    """
    details = _details(error, request_id, resource)
    headers = list(error.fields) if isinstance(error, DicomServiceError) else []
    if details.status == 401:
        headers.append(("WWW-Authenticate", challenge))
    elif details.status in (429, 503) and not any(name == "Retry-After" for name, _ in headers):
        headers.append(_RETRY)
    if isinstance(error, UnsupportedVersion):  # the member that clients of the reference look for
        body = {"error": {"code": "UnsupportedApiVersion", "message": details.what}, **details.document()}
        return Response(details.status, (*headers, ("Content-Type", JSON_UTF_8)), orjson.dumps(body))
    if problem:
        headers.append(("Content-Type", PROBLEM_JSON))
        return Response(details.status, tuple(headers), orjson.dumps(details.document()))
    return Response(details.status, (*headers, TEXT), details.text())


def _details(error: BaseException, request_id: str, resource: Resource | None) -> ProblemDetails:
    row = _row(error)
    what, where, remedy = row.text or str(error), row.where, row.remedy
    if isinstance(error, DicomServiceError) and not row.text:
        where = error.where or where
        remedy = error.remedy or _of_resource(row.status, resource) or remedy
    texts = (html.escape(each, quote=False) for each in (what or f"{phrase(row.status)}.", where, remedy, request_id))
    return ProblemDetails(row.status, *texts)


def _of_resource(status: int, resource: Resource | None) -> str:
    """The advice that depends on the resource: the media types that it has, the data action that it needs."""
    if resource is None:
        return ""
    if status == 403 and resource.action is not None:
        return f"Ask the administrator of the service for a role with the data action {resource.action}."
    if resource.documentation is None:
        return ""
    if status == 406 and resource.documentation.produces:
        return f"Accept */* or one of: {', '.join(resource.documentation.produces)}."
    if status == 415 and resource.documentation.consumes:
        return f"Send one of: {', '.join(resource.documentation.consumes)}."
    return ""
