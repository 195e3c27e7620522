"""PS3.18 §11.7 Change Workitem State (worklist §7)."""

from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text
from shared.http.transaction import Context
from shared.workitems.requirements import InvalidWorkitem, check_final, shown
from shared.workitems.states import State, change
from shared.workitems.store import StoredWorkitem, WorkitemChanged, Workitems
from shared.workitems.workitem import PROCEDURE_STEP_STATE, TRANSACTION_UID, changed
from shared.worklist.named_uids import sent_uid
from shared.worklist.results import conflicting, present, refused

_TARGETS: Final = {state.value: state for state in State if state is not State.SCHEDULED}


def asked(sent: Attributes, context: Context) -> tuple[str, State]:
    """Transaction UID and state that a client has sent. Raises InvalidRequest."""
    transaction_uid = sent_uid(sent, TRANSACTION_UID)
    if not transaction_uid:
        raise refused(context, f"The value for tag '{shown(TRANSACTION_UID)}' is missing.")
    target = _TARGETS.get((first_text(sent, PROCEDURE_STEP_STATE) or "").strip(" "))
    if target is None:
        raise refused(
            context, f"The value of tag '{shown(PROCEDURE_STEP_STATE)}' must be one of: {', '.join(_TARGETS)}."
        )
    return transaction_uid, target


async def change_state(workitems: Workitems, uid: str, sent: Attributes, context: Context, requester: str = "") -> str:
    """Bring a workitem into the state that a client has sent; what it is warned of, '' for nothing.

    `requester`: the AE title that the request names, '' without one. Raises NotFound, Gone, InvalidRequest, Conflict.
    """
    transaction_uid, target = asked(sent, context)
    stored = await _allowed(workitems, uid, transaction_uid, target, context)
    if isinstance(stored, str):
        return stored
    after = changed(stored.workitem, target, transaction_uid, workitems.now(), requester)
    try:
        if target.is_final:
            check_final(after.attributes, target)
        await workitems.write(stored, after)
    except InvalidWorkitem as error:
        raise refused(context, str(error)) from error
    except WorkitemChanged as error:
        # Who lost a race for the workitem is told what it has become of; only if that says nothing, that it was lost.
        await _allowed(workitems, uid, transaction_uid, target, context)
        raise conflicting(context) from error
    return ""


async def _allowed(
    workitems: Workitems, uid: str, transaction_uid: str, target: State, context: Context
) -> StoredWorkitem | str:
    """The workitem, which may be changed; a warning if it is in that state already, by this performer."""
    stored = await present(workitems, uid, context)
    answer = change(stored.workitem.state, stored.workitem.claim, transaction_uid, target)
    if answer.is_refused:
        raise refused(context, f"The workitem instance can not transition to '{target}' state: {answer.code}.")
    if not answer.changes:
        return f"The UPS is already in the requested state of {target}. ({answer.code})"
    return stored
