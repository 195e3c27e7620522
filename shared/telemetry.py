"""Structured log lines: telemetry without patient data (TEL-2, TEL-3), and the audit trail (AUD-1 to AUD-7).

Two sinks that must never mix. `dicom.telemetry` is the ordinary log: counts, durations, outcomes, UIDs hashed unless a
setting allows them, never a query string, never the text of an exception that we did not write. `dicom.audit` holds
request URIs, which can name patients: whoever routes that logger somewhere protects it as patient data.
"""

import asyncio
import hashlib
import logging
import re
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

import orjson

from shared import metrics

TELEMETRY_LOGGER = "dicom.telemetry"
AUDIT_LOGGER = "dicom.audit"

type QueryValues = Literal["keep", "hash", "drop"]
"""The part of the values in a query string that the audit trail keeps."""

_telemetry = logging.getLogger(TELEMETRY_LOGGER)
_audit = logging.getLogger(AUDIT_LOGGER)
_CREDENTIALS = frozenset({"access_token", "id_token", "token", "code", "sig", "client_secret", "authorization"})
"""Query parameters by whose values somebody could ask in the name of another: clients put them there by mistake."""
_FRAMES = 12
_UID = re.compile("[0-9.]+")


def set_level(level: str) -> None:
    """From which level on the ordinary log is written; empty: as the host has it for everything."""
    _telemetry.setLevel(level or logging.NOTSET)


def pseudonym(text: str) -> str:
    """A stable stand-in for a UID, partition or query value: 16 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def event(name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line to the ordinary log. `fields` hold no patient data; None values are left out."""
    if _telemetry.isEnabledFor(level):
        _write(_telemetry, level, {"event": name, **fields})


def failure(name: str, error: BaseException, *, level: int = logging.ERROR, **fields: Any) -> None:
    """Write the type of `error`, its causes, and where each was raised. Never its text: that may quote patient data."""
    event(name, level=level, **fields, errors=described(error))


# ------------------------------------------------------------------------------- what happens after a function returns

_afterwards: deque[tuple[int, dict[str, Any]]] = deque(maxlen=1000)
_SOON_SECONDS = 1.0


def afterwards(name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """An event that happens when its function has returned, while a body is streamed. The host would drop the line
    (TEL-4): it waits for the next invocation, which takes it along; without one it is written after a second all the
    same, for hosts that keep it.
    """
    if not _telemetry.isEnabledFor(level):
        return
    _afterwards.append((level, {"event": name, **fields}))
    asyncio.get_running_loop().call_later(_SOON_SECONDS, take_along)


def take_along() -> None:
    """Write the lines that wait for an invocation: this is one."""
    while _afterwards:
        _write(_telemetry, *_afterwards.popleft())


def described(error: BaseException) -> list[dict[str, Any]]:
    """The type of an error and of its causes, and where each was raised; never their texts."""
    return [_described(each) for each in _chain(error)]


# ------------------------------------------------------------------------------------------ what a transaction costs


@dataclass(slots=True)
class StorageUse:
    """The use that one transaction made of the data stores: requests, and bytes of their bodies either way."""

    requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def fields(self) -> dict[str, int]:
        """As fields of an event."""
        return {
            "storageRequests": self.requests,
            "storageBytesSent": self.bytes_sent,
            "storageBytesReceived": self.bytes_received,
        }


_storage_use: ContextVar[StorageUse | None] = ContextVar("storage_use", default=None)


@contextmanager
def counting(use: StorageUse) -> Iterator[None]:
    """Storage requests made inside, and in tasks that begin inside, count to `use`."""
    token = _storage_use.set(use)
    try:
        yield
    finally:
        _storage_use.reset(token)


def count_storage(*, requests: int = 1, sent: int = 0, received: int = 0) -> None:
    """Called by the adapters of the data stores. `sent` and `received` are bytes of bodies."""
    use = _storage_use.get()
    if use is not None:
        use.requests += requests
        use.bytes_sent += sent
        use.bytes_received += received


@contextmanager
def trigger(function: str) -> Iterator[None]:
    """One run of a function that no HTTP request started: what it took is written at its end."""
    take_along()
    use = StorageUse()
    started = time.perf_counter()
    failed = True
    try:
        with counting(use):
            yield
        failed = False
    finally:
        seconds = time.perf_counter() - started
        milliseconds = round(seconds * 1000, 1)
        metrics.span(function, seconds, failed=failed, **use.fields())
        event("trigger", function=function, failed=failed or None, milliseconds=milliseconds, **use.fields())


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _write(logger: logging.Logger, level: int, fields: Mapping[str, Any]) -> None:
    """One record, made by hand: looking for the calling line would cost more than everything else."""
    line = orjson.dumps({key: value for key, value in fields.items() if value is not None}, default=str).decode()
    logger.handle(logger.makeRecord(logger.name, level, __file__, 0, line, (), None))


@dataclass(frozen=True, slots=True)
class AuditedRequest:
    """The fields that both audit records of a request share."""

    operation: str
    uri: str
    """Absolute, without the query string."""
    query: str
    correlation_id: str
    """The W3C trace id."""
    caller_ip: str
    claims: Mapping[str, str]
    custom_headers: Mapping[str, str]


class AuditLog:
    """Writes the two records of each audited request (AUD-1) with the fields of AUD-2."""

    def __init__(self, *, authority: str = "", audience: str = "", query_values: QueryValues = "keep") -> None:
        self._fixed = {"eventType": "AuditEvent", "authority": authority, "audience": audience}
        self._query_values = query_values

    def executing(self, request: AuditedRequest) -> None:
        """The request is about to be served: its caller is known."""
        self._write("Executing", request, None)

    def executed(self, request: AuditedRequest, status: int) -> None:
        """The request has been answered, with `status`."""
        self._write("Executed", request, status)

    def detail(self, operation: str, correlation_id: str, claims: Mapping[str, str], **details: Any) -> None:
        """Record facts that the URI of a request does not say, as its body named them (PHI-13), or its later outcome.
        `details` hold no attribute of a patient.
        """
        if _audit.isEnabledFor(logging.INFO):
            fields = {"operation": operation, "correlationId": correlation_id, "callerClaims": dict(claims)}
            _write(_audit, logging.INFO, {"action": "Detail", **self._fixed, **fields, "details": details})

    def _write(self, action: str, request: AuditedRequest, status: int | None) -> None:
        if not _audit.isEnabledFor(logging.INFO):
            return
        query = self._query(request.query)
        record = {
            "action": action,
            **self._fixed,
            "operation": request.operation,
            "uri": f"{request.uri}?{query}" if query else request.uri,
            "statusCode": status,
            "correlationId": request.correlation_id,
            "callerIp": request.caller_ip,
            "callerClaims": dict(request.claims),
            "customHeaders": dict(request.custom_headers),
        }
        _write(_audit, logging.INFO, record)

    def _query(self, query: str) -> str:
        if not query or self._query_values == "drop":
            return ""
        parameters = query.split("&")
        if self._query_values == "hash":
            return "&".join(map(_hashed, parameters))
        return "&".join(map(_without_credential, parameters))


def _without_credential(parameter: str) -> str:
    """A query parameter, of one that holds a credential the name alone (RFC 6750 §5.3)."""
    name, _, value = parameter.partition("=")
    return f"{name}=" if value and unquote(name).strip().lower() in _CREDENTIALS else parameter


def _hashed(parameter: str) -> str:
    """A query parameter with a stand-in for its value, or for its name, where that is a UID (worklist §2.1)."""
    name, _, value = parameter.partition("=")
    return f"{name}={pseudonym(value)}" if value or not _UID.fullmatch(unquote(name)) else pseudonym(name)
