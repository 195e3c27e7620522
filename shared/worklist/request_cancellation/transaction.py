"""PS3.18 §11.8 Request Cancellation (worklist §8)."""

from collections.abc import Awaitable, Callable
from typing import Final

from shared.dicom.attributes import Attributes
from shared.workitems.states import State
from shared.workitems.store import WorkitemChanged, WorkitemGone, Workitems
from shared.workitems.workitem import (
    CONTACT_DISPLAY_NAME,
    CONTACT_URI,
    DISCONTINUATION_REASONS,
    PERFORMED_PROCEDURES,
    REASON_FOR_CANCELLATION,
    REQUESTING_AE,
    Workitem,
    canceled,
)
from shared.worklist.results import CHANGED, FINAL, GONE, NOT_FOUND

CANCELED: Final = "The workitem instance has been cancelled."
REQUESTED: Final = "The cancellation of the workitem instance has been requested."
_UNREACHABLE: Final = "The performer cannot be contacted."
_READ: Final = (
    CONTACT_DISPLAY_NAME,
    CONTACT_URI,
    DISCONTINUATION_REASONS,
    PERFORMED_PROCEDURES,
    REASON_FOR_CANCELLATION,
)

type IsReachable = Callable[[str, Workitem], Awaitable[bool]]
"""Whether the performer of a workitem is told of its events. Takes the namespace of its data partition."""


async def nobody_listens(_namespace: str, _workitem: Workitem) -> bool:
    """The answer of a service that sends no event reports."""
    return False


async def request_cancellation(
    workitems: Workitems,
    is_reachable: IsReachable,
    namespace: str,
    uid: str,
    sent: Attributes | None,
    *,
    requester: str = "",
) -> tuple[int, str]:
    """Cancel a scheduled workitem, or let its performer know that somebody wishes it; status and result text.

    `requester`: the AE title that the request names, '' without one. Raises TooLarge.
    """
    try:
        stored = await workitems.get(namespace, uid)
    except WorkitemGone:
        return 410, GONE
    if stored is None:
        return 404, NOT_FOUND
    workitem = stored.workitem
    if workitem.state.is_final:
        return 409, FINAL[workitem.state]
    request = {tag: element for tag, element in (sent or {}).items() if tag in _READ}
    told = {**request, **({REQUESTING_AE: {"vr": "AE", "Value": [requester]}} if requester else {})}
    try:
        if workitem.state is State.SCHEDULED:
            await workitems.write(stored, canceled(workitem, request, workitems.now()), request=told)
            return 202, CANCELED
        if await is_reachable(namespace, workitem):
            await workitems.write(stored, workitem, request=told)
            return 202, REQUESTED
    except WorkitemChanged:
        return 409, CHANGED
    return 409, _UNREACHABLE
