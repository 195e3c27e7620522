"""Delete a study, a series or an instance (dicomweb §9; no part of PS3.18)."""

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.errors import NotFound
from shared.index.instances import InstanceIndex


async def delete_instances(index: InstanceIndex, partition: Partition, scope: ResourceIdentifier) -> int:
    """Remove everything in `scope` from the index, at once and for every reader; its files are erased later (DEL-11).

    Returns how many instances there were. Raises NotFound when there was none (DEL-3), Unavailable.
    """
    removed = await index.delete(partition, scope)
    if not removed:
        raise NotFound("The requested resource does not exist.")
    return removed
