"""The one shape of errors (ERR-1), read back from what a client receives."""

import json
from collections.abc import Mapping

TEXT = "text/plain; charset=utf-8"
_LINES = ("", "Where: ", "What to do: ", "Request id: ")


def said(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """What an error says: `what`, `where`, `remedy`. Fails when it has not the shape of all errors.

    `headers`: names in lower case.
    """
    assert 400 <= status <= 599
    assert body, "an error without a body"
    kind = headers["content-type"]
    if kind == TEXT:
        lines = body.decode().split("\n")
        assert lines.pop() == "", body
        assert len(lines) == len(_LINES), body
        assert all(map(str.startswith, lines, _LINES)), body
        what, where, remedy, request_id = (line.removeprefix(start) for line, start in zip(lines, _LINES, strict=True))
    else:
        document = json.loads(body)
        own = {"error"} if kind == "application/json; charset=utf-8" else set()
        assert kind == "application/problem+json" or own
        assert set(document) == {"type", "title", "status", "detail", "where", "remedy", "requestId"} | own
        assert document["status"] == status
        what, where, remedy, request_id = (document[name] for name in ("detail", "where", "remedy", "requestId"))
    assert what
    assert where
    assert remedy
    assert request_id == headers["x-request-id"]
    assert (status == 503) <= ("retry-after" in headers)
    return {"what": what, "where": where, "remedy": remedy}
