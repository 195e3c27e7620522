"""The archive of a study, a series or an instance (ZIP-1 to ZIP-7)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal

from shared import metrics
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.media_types import ZIP
from shared.dicom.transfer_syntaxes import DEFLATED
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.index.model import StudyView
from shared.index_schema.schema import BUILT_IN
from shared.retrieve.instances.transaction import Agreement, RetrievedInstances, retrieve_instances
from shared.retrieve.instances.zip_directory import Directory, file_ids
from shared.retrieve.instances.zip_names import EntryNames, entry_names
from shared.retrieve.instances.zip_stream import Entry, zipped, zipped_length
from shared.retrieve.negotiation import TransferSyntaxChoice
from shared.retrieve.response import CACHING
from shared.retrieve.snapshot import Backend, Snapshot
from shared.storage.ports import BlobNotFound

type ZipNames = Literal["attributes", "uid"]
"""The kinds of names of files in an archive: patient, series, modality and numbers, or UIDs alone (ZIP-2)."""

_MISSING: Final = "MISSING.txt"
_MANY: Final = 1000
"""Files whose names are made off the event loop: each takes some microseconds."""


@dataclass(frozen=True, slots=True)
class ZipTransaction:
    """Retrieve Study, Series or Instance as an archive."""

    backend: Backend
    names: ZipNames = "attributes"

    async def archive(
        self, accepted: Sequence[TransferSyntaxChoice], context: Context, *, head_only: bool, dicomdir: bool
    ) -> tuple[Response, RetrievedInstances]:
        """The answer, and what is in it. Raises NotFound, NotAcceptable, LostFile before its first byte (ZIP-5)."""
        archive = self.backend.archive(context.partition, original=context.original, within=context.confinement)
        found = await retrieve_instances(archive, context.scope, accepted)
        named = dicomdir or self.names == "attributes"
        study = await archive.study(context.scope.study_instance_uid) if named else None
        if study is not None and archive.original:
            study = await _as_stored(study, found.snapshots[0])
        instances = [each.instance for each in found.snapshots]
        name = file_ids if dicomdir else partial(entry_names, study, uids_only=self.names == "uid")
        names = await asyncio.to_thread(name, instances) if len(instances) > _MANY else name(instances)
        directory = Directory(study, names) if dicomdir else None
        headers = [
            ("Content-Type", ZIP),
            ("Content-Disposition", f'attachment; filename="{_file_name(context.scope)}"'),
            *CACHING,
        ]
        agreement = found.agreement
        if head_only and all(_keeps_length(each, agreement) for each in found.snapshots):
            lengths = [(names[each.identifier], each.length) for each in found.snapshots]
            if directory is not None:
                lengths.append(await _directory_length(directory, found.snapshots))
            headers.append(("Content-Length", str(zipped_length(lengths))))
        body = zipped(_entries(found, names, directory), datetime.now(UTC))
        return Response(200, tuple(headers), body), found


async def _as_stored(study: StudyView, snapshot: Snapshot) -> StudyView:
    """The study with the values that an instance had when it was stored: names and records agree with the files."""
    try:
        attributes = await snapshot.attributes_once()
    except BlobNotFound:  # deleted this moment: it will be missing
        return study
    values, _, _ = BUILT_IN.extract(attributes)
    return replace(study, attributes=values)


def _file_name(scope: ResourceIdentifier) -> str:
    """Of the archive: a UID, for names of files end up in logs and lists of downloads."""
    return f"{scope.sop_instance_uid or scope.series_instance_uid or scope.study_instance_uid}.zip"


def _keeps_length(snapshot: Snapshot, agreement: Agreement) -> bool:
    """Whether a file is sent in the length in which it is stored: not if it is converted, or deflated anew."""
    may_change = snapshot.archive.confined is not None and snapshot.syntax == DEFLATED
    return agreement.encoding(snapshot) is not None and not may_change


async def _directory_length(directory: Directory, snapshots: Sequence[Snapshot]) -> tuple[str, int]:
    """The name and the length of a directory of all files as they are stored."""
    for snapshot in snapshots:
        await directory.add(snapshot, snapshot.syntax)
    entry = await directory.entry()
    return entry.name, entry.length


async def _entries(found: RetrievedInstances, names: EntryNames, directory: Directory | None) -> AsyncGenerator[Entry]:
    """The files, their directory, and the names of those that were deleted meanwhile (ZIP-6)."""
    missing = set(names)
    async with aclosing(found.files) as files:
        async for opened in files:
            metrics.add(metrics.INSTANCES_RETRIEVED, transcoded=opened.converted)
            identifier = opened.snapshot.identifier
            missing.discard(identifier)
            yield Entry(names[identifier], opened.length, opened.content())
            if directory is not None:
                await directory.add(opened.snapshot, opened.encoding.transfer_syntax_uid)
    if directory is not None:
        yield await directory.entry()
    if missing:
        lines = sorted(
            f"{each.study_instance_uid} {each.series_instance_uid} {each.sop_instance_uid}\n" for each in missing
        )
        told = ("Deleted while this archive was sent (study, series and instance):\n" + "".join(lines)).encode()
        yield Entry(_MISSING, len(told), told)
