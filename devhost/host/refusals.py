"""The host's own answers that are errors, in the shape that the app's have: what is wrong, where, what to do, and
an id.
"""

import uuid

from aiohttp import web

_RETRY_SECONDS = 5


def refusal(status: int, what: str, where: str, remedy: str) -> web.Response:
    """An error as four lines of text. None of them repeats what the client has sent."""
    request_id = uuid.uuid4().hex
    response = web.Response(
        status=status,
        text=f"{what}\nWhere: {where}\nWhat to do: {remedy}\nRequest id: {request_id}\n",
        headers={"X-Request-Id": request_id, "Cache-Control": "no-store"},
    )
    if status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


def not_running() -> web.Response:
    """The answer while no worker can take a request."""
    return refusal(503, "Function host is not running.", "service", "Try again in a few seconds.")


def failed() -> web.Response:
    """The answer to a request that the host or a worker has failed at."""
    return refusal(500, "The host has failed at the request.", "service", "Try again; the log of the host says more.")


def body_too_large() -> web.Response:
    """The answer to a body over the host's own limit, which Azure answers so, too."""
    return refusal(
        500,
        "The request body is over the limit of the Functions host.",
        "request body",
        "Send less in one request, or raise FUNCTIONS_REQUEST_BODY_SIZE_LIMIT with MAX_REQUEST_BYTES.",
    )
