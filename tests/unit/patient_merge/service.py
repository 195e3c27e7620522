"""The functions of patient merge and study move over stores in memory, and the worker of their operations."""

import json
from typing import Any

import orjson

from shared.http.messages import Response
from shared.operations.model import Operation, OperationType
from shared.operations.runner import Runner, Work
from shared.patient_merge.functions import blueprint
from shared.patient_merge.transaction import PatientMerge
from shared.patient_merge.work import MoveWork
from shared.study_updates.patients import PatientStudies
from shared.workitems.store import Workitems
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.builders.service import SHARDS
from tests.builders.updating import UpdatingService

JSON = ("Content-Type", "application/json")
MERGE, MOVE = "patients/$merge", "studies/$move"


class MergingService(UpdatingService):
    """A process that stores, updates, merges and moves."""

    def __init__(self, *stores: Any, **options: Any) -> None:
        super().__init__(*stores, **options)
        self.workitems = Workitems(self.tables, self.time)
        patients = PatientStudies(self.tables, self.blobs, self.lookup, shards=SHARDS)
        self.merges = PatientMerge(self.operations, patients, self.workitems, self.time)
        self.ended: list[tuple[str, str]] = []
        """The studies whose shares have ended, with the namespaces of their data partitions."""
        work = dict[OperationType, Work](dict.fromkeys(OperationType, self.update))
        work[OperationType.MOVE] = MoveWork(self.update, self._end)
        self.runner = Runner(self.operations, work, look_seconds=0.01)

    async def _end(self, namespace: str, study: str) -> None:
        self.ended.append((namespace, study))

    def on(self, tables: Any) -> "MergingService":
        return MergingService(tables, self.blobs, self.time, data_partitions=self.data_partitions)

    async def ask(self, path: str, document: Any, query: str = "", version: str = "v2") -> Response:
        """The answer to a request."""
        name = "merge_patients" if path == MERGE else "move_study"
        handler = handler_of(blueprint(boundary(), self.merges), name)
        return await handler.request("POST", f"/{version}/{path}{query}", (*ALL, JSON), orjson.dumps(document))

    async def begun(self, path: str, document: Any) -> Operation:
        """The operation that a request starts."""
        self.time.seconds += 1
        return await self.started(await self.ask(path, document))

    async def done(self, path: str, document: Any) -> Operation:
        """What a request comes to."""
        return await self.finished(await self.begun(path, document))

    async def ask_back(self, kind: str, operation_id: str, partition: str = "") -> Response:
        """The answer to a request to undo a merge or a move."""
        handler = handler_of(blueprint(boundary(data_partitions=bool(partition)), self.merges), f"revert_{kind}")
        resource = "patients/$merge" if kind == "merge" else "studies/$move"
        return await handler.request("POST", f"/v2{partition}/{resource}/{operation_id}/$revert", ALL)

    async def reverted(self, kind: str, operation: Operation) -> Operation:
        """What it comes to when an operation is undone."""
        self.time.seconds += 1
        return await self.finished(await self.started(await self.ask_back(kind, operation.id)))

    async def started(self, response: Response) -> Operation:
        """The operation that an answer names."""
        assert response.status == 202, response.body
        operation = await self.operations.get(json.loads(response.body)["id"])
        assert operation is not None
        return operation
