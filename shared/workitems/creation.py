"""PS3.4 §CC.2.5.3 The creation of a workitem: what the service sets, what is checked, what is stored."""

import asyncio

from shared.dicom.attributes import Attributes
from shared.workitems import searchable
from shared.workitems.requirements import check
from shared.workitems.store import Workitems
from shared.workitems.workitem import created, without_transaction_uid


async def create(workitems: Workitems, namespace: str, uid: str, sent: Attributes) -> None:
    """Create a workitem of this UID. Raises InvalidWorkitem, WorkitemExists, TooLarge, Unavailable."""
    attributes = created(sent, uid, workitems.now())
    await asyncio.to_thread(check_creation, attributes)
    await workitems.create(namespace, uid, without_transaction_uid(attributes))


def check_creation(attributes: Attributes) -> None:
    """Refuse attributes that make no workitem. Raises InvalidWorkitem."""
    check(attributes, "create")
    searchable.check(attributes)
