"""The documentation of worklist rules (AIX-2), and their rows in `shared.dicomweb.resources`."""

from collections.abc import Mapping
from typing import Any, Final

from shared.dicom.media_types import JSON
from shared.dicomweb.documentation import DATA_SET, UID, Documentation, PathParameter, Schema, accept, failures
from shared.dicomweb.versions import ApiVersion

_VALUE: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_MEMBERS: Final[Mapping[str, Any]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 64, "description": "Label of a workitem without another"},
    "filter": {
        "type": "object",
        "description": "What a series must have: attributes with one value, or several of which one must match",
        "minProperties": 1,
        "maxProperties": 20,
        "additionalProperties": {"oneOf": [_VALUE, {"type": "array", "minItems": 1, "maxItems": 20, "items": _VALUE}]},
    },
    "minimumInstances": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1},
    "quietSeconds": {"type": "integer", "minimum": 0, "maximum": 86_400, "default": 120},
    "template": DATA_SET.reference,
}
_REQUIRED: Final = ["name", "filter"]
_EXAMPLE: Final[Mapping[str, Any]] = {
    "name": "Nodule detection",
    "filter": {"Modality": "CT", "BodyPartExamined": ["CHEST", "THORAX"]},
    "minimumInstances": 20,
    "quietSeconds": 120,
    "template": {
        "00404025": {
            "vr": "SQ",
            "Value": [
                {
                    "00080100": {"vr": "SH", "Value": ["NODULE-AI"]},
                    "00080102": {"vr": "SH", "Value": ["99EXAMPLE"]},
                    "00080104": {"vr": "LO", "Value": ["Nodule detection"]},
                }
            ],
        }
    },
}
NEW_RULE: Final = Schema(
    "NewWorklistRule",
    {"type": "object", "required": _REQUIRED, "additionalProperties": False, "properties": _MEMBERS},
    _EXAMPLE,
    (DATA_SET,),
)
RULE: Final = Schema(
    "WorklistRule",
    {
        "type": "object",
        "required": ["id", "createdTime", *_MEMBERS],
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "createdTime": {"type": "string", "format": "date-time"},
            **_MEMBERS,
        },
    },
    {
        "id": "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
        "createdTime": "2026-01-31T12:00:00.000Z",
        **_EXAMPLE,
        "filter": {"Modality": ["CT"], "BodyPartExamined": ["CHEST", "THORAX"]},
    },
    (DATA_SET,),
)
RULES: Final = Schema("WorklistRules", {"type": "array", "items": RULE.reference}, [RULE.example], (RULE,))
NEW_DRY_RUN: Final = Schema(
    "NewWorklistRuleDryRun",
    {
        "type": "object",
        "required": [*_REQUIRED, "studies"],
        "additionalProperties": False,
        "properties": {
            **_MEMBERS,
            "studies": {"type": "array", "minItems": 1, "maxItems": 20, "items": UID.reference},
        },
    },
    {**_EXAMPLE, "studies": ["1.2.826.0.1.3680043.8.498.1"]},
    (DATA_SET, UID),
)
DRY_RUN: Final = Schema(
    "WorklistRuleDryRun",
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["studyInstanceUid", "isStored", "seriesInstanceUids", "workitem"],
            "properties": {
                "studyInstanceUid": UID.reference,
                "isStored": {"type": "boolean"},
                "seriesInstanceUids": {"type": "array", "items": UID.reference},
                "workitem": {"oneOf": [DATA_SET.reference, {"type": "null"}]},
            },
        },
    },
    [
        {
            "studyInstanceUid": "1.2.826.0.1.3680043.8.498.1",
            "isStored": True,
            "seriesInstanceUids": ["1.2.826.0.1.3680043.8.498.2"],
            "workitem": {"0020000D": {"vr": "UI", "Value": ["1.2.826.0.1.3680043.8.498.1"]}},
        }
    ],
    (DATA_SET, UID),
)
_ACCEPT: Final = (accept(JSON),)
ADD: Final = Documentation(
    "From now on each study that gets a series to which the rule applies has one workitem made for it, once nothing "
    "has been stored in it for `quietSeconds`. Values of `filter` match as in searches; `template` has attributes of "
    "the workitem. The header Location has the URL of the rule.",
    produces=(JSON,),
    consumes=(JSON,),
    body=NEW_RULE,
    successes=(201,),
    failures=failures(406, 409, 413, 415),
    parameters=_ACCEPT,
    schema=RULE,
)
LIST: Final = Documentation(
    "The rules of the data partition, the oldest first.",
    produces=(JSON,),
    failures=failures(406),
    parameters=_ACCEPT,
    schema=RULES,
)
RETRIEVE: Final = Documentation(
    "The rule, with what it has by default.",
    produces=(JSON,),
    failures=failures(404, 406),
    parameters=_ACCEPT,
    schema=RULE,
)
REPLACE: Final = Documentation(
    "The rule keeps its id: a study that has a workitem by it gets no other one.",
    produces=(JSON,),
    consumes=(JSON,),
    body=NEW_RULE,
    failures=failures(404, 406, 413, 415),
    parameters=_ACCEPT,
    schema=RULE,
)
DELETE: Final = Documentation(
    "The rule makes no more workitems. Those that it has made stay.", successes=(204,), failures=failures(404)
)
RUN_DRY: Final = Documentation(
    "Which series of studies a rule would apply to, and the workitems that it would make of them now, whenever they "
    "were stored. Nothing is written.",
    produces=(JSON,),
    consumes=(JSON,),
    body=NEW_DRY_RUN,
    failures=failures(406, 413, 415),
    parameters=_ACCEPT,
    schema=DRY_RUN,
)

_RULES: Final = "worklist-rules"
_RULE: Final = "worklist-rules/{rule}"
_AUDIT: Final = "worklist-rule"
_GET: Final = ("GET", "HEAD")
ROWS: Final[tuple[tuple[str, tuple[str, ...], str, str, str, str, Documentation], ...]] = (
    ("add_worklist_rule", ("POST",), _RULES, "write", _AUDIT, "Add a worklist rule", ADD),
    ("list_worklist_rules", _GET, _RULES, "read", _AUDIT, "List the worklist rules", LIST),
    ("retrieve_worklist_rule", _GET, _RULE, "read", _AUDIT, "Retrieve a worklist rule", RETRIEVE),
    ("replace_worklist_rule", ("PUT",), _RULE, "write", _AUDIT, "Replace a worklist rule", REPLACE),
    ("delete_worklist_rule", ("DELETE",), _RULE, "write", _AUDIT, "Delete a worklist rule", DELETE),
    ("dry_run_worklist_rule", ("POST",), f"{_RULES}/$dryRun", "read", _AUDIT, "Try a worklist rule", RUN_DRY),
)
"""The resources."""
SHARED: Final[Mapping[str, Any]] = {
    "since": dict.fromkeys(("GET", "HEAD", "POST", "PUT", "DELETE"), ApiVersion.V2),
}
"""From version 2 on."""
PATH_PARAMETERS: Final[Mapping[str, PathParameter]] = {
    "rule": PathParameter(
        "Id of a worklist rule, a GUID",
        {"type": "string", "pattern": "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"},
        "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
    )
}
