"""Every row of the resource table on the real boundary and adapter, with handlers that say who was called."""

import os
import sys
from collections.abc import AsyncIterator

import azure.functions as func
import orjson

from shared.dicomweb.partitions import Partition
from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotFound
from shared.http import azure_functions
from shared.http.authentication import authenticator
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import Context, Transaction, nothing
from shared.settings import Settings

_PIECE = b"x" * 65536
_closed: list[str] = []
settings = Settings.from_environment({"DicomStorage": "none", **os.environ})


class Partitions:
    """Every name is a partition."""

    async def resolve(self, name: str, *, create: bool) -> Partition:
        """The partition of that name."""
        from datetime import UTC, datetime

        return Partition(2, name, "2", datetime(2026, 1, 1, tzinfo=UTC))


def raw(request: Request, version: ApiVersion) -> Request:
    """The whole request, for answers that tell what arrived."""
    return request


def echo(name: str) -> Transaction[Request, None]:
    async def answer(request: Request, _accepted: None, context: Context) -> Response:
        if name == "zz_fallback":
            raise NotFound("nothing")
        body = orjson.dumps(
            {
                "function": name,
                "route": {**request.route, **context.uids},
                "query": request.query,
                "path": request.path,
                "url": context.urls.root,
                "client": request.client,
                "scheme": request.scheme,
                "host": request.host,
                "partition": context.partition.name,
            }
        )
        return Response(200, (("Content-Type", "application/json"),), body)

    return Transaction(raw, nothing, answer)


async def stream(_parsed: None, _accepted: None, context: Context) -> Response:
    """Endless, or failing after the first piece, or the names of the streams that were closed."""

    async def pieces(study: str) -> AsyncIterator[bytes]:
        try:
            yield _PIECE
            while study == "1":
                yield _PIECE
            raise ValueError("PatientName is Doe")
        finally:
            _closed.append(study)

    return Response(200, (("Content-Type", "application/dicom"),), pieces(context.uids["study"]))


async def store(request: Request, _accepted: None, context: Context) -> Response:
    size = 0
    async for chunk in request.body:
        size += len(chunk)
    return Response(200, (), str(size).encode())


async def report(_parsed: None, _accepted: None, context: Context) -> Response:
    """What the process keeps: closed streams, and entries of the runtime for past invocations."""
    coordinator = sys.modules["azure_functions_runtime.http_v2"].http_coordinator
    kept = len(coordinator._context_references)
    return Response(200, (), orjson.dumps({"closed": _closed, "kept": kept}))


TRANSACTIONS = {
    "retrieve_study": Transaction(nothing, nothing, stream),
    "store_studies": Transaction(raw, nothing, store),
    "health_check": Transaction(nothing, nothing, report),
}

azure_functions.choose(settings)
boundary = Boundary(settings, authenticator(settings), Partitions())
blueprint = func.Blueprint()
for _name in RESOURCES:
    mount(blueprint, boundary, _name, TRANSACTIONS.get(_name, echo(_name)))

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(blueprint)
