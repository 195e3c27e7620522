"""Worklist rules in memory: a service that stores, numbers its changes, and makes workitems."""

import json
from typing import Any

from shared.change_log.follower import Follower
from shared.http.boundary import Boundary
from shared.workitems.store import Workitems
from shared.worklist_rules import functions
from shared.worklist_rules.making import Making
from shared.worklist_rules.request import rule_document
from shared.worklist_rules.store import ChangedStudies, RuleStore
from shared.worklist_rules.transaction import WorklistRules
from shared.worklist_rules.work import FOLLOWING, RuleWork
from tests.builders.datasets import ct, part10
from tests.builders.feed import FeedService
from tests.builders.http import KnownPartitions, boundary, content, routed
from tests.builders.service import PARTITION, SHARDS
from tests.builders.worklist import codes

STUDY = "1.2.826.1"
NODULES: dict[str, Any] = {
    "name": "Nodule detection",
    "filter": {"Modality": "CT", "BodyPartExamined": ["CHEST", "THORAX"]},
    "quietSeconds": 60,
    "template": {"00404025": codes("NODULE-AI")},
}
"""A rule as clients send it."""


def chest(series: int = 1, number: int = 1, study: str = STUDY, **attributes: Any) -> bytes:
    """An instance of a CT of the chest."""
    uids = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{series}",
        "SOPInstanceUID": f"{study}.{series}.{number}",
    }
    return part10(ct(**{"BodyPartExamined": "CHEST", "AccessionNumber": "A-1", **uids, **attributes}))


class RuleService(FeedService):
    """A process of the service with everything that worklist rules need."""

    def __init__(self, *stores: Any, **options: Any) -> None:
        super().__init__(*stores, **options)
        self.making = Making(self.lookup, self.blobs, SHARDS, self.time)
        self.workitems = Workitems(self.tables, self.time)
        self.studies = ChangedStudies(self.tables)
        self.work = RuleWork(RuleStore(self.tables), self.studies, self.making, self.workitems, self.time)
        self.follower = Follower(
            FOLLOWING,
            self.work.note,
            tables=self.tables,
            log=self.log,
            sequencer=self.sequencer,
            now=self.time,
        )
        self.worklist_rules = WorklistRules(RuleStore(self.tables), self.making, self.follower.prepare, self.time)

    def beside(self) -> "RuleService":
        """Another process on the same stores."""
        return RuleService(self.tables, self.blobs, self.time)

    async def add_rule(self, **changed: Any) -> str:
        """Make a rule; its id."""
        return (await self.worklist_rules.add(PARTITION.namespace, rule_document({**NODULES, **changed}))).id

    async def run(self) -> int:
        """One run of the chore; how many workitems it made."""
        await self.sequencer.catch_up()
        await self.follower.run()
        return await self.work.run()

    async def after(self, seconds: float) -> int:
        """One run after some time."""
        self.time.seconds += seconds
        return await self.run()

    async def made(self, rule_id: str, study: str = STUDY) -> dict[str, Any] | None:
        """The workitem that a rule has made for a study."""
        rule = await self.worklist_rules.get(PARTITION.namespace, rule_id)
        stored = await self.workitems.get(PARTITION.namespace, rule.workitem_uid(study))
        return stored.workitem.attributes if stored else None


def rule_boundary(service: RuleService, **options: Any) -> Boundary:
    """Worklist rules behind a boundary that knows callers by token."""
    made = boundary(KnownPartitions("Microsoft.Default", "ward"), **options)
    functions.blueprint(made, service.worklist_rules)
    return made


async def ask(
    made: Boundary, method: str, path: str, document: object = None, *, caller: str = "all"
) -> tuple[int, dict[str, str], Any]:
    """A request to version 2: status, headers, and the body as JSON where it is some."""
    headers = [("Authorization", f"Bearer {caller}"), ("Content-Type", "application/json")]
    body = b"" if document is None else json.dumps(document).encode()
    resource, request = routed(method, f"/v2/{path}", headers, body=body, data_partitions=made.data_partitions)
    answer = await made.run(resource, request, made._transactions[resource.name])
    data = await content(answer)
    fields = {name.lower(): value for name, value in answer.headers}
    is_json = fields.get("content-type", "").startswith("application/json")
    return answer.status, fields, json.loads(data) if is_json else data
