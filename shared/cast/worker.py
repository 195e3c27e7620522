"""dicomcast §3.2, §5.1 Attempts at dirty studies: one at a time for each, repeated, parked, or held back.

Every path ends with the message completed: another attempt has a message of its own (CAST-EV-11), and the row of a
study tells all that a message could.
"""

import asyncio
import logging
import random
import traceback
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from shared import metrics, telemetry
from shared.cast.circuit import Circuit
from shared.cast.dirty_studies import LEASE_SECONDS, Dirty, DirtyStudies, LeaseTaken, StudyKey, Synced
from shared.cast.error_records import DICOM_ERROR, FHIR_ERROR, TRANSIENT_FAILURE, TRANSIENT_RETRY, ErrorRecords, Fault
from shared.cast.matching import NoPatient, Refused
from shared.cast.ports import Unreadable
from shared.cast.queueing import Hints
from shared.cast.reconcile import Outcome, Reconciler
from shared.cast.settings import CastSettings
from shared.errors import DicomServiceError
from shared.outgoing.failures import Failure, RequestFailed
from shared.storage.ports import StorageError

NO_PATIENT = "NoPatient"
"""Class of a park: a Patient is to be chosen. Its row is of class DicomError."""
_BUSY_SECONDS = 5.0
_FIRST_PAUSE, _MOST_PAUSE = 2.0, 60.0
_HINTED_AT_ONCE = 500
_OLD_SECONDS = 60.0
"""A dirty study is hinted at again when its row is older than that. One that is to be replayed may have had no hint: of
all those that `backfill` marks nobody sends one.
"""
_PROBED = 100
"""Dirty studies of which a probe takes one."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Everything that attempts at studies touch."""

    studies: DirtyStudies
    errors: ErrorRecords
    circuit: Circuit
    hints: Hints
    reconciler: Reconciler
    settings: CastSettings


class Worker:
    """Attempts at studies in one process; any number of processes."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._owner = uuid.uuid4().hex
        self._now = place.studies.now

    async def study(self, key: StudyKey, sequence: int = 0) -> None:
        """One attempt, unless there is nothing to do, or now is not the time. Raises Unavailable."""
        dirty = await self._place.studies.get(key)
        now = self._now()
        if dirty is None or dirty.parked or dirty.not_before > now + 1:
            return
        if sequence and dirty.sequence < sequence:
            telemetry.event("cast-message-ahead", sequence=sequence)
        if not await self._place.circuit.may_try():
            return
        await self._attempt(dirty)

    async def probe(self) -> None:
        """While the circuit is open: one attempt at any study that waits for one."""
        state = await self._place.circuit.state(fresh=True)
        if not state.is_open:
            return
        waiting = [each async for each in _first(self._place.studies, _PROBED)]
        if waiting:
            others = [each for each in waiting if each.key.name != state.last_study]
            dirty = random.choice(others or waiting)
            if await self._place.circuit.may_try():
                await self._attempt(dirty)
                return
        await self._place.hints.probe(max(state.probe_at - self._now(), 1.0))

    async def retry(self) -> int:
        """Hint at dirty studies that nobody seems to care for (CAST-EV-10), and at parked ones whose time has come."""
        place, now, sent = self._place, self._now(), 0
        state = await place.circuit.state(fresh=True)
        if state.is_open:
            await self.probe()
            return 0
        async for dirty in place.studies.all():
            if dirty.parked:
                replay = place.settings.replay_seconds
                due = replay and now - dirty.parked_at >= replay and dirty.parked in (TRANSIENT_FAILURE, NO_PATIENT)
                if not due:
                    continue
                await place.studies.mark(dirty.key, dirty.sequence, replay=True)
            elif dirty.not_before > now or (now - dirty.since < _OLD_SECONDS and not dirty.replay):
                continue
            await place.hints.study(dirty.key, dirty.sequence)
            sent += 1
            if sent >= _HINTED_AT_ONCE:
                break
        return sent

    # ------------------------------------------------------------------------------------------------- one attempt

    async def _attempt(self, dirty: Dirty) -> None:
        place = self._place
        try:
            held = await place.studies.take(dirty, f"{self._owner}{uuid.uuid4().hex}")
        except LeaseTaken:
            await place.hints.study(dirty.key, dirty.sequence, delay=_BUSY_SECONDS)
            return
        renewing = asyncio.create_task(self._renew(held))
        before: Synced | None = None
        try:
            before = await place.studies.synced(held.key)
            outcome = await place.reconciler.run(held, before)
        except RequestFailed as error:
            await self._failed(held, error)
        except NoPatient as error:
            await self._no_patient(held, error)
        except Refused as error:
            await self._park(held, Fault(FHIR_ERROR, str(error)))
        except Unreadable as error:
            if not place.settings.ignores_parsing_errors:
                await self._park(held, Fault(DICOM_ERROR, str(error)))
            else:
                telemetry.event("cast-metadata-not-read", level=logging.WARNING)
                passed = replace(before or Synced(), sequence=held.sequence, at=self._now())
                await self._done(held, Outcome(passed, unchanged=True), before)
        except (DicomServiceError, StorageError):  # of this service's own stores: the message comes again
            await self._later(held, self._pause(held))
        except Exception as error:  # noqa: BLE001 - parked and told, never a loop (dicomcast §5.1)
            telemetry.failure("cast-internal-error", error)
            where = "".join(traceback.format_tb(error.__traceback__))
            await self._park(held, Fault(FHIR_ERROR, f"internal: {type(error).__name__}\n{where}"))
        else:
            await self._done(held, outcome, before)
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _renew(self, held: Dirty) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(DicomServiceError):
                await self._place.studies.change(held, until=self._now() + LEASE_SECONDS)

    async def _done(self, held: Dirty, outcome: Outcome, before: Synced | None) -> None:
        place, key = self._place, held.key
        if outcome.notes or outcome.refused or (before is not None and before.noted and not outcome.unchanged):
            await place.errors.write_notes(key, outcome.notes, outcome.refused)
        if held.attempts:
            await place.errors.resolve(key)
        if not await place.studies.done(held, outcome.synced):
            return  # whoever has the lease now does it again, and finds it done
        metrics.add(metrics.CAST_STUDIES, outcome="written" if outcome.written else "unchanged")
        for name, number in outcome.written.items():
            metrics.add(metrics.CAST_RESOURCES, number, request=name)
        metrics.record(metrics.CAST_SECONDS, max(self._now() - held.committed, 0.0))
        rest = await place.studies.get(key)
        if rest is not None:
            await place.hints.study(key, rest.sequence)
        if await place.circuit.answered(key.name, reconciled=True):
            await self._closed()

    async def _failed(self, held: Dirty, error: RequestFailed) -> None:
        place = self._place
        telemetry.failure("cast-request-failed", error, level=logging.WARNING, failureClass=error.failure.value)
        if error.failure.of_the_server:
            pause = await place.circuit.open(error.failure, error.retry_after)
            await self._later(held, 0.0)
            await place.hints.probe(pause)
            return
        if error.failure is Failure.TRANSIENT:
            await self._transient(held, error)
            return
        await self._park(held, Fault(FHIR_ERROR, str(error), status=error.status, outcome=error.outcome))

    async def _transient(self, held: Dirty, error: RequestFailed) -> None:
        """CAST-ER-6."""
        place, now = self._place, self._now()
        if await place.circuit.no_answer(held.key.name):
            await self._later(held, 0.0)
            await place.hints.probe(_FIRST_PAUSE)
            return
        state = await place.circuit.state(fresh=True)
        counted = place.circuit.open_seconds(state)
        first, opened = (held.first_failure, held.open_seconds) if held.first_failure else (now, counted)
        lasted = now - first - (counted - opened)
        if lasted >= place.settings.total_retry_seconds and state.last_success > first:
            await self._park(held, Fault(TRANSIENT_FAILURE, str(error), status=error.status))
            return
        await place.errors.write(held.key, Fault(TRANSIENT_RETRY, str(error), status=error.status, last=held.sequence))
        pause = self._pause(held)
        await self._later(
            held, pause, attempts=held.attempts + 1, first_failure=first, open_seconds=opened, not_before=now + pause
        )

    @staticmethod
    def _pause(held: Dirty) -> float:
        return min(_FIRST_PAUSE * 2.0 ** min(held.attempts, 10), _MOST_PAUSE) * random.uniform(0.9, 1.0)

    async def _later(self, held: Dirty, pause: float, **changed: Any) -> None:
        """Give the study back; with a pause, and a message for its end."""
        await self._place.studies.change(held, owner="", until=0.0, **changed)
        if pause:
            await self._place.hints.study(held.key, held.sequence, delay=pause)

    async def _no_patient(self, held: Dirty, error: NoPatient) -> None:
        wanted = error.wanted
        shown = {
            "patientId": wanted.value,
            "system": wanted.system,
            "issuer": wanted.issuer,
            "name": dict(wanted.name),
            "birthDate": wanted.birth_date,
        }
        await self._park(held, Fault(DICOM_ERROR, str(error)), park=NO_PATIENT, detail=orjson.dumps(shown).decode())

    async def _park(self, held: Dirty, fault: Fault, *, park: str = "", detail: str = "") -> None:
        """Keep a study from being tried until it changes or somebody asks for it."""
        place = self._place
        synced = await place.studies.synced(held.key)
        first = synced.sequence + 1 if synced else held.sequence
        await place.errors.write(held.key, replace(fault, first=min(first, held.sequence), last=held.sequence))
        if not await place.studies.park(held, park or fault.kind, detail):
            await self._later(held, _BUSY_SECONDS, attempts=held.attempts + 1)
        metrics.add(metrics.CAST_PARKED, failureClass=fault.kind)
        if await place.circuit.answered(held.key.name, reconciled=False):
            await self._closed()

    async def _closed(self) -> None:
        """The circuit has closed: those who waited have their turn."""
        hints = self._place.hints
        async for dirty in _first(self._place.studies, _HINTED_AT_ONCE):
            await hints.study(dirty.key, dirty.sequence)


async def _first(studies: DirtyStudies, most: int) -> AsyncIterator[Dirty]:
    """The first dirty studies that are not parked."""
    count = 0
    async for dirty in studies.all(parked=False):
        yield dirty
        count += 1
        if count >= most:
            return
