"""The functions of patient erasure over stores in memory, the worker of their operations, and a search for traces."""

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, get_args

import orjson

from shared import telemetry
from shared.bulk_import.leftovers import ImportLeftovers
from shared.bulk_import.transaction import Inbox
from shared.http.messages import Response
from shared.index.documents import decompress
from shared.ingest.rebuild import is_rebuilding
from shared.operations.model import Operation, OperationType
from shared.operations.runner import Runner
from shared.patient_erasure.functions import blueprint
from shared.patient_erasure.operations import PatientOperations
from shared.patient_erasure.study import Stores
from shared.patient_erasure.traces import Erase, Subject
from shared.patient_erasure.transaction import ErasureRequests, Patients
from shared.patient_erasure.trash import PatientTrash
from shared.patient_erasure.work import PatientErasure
from shared.patient_erasure.workitems import PatientWorkitems
from shared.registry.patient_hashes import PatientHashes
from shared.storage.ports import Entity, Kind
from shared.study_updates.patients import PatientStudies
from shared.workitems.store import Workitems
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.builders.service import SHARDS
from tests.builders.updating import UpdatingService
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.queues import MemoryQueueStore
from tests.unit.bulk_import.inbox import PLACES

JSON = ("Content-Type", "application/json")
ERASE = "patients/$erase"
OTHER = (("Authorization", "Bearer delete+manageRetention"),)
"""A second person, with exactly the actions that it takes."""


class ErasingService(UpdatingService):
    """A process that stores, updates and erases."""

    def __init__(self, *stores: Any, two_persons: bool = True, hours: int = 1, **options: Any) -> None:
        super().__init__(*stores, **options)
        self.hours = hours
        self.trash._retention_ms = hours * 3_600_000
        self.two_persons = two_persons
        self.imports = getattr(self, "imports", None) or MemoryBlobStore()
        self.refused = getattr(self, "refused", None) or MemoryBlobStore()
        self._assemble()

    def _assemble(self) -> None:
        self.workitems = Workitems(self.tables, self.time)
        found = PatientWorkitems(self.tables, self.workitems)
        studies = PatientStudies(self.tables, self.blobs, self.lookup, shards=SHARDS)
        self.erasures = ErasureRequests(
            self.operations,
            Patients(studies, found, PatientHashes(self.tables)),
            telemetry.AuditLog(),
            two_persons=self.two_persons,
            rebuilding=partial(is_rebuilding, self.tables),
        )
        leftovers = ImportLeftovers(
            Inbox(self.imports, MemoryQueueStore(), PLACES), self.refused, data_partitions=False
        )

        async def erase_leftovers(subject: Subject) -> Any:
            return await leftovers.erase(subject.partition.name, subject.patient.fits)

        self.erasure = PatientErasure(
            Stores(self.tables, self.blobs, self.index, self.lookup, self.ingest.ensure, self.sequencer.catch_up),
            self.partitions,
            [
                PatientTrash(self.trash, self.blobs).erase,
                found.erase,
                erase_leftovers,
                PatientOperations(self.operations).erase,
                *self._more_traces(),
            ],
            shards=SHARDS,
            remaining=list,
            ended=lambda _task, _studies, _results: None,
            pause=self._wait,
        )
        work = {OperationType.UPDATE: self.update, OperationType.MOVE: self.update, OperationType.ERASE: self.erasure}
        self.runner = Runner(self.operations, work, look_seconds=0.01)

    def _more_traces(self) -> list[Erase]:
        """Places that this service does not have."""
        return []

    async def _wait(self, seconds: float) -> None:
        self.time.seconds += seconds

    def on(self, tables: Any) -> "ErasingService":
        options = {"data_partitions": self.data_partitions, "two_persons": self.two_persons, "hours": self.hours}
        other = ErasingService(tables, self.blobs, self.time, **options)
        other.imports, other.refused = self.imports, self.refused
        other._assemble()
        return other

    async def ask(self, document: Any, query: str = "", headers: Any = ALL, path: str = ERASE) -> Response:
        """The answer to a request."""
        name = "erase_patient" if path == ERASE else "confirm_erasure"
        handler = handler_of(blueprint(boundary(), self.erasures), name)
        body = b"" if document is None else orjson.dumps(document)
        return await handler.request("POST", f"/v2/{path}{query}", (*headers, JSON), body)

    async def confirm(self, operation_id: str, headers: Any = OTHER) -> Response:
        """The answer to a confirmation."""
        return await self.ask(None, headers=headers, path=f"{ERASE}/{operation_id}/confirm")

    async def begun(self, document: Any) -> str:
        """The id of an erasure that has been confirmed."""
        self.time.seconds += 1
        response = await self.ask(document)
        assert response.status == 202, response.body
        operation_id = str(json.loads(response.body)["id"])
        if self.two_persons:
            confirmed = await self.confirm(operation_id)
            assert confirmed.status == 202, confirmed.body
        return operation_id

    async def ended(self, operation_id: str) -> Operation:
        """An operation when its work has been done."""
        await self.runner.run()
        found = await self.operations.get(operation_id)
        assert found is not None
        return found

    async def erased(self, document: Any) -> Operation:
        """What a request comes to, from request to end."""
        return await self.ended(await self.begun(document))

    def places_with(self, *texts: str) -> list[str]:
        """Where any of these texts is found, whatever its case: keys, properties and names, documents opened."""
        wanted = [text.casefold() for text in texts]
        found = []
        for kind in get_args(Kind.__value__):
            found += [
                f"{kind} {row.partition_key} {row.row_key}"
                for row in self.tables.rows(kind)
                if any(text in piece.casefold() for piece in texts_of(row) for text in wanted)
            ]
        for store in (self.blobs, self.imports, self.refused):
            for name in store.names():
                content = store.content(name).decode("latin-1").casefold()
                if any(text in content or text in name.casefold() for text in wanted):
                    found.append(name)
        return found


def texts_of(row: Entity) -> Iterator[str]:
    """All that a row says, as text."""
    yield from (row.partition_key, row.row_key)
    whole: dict[str, bytes] = {}
    for name, value in sorted(row.properties.items()):
        if not isinstance(value, bytes):
            yield str(value)
            continue
        stem = name.rstrip("0123456789")
        whole[stem] = whole.get(stem, b"") + value
    for data in whole.values():
        yield data.decode("latin-1")
        for opened in (zlib.decompress, decompress):
            with suppress(Exception):
                yield opened(data).decode("latin-1")
