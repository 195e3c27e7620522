"""Requests, settings and a boundary in one line."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.dicomweb.partitions import DEFAULT_KEY, DEFAULT_NAME, Partition
from shared.dicomweb.resource import Resource
from shared.dicomweb.routes import match
from shared.dicomweb.service_resources import FALLBACK
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, MissingCredentials
from shared.http.boundary import Boundary
from shared.http.caller import ANONYMOUS, Caller
from shared.http.entity_tags import NO_TAGS
from shared.http.messages import Headers, Request, Response
from shared.http.roles import ACTIONS, Roles
from shared.http.transaction import Context, Transaction, nothing
from shared.settings import Settings
from tests.builders.errors import said

DEFAULT_PARTITION = Partition(DEFAULT_KEY, DEFAULT_NAME, "0", datetime(2026, 1, 1, tzinfo=UTC))


def settings(**fields: object) -> Settings:
    """Settings of a service without authentication, unless `fields` say otherwise; on Azure that does not exist."""
    local = {"storage_connection": "UseDevelopmentStorage=true", "authentication": "off"}
    on_azure = {"authentication": "openid", "authority": "https://login.example", "audiences": "dicom"}
    limits = {"host_body_bytes": 2**40}
    named = bool(fields.get("website_hostname"))
    return Settings(**{**local, **(on_azure if named else {}), **limits, **fields})


type Handler = Callable[[Request, Context], Awaitable[Response]]
"""Answers a request of which it sees everything."""


def transaction(
    handler: Handler, parse: Callable[..., object] = nothing, accept: Callable[..., object] = nothing
) -> Transaction[Request, object]:
    """A transaction whose answer sees the whole request."""

    def parsed(request: Request, version: ApiVersion) -> Request:
        parse(request, version)
        return request

    async def answer(request: Request, _accepted: object, context: Context) -> Response:
        return await handler(replace(request, route={**request.route, **context.uids}), context)

    return Transaction(parsed, accept, answer)


def context(host: str = "dicom.example", version: ApiVersion = ApiVersion.V2, **uids: str) -> Context:
    """What an answer is told of a request that names these UIDs in its path."""
    urls = Urls("https://dicom.example", f"v{version.value}", None)
    return Context(version, DEFAULT_PARTITION, ANONYMOUS, urls, "request", uids, NO_TAGS, host)


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body in pieces."""
    for piece in pieces:
        yield piece


def routed(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    body: bytes = b"",
    data_partitions: bool = False,
    scheme: str = "https",
    host: str = "dicom.example",
) -> tuple[Resource, Request]:
    """A request for `target` (path and query), and the row whose function the host calls for it."""
    path, _, query = target.partition("?")
    found = match(method, path, data_partitions=data_partitions)
    resource = found.resource if found else FALLBACK
    request = Request(
        method=method,
        scheme=scheme,
        host=host,
        path=path,
        query=query,
        headers=Headers(headers),
        route=dict(found.route) if found else {"path": path.lstrip("/")},
        body=chunks(body) if body else chunks(),
        client="192.0.2.7",
    )
    return resource, request


class TokenAuthenticator:
    """Knows callers by bearer token: `all`, or the names of actions joined by plus signs, each in the whole service or
    behind an at sign in the data partitions of one scope: `read@ward+write@lab*`.
    """

    challenge = 'Bearer authorization_uri="https://login.example", resource_id="dicom", realm="dicom"'

    async def authenticate(self, request: Request) -> Caller:
        """The caller of the token."""
        scheme, _, token = (request.headers.get("authorization") or "").partition(" ")
        if scheme != "Bearer":
            raise MissingCredentials
        parts = ACTIONS if token == "all" else token.split("+")
        actions = [part.partition("@") for part in parts]
        scoped = [
            {
                "name": f"r{number}",
                "dataActions": [action],
                "scopes": [f"/partitions/{partition}" if partition else "/"],
            }
            for number, (action, _, partition) in enumerate(actions)
            if action in ACTIONS
        ]
        permissions = Roles(json.dumps(scoped)).permissions(role["name"] for role in scoped)
        return Caller(permissions, {"sub": f"user-{token}"})


class KnownPartitions:
    """Partitions in memory."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    async def resolve(self, name: str, *, create: bool) -> Partition:
        """The partition of that name."""
        if name not in self.names:
            if not create:
                raise InvalidRequest("Specified PartitionName does not exist.")
            self.names.append(name)
        key = self.names.index(name) + 2
        return Partition(key, name, str(key), datetime(2026, 1, 1, tzinfo=UTC))

    async def partitions(self) -> list[Partition]:
        """All of them, latest first."""
        named = [await self.resolve(name, create=False) for name in self.names]
        return [*reversed(named), DEFAULT_PARTITION]


ALL = (("Authorization", "Bearer all"),)
"""Headers of a caller who may do everything."""

ORIGIN = ("Origin", "https://viewer.example")
PREFLIGHT = (ORIGIN, ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "authorization"))
"""Headers of a preflight."""

INSTANCE = "/v2/studies/1.2/series/1.2.3/instances/1.2.3.4"


def boundary(partitions: KnownPartitions | None = None, **fields: object) -> Boundary:
    """A boundary whose callers are known by token."""
    return Boundary(settings(**fields), TokenAuthenticator(), partitions or KnownPartitions("ward"))


def field(response: Response, name: str) -> str | None:
    """The only value of a response header, or None."""
    values = [value for key, value in response.headers if key.lower() == name.lower()]
    assert len(values) < 2, f"{name} occurs {len(values)} times"
    return values[0] if values else None


def error(response: Response) -> tuple[int, str]:
    """Status and message of an error, which has the shape of all errors."""
    assert isinstance(response.body, bytes)
    headers = {name.lower(): value for name, value in response.headers}
    return response.status, said(response.status, headers, response.body)["what"]


async def content(response: Response) -> bytes:
    """The whole body; a streamed one is closed."""
    if isinstance(response.body, bytes):
        return response.body
    try:
        return b"".join([chunk async for chunk in response.body])
    finally:
        await response.body.aclose()


async def say_hello(_request: Request, _context: Context) -> Response:
    """A handler."""
    return Response(200, (("Content-Type", "text/plain"),), b"hello")


def refuse(error: Exception) -> Callable[..., None]:
    """A step of a transaction that raises `error`."""

    def check(*_: object) -> None:
        raise error

    return check


async def ask(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = ALL,
    *,
    handler: Handler = say_hello,
    parse: Callable[..., object] = nothing,
    accept: Callable[..., object] = nothing,
    at: Boundary | None = None,
    body: bytes = b"",
    **options: str,
) -> Response:
    """Send a request through the boundary `at`, to `handler`."""
    at = at or boundary()
    resource, request = routed(method, target, headers, body=body, data_partitions=at.data_partitions, **options)
    return await at.run(resource, request, transaction(handler, parse, accept))


async def context_of(
    method: str, target: str, headers: Iterable[tuple[str, str]] = ALL, **options: Boundary | str
) -> tuple[Request, Context]:
    """What the handler of a request is given."""
    seen: list[tuple[Request, Context]] = []

    async def remember(request: Request, context: Context) -> Response:
        seen.append((request, context))
        return Response(200)

    response = await ask(method, target, headers, handler=remember, **options)
    assert response.status == 200, response.body
    return seen[0]


def lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, object]]:
    """The JSON lines that a logger has written."""
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == logger]


class Stream:
    """A body that counts how it is treated."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)
        self.read = 0
        self.closed = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.read == len(self.pieces):
            raise StopAsyncIteration
        piece = self.pieces[self.read]
        self.read += 1
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def aclose(self):
        self.closed += 1


def streaming(stream: AsyncIterator[bytes], *headers: tuple[str, str]) -> Handler:
    """A handler that answers with a stream."""

    async def handler(_request: Request, _context: Context) -> Response:
        return Response(200, headers, stream)

    return handler
