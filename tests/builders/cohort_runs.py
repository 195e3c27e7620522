"""Cohorts on a FHIR server and tables in memory."""

from typing import Any

import orjson

from shared.cohorts import functions
from shared.cohorts.definition.reading import read_definition
from shared.cohorts.entries import normalised
from shared.cohorts.evaluation.codes import CodePair
from shared.cohorts.export.transaction import CohortExports
from shared.cohorts.feedback.answers import Answers
from shared.cohorts.feedback.models import FeedbackModel
from shared.cohorts.feedback.transaction import Feedback, FeedbackSettings
from shared.cohorts.functions import Engine
from shared.cohorts.similar import WEIGHTS
from shared.cohorts.store import CohortStore
from shared.cohorts.terminology import Terminology
from shared.cohorts.terms import Terms
from shared.cohorts.timeline import Links
from shared.cohorts.transaction import Cohorts, View
from shared.cohorts.value_sets import shipped_value_sets
from shared.cohorts.work import CohortWork
from shared.fhir.client import FhirClient
from shared.http.messages import Response
from shared.http.roles import WHOLE_SERVICE, Scope
from shared.operations.model import Operation, OperationType
from shared.operations.runner import Runner
from shared.operations.store import Operations
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.builders.osteosarcoma import BASE, resources
from tests.builders.service import Time
from tests.fakes.fhir import FakeFhirServer
from tests.fakes.tables import MemoryTableStore

EVERYTHING = View(WHOLE_SERVICE, identified=True)


def view(*, identified: bool = True, scope: Scope = WHOLE_SERVICE) -> View:
    """What some caller may see."""
    return View(scope, identified=identified)


class Site:
    """One service and its FHIR server, which holds the data of cohorts §9 unless told otherwise."""

    def __init__(
        self,
        *,
        page: int = 7,
        empty: bool = False,
        allowed: frozenset[str] = frozenset({BASE}),
        client: FhirClient | None = None,
        terminology: Terminology | None = None,
    ) -> None:
        """`client`: of another server than the one in memory."""
        self.server = FakeFhirServer(page=page)
        for each in () if empty else resources():
            self.server.put(each)
        self.tables = MemoryTableStore()
        self.time = Time(1_782_800_000.0)  # 2026-06-30
        self.client = client or FhirClient(self.server)
        self.store = CohortStore(self.tables)
        self.operations = Operations(self.tables, self.time)
        self.terms = Terms(self.client, self.tables, shipped_value_sets(), self.time)
        self.cohorts = Cohorts(
            self.client,
            self.store,
            self.operations,
            self.terms,
            value_sets=shipped_value_sets(),
            now=self.time,
            terminology=terminology,
        )
        self.exports: CohortExports | None = None
        self.sites_of_codes: dict[CodePair, CodePair] = {}
        self.models: list[FeedbackModel] = []
        self.read_for_feedback: list[tuple[str, list[str]]] = []
        self.audited: list[tuple[str, list[str]]] = []
        self.work = CohortWork(self.client, self.store, frozenset(map(normalised, allowed)), self._audit)
        self.runner = Runner(self.operations, {OperationType.COHORT: self.work}, look_seconds=0.01)

    def _audit(self, cohort_id: str, _head: Any, patients: Any) -> None:
        self.audited.append((cohort_id, list(patients)))

    def _read(self, asked: str, _claims: Any, patients: Any) -> None:
        self.read_for_feedback.append((asked, list(patients)))

    async def start(self, definition: dict[str, Any]) -> str:
        """Start a cohort; its id."""
        return (await self.cohorts.start(read_definition(definition), {"sub": "somebody"})).id

    async def run(self, definition: dict[str, Any]) -> str:
        """Run a cohort to its end; its id."""
        cohort_id = await self.start(definition)
        await self.runner.run()
        return cohort_id

    async def operation(self, cohort_id: str) -> Operation:
        """The operation of a cohort."""
        found = await self.operations.get(cohort_id)
        assert found is not None
        return found

    async def manifest(self, cohort_id: str, seen: View = EVERYTHING, *, files: bool = False) -> dict[str, Any]:
        """The manifest as a caller sees it."""
        pieces = await self.cohorts.manifest(cohort_id, seen, with_files=files)
        return dict(orjson.loads(b"".join([piece async for piece in pieces])))

    async def found(self, definition: dict[str, Any]) -> dict[str, Any]:
        """The manifest of a definition."""
        return await self.manifest(await self.run(definition))

    # ------------------------------------------------------------------------------------------------------- over HTTP

    async def ask(
        self,
        name: str,
        method: str,
        target: str,
        document: Any = None,
        *,
        role: str = "all",
        content_type: str = "application/json",
    ) -> Response:
        """Call one of the functions, as a caller with some data actions."""
        viewer = "https://viewer.example.org/viewer?StudyInstanceUIDs={studyInstanceUid}"
        links = Links(frozenset({BASE}), viewer)
        sets = shipped_value_sets()
        settings = FeedbackSettings(180, self.sites_of_codes, self.models, frozenset({BASE}))
        feedback = Answers(Feedback(self.client, self.tables, settings, self.time), self._read)
        weights = dict[str, float](WEIGHTS)
        engine = Engine(self.cohorts, self.terms, self.client, sets, links, weights, feedback, self.exports)
        handler = handler_of(functions.blueprint(boundary(), engine), name)
        headers = ALL if role == "all" else (("Authorization", f"Bearer {role}"),)
        body = b"" if document is None else document if isinstance(document, bytes) else orjson.dumps(document)
        fields = (*headers, ("Content-Type", content_type)) if body else headers
        return await handler.request(method, target, fields, body)
