"""The service's description of itself: capabilities, conformance, OpenAPI, health; the fallback (URL-8, URL-9, CAP)."""

from collections.abc import Mapping
from typing import Protocol

import azure.functions as func
import orjson

from shared.capabilities.health import Health
from shared.capabilities.prepared import PreparedDescriptions
from shared.capabilities.response import conformance, negotiate_capabilities
from shared.dicom.media_types import JSON, WADL
from shared.dicomweb.content_negotiation import Accept
from shared.errors import NotFound, Unavailable
from shared.health_status import HealthCheck, Status
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted, nothing
from shared.problem_details import RETRY_SECONDS
from shared.registry.store_settings import StoreSettings
from shared.settings import Settings
from shared.version import running_version

_WELL = "No problem was found."
_JSON_TYPE = f"{JSON}; charset=utf-8"


class StoreRow(Protocol):
    """Knows the store's own row."""

    async def settings(self) -> StoreSettings:
        """The state of health. Raises Unavailable."""
        ...


def blueprint(
    boundary: Boundary, settings: Settings, store: StoreRow, checks: Mapping[str, HealthCheck]
) -> func.Blueprint:
    """The functions. `checks`: name of a part of the service to what finds out whether it is well."""
    health = Health(checks, excluded=settings.health_checks_excluded)
    prepared = PreparedDescriptions(settings)

    async def facts(context: Context) -> bytes:
        try:
            store_id = (await store.settings()).store_id
        except Unavailable:  # what the service can do does not depend on its data stores
            store_id = None
        return orjson.dumps(conformance(settings, context.version, context.urls.version_segment, store_id=store_id))

    async def retrieve_capabilities(_parsed: None, accept: Accept, context: Context) -> Response:
        media_type = negotiate_capabilities(accept.types())
        if media_type == WADL:
            return prepared.wadl(context)
        return _answer(media_type, await facts(context))

    async def retrieve_conformance(_parsed: None, _accepted: None, context: Context) -> Response:
        return _answer(_JSON_TYPE, await facts(context))

    async def openapi_yaml(_parsed: None, _accepted: None, context: Context) -> Response:
        return prepared.openapi_yaml(context)

    async def openapi_json(_parsed: None, _accepted: None, context: Context) -> Response:
        return prepared.openapi_json(context)

    async def health_check(_parsed: None, _accepted: None, _context: Context) -> Response:
        report = await health.report()
        details = [
            {"name": name, "status": result.status, "description": result.description or _WELL}
            for name, result in report.results.items()
        ]
        status = 503 if report.overall is Status.UNHEALTHY else 200
        body = orjson.dumps({"overallStatus": report.overall, "details": details, **running_version()})
        retry = (("Retry-After", str(RETRY_SECONDS)),) if status == 503 else ()
        return Response(status, (("Content-Type", _JSON_TYPE), ("Cache-Control", "no-store"), *retry), body)

    async def fallback(_parsed: None, _accepted: None, _context: Context) -> Response:
        # The boundary has already refused what it could name; what comes here has a function that is switched off.
        raise NotFound("The resource does not exist.")

    functions = func.Blueprint()
    mount(functions, boundary, "capabilities", Transaction(nothing, accepted, retrieve_capabilities))
    mount(functions, boundary, "conformance", Transaction(nothing, nothing, retrieve_conformance))
    mount(functions, boundary, "openapi_yaml", Transaction(nothing, nothing, openapi_yaml))
    mount(functions, boundary, "openapi_json", Transaction(nothing, nothing, openapi_json))
    for name in ("health_check", "health_check_of_version"):
        mount(functions, boundary, name, Transaction(nothing, nothing, health_check))
    mount(functions, boundary, "zz_fallback", Transaction(nothing, nothing, fallback))
    return functions


def _answer(content_type: str, body: bytes) -> Response:
    return Response(200, (("Content-Type", content_type),), body)
