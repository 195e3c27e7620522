"""The knowledge that a migration has of studies and instances (MIG-6, MIG-9)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Place(NamedTuple):
    """An instance: its UIDs."""

    study: str
    series: str
    sop: str

    @property
    def path(self) -> str:
        """Below the root of a DICOMweb service."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.sop}"


class State(StrEnum):
    """The state of an instance. FOUND and SENT are on their way, the others are ends."""

    FOUND = "found"
    SENT = "sent"
    """Stored at the destination, not compared yet."""
    EQUAL = "equal"
    """At the destination, and compared as far as the migration was told to."""
    DIFFERENT = "different"
    """At the destination is another file of that UID, or none."""
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    """The source does not give it."""
    DELETED = "deleted"
    """Deleted at both ends: the source's change feed has said so."""


UNDONE = (State.FOUND, State.SENT)
FAULTS = (State.DIFFERENT, State.REFUSED, State.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance of a migration. `name`: where it lies at the source, if that is no DICOMweb server."""

    place: Place
    name: str = ""
    state: State = State.FOUND
    length: int = 0
    digest: str = ""
    """SHA-256 of the file, without its preamble."""
    syntax: str = ""
    """The transfer syntax in which the source gave it."""
    reason: str = ""


class SourceFailed(Exception):
    """The source does not give an instance; the text says why, without a value of it."""
