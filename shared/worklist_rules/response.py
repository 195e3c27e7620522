"""AIX-2 Worklist rules as clients see them. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.dicomweb.urls import Urls
from shared.http.messages import Response
from shared.worklist_rules.making import MadeWorkitem
from shared.worklist_rules.rule import WorklistRule

_HEADERS: Final = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"))


def rule_list(rules: Sequence[WorklistRule]) -> Response:
    """The rules of a data partition."""
    return Response(200, _HEADERS, orjson.dumps([_document(rule) for rule in rules]))


def rule_entry(rule: WorklistRule) -> Response:
    """One rule."""
    return Response(200, _HEADERS, orjson.dumps(_document(rule)))


def rule_made(rule: WorklistRule, urls: Urls) -> Response:
    """A new rule."""
    url = urls.worklist_rule(rule.id)
    return Response(201, (*_HEADERS, ("Location", url), ("Content-Location", url)), orjson.dumps(_document(rule)))


def dry_run_results(results: Sequence[tuple[str, MadeWorkitem | None]]) -> Response:
    """The workitems that a rule would make of studies; of one that is not there, nothing is said but that."""
    return Response(200, _HEADERS, orjson.dumps([_result(*each) for each in results]))


def _document(rule: WorklistRule) -> dict[str, Any]:
    created = datetime.fromtimestamp(rule.created_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return {"id": rule.id, "createdTime": created.replace("+00:00", "Z"), **rule.document, "enabled": rule.enabled}


def _result(study: str, made: MadeWorkitem | None) -> dict[str, Any]:
    return {
        "studyInstanceUid": study,
        "isStored": made is not None,
        "seriesInstanceUids": list(made.series) if made else [],
        "workitem": made.attributes if made and made.series else None,
    }
