"""The worklist in memory, and what clients send to it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Response
from shared.storage.ports import Entity
from shared.workitems import rows
from shared.workitems.events import WorkitemEvent
from shared.workitems.store import Workitems
from shared.worklist import functions
from shared.worklist.request_cancellation.transaction import IsReachable, nobody_listens
from shared.worklist.search.request import WorklistQuery, parse_search
from shared.worklist.search.transaction import WorklistSearch
from tests.builders.http import ALL, boundary, content, routed
from tests.builders.service import Time
from tests.fakes.tables import MemoryTableStore

type Element = dict[str, Any]
type DataSet = dict[str, Element]

CLAIM, OTHER = "1.2.826.7.1", "1.2.826.7.2"
"""Transaction UIDs."""
JSON = ("Content-Type", "application/dicom+json")

_TEXTS = {
    "00741200": ("CS", "MEDIUM"),
    "00741204": ("LO", "Nodule detection"),
    "00404005": ("DT", "20260131120000"),
    "00404041": ("CS", "READY"),
}
_EMPTY = {
    "00081080": "LO",
    "00081084": "SQ",
    "00081195": "UI",
    "00100010": "PN",
    "00100021": "LO",
    "00100024": "SQ",
    "00100030": "DA",
    "00100040": "CS",
    "00101002": "SQ",
    "00380010": "LO",
    "00380014": "SQ",
    "00400400": "LT",
    "00404018": "SQ",
    "00404021": "SQ",
    "00404025": "SQ",
    "00404026": "SQ",
    "00404027": "SQ",
    "0040A370": "SQ",
    "00741002": "SQ",
    "00741210": "SQ",
    "00741216": "SQ",
}


def element(vr: str, *values: Any) -> Element:
    """An element of DICOM JSON."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def code(value: str, meaning: str = "meaning") -> DataSet:
    """An item of a code sequence."""
    return {"00080100": element("SH", value), "00080104": element("LO", meaning)}


def codes(*values: str) -> Element:
    """A code sequence."""
    return element("SQ", *map(code, values))


def new_workitem(**attributes: Element | None) -> DataSet:
    """The smallest data set that creates a workitem, with `attributes` (`t00100020=…`) put in, or left out (None)."""
    data_set: DataSet = {tag: element(*value) for tag, value in _TEXTS.items()}
    data_set |= {tag: element(vr) for tag, vr in _EMPTY.items()}
    for name, value in attributes.items():
        if value is None:
            del data_set[name[1:]]
        else:
            data_set[name[1:]] = value
    return data_set


def request_item(accession: str = "A1", procedure: str = "P1", study: str = "1.2.3") -> DataSet:
    """An item of ReferencedRequestSequence."""
    return {
        "0020000D": element("UI", study),
        "00080050": element("SH", accession),
        "00080051": element("SQ"),
        "00400026": element("SQ"),
        "00400027": element("SQ"),
        "00401001": element("SH", procedure),
        "00321060": element("LO"),
        "00321064": element("SQ"),
    }


def performer(value: str = "H1", name: str = "Doe^Jane", organization: str = "Ward") -> DataSet:
    """An item of ScheduledHumanPerformersSequence."""
    return {
        "00404009": codes(value),
        "00404036": element("LO", organization),
        "00404037": element("PN", {"Alphabetic": name}),
    }


def performed() -> DataSet:
    """The update that lets a workitem be completed."""
    output = {
        "0040E020": element("CS", "DICOM"),
        "00081199": element(
            "SQ",
            {
                "00081150": element("UI", "1.2.840.10008.5.1.4.1.1.88.33"),
                "00081155": element("UI", "1.2.3.4"),
            },
        ),
    }
    item = {
        "00404028": codes("STATION"),
        "00404050": element("DT", "20260131120500"),
        "00404019": codes("WORK"),
        "00404051": element("DT", "20260131121000"),
        "00404033": element("SQ", output),
    }
    return {"00741216": element("SQ", item)}


def reasons() -> DataSet:
    """The update that lets a workitem be canceled by its performer."""
    return {"00741002": element("SQ", {"0074100E": codes("110501")})}


def state_change(state: str, transaction_uid: str = CLAIM) -> DataSet:
    """The body of a change of state."""
    return {"00081195": element("UI", transaction_uid), "00741000": element("CS", state)}


def parsed_search(query: str) -> WorklistQuery:
    """The search that a query string asks for."""
    _, request = routed("GET", f"/v2/workitems?{query}")
    return parse_search(request, ApiVersion.V2)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client sees of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def warning(self) -> str:
        """The text of the Warning header, '' without one."""
        return self.headers.get("warning", "").partition(' "')[2].removesuffix('"')

    @property
    def text(self) -> str:
        """The first line of a plain text."""
        return self.body.decode().partition("\n")[0]


class Worklist:
    """The worklist behind the boundary, on tables in memory. `now` is the clock."""

    def __init__(
        self,
        tables: MemoryTableStore | None = None,
        *,
        is_reachable: IsReachable = nobody_listens,
        now: Callable[[], float] | None = None,
        **options: object,
    ) -> None:
        self.tables = tables or MemoryTableStore()
        self.time = Time()
        self.workitems = Workitems(self.tables, now or self.time)
        self.search = WorklistSearch(self.tables, self.workitems, lambda: 0.0)
        self.boundary = boundary(**options)
        functions.blueprint(self.boundary, self.workitems, self.search, is_reachable)

    async def send(
        self, method: str, path: str, data_set: object = None, *headers: tuple[str, str], body: bytes = b""
    ) -> Reply:
        """A request to version 2 with a data set, or with whatever is JSON, as its body."""
        fields = [*headers, *ALL]
        if data_set is not None:
            body = json.dumps(data_set).encode()
            fields.append(JSON)
        target = path if path.startswith("/") else f"/v2/{path}"
        resource, request = routed(method, target, fields, body=body, data_partitions=self.boundary.data_partitions)
        answer: Response = await self.boundary.run(resource, request, self.boundary._transactions[resource.name])
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers}, await content(answer))

    async def create(self, uid: str = "1.2.3", **attributes: Element | None) -> str:
        """Create a workitem; its UID."""
        reply = await self.send("POST", f"workitems?{uid}", [new_workitem(**attributes)])
        assert reply.status == 201, reply.body
        return uid

    async def change(self, uid: str, state: str, transaction_uid: str = CLAIM) -> Reply:
        """A change of state."""
        return await self.send("PUT", f"workitems/{uid}/state", state_change(state, transaction_uid))

    async def update(self, uid: str, data_set: DataSet, transaction_uid: str = "") -> Reply:
        """An update."""
        query = f"?{transaction_uid}" if transaction_uid else ""
        return await self.send("POST", f"workitems/{uid}{query}", [data_set])

    async def cancel(self, uid: str, data_set: object = None) -> Reply:
        """A request for cancellation."""
        return await self.send("POST", f"workitems/{uid}/cancelrequest", data_set)

    async def retrieve(self, uid: str) -> DataSet:
        """The data set of a workitem."""
        reply = await self.send("GET", f"workitems/{uid}")
        assert reply.status == 200, reply.body
        return reply.json

    async def find(self, query: str = "") -> list[str]:
        """The UIDs that a search finds, in their order."""
        reply = await self.send("GET", f"workitems?{query}")
        assert reply.status in {200, 204}, reply.body
        return [each["00080018"]["Value"][0] for each in (reply.json if reply.body else [])]

    async def in_state(self, state: str, uid: str = "1.2.3") -> str:
        """A workitem in a state, with CLAIM if it has been claimed; its UID."""
        await self.create(uid)
        if state != "SCHEDULED":
            assert (await self.change(uid, "IN PROGRESS")).status == 200
        if state == "COMPLETED":
            assert (await self.update(uid, performed(), CLAIM)).status == 200
        if state == "CANCELED":
            assert (await self.update(uid, reasons(), CLAIM)).status == 200
        if state in {"COMPLETED", "CANCELED"}:
            assert (await self.change(uid, state)).status == 200
        return uid

    # ---- what tests look at, without a request

    def row(self, uid: str) -> Entity | None:
        """The row of a workitem."""
        return self.tables.peek("worklist", rows.partition_key("0", uid), rows.workitem_key(uid))

    def events(self, uid: str) -> list[WorkitemEvent]:
        """The events of a workitem, in the order of their keys."""
        found = [rows.event_in(row) for row in self.tables.rows("worklist") if row.row_key.startswith("e!")]
        return [event for event in found if event.uid == uid]

    def check(self) -> None:
        """What always holds: postings are those of the workitems, and events are numbered without gaps."""
        entities = self.tables.rows("worklist")
        stored = {row.row_key[2:]: row for row in entities if row.row_key.startswith("w!")}
        expected = {key for row in stored.values() for key in rows.postings(rows.workitem_of(row))}
        assert {row.row_key for row in entities if row.row_key[:2] not in {"w!", "e!"}} == expected
        for uid, row in stored.items():
            assert rows.posting_keys_of(row) == set(rows.postings(rows.workitem_of(row)))
            assert [event.number for event in self.events(uid)] == [*range(1, rows.workitem_of(row).number + 1)]
