"""Requests to make shares (SHR-1). Pure, but for the body that is received."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.dicom.identifiers import is_uid, trim_uid
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotFound
from shared.http.json_body import MALFORMED, WHERE, JsonBody, invalid_field, json_body
from shared.http.messages import Request
from shared.shares.model import Extent, is_share_id

MOST_UIDS: Final = 1000
"""Studies, and series, of one share: they are read together at each request under it."""
LONGEST: Final = timedelta(days=90)
_LARGEST_BODY: Final = 512 * 1024
"""Bytes: the most UIDs of either kind, with room to spare."""
_LONGEST_LABEL: Final = 64
_SHOWN: Final = 100
"""Characters of a text that a message repeats."""
_DURATION: Final = re.compile(r"P(?:(\d{1,4})W|(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?)")
"""ISO 8601 without years and months, whose lengths differ."""
_RECIPIENT: Final = re.compile(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_COHORT: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MEMBERS: Final = (
    *("studies", "cohort", "partition", "series", "expiresIn", "label", "deidentified", "recipient", "download", "ehr"),
)
_UNKNOWN_SHARE: Final = "The share does not exist."


@dataclass(frozen=True, slots=True)
class NewShare:
    """A share that a body asks for."""

    studies: tuple[str, ...] | None
    """Trimmed, each once; None: those of the cohort, or of the partition."""
    cohort: str
    series: tuple[str, ...]
    lasts: timedelta
    label: str
    recipient: str
    downloads: bool
    clinical: Extent
    deidentified: bool = False
    """De-identified copies are shared, and not the studies themselves (SHR-7)."""


def parse_share(request: Request, _version: ApiVersion) -> JsonBody:
    """The body of a request. Raises UnsupportedMedia for one that is no JSON."""
    return json_body(request, most=_LARGEST_BODY)


def parse_share_id(request: Request, _version: ApiVersion) -> str:
    """The id in the path. Raises NotFound for what cannot be one."""
    text = request.route["share"]
    if not is_share_id(text):
        raise NotFound(_UNKNOWN_SHARE)
    return text


def new_share(document: Any) -> NewShare:
    """The share that a body asks for. Raises InvalidRequest.

    Members that are not known are refused: one that is misspelt would change what is given away.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(MALFORMED, where=WHERE, remedy="Send a JSON object with studies and expiresIn.")
    for name in document:
        if name not in _MEMBERS:
            raise InvalidRequest(
                f"The request body has a member that is not known: '{str(name)[:_SHOWN]}'.", where=WHERE
            )
    given = {name: value for name, value in document.items() if value is not None and value is not False}
    if len(given.keys() & {"studies", "cohort", "partition"}) != 1:
        raise InvalidRequest("Exactly one of studies, cohort and partition says what is shared.", where=WHERE)
    if "series" in given and "studies" not in given:
        raise invalid_field("series", "It goes with studies.")
    if given.get("partition", True) is not True:
        raise invalid_field("partition", "It must be true.")
    if _boolean(document, "deidentified", default=False) and "partition" in given:
        raise invalid_field("deidentified", "It goes with studies or a cohort, of which a copy is made once.")
    if "partition" in given and given.get("ehr", Extent.NONE.value) != Extent.NONE.value:
        raise invalid_field("ehr", "It goes with studies or a cohort.")
    return NewShare(
        studies=_uids(given, "studies") if "studies" in given else None,
        cohort=_cohort(given),
        series=_uids(given, "series") if "series" in given else (),
        lasts=_lasts(given.get("expiresIn")),
        label=_label(given.get("label", "")),
        recipient=_recipient(given.get("recipient", "")),
        downloads=_boolean(document, "download", default=True),
        clinical=_clinical(given.get("ehr", Extent.NONE.value)),
        deidentified=_boolean(document, "deidentified", default=False),
    )


def _uids(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = given[name]
    if not isinstance(values, list) or not values:
        raise invalid_field(name, "It must be an array of at least one UID.")
    if len(values) > MOST_UIDS:
        raise invalid_field(name, f"It may have {MOST_UIDS} UIDs; make several shares, or share a partition.")
    for value in values:
        if not isinstance(value, str) or not is_uid(value):
            raise invalid_field(name, f"'{str(value)[:_SHOWN]}' is no UID.")
    return tuple(dict.fromkeys(map(trim_uid, values)))


def _cohort(given: Mapping[str, Any]) -> str:
    value = given.get("cohort", "")
    if value and (not isinstance(value, str) or not _COHORT.fullmatch(value)):
        raise invalid_field("cohort", "It must be the id of a cohort, a GUID.")
    return str(value).replace("-", "").lower()


def _lasts(value: Any) -> timedelta:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        weeks, days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
        lasts = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        if timedelta(0) < lasts <= LONGEST:
            return lasts
    raise invalid_field("expiresIn", "It must be an ISO 8601 duration of at most P90D, such as P7D or PT12H.")


def _label(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else None
    if text is None or len(text) > _LONGEST_LABEL or not all(each.isprintable() for each in text):
        raise invalid_field("label", f"It must be a text of at most {_LONGEST_LABEL} characters.")
    return text


def _recipient(value: Any) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not _RECIPIENT.fullmatch(value):
        raise invalid_field(
            "recipient",
            "It must be the SHA-256 of an e-mail address in 64 hexadecimal digits, or an object id of the directory.",
        )
    return value.lower()


def _boolean(document: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid_field(name, "It must be true or false.")
    return value


def _clinical(value: Any) -> Extent:
    for each in Extent:
        if value == each.value:
            return each
    raise invalid_field("ehr", f"It must be one of the following values: {[each.value for each in Extent]}")
