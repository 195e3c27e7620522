"""The list of data partitions (PART-10, DP-7)."""

from collections.abc import Iterable

import orjson

from shared.dicomweb.partitions import Partition


def partition_list(partitions: Iterable[Partition]) -> bytes:
    """The JSON array of `partitions`, in the order of their keys."""
    return orjson.dumps(
        [
            {
                "partitionKey": partition.key,
                "partitionName": partition.name,
                "createdDate": partition.created.isoformat(),
            }
            for partition in sorted(partitions, key=lambda partition: partition.key)
        ]
    )
