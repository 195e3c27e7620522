"""dicomcast §5.2 Records of what could not be written, or not as it is: rows for people, kept after they are resolved.

Tables and columns are those of the archived DICOMcast, and some more. A study has at most one open row of a class; a
note has one for each tag and kind. `Exception` and `Outcome` may hold patient data: whoever may read them may read
studies.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import orjson

from shared.cast.dirty_studies import StudyKey
from shared.cast.model import Note, RefusedInstance
from shared.cast.ports import CastTables
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import CastTable, Entity, RowWrite, Value

FHIR_ERROR, DICOM_ERROR, TRANSIENT_FAILURE, NOTE, TRANSIENT_RETRY = (
    "FhirError",
    "DicomError",
    "TransientFailure",
    "note",
    "TransientRetry",
)
CLASSES: Mapping[str, CastTable] = {
    FHIR_ERROR: "FhirFailToStoreExceptionTable",
    DICOM_ERROR: "DicomFailToStoreExceptionTable",
    TRANSIENT_FAILURE: "TransientFailureExceptionTable",
    NOTE: "InvalidDicomTagExceptionTable",
    TRANSIENT_RETRY: "TransientRetryExceptionTable",
}
_TEXT = 8_000
_OUTCOME = 30_000
"""Characters that are kept: a property has 32 Ki."""
_MOST_REFUSED = 100
"""Rows of refused instances that one study may have: what is wrong with one is often wrong with all."""
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is recorded of a study, or of a part of it."""

    kind: str
    """A class of `CLASSES`."""
    text: str
    """The text for people."""
    series: str = ""
    instance: str = ""
    status: int = 0
    outcome: Mapping[str, Any] | None = None
    first: int = 0
    last: int = 0
    """Sequences of the changes that it is about."""

    @property
    def name(self) -> str:
        """The name of the fault among others of its class in a study; one that is of the study as a whole has none."""
        if self.kind == NOTE:
            return self.text
        return self.instance


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """A row."""

    id: str
    kind: str
    key: StudyKey
    properties: Mapping[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether nothing has resolved it."""
        return not self.properties.get("ResolvedAt")


class ErrorRecords:
    """The rows of all classes. Every method raises Unavailable while the tables do not answer."""

    def __init__(self, tables: CastTables, now: Callable[[], float]) -> None:
        self._tables = tables
        self._now = now

    async def write(self, key: StudyKey, fault: Fault) -> None:
        """Note a fault: in the row that is there for it, or in a new one."""
        table, partition_key, row_key = _place(key, fault.kind, fault.name)
        rounds = Rounds("A row of an error is busy")
        while True:
            await rounds.next()
            held = await self._tables.get(table, partition_key, row_key)
            if fault.kind == NOTE and held and not held.properties.get("ResolvedAt"):
                return
            attempts = _attempts(held) if held and not held.properties.get("ResolvedAt") else 0
            created = held.properties["CreatedAt"] if attempts and held else self._now()
            first = held.properties["SequenceFrom"] if attempts and held else fault.first
            properties = _properties(
                key, replace(fault, first=min(fault.first, int(first))), attempts + 1, float(created)
            )
            verb: Literal["replace", "insert"] = "replace" if held else "insert"
            write = RowWrite(verb, partition_key, row_key, properties, held.etag if held else "*")
            if await best_effort_commit(self._tables, table, [write]):
                return

    async def write_notes(self, key: StudyKey, notes: Iterable[Note], refused: Iterable[RefusedInstance]) -> None:
        """The notes of a reconciliation; those that are not given any more are resolved, and refused instances too."""
        noted = {f"{note.tag} {note.kind}".strip() for note in notes}
        for text in sorted(noted):
            await self.write(key, Fault(NOTE, text))
        left_out = {each.sop_instance_uid or each.tag: each for each in islice(refused, _MOST_REFUSED)}
        for name, each in left_out.items():
            text = f"({each.tag[:4]},{each.tag[4:]}) {each.reason}"
            await self.write(key, Fault(DICOM_ERROR, text, each.series_instance_uid, name))
        await self._resolve_others(key, NOTE, noted)
        await self._resolve_others(key, DICOM_ERROR, set(left_out))

    async def resolve(self, key: StudyKey) -> None:
        """The study as a whole was reconciled (CAST-ER-2)."""
        for kind in (FHIR_ERROR, DICOM_ERROR, TRANSIENT_FAILURE):
            table, partition_key, row_key = _place(key, kind, "")
            held = await self._tables.get(table, partition_key, row_key)
            if held is not None:
                await self._resolve(table, held)

    async def of_study(self, key: StudyKey, kind: str) -> list[ErrorRecord]:
        """The rows of a class that a study has."""
        table, partition_key, row_key = _place(key, kind, "")
        rows = await self._tables.range(table, partition_key, row_key, f"{row_key}{_LAST}")
        return [_record(kind, row) for row in rows]

    async def remove(self, key: StudyKey) -> int:
        """Remove all rows of a study, whose texts may hold patient data; how many there were (PHI-1)."""
        removed = 0
        for kind in CLASSES:
            table, partition_key, row_key = _place(key, kind, "")
            for row in await self._tables.range(table, partition_key, row_key, f"{row_key}{_LAST}"):
                # If not, somebody else has, or the next look tells.
                await best_effort_commit(self._tables, table, [RowWrite("delete", partition_key, row.row_key)])
                removed += 1
        return removed

    async def all(self, kind: str) -> AsyncIterator[ErrorRecord]:
        """Every row of a class."""
        low = ""
        while True:
            page = await self._tables.page(CLASSES[kind], _partition_key(kind), low, _LAST)
            for row in page.entities:
                yield _record(kind, row)
            if page.next_row_key is None:
                return
            low = page.next_row_key

    async def named(self, identifier: str) -> ErrorRecord | None:
        """The row of that id."""
        try:
            kind, row_key = base64.urlsafe_b64decode(identifier + "==").decode().split("\n")
            table = CLASSES[kind]
        except (ValueError, KeyError):
            return None
        row = await self._tables.get(table, _partition_key(kind), row_key)
        return _record(kind, row) if row else None

    async def _resolve_others(self, key: StudyKey, kind: str, given: set[str]) -> None:
        table, partition_key, whole = _place(key, kind, "")
        kept = {_place(key, kind, name)[2] for name in given}
        for row in await self._tables.range(table, partition_key, whole, f"{whole}{_LAST}"):
            if row.row_key not in kept and row.row_key != whole:
                await self._resolve(table, row)

    async def _resolve(self, table: CastTable, row: Entity) -> None:
        if row.properties.get("ResolvedAt"):
            return
        changed = RowWrite("merge", row.partition_key, row.row_key, {"ResolvedAt": self._now()}, row.etag)
        await best_effort_commit(self._tables, table, [changed])  # if not, whoever changed it knows more


def _partition_key(kind: str) -> str:
    return f"{kind}Exception"


def _place(key: StudyKey, kind: str, name: str) -> tuple[CastTable, str, str]:
    """Table and keys of a row: those of a study stand together, and the study as a whole comes first."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16] if name else ""
    return CLASSES[kind], _partition_key(kind), f"{key.name} {digest}"


def _attempts(row: Entity) -> int:
    held = row.properties.get("Attempts", 0)
    return held if isinstance(held, int) else 0


def _properties(key: StudyKey, fault: Fault, attempts: int, created: float) -> dict[str, Value]:
    properties: dict[str, Value] = {
        "Partition": key.partition,
        "StudyUid": key.study,
        "SeriesUid": fault.series,
        "InstanceUid": fault.instance,
        "ChangeFeedSequence": fault.last,
        "SequenceFrom": fault.first,
        "SequenceTo": fault.last,
        "Exception": fault.text[:_TEXT],
        "HttpStatus": fault.status,
        "Attempts": attempts,
        "CreatedAt": created,
    }
    if fault.kind == TRANSIENT_RETRY:
        properties["RetryNumber"] = attempts
    if fault.outcome:
        outcome = orjson.dumps(fault.outcome).decode()
        if len(outcome) <= _OUTCOME:
            properties["Outcome"] = outcome
    return properties


def _record(kind: str, row: Entity) -> ErrorRecord:
    identifier = base64.urlsafe_b64encode(f"{kind}\n{row.row_key}".encode()).decode().rstrip("=")
    key = StudyKey(str(row.properties["Partition"]), str(row.properties["StudyUid"]))
    return ErrorRecord(identifier, kind, key, row.properties)
