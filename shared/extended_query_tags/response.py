"""azure-apis §3.1 Extended query tags as clients see them. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.dicomweb.urls import Urls
from shared.extended_query_tags.transaction import ErrorView, TagView
from shared.http.messages import Response

_HEADERS: Final = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"))


def tag_list(views: Sequence[TagView], urls: Urls) -> Response:
    """A list of tags."""
    return Response(200, _HEADERS, orjson.dumps([_document(view, urls) for view in views]))


def tag_entry(view: TagView, urls: Urls) -> Response:
    """One tag."""
    return Response(200, _HEADERS, orjson.dumps(_document(view, urls)))


def error_list(views: Sequence[ErrorView]) -> Response:
    """The errors of a tag (EQT-45)."""
    return Response(200, _HEADERS, orjson.dumps([_error(view) for view in views]))


def _error(view: ErrorView) -> dict[str, str]:
    uid = view.error.identifier
    created = datetime.fromtimestamp(view.error.created_ms / 1000, UTC)
    return {
        "partitionName": view.partition,
        "studyInstanceUid": uid.study_instance_uid,
        "seriesInstanceUid": uid.series_instance_uid,
        "sopInstanceUid": uid.sop_instance_uid,
        "createdTime": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "errorMessage": f"{view.error.fault[:1].upper()}{view.error.fault[1:]}.",
    }


def _document(view: TagView, urls: Urls) -> dict[str, Any]:
    attribute = view.attribute
    operation = view.operation_id and {"id": view.operation_id, "href": urls.operation(view.operation_id)}
    errors = view.errors and {"count": view.errors, "href": urls.tag_errors(attribute.path)}
    document = {
        "path": attribute.path,
        "vr": attribute.vr,
        "privateCreator": attribute.creator or None,
        "level": attribute.level,
        "status": view.status,
        "queryStatus": "enabled" if attribute.enabled else "disabled",
        "errors": errors or None,
        "operation": operation or None,
    }
    return {name: value for name, value in document.items() if value is not None}
