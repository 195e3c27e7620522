"""PS3.18 §11.6 Update Workitem (worklist §6)."""

import asyncio
from typing import Final

from shared.dicom.attributes import Attributes
from shared.errors import InvalidRequest
from shared.http.transaction import Context
from shared.workitems import searchable
from shared.workitems.requirements import InvalidWorkitem, check
from shared.workitems.states import State
from shared.workitems.store import WorkitemChanged, Workitems
from shared.workitems.workitem import TRANSACTION_UID, Workitem, updated, without_transaction_uid
from shared.worklist.named_uids import sent_uid
from shared.worklist.results import FINAL, conflicting, present, refused

_INCONSISTENT: Final = "The submitted request is inconsistent with the current state of the Workitem."
_NOT_CLAIMED: Final = "The target URI did not reference a claimed Workitem."
_NOT_ITS_OWN: Final = "Invalid TransactionUID for the specified Workitem Instance UID."


async def update(workitems: Workitems, uid: str, transaction_uid: str, sent: Attributes, context: Context) -> None:
    """Put the attributes that a client has sent into a workitem.

    `transaction_uid`: that of the URL, '' without one. Raises NotFound, Gone, InvalidRequest, Conflict, TooLarge.
    """
    own = sent_uid(sent, TRANSACTION_UID)
    if transaction_uid and own and transaction_uid != own:
        raise InvalidRequest("The Transaction UIDs of URL and body differ.", where="request body")
    stored = await present(workitems, uid, context)
    problem = _objection(stored.workitem, transaction_uid or own)
    if problem:
        raise refused(context, problem)
    changes = without_transaction_uid(sent)
    try:
        await asyncio.to_thread(_check, changes)
        await workitems.write(stored, updated(stored.workitem, changes, workitems.now()))
    except InvalidWorkitem as error:
        raise refused(context, str(error)) from error
    except WorkitemChanged as error:
        raise conflicting(context) from error


def _check(changes: Attributes) -> None:
    check(changes, "update")
    searchable.check(changes)


def _objection(workitem: Workitem, transaction_uid: str) -> str:
    """Why the sender may not update the workitem; '' if he may (WU-2 to WU-7)."""
    state = workitem.state
    if state.is_final:
        return f"{_INCONSISTENT} {FINAL[state]}"
    if state is State.SCHEDULED:
        return _NOT_ITS_OWN if transaction_uid else ""
    return "" if transaction_uid == workitem.claim else _NOT_CLAIMED
