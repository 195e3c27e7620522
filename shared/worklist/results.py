"""Results of worklist transactions as clients of the reference know them (WL-10 to WL-13)."""

from collections.abc import Mapping
from typing import Final

import orjson

from shared.dicom.media_types import DICOM_JSON
from shared.errors import Conflict, DicomServiceError, Gone, InvalidRequest, NotFound
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.workitems.states import State
from shared.workitems.store import StoredWorkitem, WorkitemGone, Workitems

NOT_FOUND: Final = "The workitem instance is not found."
GONE: Final = "The workitem instance has been removed."
CHANGED: Final = "The workitem was changed by another request."
FINAL: Final[Mapping[State, str]] = {
    State.COMPLETED: "The UPS is already COMPLETED.",
    State.CANCELED: "The UPS is already in the requested state of CANCELED.",
}
"""The text about a final state (PS3.18 Table 11.6.3-2)."""


def quoted(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """A result text as a JSON string (WL-10)."""
    return Response(status, (("Content-Type", DICOM_JSON), *headers), orjson.dumps(text))


async def present(workitems: Workitems, uid: str, context: Context) -> StoredWorkitem:
    """A workitem. That there is none a transaction tells in plain text (WL-11). Raises NotFound, Gone."""
    try:
        stored = await workitems.get(context.partition.namespace, uid)
    except WorkitemGone as error:
        raise refused(context, GONE, Gone) from error
    if stored is None:
        raise refused(context, NOT_FOUND, NotFound)
    return stored


def conflicting(context: Context) -> DicomServiceError:
    """Another request was faster."""
    return refused(context, CHANGED, Conflict)


def refused(context: Context, text: str, kind: type[DicomServiceError] = InvalidRequest) -> DicomServiceError:
    """A failure that says its text in a Warning header, too (WL-13)."""
    return kind(text, fields=(context.warning(text),), where=_WHERE.get(kind, ""), remedy=_REMEDY.get(kind, ""))


_WHERE: Final[Mapping[type[DicomServiceError], str]] = dict.fromkeys((NotFound, Gone, Conflict), "path, {workitem}")
_REMEDY: Final[Mapping[type[DicomServiceError], str]] = {
    NotFound: "GET /v2/workitems lists the workitems; mind version and partition of the path.",
    Conflict: "Retrieve the workitem and send the request again.",
}
