"""What the service says of itself: capabilities, conformance, OpenAPI, health; and the fallback (URL-8, URL-9, CAP)."""

from collections.abc import Mapping
from typing import Protocol

import azure.functions as func
import orjson

from shared.capabilities import yaml
from shared.capabilities.descriptions import WADL, YAML
from shared.capabilities.health import Health, HealthCheck, Status
from shared.capabilities.openapi import document
from shared.capabilities.response import conformance, negotiate_capabilities, wadl
from shared.dicomweb.media_types import JSON, accept_of
from shared.errors import NotFound, Unavailable
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary, Context
from shared.http.messages import Request, Response
from shared.index.store_settings import StoreSettings
from shared.settings import Settings

_JSON_TYPE = f"{JSON}; charset=utf-8"


class StoreRow(Protocol):
    """Knows the store's own row."""

    async def settings(self) -> StoreSettings:
        """What it says. Raises Unavailable."""
        ...


def blueprint(
    boundary: Boundary, settings: Settings, store: StoreRow, checks: Mapping[str, HealthCheck]
) -> func.Blueprint:
    """The functions of this room. `checks`: name of a part of the service to what finds out whether it is well."""
    health = Health(checks, excluded=settings.health_checks_excluded)

    async def facts(context: Context) -> bytes:
        try:
            store_id = (await store.settings()).store_id
        except Unavailable:  # what the service can do does not depend on its data stores
            store_id = None
        return orjson.dumps(conformance(settings, context.version, context.urls.version_segment, store_id=store_id))

    async def retrieve_capabilities(request: Request, context: Context) -> Response:
        media_type = negotiate_capabilities(accept_of(request.headers.all("accept"), request.query))
        urls = context.urls
        if media_type == WADL:
            return _answer(WADL, wadl(settings, context.version, base=urls.base, segment=urls.version_segment))
        return _answer(media_type, await facts(context))

    async def retrieve_conformance(_: Request, context: Context) -> Response:
        return _answer(_JSON_TYPE, await facts(context))

    async def openapi_yaml(_: Request, context: Context) -> Response:
        return _answer(f"{YAML}; charset=utf-8", yaml.dumps(_openapi(context, settings)))

    async def openapi_json(_: Request, context: Context) -> Response:
        return _answer(_JSON_TYPE, orjson.dumps(_openapi(context, settings)))

    async def health_check(_request: Request, _context: Context) -> Response:
        report = await health.report()
        details = [
            {"name": name, "status": result.status, "description": result.description}
            for name, result in report.results.items()
        ]
        status = 503 if report.overall is Status.UNHEALTHY else 200
        body = orjson.dumps({"overallStatus": report.overall, "details": details})
        return Response(status, (("Content-Type", _JSON_TYPE), ("Cache-Control", "no-store")), body)

    async def fallback(_request: Request, _context: Context) -> Response:
        # The boundary has already refused what it could name; what comes here has a function that is switched off.
        raise NotFound("The resource does not exist.")

    room = func.Blueprint()
    mount(room, boundary, "capabilities", retrieve_capabilities)
    mount(room, boundary, "conformance", retrieve_conformance)
    mount(room, boundary, "openapi_yaml", openapi_yaml)
    mount(room, boundary, "openapi_json", openapi_json)
    mount(room, boundary, "health_check", health_check)
    mount(room, boundary, "zz_fallback", fallback)
    return room


def _openapi(context: Context, settings: Settings) -> dict[str, object]:
    return document(context.version, context.urls, data_partitions=settings.data_partitions)


def _answer(content_type: str, body: bytes) -> Response:
    return Response(200, (("Content-Type", content_type),), body)
