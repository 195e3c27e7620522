"""PS3.18 §10.5.3 and Annex I.2: what became of each instance → Store Instances Response and status (dicomweb §6.6)."""

import re
from collections.abc import Sequence
from typing import Any, Final

from shared.dicom.media_types import DICOM_JSON, DICOM_XML
from shared.dicom.reasons import FailureReason
from shared.dicomweb import json_model, xml_model
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.ingest.store_outcome import StoreOutcome

_RETRIEVE_URL: Final = "00081190"
_FAILED_SOP_SEQUENCE: Final = "00081198"
_REFERENCED_SOP_SEQUENCE: Final = "00081199"

_SEVERAL_VALUES: Final = (
    "One or more attributes that are searched by have several values where the standard allows one. "
    "The first one is searchable."
)

_REASONS: Final = {
    FailureReason.PROCESSING_FAILURE: "The instance could not be stored now. Send it again.",
    FailureReason.VALIDATION_FAILURE: "The data set is not valid.",
    FailureReason.ALREADY_STORED: "The instance is stored already.",
    FailureReason.CREATION_PENDING: "The instance is being stored by another request. Send it again.",
    FailureReason.CANNOT_UNDERSTAND: "The instance cannot be put together from what was sent.",
    FailureReason.TRANSFER_SYNTAX_NOT_SUPPORTED: "The transfer syntax is not supported.",
}
_PLACE: Final = re.compile(r"\([0-9a-f]{4},[0-9a-f]{4}\)")

_ODD: Final = "One or more elements are not encoded as the standard says. What they were read as is in the metadata."


def store_response(outcomes: Sequence[StoreOutcome], context: Context, media_type: str = DICOM_JSON) -> Response:
    """The response to a store of `outcomes`, in the order of the request (STOW-34).

    `media_type` is DICOM_JSON or DICOM_XML: one document in both cases (ACC-5).
    """
    if not outcomes:
        return Response(204)
    succeeded = [outcome for outcome in outcomes if outcome.failure is None]
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    dataset: dict[str, Any] = {}
    if "study" in context.uids and succeeded:
        dataset[_RETRIEVE_URL] = _element("UR", context.urls.study(context.uids["study"]))
    if failed:
        dataset[_FAILED_SOP_SEQUENCE] = _element("SQ", *map(_failure_item, failed))
    if succeeded:
        items = (_success_item(outcome, context.version, context.urls) for outcome in succeeded)
        dataset[_REFERENCED_SOP_SEQUENCE] = _element("SQ", *items)

    headers = [("Content-Type", media_type)]
    if any(outcome.several_values for outcome in succeeded):
        headers.append(context.warning(_SEVERAL_VALUES))
    if not context.version.warns_instead_of_failing and any(outcome.odd for outcome in succeeded):
        headers.append(context.warning(_ODD))
    body = xml_model.dumps(dataset) if media_type == DICOM_XML else json_model.dumps(dataset)
    return Response(_status(succeeded, failed, context.version), tuple(headers), body)


def _status(succeeded: Sequence[StoreOutcome], failed: Sequence[StoreOutcome], version: ApiVersion) -> int:
    if not succeeded:
        return 409
    warned = version.warnings_make_202 and any(outcome.warning is not None for outcome in succeeded)
    return 202 if failed or warned else 200


def _success_item(outcome: StoreOutcome, version: ApiVersion, urls: Urls) -> dict[str, Any]:
    if outcome.identifier is None:
        raise ValueError("An instance that was stored has an identifier")
    item = _references(outcome) | {_RETRIEVE_URL: _element("UR", urls.instance(outcome.identifier))}
    if outcome.warning is not None:
        item["00081196"] = _element("US", int(outcome.warning))
    if version.always_lists_failed_attributes:
        item["00741048"] = _failed_attributes(outcome)
    return item


def _failure_item(outcome: StoreOutcome) -> dict[str, Any]:
    item = _references(outcome)
    if outcome.failure is not None:
        item["00081197"] = _element("US", int(outcome.failure))
    if outcome.comments:
        item["00741048"] = _failed_attributes(outcome)
    item["00000902"] = _element("LO", _explanation(outcome))
    return dict(sorted(item.items()))


def _explanation(outcome: StoreOutcome) -> str:
    """One sentence, without values (STOW-37)."""
    if outcome.explanation:
        return outcome.explanation
    if outcome.comments and (place := _PLACE.search(outcome.comments[0])):
        return f"{place[0]} - The attribute is missing or invalid."
    return _REASONS.get(outcome.failure or FailureReason.PROCESSING_FAILURE, "The instance was not stored.")


def _references(outcome: StoreOutcome) -> dict[str, Any]:
    uids = (("00081150", outcome.sop_class_uid), ("00081155", outcome.sop_instance_uid))
    return {tag: _element("UI", uid) for tag, uid in uids if uid is not None}


def _failed_attributes(outcome: StoreOutcome) -> dict[str, Any]:
    return _element("SQ", *({"00000902": _element("LO", comment)} for comment in outcome.comments))


def _element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
