"""The rows and the documentation of worklist rules (AIX-2)."""

from collections.abc import Mapping
from typing import Any, Final

from shared.dicom.media_types import JSON
from shared.dicomweb.documentation import DATA_SET, UID, Documentation, Schema, accept, failures
from shared.dicomweb.resource import READ, Resource
from shared.dicomweb.versions import ApiVersion

_VALUE: Final = {"type": "string", "pattern": "^[^\\x00]{1,200}$"}
_MEMBERS: Final[Mapping[str, Any]] = {
    "name": {
        "type": "string",
        "pattern": "^[^\\x00-\\x1f\\x7f]{1,64}$",
        "description": "Label of a workitem without another",
    },
    "filter": {
        "type": "object",
        "description": "What a series must have: up to 20 attributes, each with a value or some of which one matches",
        "additionalProperties": {"oneOf": [_VALUE, {"type": "array", "minItems": 1, "maxItems": 20, "items": _VALUE}]},
    },
    "minimumInstances": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1},
    "quietSeconds": {"type": "integer", "minimum": 0, "maximum": 86_400, "default": 120},
    "template": DATA_SET.reference,
    "enabled": {"type": "boolean", "default": True, "description": "Else the rule makes nothing"},
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
        "enabled": True,
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


def _row(name: str, request: str, summary: str, documentation: Documentation) -> Resource:
    """A resource from version 2 on; `request` is method and path."""
    method, _, path = request.partition(" ")
    methods = READ if method == "GET" else (method,)
    action = "read" if method == "GET" or path.endswith("$dryRun") else "write"
    since = dict.fromkeys(methods, ApiVersion.V2)
    return Resource(name, methods, path, action, "worklist-rule", summary, documentation, since=since)


ROWS: Final = (
    _row("add_worklist_rule", "POST worklist-rules", "Add a worklist rule", ADD),
    _row("list_worklist_rules", "GET worklist-rules", "List the worklist rules", LIST),
    _row("retrieve_worklist_rule", "GET worklist-rules/{rule}", "Retrieve a worklist rule", RETRIEVE),
    _row("replace_worklist_rule", "PUT worklist-rules/{rule}", "Replace a worklist rule", REPLACE),
    _row("delete_worklist_rule", "DELETE worklist-rules/{rule}", "Delete a worklist rule", DELETE),
    _row("dry_run_worklist_rule", "POST worklist-rules/$dryRun", "Try a worklist rule", RUN_DRY),
)
