"""The functions by which people look after DICOMcast."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from shared.cast_administration.request import (
    ErrorFilter,
    choice,
    new_checkpoint,
    new_verification,
    parse_body,
    parse_choice,
    parse_class,
    parse_errors,
    parse_operation,
    parse_partition,
    parse_segment,
)
from shared.cast_administration.response import answered
from shared.errors import NotFound
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json, nothing
from shared.operations.model import OperationActive
from shared.operations.start import busy, operation_started

if TYPE_CHECKING:
    from shared.cast_administration.transaction import Administration
    from shared.cast_administration.verifications import Verifications


def blueprint(
    boundary: Boundary, administration: "Administration | None", verifications: "Verifications | None"
) -> func.Blueprint:
    """The functions. Without DICOMcast there is nothing that they could tell: 404."""

    def cast() -> "Administration":
        if administration is None:
            raise _off()
        return administration

    async def status(_parsed: None, _accepted: str, _context: Context) -> Response:
        return answered(await cast().status())

    async def check(_parsed: None, _accepted: str, _context: Context) -> Response:
        return answered(await cast().check())

    async def errors(asked: ErrorFilter, _accepted: str, _context: Context) -> Response:
        return answered(await cast().errors(asked))

    async def unmatched(_parsed: None, _accepted: str, _context: Context) -> Response:
        return answered(await cast().unmatched())

    async def preview(partition: str, _accepted: str, context: Context) -> Response:
        return answered(await cast().preview(context.uids["study"], partition))

    async def replay_error(identifier: str, _accepted: None, _context: Context) -> Response:
        await cast().replay_error(identifier)
        return Response(202)

    async def replay_study(partition: str, _accepted: None, context: Context) -> Response:
        await cast().replay_study(context.uids["study"], partition)
        return Response(202)

    async def replay(kind: str, _accepted: str, _context: Context) -> Response:
        return answered({"studies": await cast().replay_class(kind)}, 202)

    async def connect(parsed: tuple[str, JsonBody], _accepted: str, context: Context) -> Response:
        partition, body = parsed
        chosen = choice(await body.read())
        link = await cast().connect(context.uids["study"], partition, chosen, _who(context))
        return answered({"patientLink": link}, 202)

    async def disconnect(identifier: str, _accepted: None, _context: Context) -> Response:
        await cast().disconnect(identifier)
        return Response(204)

    functions = func.Blueprint()
    json = accepted_plain_json
    mount(functions, boundary, "cast_status", Transaction(nothing, json, status))
    mount(functions, boundary, "cast_check", Transaction(nothing, json, check))
    mount(functions, boundary, "cast_errors", Transaction(parse_errors, json, errors))
    mount(functions, boundary, "cast_unmatched", Transaction(nothing, json, unmatched))
    mount(functions, boundary, "cast_preview", Transaction(parse_partition, json, preview))
    mount(functions, boundary, "cast_replay_error", Transaction(parse_segment("error"), nothing, replay_error))
    mount(functions, boundary, "cast_replay_study", Transaction(parse_partition, nothing, replay_study))
    mount(functions, boundary, "cast_replay", Transaction(parse_class, json, replay))
    mount(functions, boundary, "cast_connect", Transaction(parse_choice, json, connect))
    mount(functions, boundary, "cast_disconnect", Transaction(parse_segment("link"), nothing, disconnect))
    _mount_operations(functions, boundary, cast, verifications)
    return functions


def _mount_operations(
    functions: func.Blueprint,
    boundary: Boundary,
    cast: Callable[[], "Administration"],
    verifications: "Verifications | None",
) -> None:
    """The functions that look at every study."""

    def verifying() -> "Verifications":
        if verifications is None:
            raise _off()
        return verifications

    async def reset(body: JsonBody, _accepted: str, _context: Context) -> Response:
        sequence = new_checkpoint(await body.read())
        await cast().reset(sequence)
        return answered({"checkpoint": sequence}, 202)

    async def backfill(_parsed: None, _accepted: str, context: Context) -> Response:
        try:
            started = await verifying().backfill()
        except OperationActive as error:
            raise busy(error, context.urls, "It marks every study anyway: wait for it.") from None
        return operation_started(started, context.urls)

    async def verify(body: JsonBody, _accepted: str, context: Context) -> Response:
        asked = new_verification(await body.read())
        href = f"{context.urls.within(None).root}/cast/verify"
        return operation_started(await verifying().start(href, repair=asked.repair), context.urls)

    async def verification(identifier: str, _accepted: str, _context: Context) -> Response:
        return answered({"differences": await verifying().result(identifier)})

    json = accepted_plain_json
    mount(functions, boundary, "cast_reset", Transaction(parse_body, json, reset))
    mount(functions, boundary, "cast_backfill", Transaction(nothing, json, backfill))
    mount(functions, boundary, "cast_verify", Transaction(parse_body, json, verify))
    mount(functions, boundary, "cast_verification", Transaction(parse_operation, json, verification))


def _who(context: Context) -> str:
    """The caller who makes a choice, as audit records name it."""
    claims = context.caller.claims
    return next((claims[name] for name in ("oid", "sub", "azp", "appid") if claims.get(name)), "")


def _off() -> NotFound:
    return NotFound("DICOMcast is switched off.", remedy="DicomCast__Enabled=true switches it on.")
