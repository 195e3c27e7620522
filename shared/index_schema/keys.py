"""Partition keys and row keys (storage §2, §3). Pure.

`!` separates the parts of a key. Text in a key is escaped so that it holds neither `!` nor what sorts before it:
`[tag!value!, tag!value")` is the range of a value, `[tag!prefix, tag!prefix` + LAST`)` that of a prefix. The keys of
postings are made and read in `postings`, the names of blobs in `blob_names`.
"""

import random
import re
import struct
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha1
from typing import NamedTuple

DEFAULT_NAMESPACE = "0"

VALUE_UNITS = 180
"""Longest text in a key, in UTF-16 units; a text that was cut finds more than was asked for, never less."""

LAST = "\ud7ff"
"""Greater than every character of a key: `escape` leaves none above it, and none is assigned to it."""

HINT_PARTITION = "h"
"""One for all hints: whoever looks for pending work reads them all."""

# ------------------------------------------------------------------------------------------------------ partitions


@dataclass(frozen=True, slots=True)
class StudyPlace:
    """The place of the rows of a study: the keys of its partition, of its postings and of its hint."""

    namespace: str
    study_instance_uid: str
    partition_key: str
    shard: int

    @property
    def postings(self) -> str:
        """The partition key of its postings, in `idx` and `idxi`."""
        return posting_partition(self.shard, self.namespace)

    @property
    def name(self) -> str:
        """The name of the study in hints and wake-ups; `named_place` reads it."""
        return f"{self.namespace}!{self.study_instance_uid}"

    @property
    def hint(self) -> tuple[str, str]:
        """Partition key and row key of its hints; that of a process adds what stands for the process."""
        return HINT_PARTITION, self.name


def study_place(namespace: str, study: str, shards: int) -> StudyPlace:
    """The place of the rows of `study`, in a store with that number of shards."""
    spread = digest(f"{namespace}!{study}")[:4]
    return StudyPlace(namespace, study, f"{spread}{namespace}!{study}", int(spread, 16) % shards)


def study_partition(namespace: str, study: str) -> str:
    """The partition key of a study's rows."""
    return f"{digest(f'{namespace}!{study}')[:4]}{namespace}!{study}"


def posting_partition(shard: int, namespace: str) -> str:
    """The partition key of the postings of one shard and data partition."""
    return f"{shard:02x}!{namespace}"


def error_partition(key: str) -> str:
    """The partition key, in `idxi`, of the indexing errors of the attribute of that key."""
    return f"e!{key}"


def namespace_of(posting_partition: str) -> str:
    """The data partition in the partition key of postings."""
    return posting_partition.partition("!")[2]


def named_place(name: str, shards: int) -> StudyPlace:
    """The study that `StudyPlace.name` names."""
    namespace, _, study = name.partition("!")
    return study_place(namespace, study, shards)


# ------------------------------------------------------------------------------------------------- study partition


class RowKind(StrEnum):
    """The rows of a study, by the first letter of their keys (storage §3). Their order is that of the letters."""

    ANCHOR = "A"
    SUMMARY = "B"
    SERIES = "C"
    PENDING = "D"
    """A committed change that is not folded yet."""
    FOLDED = "E"
    """A folded change that is not in the change feed yet."""
    CLEANUP = "G"
    """The rows and files that a fold leaves to be removed."""
    INSTANCE = "I"
    """An instance, live or deleted."""


ANCHOR = RowKind.ANCHOR.value
SUMMARY = RowKind.SUMMARY.value
TOTALS = (ANCHOR, RowKind.SERIES.value)
"""The anchor and the summary."""
VISIBLE = (ANCHOR, RowKind.FOLDED.value)
"""The rows that a reader takes: anchor, summary, series, pending changes."""
UNFINISHED_TOO = (ANCHOR, "H")
"""The same, the changes that are folded but not in the change feed, and clean-up."""
SERIES = ("C!", 'C"')
FOLDED = (RowKind.FOLDED.value, "F")
CLEANUP = (RowKind.CLEANUP.value, "H")
UNFINISHED = (RowKind.PENDING.value, "H")
"""Changes and clean-up: what the sequencer takes."""
INSTANCES = ("I!", 'I"')


class ChangeId(NamedTuple):
    """The order and the name of a change, as text `{version:016x}!{digest}`."""

    version: int
    digest: str
    """Stands for the instance inside its study."""

    @staticmethod
    def parse(text: str) -> "ChangeId":
        """The id in its text."""
        version, _, digest = text.partition("!")
        return ChangeId(int(version, 16), digest)

    def __str__(self) -> str:
        return f"{self.version:016x}!{self.digest}"


def kind_of(row_key: str) -> RowKind:
    """The kind of a row of a study."""
    return RowKind(row_key[0])


def tail_of(row_key: str) -> str:
    """The rest of a row key behind its letter: SeriesInstanceUID of a series, id of a pending or folded change."""
    return row_key[2:]


def series_row(series: str) -> str:
    """The row of a series."""
    return f"C!{series}"


def pending_row(change_id: str) -> str:
    """The row of a committed change that is not folded yet."""
    return f"D!{change_id}"


def folded_row(change_id: str) -> str:
    """The row of a folded change that is not in the change feed yet."""
    return f"E!{change_id}"


def cleanup_row(version: int, sort_key: str) -> str:
    """The row of what is left to remove after version `version` of the summary."""
    return f"G!{version:08}!{sort_key}"


def instance_row(series: str, sop_instance: str) -> str:
    """The row of an instance, live or deleted."""
    return f"I!{series}!{sop_instance}"


def instance_range(series: str | None, sop_instance: str | None) -> tuple[str, str]:
    """The range of the instance rows of a study, of a series of it, or of one instance."""
    if series is None:
        return INSTANCES
    if sop_instance is None:
        return f"I!{series}!", f'I!{series}"'
    row_key = instance_row(series, sop_instance)
    return row_key, after_instance(row_key)


def instance_of(row_key: str) -> tuple[str, str]:
    """Series and SOP Instance UID of an instance row."""
    _, series, sop_instance = row_key.split("!")
    return series, sop_instance


def after_instance(row_key: str) -> str:
    """The end of the range of one instance row, and of a range that ends with it."""
    return f"{row_key} "


def change_id(version: int, series: str, sop_instance: str) -> str:
    """The text of the ChangeId of a change of an instance."""
    return str(ChangeId(version, instance_digest(series, sop_instance)))


def joined_uids(series: str, sop_instance: str) -> str:
    """An instance of a study as text."""
    return f"{series}!{sop_instance}"


def split_uids(text: str) -> tuple[str, str]:
    """Series and SOP Instance UID in what `joined_uids` made; empty ones if it is empty."""
    series, _, sop_instance = text.partition("!")
    return series, sop_instance


def instance_digest(series: str, sop_instance: str) -> str:
    """8 hex digits for an instance inside its study."""
    return digest(joined_uids(series, sop_instance))[:8]


def uid_digest(uid: str) -> str:
    """16 hex digits for a series or SOP Instance UID in posting keys."""
    return digest(uid)[:16]


def new_sort_key(now_ms: int) -> str:
    """The sort key of a new incarnation of a study: ascending is newest first; the tail makes it unique."""
    return f"{2**48 - 1 - now_ms:012x}{random.getrandbits(16):04x}"


def sort_key_time(sort_key: str) -> int:
    """The time of which `new_sort_key` made a sort key, in milliseconds since 1970; 0 for an empty one."""
    return 2**48 - 1 - int(sort_key[:12], 16) if sort_key else 0


def newest_first(version: int) -> str:
    """16 hex digits that ascend while versions descend."""
    return f"{2**64 - 1 - version:016x}"


# ------------------------------------------------------------------------------------------------------------ text

_UNFIT = re.compile("[\x00-\x20/\\\\#?%'~!\x7f-\x9f\ud7ff-\U0010ffff]")


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    # Above U+D800 the service's order of keys (UTF-16) and Python's differ, and surrogates are no text.
    return f"~{code:02x}" if code < 256 else f"~u{code:06x}"


def escape(text: str) -> str:
    """Folded text as it stands in a key: what a key cannot hold, and what sorts before `!`, becomes `~hh`."""
    text = text[:VALUE_UNITS]
    return _UNFIT.sub(_escaped, text)[:VALUE_UNITS]


def encode(text: str) -> str:
    """Text in a key: padding and case do not count."""
    return escape(text.strip(" \0").casefold())


def encode_number(value: float) -> str:
    """A number in a key: 16 hex digits in numerical order."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))
    return f"{bits ^ (2**64 - 1 if bits >> 63 else 2**63):016x}"


# --------------------------------------------------------------------------------------------------------- digests


def digest(text: str) -> str:
    """40 hex digits for a text; names have the first of them."""
    return sha1(text.encode(), usedforsecurity=False).hexdigest()
