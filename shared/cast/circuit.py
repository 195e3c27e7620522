"""dicomcast §5.1 The circuit: while the FHIR server serves nobody, nobody but a probe asks it.

One row tells all processes. It opens with a failure that every other study would meet too, or with three studies in a
row that got no answer; the answer to a probe closes it, or puts the next probe off.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.cast.dirty_studies import TABLE
from shared.cast.ports import CastTables
from shared.outgoing.failures import Failure
from shared.storage.optimistic import commit_once
from shared.storage.ports import Entity, RowWrite, Value

_KEY = ("circuit", "fhir")
_FIRST_SECONDS, _MOST_SECONDS = 2.0, 60.0
_IN_A_ROW = 3
_KNOWN_SECONDS = 2.0
"""A reading of the row is good for that long: two more requests to a server that is away do no harm."""
_PROGRESS_SECONDS = 5.0
_REFUSALS = (Failure.AUTHENTICATION, Failure.PERMISSION)
"""They last until people do something: one probe a minute from the start."""


@dataclass(frozen=True, slots=True)
class CircuitState:
    """The circuit as it is stored."""

    failure: str = ""
    """Class of the failure that opened it; empty: it is closed."""
    since: float = 0.0
    """When it opened, in seconds since 1970."""
    probe_at: float = 0.0
    """When the next probe is due."""
    probes: int = 0
    open_seconds: float = 0.0
    """How long it has been open in all, the present time not counted."""
    last_success: float = 0.0
    """When a study was last reconciled, to some seconds."""
    last_study: str = ""
    etag: str = ""

    @property
    def is_open(self) -> bool:
        """Whether only probes are let through."""
        return bool(self.failure)

    def properties(self) -> dict[str, Value]:
        """Of its row."""
        return {
            "failure": self.failure,
            "since": self.since,
            "probeAt": self.probe_at,
            "probes": self.probes,
            "openSeconds": self.open_seconds,
            "lastSuccess": self.last_success,
            "lastStudy": self.last_study,
        }


class Circuit:
    """The circuit as one process sees it. Every method raises Unavailable while the tables do not answer."""

    def __init__(self, tables: CastTables, now: Callable[[], float]) -> None:
        self._tables = tables
        self._now = now
        self._known = CircuitState()
        self._read_at = float("-inf")
        self._transient: set[str] = set()

    async def state(self, *, fresh: bool = False) -> CircuitState:
        """The circuit as it is, or was two seconds ago."""
        if fresh or self._now() - self._read_at > _KNOWN_SECONDS:
            row = await self._tables.get(TABLE, *_KEY)
            self._remember(_state(row) if row else CircuitState())
        return self._known

    async def may_try(self) -> bool:
        """Whether a study may be reconciled now. True while it is open: this is the probe, and nobody else's."""
        state = await self.state()
        if not state.is_open:
            return True
        if self._now() < state.probe_at:
            return False
        return await self._write(replace(state, probe_at=self._now() + _pause(state), probes=state.probes + 1))

    async def open(self, failure: Failure, retry_after: float = 0.0) -> float:
        """Note that the server serves nobody; seconds until the next probe."""
        while True:
            state = await self.state(fresh=True)
            pause = max(_pause(replace(state, failure=failure.value)), retry_after)
            since = state.since if state.is_open else self._now()
            changed = replace(state, failure=failure.value, since=since, probe_at=self._now() + pause)
            if not state.is_open:
                changed = replace(changed, probes=1)
            if await self._write(changed):
                return pause

    async def answered(self, study: str, *, reconciled: bool) -> bool:
        """Note that the server has answered about a study, be it a refusal; whether that closed the circuit."""
        self._transient.clear()
        state = await self.state()
        now = self._now()
        late = now - state.last_success > _PROGRESS_SECONDS or state.last_study != study
        progress: dict[str, Any] = {"last_success": now, "last_study": study} if reconciled and late else {}
        if not state.is_open:
            if progress and now - state.last_success > _PROGRESS_SECONDS:
                await self._write(replace(state, **progress))
            return False
        while True:
            state = await self.state(fresh=True)
            if not state.is_open:
                return False
            counted = state.open_seconds + max(now - state.since, 0.0)
            closed = replace(state, failure="", since=0.0, probe_at=0.0, probes=0, open_seconds=counted, **progress)
            if await self._write(closed):
                return True

    async def no_answer(self, study: str) -> bool:
        """Note that a study got no answer in time; whether that opened the circuit: three in a row did not."""
        self._transient.add(study)
        if len(self._transient) < _IN_A_ROW and not (await self.state()).is_open:
            return False
        self._transient.clear()
        await self.open(Failure.TRANSIENT)
        return True

    def open_seconds(self, state: CircuitState) -> float:
        """How long it has been open in all."""
        return state.open_seconds + (max(self._now() - state.since, 0.0) if state.is_open else 0.0)

    async def _write(self, state: CircuitState) -> bool:
        verb: Literal["replace", "insert"] = "replace" if state.etag else "insert"
        write = RowWrite(verb, *_KEY, state.properties(), state.etag or "*")
        etag = await commit_once(self._tables, TABLE, [write])
        if etag is None:
            self._read_at = float("-inf")
            return False
        self._remember(replace(state, etag=etag))
        return True

    def _remember(self, state: CircuitState) -> None:
        self._known, self._read_at = state, self._now()


def _pause(state: CircuitState) -> float:
    if state.failure in {each.value for each in _REFUSALS}:
        return _MOST_SECONDS
    return min(_FIRST_SECONDS * 2.0 ** min(state.probes, 10), _MOST_SECONDS) * random.uniform(0.9, 1.0)


def _state(row: Entity) -> CircuitState:
    held: Any = row.properties
    return CircuitState(
        held["failure"],
        held["since"],
        held["probeAt"],
        held["probes"],
        held["openSeconds"],
        held["lastSuccess"],
        held["lastStudy"],
        row.etag,
    )
