"""Data partitions as URLs name them (PART-3, PART-7)."""

import re
from dataclasses import dataclass
from datetime import datetime

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


def is_partition_name(text: str) -> bool:
    """Whether `text` can name a partition (PART-3)."""
    return _NAME.fullmatch(text) is not None
