"""The files of the export of one cohort: DICOM files, then the manifest, its tables and FHIR resources (cohorts §8.4).

What is written at the end is made of the rows of the cohort, a group of members at a time: memory does not grow with
it, and writing it again gives the same.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import orjson

from shared.cohorts.entries import partition_of
from shared.cohorts.export.entries import TABLES, disguised_entry, disguised_head, lines, rows, title
from shared.cohorts.export.fhir_profile import Disguise, disguised
from shared.cohorts.gathering.reader import GROUP, Reader
from shared.cohorts.manifest import head_of_manifest, scope_in, visible_entry
from shared.cohorts.store import INDETERMINATE, MEMBER, CohortStore
from shared.deidentification.instance import patient_of
from shared.deidentification.key import Key
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import PartitionDirectory
from shared.errors import InvalidRequest
from shared.export.copying import Copied, Ending, FileCopies, Files
from shared.export.deidentified import copies_in, key_of
from shared.export.model import file_name
from shared.export.records import ExportRecords
from shared.fhir.client import FhirClient
from shared.index.model import StoredInstance
from shared.index_schema import blob_names
from shared.operations.model import Document, Operation, OperationFailed
from shared.storage.ports import ForeignContainer

KINDS: Final = ("Patient", "Condition", "ImagingStudy", "DiagnosticReport", "MedicationRequest", "Medication")
"""Types of the FHIR resources that are written, a file of lines each."""
_AT_ONCE: Final = 16
"""Members whose files are looked at side by side, for the days that dates move by."""
_FILES: Final = 256

type CopiesOf = Callable[[str], FileCopies]
"""A maker of copiers of the files of a data partition, by its namespace."""
type Audit = Callable[[str, Document, Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of an export of a cohort."""

    store: CohortStore
    client: FhirClient
    files: Files
    directory: PartitionDirectory
    audit: Audit


@dataclass(slots=True)
class CohortCopies:
    """The files of the export of one operation. `key` None: as they are stored."""

    operation: Operation
    head: Mapping[str, Any]
    sources: Sources
    container: ForeignContainer
    copies_of: CopiesOf
    key: Key | None
    _copies: dict[str, FileCopies] = field(default_factory=dict)
    _days: dict[str, int] = field(default_factory=dict)

    async def copy(self, instance: StoredInstance) -> Copied:
        """Write the file of an instance, by what copies those of its data partition."""
        name = blob_names.parse_blob_name(instance.blob)
        return await self._of(name.namespace if name else self._namespace).copy(instance)

    def named(self, identifier: str) -> str:
        """The name of an identifier in the error log."""
        return self._of(self._namespace).named(identifier)

    def tally(self, before: Document, copied: Sequence[Copied]) -> Document:
        """The part of the report that is about all files so far."""
        return self._of(self._namespace).tally(before, copied)

    def endings(self, tally: Document) -> Sequence[Ending]:
        """The report, the manifest, its tables and the resources. Each raises ContainerRefused, RequestFailed."""
        return (
            *self._of(self._namespace).endings(tally),
            partial(self._write, "manifest.json", self._manifest),
            *(partial(self._write, f"{table}.csv", partial(self._table, table)) for table in TABLES),
            *(partial(self._write, f"fhir/{kind}.ndjson", partial(self._resources, kind)) for kind in KINDS),
        )

    # ----------------------------------------------------------------------------------------------------- inside

    @property
    def _namespace(self) -> str:
        return str(self.operation.input["namespace"])

    def _of(self, namespace: str) -> FileCopies:
        if namespace not in self._copies:
            self._copies[namespace] = self.copies_of(namespace)
        return self._copies[namespace]

    async def _write(self, name: str, pieces: Callable[[], AsyncIterator[bytes]]) -> None:
        await self.container.write(f"{self.operation.id}/{name}", pieces())

    async def _groups(self, kind: str) -> AsyncIterator[list[dict[str, Any]]]:
        """The entries of a kind as the caller sees them, a group at a time."""
        scope = scope_in(self.operation.input["scope"])
        group: list[dict[str, Any]] = []
        async for entry in self.sources.store.entries(str(self.head["id"]), kind):
            group.append(visible_entry(entry, scope)[0])
            if len(group) >= GROUP:
                yield group
                group = []
        if group:
            yield group

    async def _told(self, kind: str) -> AsyncIterator[list[dict[str, Any]]]:
        """The same as they are written."""
        async for group in self._groups(kind):
            if self.key is None:
                yield group
            else:
                disguises = await self._disguises(group, self.key)
                yield [disguised_entry(each, disguises[each["id"]]) for each in group]

    async def _manifest(self) -> AsyncIterator[bytes]:
        head = head_of_manifest(self.head)
        yield orjson.dumps(disguised_head(head) if self.key else head)[:-1]
        for kind, name in ((MEMBER, b"patients"), (INDETERMINATE, b"indeterminate")):
            yield b',"%b":[' % name
            first = True
            original = self._groups(kind)
            async for told in self._told(kind):
                group = await anext(original)
                for entry, before in zip(told, group, strict=True):
                    if self.operation.input["files"]:
                        await self._add_files(entry, before)
                    yield (b"" if first else b",") + orjson.dumps(entry)
                    first = False
            yield b"]"
        yield b',"warnings":' + orjson.dumps(self.head.get("warnings", [])) + b"}"

    async def _add_files(self, entry: dict[str, Any], before: Mapping[str, Any]) -> None:
        """The files of each study, with their names relative to the manifest (COH-29)."""
        studies = [
            {**told, "files": [each async for each in self._files(study)]}
            for told, study in zip(entry.get("studies", ()), before.get("studies", ()), strict=True)
        ]
        if "studies" in entry:
            entry["studies"] = studies

    async def _files(self, study: Mapping[str, Any]) -> AsyncIterator[dict[str, str]]:
        async for instance in self._instances(study, top=_FILES):
            uids = instance.identifier
            if self.key is not None:
                named = (uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid)
                uids = InstanceIdentifier(*map(self.key.uid, named))
            yield {
                "studyInstanceUid": uids.study_instance_uid,
                "seriesInstanceUid": uids.series_instance_uid,
                "sopInstanceUid": uids.sop_instance_uid,
                "sopClassUid": instance.sop_class_uid,
                "url": file_name(self.operation.id, uids).removeprefix(f"{self.operation.id}/"),
            }

    async def _instances(self, study: Mapping[str, Any], *, top: int) -> AsyncIterator[StoredInstance]:
        """The instances of a study, by series and SOP Instance UID."""
        try:
            partition = await self.sources.directory.resolve(partition_of(study.get("retrieve", "")), create=False)
        except InvalidRequest:
            return
        row = ""
        while study.get("uid"):
            found, row = await self.sources.files.lookup.page(
                partition.namespace, ResourceIdentifier(study["uid"]), row, top=top
            )
            for each in found:
                yield each
            if not row:
                return

    async def _table(self, table: str) -> AsyncIterator[bytes]:
        yield title(table)
        async for group in self._told(MEMBER):
            yield lines(table, (row for entry in group for row in rows(table, entry)))

    async def _resources(self, kind: str) -> AsyncIterator[bytes]:
        """The resources of a type that the entries name, a line each."""
        reader = Reader(self.sources.client)
        async for group in self._groups(MEMBER):
            owners = {
                name: entry["id"] for entry in group for name in _references(entry) if name.startswith(f"{kind}/")
            }
            found = await reader.by_reference(owners)
            if kind == "Patient":
                self.sources.audit(str(self.head["id"]), self.head, [each["id"] for each in group])
            disguises = await self._disguises(group, self.key) if self.key else {}
            for name in sorted(found):
                told: Mapping[str, Any] | None = found[name]
                if self.key is not None:
                    told = disguised(found[name], disguises[owners[name]])
                if told is not None:
                    yield orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)

    async def _disguises(self, group: Sequence[Mapping[str, Any]], key: Key) -> dict[str, Disguise]:
        """How the patients of some entries are changed under a key, by reference."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def days(entry: Mapping[str, Any]) -> None:
            if entry["id"] not in self._days:
                async with slots:
                    self._days[entry["id"]] = await self._days_of(entry, key)

        await asyncio.gather(*map(days, group))
        texts = bool(self.operation.input["texts"])
        return {each["id"]: Disguise(key, self._days[each["id"]], self.sources.client.base, texts) for each in group}

    async def _days_of(self, entry: Mapping[str, Any], key: Key) -> int:
        """The days that dates move by: as in the first file of the patient; without one, by the id of the resource."""
        for study in entry.get("studies", ()):
            async for instance in self._instances(study, top=1):
                whole = await self.sources.files.lookup.instance_in(
                    _namespace_of(instance), instance.identifier, metadata=True
                )
                if whole is None:
                    continue
                document = whole.metadata or await self.sources.files.blobs.read(blob_names.metadata_blob(whole.blob))
                return key.days(patient_of(orjson.loads(document), study["uid"]))
        return key.days(entry["id"])


async def cohort_copies(
    sources: Sources, records: ExportRecords, operation: Operation, container: ForeignContainer
) -> FileCopies:
    """The copier of the files of the export of a cohort. Raises OperationFailed where the export or its key is gone."""
    head = await sources.store.get(str(operation.input["cohort"]))
    if head is None:
        raise OperationFailed({**(operation.results or {}), "error": "The cohort has been deleted."})
    key = await key_of(records, operation)

    def copies(namespace: str) -> FileCopies:
        return copies_in(namespace, sources.files, operation, container, key)

    return CohortCopies(operation, head, sources, container, copies, key)


def _namespace_of(instance: StoredInstance) -> str:
    name = blob_names.parse_blob_name(instance.blob)
    return name.namespace if name else ""


def _references(entry: Mapping[str, Any]) -> list[str]:
    """The resources that an entry names."""
    studies = entry.get("studies", ())
    found = [
        entry["id"],
        *(each["resource"] for each in entry.get("evidence", ()) if "resource" in each),
        *(each["id"] for each in entry.get("conditions", ())),
        *(each["id"] for each in studies),
        *(report["id"] for each in studies for report in each.get("reports", ())),
    ]
    for each in entry.get("medications", ()):
        found += [each["id"], *([each["medication"]] if "medication" in each else [])]
    return list(dict.fromkeys(found))
