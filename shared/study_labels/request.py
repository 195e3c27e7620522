"""exchange §5 Requests about labels. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.dicom.identifiers import is_uid, trim_uid
from shared.dicomweb.query_parameters import MAX_LIMIT, invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.http.json_body import MALFORMED, WHERE, JsonBody, invalid_field, json_body
from shared.http.messages import Request
from shared.index_schema.labels import LONGEST, MOST, folded, is_label, joined, normal, without

_LARGEST_BODY: Final = 64 * 1024
"""Bytes; two lists of the longest labels, with every character escaped, are below it."""
_UIDS: Final = "StudyInstanceUID"
_MOST_STUDIES: Final = MAX_LIMIT
"""Of one request: a page of a search has no more."""


@dataclass(frozen=True, slots=True)
class LabelChange:
    """The labels that a study gets, and those that it loses."""

    add: tuple[str, ...] = field(repr=False)
    remove: tuple[str, ...] = field(repr=False)

    def __call__(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The labels of a study that has had `labels`. Raises InvalidRequest when they are too many (SEL-2)."""
        changed = joined(without(labels, self.remove), self.add)
        if len(changed) > MOST and len(changed) > len(labels):
            raise InvalidRequest(
                f"The study would have more than {MOST} labels.", where=WHERE, remedy="Remove some of its labels."
            )
        return changed


def parse_change(request: Request, _version: ApiVersion) -> JsonBody:
    """The body of a request that changes labels. Raises UnsupportedMedia."""
    return json_body(request, most=_LARGEST_BODY)


def label_change(document: Any) -> LabelChange:
    """The change that a body asks for. Raises InvalidRequest (SEL-1, SEL-2)."""
    if not isinstance(document, dict):
        raise InvalidRequest(MALFORMED, where=WHERE, remedy='Send {"add": ["…"], "remove": ["…"]}.')
    for name in document:
        if name not in ("add", "remove"):
            raise InvalidRequest(f'The field is not supported: "{name[:64]}".', where=WHERE)
    change = LabelChange(_labels(document, "add"), _labels(document, "remove"))
    if set(map(folded, change.add)) & set(map(folded, change.remove)):
        raise invalid_field("$.remove", "A label is to be added, too.")
    return change


def parse_studies(request: Request, _version: ApiVersion) -> tuple[str, ...] | None:
    """The studies that are asked for; None: the labels that are in use. Raises InvalidRequest."""
    studies: list[str] | None = None
    for name, value in pairs(request.query):
        if name.lower() == "accept":
            continue
        if name.lower() != _UIDS.lower():
            raise invalid_parameter(name[:64], "It is not known.")
        studies = [*(studies or []), *(part.strip() for part in value.split(","))]
    if studies is None:
        return None
    if not all(map(is_uid, studies)):
        raise invalid_parameter(_UIDS, "It lists something that is no UID.")
    found = tuple(dict.fromkeys(map(trim_uid, studies)))
    if len(found) > _MOST_STUDIES:
        raise invalid_parameter(_UIDS, f"It lists more than {_MOST_STUDIES} studies.")
    return found


def _labels(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = document.get(name, [])
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise invalid_field(f"$.{name}", "It must be an array of strings.")
    if len(values) > MOST:
        raise invalid_field(f"$.{name}", f"It has more than {MOST} labels.")
    labels = [normal(value) for value in values]
    for at, label in enumerate(labels):
        if not is_label(label):
            reason = f"A label has 1 to {LONGEST} letters, digits, spaces and characters of -_.:"
            raise invalid_field(f"$.{name}[{at}]", reason)
    return joined(labels, ())
