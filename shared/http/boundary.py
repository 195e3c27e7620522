"""The way of every request: the checks and headers of dicomweb §4.2 and §4.3, errors, audit.

The steps, each of which may end the request: route and version (404, 405, 400), `<` in the query string (400), caller
(401), what a share does not have (404), the transaction's `parse` (415, 400), partition (400), its `accept` (406), the
data action (403), UIDs of the path (400), its `answer`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared import telemetry
from shared.dicom.identifiers import is_uid, trim_uid
from shared.dicomweb import versions
from shared.dicomweb.content_negotiation import accepts_problem
from shared.dicomweb.partitions import DEFAULT_KEY, DEFAULT_NAME, Partition, PartitionDirectory, is_partition_name
from shared.dicomweb.resource import Resource
from shared.dicomweb.urls import Urls, base_url, forwarded_prefix
from shared.error_frames import forget_frames
from shared.errors import Forbidden, InvalidRequest, InvalidUid, NotInRelease
from shared.http.caller import ANONYMOUS, Authenticator
from shared.http.caller_shares import CallerShares
from shared.http.compression import encoded
from shared.http.confined import check_confined
from shared.http.cors import Cors
from shared.http.entity_tags import EntityTags
from shared.http.error_table import error_response, status_of
from shared.http.exchange import Exchange, ResponseStream
from shared.http.messages import Request, Response, close
from shared.http.roles import WHOLE_SERVICE, Scope
from shared.http.routing import PARTITION_MISSING, PARTITIONS_DISABLED, Routed, routed
from shared.http.transaction import Context, Transaction, wants_original
from shared.pacing import Foreground
from shared.settings import Settings

_SECURITY = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Content-Security-Policy", "frame-src 'self';"),
)
_TLS_ONLY = ("Strict-Transport-Security", "max-age=31536000")
"""Sent to who came over TLS: for a year, no other way."""
_NOT_KEPT = ("Cache-Control", "no-store")
"""Of every answer that does not say how it may be kept: it may hold names, or say that somebody exists."""
_VERSIONS = (
    ("api-supported-versions", versions.SUPPORTED),
    *((("api-deprecated-versions", versions.DEPRECATED),) if versions.DEPRECATED else ()),
)
_BODILESS = frozenset({204, 304})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests may have a body: what a request with another one carries is never read."""
_DEFAULT_PARTITION = Partition(DEFAULT_KEY, DEFAULT_NAME, "0", datetime.min.replace(tzinfo=UTC))


_WITHOUT_PARTITION = "Leave /partitions/NAME out of the path, or switch data partitions on (DATA_PARTITIONS_ENABLED)."
_WITH_PARTITION = "Name a partition behind the version: /v2/partitions/NAME/studies; GET /v2/partitions lists them."
_PARTITION_NAME = "Name it by 1 to 64 letters, digits, dots, hyphens and underscores."


class Boundary:
    """Runs transactions behind the common checks."""

    def __init__(
        self,
        settings: Settings,
        authenticator: Authenticator,
        partitions: PartitionDirectory,
        audit: telemetry.AuditLog | None = None,
        *,
        foreground: Foreground | None = None,
    ) -> None:
        """`foreground`: what is told of each client that is served."""
        self.data_partitions = settings.data_partitions
        self._settings = settings
        self._authenticator = authenticator
        self._partitions = partitions
        self._transactions: dict[str, Transaction[Any, Any]] = {}
        self._audit = audit or telemetry.AuditLog(
            authority=settings.authority,
            audience=settings.audiences[0] if settings.audiences else "",
            query_values=settings.audit_query_values,
        )
        self._foreground = foreground or Foreground()
        self._shares = CallerShares(requests=settings.caller_requests, body_bytes=settings.caller_bytes)
        self._cors = Cors(
            origins=settings.cors_origins,
            methods=settings.cors_methods,
            headers=settings.cors_headers,
            max_age=settings.cors_max_age,
            credentials=settings.cors_credentials,
        )

    def add(self, resource: Resource, transaction: Transaction[Any, Any]) -> None:
        """Take note of what answers a row: the host may give its requests to another one's function (URL-13)."""
        self._transactions[resource.name] = transaction

    async def run(self, resource: Resource, request: Request, transaction: Transaction[Any, Any]) -> Response:
        """Answer `request`. Never raises, but for cancellation.

        The body of the response is bytes, or a stream that its sender must close (`aclose`).
        """
        exchange = Exchange(self._settings, self._audit, self._foreground, resource, request)
        if preflight := self._cors.preflight(request):
            return replace(preflight, headers=(*preflight.headers, *self._common(exchange)))
        with telemetry.counting(exchange.storage):
            return await self._run(exchange, transaction)

    async def _run(self, exchange: Exchange, transaction: Transaction[Any, Any]) -> Response:
        try:
            answer, body = await self._answer(exchange, transaction)
            exchange.status = answer.status
            return await self._finished(exchange, answer, body)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            answer = self._failed(exchange, error)
            forget_frames(error)
            exchange.status = answer.status
            return await self._finished(exchange, answer, None)
        except BaseException:
            exchange.answer(0, aborted=True)
            raise

    async def _answer(self, exchange: Exchange, transaction: Transaction[Any, Any]) -> tuple[Response, bytes | None]:
        """The response, and the first chunk of a streamed body: read early, its failure is still an error."""
        answer = await self._checked(exchange, transaction)
        if isinstance(answer.body, bytes) or exchange.request.method == "HEAD":
            return answer, None
        try:
            return answer, await anext(answer.body, b"")
        except BaseException:
            await close(answer.body)
            raise

    async def _checked[P, A](self, exchange: Exchange, transaction: Transaction[P, A]) -> Response:
        """The transaction's answer to a request that passes every check of dicomweb §4.2."""
        request = exchange.request
        found = routed(exchange.resource, request, data_partitions=self.data_partitions)
        if found.resource is not exchange.resource:
            transaction = self._transactions.get(found.resource.name, transaction)
        resource = exchange.resource = found.resource
        version = found.version
        exchange.version = version if resource.versioned else None
        if "<" in request.query or "%3c" in request.query.lower():
            raise InvalidRequest(
                "The query string included invalid characters.",
                where="query string",
                remedy="Leave out the character 'less than' (%3C), which no search may hold.",
            )
        caller = ANONYMOUS if resource.action is None else await self._authenticator.authenticate(request)
        exchange.begin(caller, self._shares)
        if caller.confinement is not None:
            check_confined(caller.confinement, found)
        if request.method in _WITH_BODY or found.route is not request.route:  # a copy of a request costs time
            request = exchange.request = replace(request, route=found.route, body=exchange.metered_body())
        parsed = transaction.parse(request, version)
        name = self._partition_name(found)
        visible = WHOLE_SERVICE if resource.action is None else caller.permissions.scope(resource.action)
        permitted = _permitted(resource, visible, name or DEFAULT_NAME)
        if (
            name is None or not permitted
        ):  # who may not see a partition does not learn whether it exists, nor creates it
            partition = _DEFAULT_PARTITION
        else:
            partition = await self._partitions.resolve(name, create=resource.create_partition)
        if caller.confinement is not None and caller.confinement.namespace:
            partition = replace(partition, namespace=caller.confinement.namespace)
        accepted = transaction.accept(request, version)
        if not permitted:
            raise Forbidden("Authorization failed.")
        uids = _path_uids(found)
        if uids:
            exchange.request = replace(request, route={**found.route, **uids})
        context = Context(
            version,
            partition,
            caller,
            self._urls(request, found, partition),
            exchange.request_id,
            uids,
            EntityTags.parse(request.headers.all("if-none-match")),
            request.host,
            visible,
            wants_original(request),
        )
        return await transaction.answer(parsed, accepted, context)

    def _partition_name(self, found: Routed) -> str | None:
        """The partition that the path names; None for Microsoft.Default. Raises InvalidRequest (PART-1, PART-3)."""
        name = found.route.get("partition")
        if not self.data_partitions:
            if name is not None:
                raise InvalidRequest(PARTITIONS_DISABLED, where="path", remedy=_WITHOUT_PARTITION)
            return None
        if name is None:
            if found.resource.partitioned:
                raise InvalidRequest(PARTITION_MISSING, where="path", remedy=_WITH_PARTITION)
            return None
        if not is_partition_name(name):
            raise InvalidRequest("The specified PartitionName is invalid.", where="path", remedy=_PARTITION_NAME)
        return name

    def _urls(self, request: Request, found: Routed, partition: Partition) -> Urls:
        headers = request.headers
        trusted = self._settings.trust_forwarded_headers
        forwarded = (headers.get("x-forwarded-proto"), headers.get("x-forwarded-host")) if trusted else None
        return Urls(
            base_url(request.scheme, request.host, self._settings.public_base_url, forwarded),
            found.segment,
            partition.name if self.data_partitions and found.resource.partitioned else None,
            forwarded_prefix(headers.get("x-forwarded-prefix")) if trusted else None,
        )

    def _failed(self, exchange: Exchange, error: Exception) -> Response:
        request = exchange.request
        if status_of(error) >= 500 and not isinstance(error, NotInRelease):
            telemetry.failure("request-failed", error, function=exchange.resource.name, requestId=exchange.request_id)
        return error_response(
            error,
            request_id=exchange.request_id,
            problem=accepts_problem(request.headers.all("accept")),
            challenge=self._authenticator.challenge,
            resource=exchange.resource,
        )

    async def _finished(self, exchange: Exchange, answer: Response, first: bytes | None) -> Response:
        """The response with the common headers, and without a body where there must be none."""
        answer, first = await encoded(exchange.request, answer, first)
        present = {name.lower() for name, _ in answer.headers}
        headers = [*answer.headers]
        headers += (field for field in self._common(exchange) if field[0].lower() not in present)
        headers = _with_one_vary([*headers, *self._cors.headers(exchange.request)])
        body: bytes | AsyncIterator[bytes] = answer.body
        if exchange.request.method == "HEAD" or answer.status in _BODILESS:
            if isinstance(body, bytes):
                known = str(len(body))
            else:
                known = ""
                await close(body)
            if known and answer.status not in _BODILESS and "content-length" not in present:
                headers.append(("Content-Length", known))
            body = b""
        elif isinstance(body, bytes):
            if "content-length" not in present:
                headers.append(("Content-Length", str(len(body))))
        else:
            exchange.answer(None)
            return Response(answer.status, tuple(headers), ResponseStream(body, first, exchange))
        exchange.answer(len(body))
        return Response(answer.status, tuple(headers), body)

    def _common(self, exchange: Exchange) -> tuple[tuple[str, str], ...]:
        """HDR-1, HDR-4, URL-4."""
        own = ("X-Request-Id", exchange.request_id)
        first = exchange.request.path.removeprefix("/").partition("/")[0]
        versioned = exchange.version is not None or versions.parse_version(first) is not None
        secure = (_TLS_ONLY,) if exchange.request.scheme == "https" else ()
        return (*_SECURITY, *secure, _NOT_KEPT, own, *(_VERSIONS if versioned else ()))


def _with_one_vary(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers with all that the response varies by in one field."""
    values = [value for name, value in headers if name.lower() == "vary"]
    if len(values) < 2:
        return headers
    names = dict.fromkeys(name.strip() for value in values for name in value.split(","))
    return [*(field for field in headers if field[0].lower() != "vary"), ("Vary", ", ".join(names))]


def _permitted(resource: Resource, visible: Scope, partition: str) -> bool:
    """Whether the action counts where the request is going (AUTH-14, AUTH-20 to AUTH-22)."""
    if resource.partitioned:
        return partition in visible
    return bool(visible) if resource.shows_own_part else visible.whole_service


def _path_uids(found: Routed) -> Mapping[str, str]:
    """The UIDs of the path, by their names in its template, without padding (CON-8).

    Raises InvalidUid (UID-1 to UID-3).
    """
    uids: dict[str, str] = {}
    for name, keyword in found.resource.uids.items():
        value = found.route[name]
        if not is_uid(value):
            raise InvalidUid(f"The {keyword} of the path is not a valid UID.", where=f"path, {{{name}}}")
        uids[name] = trim_uid(value)
    return uids
