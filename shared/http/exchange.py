"""One request and its answer while they are under way: identifiers, audit records, what telemetry will say."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from shared import metrics, telemetry
from shared.dicom.identifiers import is_uid
from shared.dicomweb.resource import Resource
from shared.dicomweb.versions import ApiVersion
from shared.error_frames import forget_frames
from shared.errors import InvalidRequest, TooLarge
from shared.http.caller import Caller
from shared.http.caller_shares import CallerShares, Share, name_of
from shared.http.content_coding import content_coding, decoded
from shared.http.messages import Request, close
from shared.pacing import Foreground
from shared.settings import Settings

_ECHOED = re.compile(r"[\x20-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_MAX_AUDIT_HEADERS = 10
_MAX_AUDIT_VALUE = 2048
_USER_AGENT_LENGTH = 128
_CLIENT_GONE = 499
_TURN_BYTES = 64 * 1024
_TURN_CHUNKS = 4
"""After so many bytes, or chunks, of a streamed body the event loop has a turn."""


def trace_of(request: Request) -> str | None:
    """The trace id of a valid W3C `traceparent`, or None."""
    value = request.headers.get("traceparent")
    found = _TRACEPARENT.fullmatch(value.strip().lower()) if value else None
    return found[1] if found else None


def client_request_id(request: Request) -> str | None:
    """The id that the client gave its request, if it may be echoed: at most 128 printable ASCII characters (HDR-4)."""
    for name in ("x-request-id", "x-ms-client-request-id"):
        value = request.headers.get(name)
        if value and _ECHOED.fullmatch(value):
            return value
    return None


class Exchange:
    """Made when a request arrives; answered when its status is known, closed when the last byte of a streamed answer is
    out or the client is gone.
    """

    def __init__(
        self,
        settings: Settings,
        audit: telemetry.AuditLog,
        foreground: Foreground,
        resource: Resource,
        request: Request,
    ) -> None:
        self.resource = resource
        self.request = request
        self.version: ApiVersion | None = None
        self.trace_id = trace_of(request) or uuid.uuid4().hex
        self.request_id = client_request_id(request) or self.trace_id
        self.status = _CLIENT_GONE
        self.received = 0
        self.storage = telemetry.StorageUse()
        self._settings = settings
        self._audit = audit
        self._claims: Mapping[str, str] = {}
        self._audited: telemetry.AuditedRequest | None = None
        self._started = time.perf_counter()
        self._share: Share | None = None
        self._answered = False
        self._closed = False
        self._foreground = foreground
        self.note_served()

    def note_served(self) -> None:
        """The client is being served: long-running work makes way. Who asks for health is no client."""
        if self.resource.action is not None:
            self._foreground.note()

    def begin(self, caller: Caller, shares: CallerShares) -> None:
        """The caller is known: write the first audit record (AUD-1). Raises InvalidRequest (HDR-3), ShareUsedUp."""
        telemetry.take_along()
        self._audit_begin(caller)
        if shares.limited and self.resource.action is not None:
            declared = self.request.headers.get("content-length") or ""
            length = int(declared) if declared.isdecimal() else 0
            self._share = shares.begin(name_of(caller.claims, self.request.client), length)

    def _audit_begin(self, caller: Caller) -> None:
        if self.resource.audit is None:
            return
        self._claims = caller.claims
        self._audited = self._record(self._custom_headers())
        self._audit.executing(self._audited)

    def answer(self, sent: int | None, *, aborted: bool = False) -> None:
        """The status is known: write the second audit record (AUD-1) and the telemetry, as long as the function runs
        (TEL-4). `sent`: bytes of the body, None if it is still to be streamed.
        """
        if self._answered:
            return
        self._answered = True
        self._closed = sent is not None
        if self.resource.audit is not None:
            self._audit.executed(self._audited or self._record({}), self.status)
        if sent is not None:
            self._measure()
        if self._is_reported:
            telemetry.event(
                "transaction", **self._report(), sent=sent, streamed=sent is None or None, aborted=aborted or None
            )

    def end(self, sent: int, *, aborted: bool = False) -> None:
        """A streamed answer is out, or cannot be completed."""
        if self._closed:
            return
        self._closed = True
        self._measure()
        if self._is_reported:
            telemetry.afterwards("response-sent", **self._report(), sent=sent, aborted=aborted or None)

    def _measure(self) -> None:
        """Count the request, whose answer is out (TEL-1), and give its share back (THR-2)."""
        if self._share is not None:
            self._share.end()
        self.note_served()
        if not metrics.is_collected():
            return
        seconds = time.perf_counter() - self._started
        dimensions: dict[str, metrics.Dimension] = {
            "function": self.resource.name,
            "status": f"{self.status // 100}xx",
            "apiVersion": self.version.value if self.version else "",
        }
        metrics.add(metrics.TRANSACTIONS, **dimensions)
        metrics.record(metrics.TRANSACTION_MILLISECONDS, seconds * 1000, **dimensions)
        traceparent = self.request.headers.get("traceparent") or ""
        metrics.span(self.resource.name, seconds, traceparent, **dimensions, **self.storage.fields())

    @property
    def _is_reported(self) -> bool:
        return self.resource.action is not None or self.status >= 500

    def metered_body(self) -> AsyncIterator[bytes]:
        """The body of the request, decoded, which fails with TooLarge when it exceeds the limit (STOW-8, HDR-10).

        Raises UnsupportedMedia for a coding that is not known.
        """
        limit = self._settings.max_request_bytes
        coding = content_coding(self.request.headers.all("content-encoding"))
        body = self._metered(self.request.body, limit)
        return body if coding is None else decoded(body, coding, limit)

    async def _metered(self, body: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
        declared = self.request.headers.get("content-length") or ""
        if declared.isdecimal() and int(declared) > limit:
            raise TooLarge(f"The request is larger than {limit} bytes.")
        async for chunk in body:
            self.note_served()
            self.received += len(chunk)
            if self.received > limit:
                raise TooLarge(f"The request is larger than {limit} bytes.")
            yield chunk

    def _custom_headers(self) -> dict[str, str]:
        prefix = self._settings.audit_header_prefix.lower()
        found = [(name, value) for name, value in self.request.headers if name.startswith(prefix)]
        if len(found) > _MAX_AUDIT_HEADERS:
            raise InvalidRequest(
                f"The request has more than {_MAX_AUDIT_HEADERS} custom audit headers.", where=f"header {prefix}*"
            )
        if any(len(value) > _MAX_AUDIT_VALUE for _, value in found):
            raise InvalidRequest(
                f"A custom audit header is longer than {_MAX_AUDIT_VALUE} characters.", where=f"header {prefix}*"
            )
        values: dict[str, str] = {}
        for name, value in found:
            values[name] = f"{values[name]},{value}" if name in values else value
        return values

    def _record(self, custom_headers: Mapping[str, str]) -> telemetry.AuditedRequest:
        request = self.request
        return telemetry.AuditedRequest(
            operation=self.resource.audit or "",
            uri=f"{request.scheme}://{request.host}{request.path}",
            query=request.query,
            correlation_id=self.trace_id,
            caller_ip=request.client,
            claims=self._claims,
            custom_headers=custom_headers,
        )

    def _report(self) -> dict[str, Any]:
        """The request and what it has cost so far, as fields of an event."""
        named = {name: self.request.route.get(name, "") for name in self.resource.uids}
        uids: dict[str, Any] = {
            name: uid if self._settings.log_uids else telemetry.pseudonym(uid)
            for name, uid in named.items()
            if is_uid(uid)
        }
        return {
            "function": self.resource.name,
            "method": self.request.method,
            "apiVersion": self.version.value if self.version else None,
            "status": self.status,
            "milliseconds": round((time.perf_counter() - self._started) * 1000, 1),
            "received": self.received,
            **self.storage.fields(),
            "requestId": self.request_id,
            "traceId": self.trace_id,
            "userAgent": (self.request.headers.get("user-agent") or "")[:_USER_AGENT_LENGTH],
            "partitions": self._settings.data_partitions,
            "export": self._settings.export,
            **uids,
        }


class ResponseStream:
    """A streamed body on its way out. It is always closed, and its exchange with it; a failure is reported here.

    When the first byte is out a failure can only cut the connection (WADO-28): iteration then raises ResponseAborted.
    """

    def __init__(self, body: AsyncIterator[bytes], first: bytes | None, exchange: Exchange) -> None:
        self._body = body
        self._first = first
        self._exchange = exchange
        self._sent = self._of_turn = 0
        self._complete = False

    def __aiter__(self) -> "ResponseStream":
        return self

    async def __anext__(self) -> bytes:
        chunk, self._first = self._first, None
        if chunk is None:
            chunk = await self._next()
        self._exchange.note_served()
        self._sent += len(chunk)
        self._of_turn += max(len(chunk), _TURN_BYTES // _TURN_CHUNKS)
        return chunk

    async def _next(self) -> bytes:
        # Writing to a connection that has broken never waits: without a turn of the loop nobody would be told.
        if self._of_turn >= _TURN_BYTES:
            self._of_turn = 0
            await asyncio.sleep(0)
        try:
            # Sent in another task than the one that made it, so in another context.
            with telemetry.counting(self._exchange.storage):
                return await anext(self._body)
        except StopAsyncIteration:
            self._complete = True
            self._exchange.end(self._sent)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is cut and the reason reported
            exchange = self._exchange
            telemetry.afterwards(
                "response-aborted",
                level=logging.ERROR,
                function=exchange.resource.name,
                requestId=exchange.request_id,
                errors=telemetry.described(error),
            )
            forget_frames(error)
            raise ResponseAborted from None

    async def aclose(self) -> None:
        """Release what the body holds. Safe to call at any time, and again."""
        try:
            with telemetry.counting(self._exchange.storage):
                await close(self._body)
        finally:
            self._exchange.end(self._sent, aborted=not self._complete)


class ResponseAborted(Exception):
    """The answer could not be completed. The failure itself has been reported."""
