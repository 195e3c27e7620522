"""Data partitions as URLs name them (PART-3, PART-7)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

DEFAULT_NAME = "Microsoft.Default"
DEFAULT_KEY = 1

_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")


@dataclass(frozen=True, slots=True)
class Partition:
    """A data partition. `namespace` is what keys and blob names carry: '0' for Microsoft.Default (storage §2)."""

    key: int
    name: str
    namespace: str
    created: datetime


class PartitionDirectory(Protocol):
    """Knows the data partitions of the store."""

    async def resolve(self, name: str, *, create: bool) -> Partition:
        """The partition of that name. Raises InvalidRequest if it is unknown and must not be created (PART-6)."""
        ...

    async def by_namespace(self, namespace: str) -> Partition | None:
        """The partition that keys name so; None if there is none."""
        ...

    async def partitions(self) -> Sequence[Partition]:
        """All of them by key, Microsoft.Default included (PART-10)."""
        ...


def is_partition_name(text: str) -> bool:
    """Whether `text` can name a partition (PART-3)."""
    return _NAME.fullmatch(text) is not None
