"""dicomcast §4.2, §5.2, §5.6 Administration of DICOMcast: what people ask of it, and tell it."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson

from shared.cast.dirty_studies import Dirty, StudyKey
from shared.cast.error_records import CLASSES, TRANSIENT_RETRY
from shared.cast.mapping.patient import WantedPatient, new_patient, wanted_patient
from shared.cast.matching import condition, linked_reference
from shared.cast.ports import StudySource
from shared.cast.worker import NO_PATIENT, Workplace
from shared.cast_administration.request import Choice, ErrorFilter
from shared.cast_administration.response import error_entry, moment, unmatched_entry
from shared.dicomweb.partitions import DEFAULT_NAME
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.fhir.resources import Resource, elements
from shared.fhir.transaction import create, transaction
from shared.outgoing.failures import Failure, RequestFailed

_MOST = 1000
"""Entries of a list."""
_COUNTED = 10_000
_SEARCHED = ("ImagingStudy", "Patient", "Endpoint", "Observation")


@dataclass(frozen=True, slots=True)
class Places:
    """Services that the resources look at beside the workplace."""

    source: StudySource
    position: Callable[[], Awaitable[tuple[int, int]]]
    """The sequence that the sweep has come to, and the newest one."""
    lag: Callable[[], Awaitable[float]]
    """Seconds that the oldest change has waited for the sweep."""
    reset: Callable[[int], Awaitable[None]]
    """Lets the sweep go on behind a sequence."""
    token: Callable[[], Awaitable[str]]
    """The token for the FHIR server."""


class Administration:
    """The use cases. Raises RequestFailed where the FHIR server is asked, and Unavailable."""

    def __init__(self, place: Workplace, places: Places) -> None:
        self._place = place
        self._places = places
        self._matching = place.reconciler.matching
        self._fhir = self._matching.fhir

    async def status(self) -> dict[str, Any]:
        """How far it is, and what keeps it."""
        at, newest = await self._places.position()
        state = await self._place.circuit.state(fresh=True)
        waiting = parked = 0
        oldest = 0.0
        async for dirty in self._place.studies.all():
            parked += bool(dirty.parked)
            waiting += not dirty.parked
            oldest = min(oldest or dirty.since, dirty.since) if not dirty.parked else oldest
        errors = {kind: await self._open(kind) for kind in CLASSES if kind != TRANSIENT_RETRY}
        return {
            "checkpoint": at,
            "newestSequence": newest,
            "lagEntries": max(newest - at, 0),
            "lagSeconds": round(await self._places.lag(), 1),
            "studiesWaiting": waiting,
            "oldestWaitingSince": moment(oldest),
            "studiesParked": parked,
            "queueLength": await self._place.hints.queue.length(self._place.hints.name),
            "openErrors": errors,
            "circuit": {
                "open": state.is_open,
                "failure": state.failure or None,
                "since": moment(state.since),
                "nextProbe": moment(state.probe_at),
            },
            "lastSuccess": moment(state.last_success),
        }

    async def reset(self, sequence: int) -> None:
        """Let the sweep go on behind a sequence, and begin (CAST-EV-8)."""
        await self._places.reset(sequence)
        await self._place.hints.sweep(0.0)

    async def check(self) -> dict[str, Any]:
        """Whether the FHIR server can be used: token, version, transactions, searches."""
        found: dict[str, Any] = {"endpoint": self._fhir.base, "settings": self._place.settings.mapping_digest}
        try:
            found["token"] = _claims(await self._places.token())
            stated = await self._fhir.capabilities()
            found["fhirVersion"] = stated.get("fhirVersion")
            found["transaction"] = "transaction" in _interactions(stated)
            found["identifierSearch"] = {kind: await self._finds(kind) for kind in _SEARCHED}
        except RequestFailed as error:
            found["failure"] = {"class": error.failure.value, "text": str(error), "status": error.status or None}
        problems = []
        if found.get("fhirVersion") not in ("4.0.0", "4.0.1"):
            problems.append("fhirVersion")
        if not found.get("transaction"):
            problems.append("transaction")
        return {**found, "well": not problems and "failure" not in found, "problems": problems}

    async def errors(self, asked: ErrorFilter) -> list[dict[str, Any]]:
        """Rows of the error tables, at most a thousand."""
        kinds = [asked.kind] if asked.kind else [each for each in CLASSES if each != TRANSIENT_RETRY]
        found: list[dict[str, Any]] = []
        for kind in kinds:
            async for record in self._place.errors.all(kind):
                fits = not asked.study or record.key.study == asked.study
                if fits and float(record.properties.get("CreatedAt", 0)) >= asked.since:
                    found.append(error_entry(record.id, kind, record.properties))
                if len(found) >= _MOST:
                    return found
        return found

    async def replay_error(self, identifier: str) -> None:
        """Try the study of a row again. Raises NotFound."""
        record = await self._place.errors.named(identifier)
        if record is None:
            raise NotFound("There is no such error.")
        await self._replay(record.key)

    async def replay_study(self, study: str, partition: str) -> None:
        """Reconcile a study, whether it has changed or not."""
        await self._replay(StudyKey(partition or DEFAULT_NAME, study))

    async def replay_class(self, kind: str) -> int:
        """Try everything again that is parked; their number."""
        parked = [each async for each in self._place.studies.all(parked=True) if not kind or _class(each) == kind]
        for dirty in parked:
            await self._replay(dirty.key)
        return len(parked)

    async def preview(self, study: str, partition: str) -> dict[str, Any]:
        """The transaction that would be sent for a study."""
        key = StudyKey(partition or DEFAULT_NAME, study)
        entries = await self._place.reconciler.preview(key, await self._place.studies.synced(key))
        return transaction(entries)

    async def unmatched(self) -> list[dict[str, Any]]:
        """CAST-PM-1."""
        found: list[dict[str, Any]] = []
        async for dirty in self._place.studies.all(parked=True):
            if dirty.parked != NO_PATIENT:
                continue
            told = orjson.loads(dirty.detail)
            candidates = await self._matching.candidates(_named(told))
            found.append(unmatched_entry(dirty.key.study, dirty.key.partition, told, dirty.parked_at, candidates))
            if len(found) >= _MOST:
                break
        return found

    async def connect(self, study: str, partition: str, chosen: Choice, who: str) -> str:
        """CAST-PM-2, CAST-PM-3; the id of the choice. Raises NotFound, Conflict, InvalidRequest."""
        key = StudyKey(partition or DEFAULT_NAME, study)
        dirty = await self._place.studies.get(key)
        if dirty is None and await self._place.studies.synced(key) is None:
            raise NotFound("DICOMcast does not know the study.")
        if dirty is None or dirty.parked != NO_PATIENT:
            raise Conflict("The study does not wait for a Patient.")
        told = orjson.loads(dirty.detail)
        reference = await (self._created(key) if chosen.create else self._existing(chosen.reference))
        await self._matching.links.keep(told["system"], told["patientId"], reference, who)
        await self._replay(key)
        link = await self._matching.links.find(told["system"], told["patientId"])
        return link.id if link else ""

    async def disconnect(self, identifier: str) -> None:
        """Take a choice back. Raises NotFound."""
        if not await self._matching.links.remove(identifier):
            raise NotFound("There is no such choice.")

    # ----------------------------------------------------------------------------------------------------- inside

    async def _replay(self, key: StudyKey) -> None:
        dirty = await self._place.studies.get(key)
        await self._place.studies.mark(key, dirty.sequence if dirty else 0, replay=True)
        await self._place.hints.study(key, 0)

    async def _finds(self, kind: str) -> bool:
        """Whether the server searches that type by identifier, and knows that it does."""
        try:
            await self._fhir.search(kind, [("identifier", "urn:ietf:rfc:3986|urn:none")], handling="strict")
        except RequestFailed as error:
            if error.failure is not Failure.REFUSED:
                raise
            return False
        return True

    async def _open(self, kind: str) -> int:
        number = 0
        async for record in _bounded(self._place.errors.all(kind)):
            number += record.is_open
        return number

    async def _created(self, key: StudyKey) -> str:
        read = await self._places.source.read(key.partition, key.study, "")
        wanted = wanted_patient(read[0].attributes, self._place.settings) if read else None
        if wanted is None:
            raise NotFound("The study is not there any more.")
        entry = create(new_patient(wanted, self._place.settings), condition(wanted.system, wanted.value))
        await self._fhir.transaction([entry])
        patient = await self._matching.patient(wanted)
        if patient is None:
            raise Conflict("The Patient was created and is not found yet: try again.")
        return f"Patient/{patient['id']}"

    async def _existing(self, reference: str) -> str:
        local = linked_reference(self._fhir.base, reference)
        if not local:
            raise InvalidRequest("The reference is not one of a Patient.", where="request body")
        if await self._fhir.read("Patient", local.removeprefix("Patient/")) is None:
            raise NotFound("There is no such Patient.")
        return local


def _class(dirty: Dirty) -> str:
    return "DicomError" if dirty.parked == NO_PATIENT else dirty.parked


def _named(told: dict[str, Any]) -> WantedPatient:
    return WantedPatient(
        told["system"], told["patientId"], told["issuer"], told.get("name", {}), (), "", told.get("birthDate", ""), ()
    )


def _claims(token: str) -> dict[str, Any] | None:
    """The claims of a token; never the token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {"kind": "opaque"} if token else None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except ValueError:
        return {"kind": "opaque"}
    return {name: claims.get(name) for name in ("aud", "iss", "exp")}


def _interactions(stated: Resource) -> set[str]:
    """Codes of what a server does as a whole."""
    return {str(each.get("code")) for rest in elements(stated, "rest") for each in elements(rest, "interaction")}


async def _bounded(found: AsyncIterator[Any]) -> AsyncIterator[Any]:
    numbers = count()
    async for each in found:
        yield each
        if next(numbers) >= _COUNTED:
            return
