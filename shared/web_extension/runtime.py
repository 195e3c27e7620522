"""The traces of each invocation that the worker runtime keeps, and never lets go of by itself.

The runtime pairs an invocation with its request by id: whichever comes first waits for the other. It waits for ever,
and keeps 2 KB per pair for the life of the process.
"""

import sys
from typing import Any, Final

from shared.web_extension.messages import INVOCATION_ID, RequestBody, ServerRequest, refusal

_RUNTIMES: Final = ("azure_functions_runtime.http_v2", "azure_functions_worker.http_v2")


class Invocations:
    """The pairs of this process."""

    def __init__(self, claim_seconds: float) -> None:
        self._seconds = claim_seconds
        self._alone: dict[str, float] = {}
        """Invocations without a request, and since when."""
        self._released: set[str] = set()
        """Those that were given one; nobody takes their response."""

    def forget(self, invocation_id: str) -> None:
        """Drop the pair of an invocation whose response has been taken."""
        entries(_coordinator()).pop(invocation_id, None)

    def release(self, now: float) -> int:
        """Give a request to each invocation that has waited too long for its own; how many these were.

        The exchange of the host with this process has failed before the id arrived: nobody waits for an answer, but the
        invocation would be under way until the host ends the whole process.
        """
        coordinator = _coordinator()
        pairs = entries(coordinator)
        alone = {key for key, pair in pairs.items() if not _has_request(pair)}
        self._alone = {key: self._alone.get(key, now) for key in alone}
        late = [key for key, since in self._alone.items() if now - since > self._seconds]
        for key in late:
            coordinator.set_http_request(key, _never_sent(key))
        for key in [key for key in self._released if pairs.get(key) is None or pairs[key].http_response is not None]:
            self._released.discard(key)
            pairs.pop(key, None)
        self._released.update(late)
        return len(late)


def _never_sent(invocation_id: str) -> ServerRequest:
    request = ServerRequest(RequestBody(lambda: None), "")
    request.fields = [(INVOCATION_ID, invocation_id)]
    request.refusal = refusal(400, "The request did not arrive.")
    request.body.end()
    return request


def _has_request(pair: Any) -> bool:
    available = getattr(pair, "http_request_available_event", None)
    return available is None or bool(available.is_set())


def _coordinator() -> Any:
    for name in _RUNTIMES:
        coordinator = getattr(sys.modules.get(name), "http_coordinator", None)
        if coordinator is not None:
            return coordinator
    return None


def entries(coordinator: Any) -> dict[str, Any]:
    """The pairs that a coordinator keeps."""
    found = getattr(coordinator, "_context_references", None)
    return found if isinstance(found, dict) else {}
