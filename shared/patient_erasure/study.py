"""The erasure of one study, in steps that may be done again (PHI-1, PHI-14).

1. *Examine*: files without a row, which crashed stores have left, are taken in; then every instance is asked whose it
   is, by its metadata. A study with instances of somebody else is left as it is.
2. *Delete*: the instances of the patient are deleted as by a client: the change feed and its followers learn of it.
3. *Files*: once nothing of the deletion is pending, the files that have ceased to be an instance are erased, whatever
   their retention: of the deleted instances, of all versions before, and of uploads that have come to nothing.

What is left to do, rows and blobs say. A file that no row knows may belong to a store that is under way: the ingest
decides, as it does about every such file, so that nothing is lost that is about to be acknowledged.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.index import documents
from shared.index.instance_rows import STATE_COLUMNS, InstanceState, state_in
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.model import StoredInstance
from shared.index_schema import blob_names, keys
from shared.index_schema.keys import StudyPlace
from shared.index_schema.service_documents import is_service_document
from shared.ingest.ingest import Ensured
from shared.ingest.store_options import UpdatedFile
from shared.storage.ports import BlobNotFound, BlobStore, TableStore
from shared.study_documents.documents import StudyDocuments
from shared.study_updates.patients import Patient

_INSTANCES_AT_ONCE: Final = 32
_UPLOAD_ID: Final = re.compile("[0-9A-HJKMNP-TV-Z]{26}")
"""How rows remember a file whose name follows from it."""
_ANY: Final = 2**64
"""Greater than every version."""
_IN_USE: Final = frozenset({Ensured.INDEXED, Ensured.KNOWN})
"""Outcomes of the ingest for a file that is an instance now."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The services that an erasure works on."""

    tables: TableStore
    blobs: BlobStore
    index: InstanceIndex
    lookup: InstanceLookup
    ensure: Callable[[str], Awaitable[Ensured]]
    """`Ingest.ensure`."""
    catch_up: Callable[[Collection[StudyPlace]], Awaitable[bool]]
    """Numbers, folds and cleans up what has been committed: `Sequencer.catch_up`."""


@dataclass(frozen=True, slots=True)
class Examined:
    """Whose the instances of a study are."""

    own: int
    others: int


@dataclass(slots=True)
class _File:
    """A file of the study and the blobs beside it."""

    names: list[str] = field(default_factory=list)
    marked: bool = False
    """It was deleted or replaced."""
    made: bool = False
    """An update has made it."""


class StudyErasure:
    """The erasure of one study of a patient. Every method raises Unavailable."""

    def __init__(self, stores: Stores, place: StudyPlace, patient: Patient) -> None:
        self._tables = stores.tables
        self._blobs = stores.blobs
        self._index = stores.index
        self._lookup = stores.lookup
        self._ensure = stores.ensure
        self._catch_up = stores.catch_up
        self._place = place
        self._patient = patient

    async def examine(self) -> Examined:
        """Ask every instance whose it is, those of stores that never came to their end, too."""
        states = await self._states()
        for name, file in (await self._files()).items():
            if name in file.names and not (file.marked or file.made or _is_known(name, states.of(name))):
                await self._ensure(name)
        own = others = 0
        start: str | None = ""
        while start is not None:
            page, start = await self._lookup.walk(self._place, start, top=_INSTANCES_AT_ONCE)
            for each in page:
                if await self._is_of_patient(each.stored):
                    own += 1
                else:
                    others += 1
        return Examined(own, others)

    async def delete(self) -> None:
        """Delete the instances of the patient; what has come since and is of somebody else stays."""
        await self._index.delete_accepted(self._place, self._is_of_patient)

    async def is_settled(self) -> bool:
        """Whether nothing of the deletions is pending: changes, stale postings, files on their way to the trash."""
        await self._catch_up([self._place])
        return not await self._tables.range("dicom", self._place.partition_key, *keys.UNFINISHED, select=("sk",))

    async def is_at_rest(self) -> bool:
        """Whether the study lists, too, say no more of the study than is stored now."""
        await self._catch_up([self._place])
        return not await self._index.hints.exist(self._place)

    async def erase_files(self) -> int:
        """Erase the files that are no instance; how many."""
        erased = 0
        states = await self._states()
        files = {**{name: _File() for name in states.dropped}, **await self._files()}
        for name, file in files.items():
            if await self._is_obsolete(name, file, states):
                erased += await self._erase(name, file)
        if not states.any_live:
            await StudyDocuments(self._blobs).remove(self._place, version=_ANY)
        return erased

    # ----------------------------------------------------------------------------------------------------- inside

    async def _is_of_patient(self, instance: StoredInstance) -> bool:
        try:
            document = await documents.read_metadata(instance, self._blobs)
        except BlobNotFound:  # deleted or replaced meanwhile, or damaged: nobody knows whose it is
            return False
        return self._patient.fits(await documents.data_set_in(document))

    async def _states(self) -> "_States":
        rows = await self._tables.range("dicom", self._place.partition_key, *keys.INSTANCES, select=STATE_COLUMNS)
        return _States({keys.instance_of(row.row_key): state_in(row) for row in rows})

    async def _files(self) -> dict[str, _File]:
        """The files of the study, by name; of one that is gone, what is left beside it."""
        files: dict[str, _File] = {}
        prefix = blob_names.blob_prefix(self._place.namespace, self._place.study_instance_uid)
        async for blob in self._blobs.list(prefix):
            if is_service_document(blob.name):
                continue
            name = blob_names.file_beside(blob.name) or blob.name
            file = files.setdefault(name, _File())
            file.names.append(blob.name)
            file.marked = file.marked or blob.name == blob_names.obsolete_mark(name)
            file.made = file.made or UpdatedFile.of_blob(blob.metadata) is not None
        return files

    async def _is_obsolete(self, name: str, file: _File, states: "_States") -> bool:
        state = states.of(name)
        if state and state.names(name):
            return False
        # No update is under way beside an erasure: what an earlier one has made and is no instance never becomes one.
        if file.marked or file.made or name not in file.names or _is_known(name, state):
            return True
        return await self._ensure(name) not in _IN_USE

    async def _erase(self, name: str, file: _File) -> bool:
        """Erase a file and what lies beside it; whether it was there. Its mark goes last: a file without one would come
        back with a rebuild.
        """
        beside = (blob_names.metadata_blob(name), blob_names.frames_blob(name))
        marks = (blob_names.committed_mark(name), blob_names.obsolete_mark(name))
        there = {blob for blob in (*beside, name, *marks) if not file.names or blob in file.names}
        erased = {blob: await self._blobs.delete(blob) for blob in (*beside, name, *marks) if blob in there}
        return erased.get(name, False)


class _States:
    """The instances in the rows of a study."""

    def __init__(self, instances: Mapping[tuple[str, str], InstanceState]) -> None:
        self._instances = instances
        self.dropped: dict[str, InstanceState] = {}
        """Files that somebody dropped under names of their own: those lie elsewhere, and name no instance."""
        for state in instances.values():
            names = (state.blob, state.original, *(each for each in state.dead if not _UPLOAD_ID.fullmatch(each)))
            self.dropped |= {name: state for name in names if name and blob_names.parse_blob_name(name) is None}

    @property
    def any_live(self) -> bool:
        """Whether the study has an instance."""
        return any(state.live for state in self._instances.values())

    def of(self, name: str) -> InstanceState | None:
        """The record of the instance in a file."""
        parts = blob_names.parse_blob_name(name)
        if parts is None:
            return self.dropped.get(name)
        return self._instances.get((parts.identifier.series_instance_uid, parts.identifier.sop_instance_uid))


def _is_known(name: str, state: InstanceState | None) -> bool:
    """Whether a row says what became of a file."""
    if state is None:
        return False
    return state.names(name) or state.remembers(name) or state.has_refused(name) or name == state.blob
