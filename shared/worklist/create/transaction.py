"""PS3.18 §11.4 Create Workitem (worklist §3)."""

import uuid

from shared.dicom.attributes import Attributes
from shared.errors import InvalidUid
from shared.workitems import creation
from shared.workitems.store import Workitems
from shared.workitems.workitem import SOP_INSTANCE_UID
from shared.worklist.named_uids import sent_uid


async def create(workitems: Workitems, namespace: str, uid: str, sent: Attributes) -> str:
    """Create a workitem of what a client has sent; its UID.

    `uid`: that of the URL, '' without one. Raises InvalidUid, InvalidWorkitem, WorkitemExists, TooLarge.
    """
    own = sent_uid(sent, SOP_INSTANCE_UID)
    if uid and own and uid != own:
        raise InvalidUid(
            "SOPInstanceUID in the payload does not match the workitem query parameter.", where="request body"
        )
    uid = uid or own or f"2.25.{uuid.uuid4().int}"
    await creation.create(workitems, namespace, uid, sent)
    return uid
