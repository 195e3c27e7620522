"""Which changes a cycle of the sequencer numbers, and in which order (storage §7). Without requests."""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from heapq import nsmallest

from shared.change_log.look import Look
from shared.hints import Hint, Hints, Mark
from shared.index_schema import keys
from shared.index_schema.changes import LoggedChange
from shared.index_schema.hidden_namespaces import is_hidden
from shared.index_schema.keys import StudyPlace

type ChangeKey = tuple[str, str]
"""Change id, then the study's partition key: two studies may have changes of one id."""


def change_key(change: LoggedChange, shards: int) -> ChangeKey:
    """The key of a change in a store of so many shards."""
    place = keys.study_place(change.namespace, change.identifier.study_instance_uid, shards)
    return change.id, place.partition_key


@dataclass(slots=True)
class Study:
    """A study that a cycle has to do with."""

    place: StudyPlace
    hints: dict[Hint, Mark] = field(default_factory=dict)
    """Its hints, and what each had been used for before the look."""
    look: Look | None = None
    """None if it was not looked at: what is pending is known without."""


@dataclass(slots=True)
class Found:
    """The findings of a cycle."""

    studies: dict[str, Study] = field(default_factory=dict)
    """By partition key."""
    settled: dict[Hint, Mark] = field(default_factory=dict)
    """Hints of the studies that were passed over, and what each had been used for."""
    passed: Collection[ChangeKey] = frozenset()
    """Changes that have their numbers already."""
    changes: dict[ChangeKey, LoggedChange] = field(default_factory=dict)
    hidden: dict[ChangeKey, LoggedChange] = field(default_factory=dict)
    """Those that get no number: the feed has no copies of shares (SHR-7). They are folded as all others."""
    complete: bool = True
    """Whether every change that was pending when the cycle began is in `changes`."""
    upto: str = ""
    """Changes with greater ids may be missing; '': none is."""

    def add(self, key: str, look: Look, most: int) -> None:
        """Note what was found in a study; `most` changes are kept, the first ones."""
        # rule: changes of two studies may share an id
        found = {(change.id, key): change for change in look.changes}
        if is_hidden(look.place.namespace):
            self.hidden |= found
        else:
            self.changes |= {each: change for each, change in found.items() if each not in self.passed}
        self.complete = self.complete and look.complete
        self._bound(look.upto)
        if len(self.changes) > 2 * most:
            first = nsmallest(most, self.changes)
            self.changes = {each: self.changes[each] for each in first}
            self.complete = False
            self._bound(first[-1][0])

    def is_known_at(self, key: ChangeKey) -> bool:
        """Whether no change before this one is missing."""
        return not self.upto or key[0] <= self.upto

    def _bound(self, upto: str) -> None:
        self.upto = min(filter(None, (self.upto, upto)), default="")


class Rest(Enum):
    """Changes pending at the beginning of a cycle that it has not logged."""

    NOTHING = auto()
    LATE = auto()
    """Those that the next cycle logs, whatever there is. If an earlier cycle has seen all that there was, they were
    committed after it."""
    MORE = auto()
    """More than it takes, or it is not known what became of a page."""


class Numbering:
    """Chooses what a cycle logs, and remembers what it found for the next one. One per process."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._seen: set[ChangeKey] = set()
        """Changes that the last cycle has found."""
        self.has_seen_all = False
        """Whether those were all that there were."""

    def choose(self, found: Found, until: int, most: int) -> tuple[list[ChangeKey], Rest]:
        """The changes that are to be logged, in order, at most so many; and what is left.

        What was committed after the cycle has begun (`until`) may follow what it has not found. The next cycle finds
        that, and logs both, whatever the clocks say.
        """
        # rule: what is committed after a cycle has begun waits for the next
        late = {key for key, change in found.changes.items() if change.version >= until} - self._seen
        chosen = sorted(key for key in found.changes if key not in late and found.is_known_at(key))
        # rule: what a cycle has found is logged by the next
        self._seen = set(found.changes)
        self.has_seen_all = found.complete
        if not found.complete or len(chosen) > most or len(chosen) + len(late) < len(found.changes):
            return chosen[:most], Rest.MORE
        # Those of this process have versions of its clock: they were committed later than whoever waits has asked.
        # rule: what another process has committed may be older than its version
        if any(not self._is_own(found.studies[key]) for _, key in late):
            return chosen, Rest.LATE
        return chosen, Rest.NOTHING

    def _is_own(self, study: Study) -> bool:
        """Whether no other process has written to the study lately."""
        return bool(study.hints) and all(map(self._hints.is_own, study.hints))
