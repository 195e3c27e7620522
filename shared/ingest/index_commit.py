"""Committing instances whose attributes were taken by a schema that the index has left meanwhile."""

from collections.abc import Sequence
from dataclasses import replace

from shared.dicomweb.partitions import Partition
from shared.index.documents import data_set_in
from shared.index.instances import InstanceIndex
from shared.index.model import CommitOutcome, NewInstance
from shared.index_schema import blob_names
from shared.index_schema.schema import IndexSchema
from shared.storage.ports import BlobNotFound, BlobStore

_ROUNDS = 3
"""Schemas that may follow one another while instances are being committed."""


async def commit_instances(
    index: InstanceIndex,
    blobs: BlobStore,
    partition: Partition,
    instances: Sequence[NewInstance],
    *,
    late: bool = False,
) -> list[CommitOutcome]:
    """`InstanceIndex.commit`; entries that are OUTDATED are taken from the metadata again and committed then."""
    outcomes = await index.commit(partition, instances, late=late)
    for _ in range(_ROUNDS):
        outdated = [at for at, outcome in enumerate(outcomes) if outcome is CommitOutcome.OUTDATED]
        if not outdated:
            break
        renewed = [await _renewed(instances[at], index.schema, blobs) for at in outdated]
        for at, outcome in zip(outdated, await index.commit(partition, renewed, late=late), strict=True):
            outcomes[at] = outcome
    return [CommitOutcome.UNAVAILABLE if each is CommitOutcome.OUTDATED else each for each in outcomes]


async def _renewed(instance: NewInstance, schema: IndexSchema, blobs: BlobStore) -> NewInstance:
    """The instance with the attributes that `schema` has beside those of its own; as it is if its documents are gone,
    which are removed when another upload has won.
    """
    try:
        document = instance.metadata or await blobs.read(blob_names.metadata_blob(instance.blob))
    except BlobNotFound:
        return replace(instance, schema=schema.number)
    taken = (instance.study, instance.series, instance.instance)
    data_set = await data_set_in(document)
    study, series, own = schema.extend(taken, instance.schema, data_set)
    return replace(instance, study=study, series=series, instance=own, schema=schema.number)
