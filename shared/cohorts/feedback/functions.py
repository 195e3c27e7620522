"""Events of the FHIR server about outcomes (COH-40): which resource was created or changed, and nothing else of it."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import azure.functions as func

from shared import telemetry

_CHANGES: Final = frozenset(f"Microsoft.HealthcareApis.FhirResource{what}" for what in ("Created", "Updated"))
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}")

type Note = Callable[[str, str], Awaitable[None]]
"""Notes a resource, by type and id."""


def resource_of(kind: object, data: Any, hosts: frozenset[str]) -> tuple[str, str] | None:
    """Type and id of the resource that an event tells of; None for what is not about a change there."""
    if kind not in _CHANGES or not isinstance(data, dict):
        return None
    account = data.get("resourceFhirAccount")
    if not isinstance(account, str) or account.strip().lower() not in hosts:
        return None
    resource_type, identifier = data.get("resourceType"), data.get("resourceFhirId")
    if not isinstance(resource_type, str) or not isinstance(identifier, str):
        return None
    return (resource_type, identifier) if _TYPE.fullmatch(resource_type) and _ID.fullmatch(identifier) else None


def event_functions(note: Note, hosts: frozenset[str]) -> func.Blueprint:
    """The function that hears of outcomes. `hosts`: names of the FHIR server, in lower case."""

    async def feedback_event(event: func.CloudEvent) -> None:
        # Of a subscription with the schema of Event Grid, azure.functions makes an EventGridEvent all the same.
        kind = event.type if isinstance(event, func.CloudEvent) else event.event_type
        with telemetry.trigger("feedback_event"):
            found = resource_of(kind, event.get_json(), hosts)
            if found is not None:
                await note(*found)

    functions = func.Blueprint()
    functions.function_name("feedback_event")(functions.event_grid_trigger(arg_name="event")(feedback_event))
    return functions
