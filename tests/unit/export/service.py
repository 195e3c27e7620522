"""Export over an archive in memory, into a container in memory."""

import json
from functools import partial

import orjson

from shared.export.copying import Files
from shared.export.deidentified import copies_of
from shared.export.destinations import DestinationRules
from shared.export.functions import blueprint
from shared.export.records import ExportRecords
from shared.export.sources import IdentifierSource, PartitionSource
from shared.export.transaction import IDENTIFIERS, PARTITION, Exports
from shared.export.work import ExportWork
from shared.operations import functions as operation_functions
from shared.operations.model import OperationType
from shared.operations.runner import Runner
from shared.operations.store import Operations
from shared.pacing import Foreground
from tests.builders.archive import Archive
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.builders.service import Time
from tests.fakes.containers import MemoryContainer, Urls
from tests.fakes.secrets import MemorySecrets

JSON = ("Content-Type", "application/json")
URI = "https://research.blob.core.windows.net/cohort"
SIGNATURE = "sv=2025-05-05&sr=c&sp=cw&se=2027-01-01T00%3A00%3A00Z&sig=abc%2B123%3D"


def rules(**changed):
    fields = {
        "own_accounts": ["https://own.blob.core.windows.net"],
        "own_containers": [("https://own.blob.core.windows.net", "dicom")],
        "signatures": True,
        "public": False,
        "identity": True,
        "secrets": True,
    } | changed
    listed = fields.pop("listed", ["https://*.blob.core.windows.net"])
    return DestinationRules.checked(listed, **fields)


def source(*values):
    return {"type": "identifiers", "settings": {"values": list(values)}}


def destination(**settings):
    return {"type": "azureBlob", "settings": settings or {"blobContainerUri": URI, "useManagedIdentity": True}}


class ExportService(Archive):
    """An archive with export. `container` is what every destination leads to."""

    def __init__(self, beside: "ExportService | None" = None, **options) -> None:
        super().__init__(beside=beside, **options)
        self.time = beside.time if beside else Time(1_800_000_000.0)
        self.container = beside.container if beside else MemoryContainer(self.blobs)
        self.secrets = beside.secrets if beside else MemorySecrets()
        self.connected = []
        """The destinations that were connected to."""
        self.operations = Operations(self.tables, self.time)
        self.records = ExportRecords(self.tables, self.operations, self.secrets, self.time)
        sources = {
            IDENTIFIERS: partial(IdentifierSource, self.records, self.lookup),
            PARTITION: partial(PartitionSource, self.tables, self.lookup, shards=self.shards),
        }
        self.files = Files(self.blobs, self.lookup, Urls())
        self.foreground = Foreground()
        copies = partial(copies_of, self.files, self.records)
        self.work = ExportWork(sources, self.records, self.connect, copies, foreground=self.foreground)
        self.runner = Runner(self.operations, {OperationType.EXPORT: self.work}, look_seconds=0.01)
        self.exports = Exports(self.operations, self.records, self.connect)

    def connect(self, destination):
        self.connected.append(destination)
        return self.container

    async def add(self, study="1.1", series="1.1.1", instance="1.1.1.1", *, content=None, length=1000, **values):
        """Store an instance together with its file."""
        new = self.new(study, series, instance, **values)
        data = content or f"{study}/{series}/{instance}".encode()
        self.blobs.drop(new.blob, data)
        object.__setattr__(new, "length", length)
        await self.store_all([new])
        return data

    async def ask(self, document, *, path="/v2/export", headers=ALL, **changed):
        functions = blueprint(boundary(), self.exports, rules(**changed))
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        return await handler_of(functions, "export_instances").request("POST", path, (*headers, JSON), body)

    async def start(self, *values, to=None):
        """The id of an export that was accepted."""
        body = {"destination": to or destination()} | ({"source": source(*values)} if values else {})
        response = await self.ask(body)
        assert response.status == 202, response.body
        return json.loads(response.body)["id"]

    async def state(self, operation_id):
        functions = operation_functions.blueprint(boundary(), self.operations)
        return json.loads(
            (await handler_of(functions, "retrieve_operation").get(f"/v2/operations/{operation_id}", ALL)).body
        )

    async def export(self, *values, to=None):
        """Start an export and run it to its end; its id and its results."""
        operation_id = await self.start(*values, to=to)
        await self.runner.run()
        state = await self.state(operation_id)
        assert state["status"] == "succeeded", state
        return operation_id, state["results"]

    def exported(self, operation_id):
        """The files of an export, by `study/series/instance`."""
        prefix = f"{operation_id}/results/"
        files = {name: data for name, data in self.container.files().items() if not name.endswith("/report.json")}
        assert all(name.startswith(prefix) and name.endswith(".dcm") for name in files)
        return {name.removeprefix(prefix).removesuffix(".dcm"): data for name, data in files.items()}
