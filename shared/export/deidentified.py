"""azure-apis §7.3 The copy of one file that names nobody (DEID-1 to DEID-9).

Files up to some MiB are read whole. Of larger ones the elements are read as the file streams by, and what stays of it,
pixel data above all, is copied range by range: the whole is never held. Only what has no ranges (a deflated data set,
an odd structure) is held whole, one file at a time, and refused beyond a limit.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson

from shared.deidentification.file import pieces, wanted_bytes, wanted_values
from shared.deidentification.instance import Deidentified, Refused, deidentify
from shared.deidentification.key import Key
from shared.deidentification.profile import BurnedIn, Option, Profile, Subjects
from shared.deidentification.report import Finding, Report
from shared.deidentification.tables import standard_uids
from shared.dicom.elements import first
from shared.dicom.part10.bulk_data import PIXEL_DATA, BulkValue, find_values
from shared.dicom.part10.byte_order import pixel_word_size, swapped
from shared.dicom.part10.composer import CannotCompose
from shared.dicom.part10.file_meta import FileMeta, read_file_meta
from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader
from shared.dicom.part10.inflating import inflated
from shared.dicom.part10.tolerant_reader import locate
from shared.dicom.transfer_syntaxes import DEFLATED, EXPLICIT_BIG_ENDIAN, SOURCES
from shared.export.copying import Copied, CopiesAsStored, Ending, FileCopies, Files, of_latest
from shared.export.deidentified_file import WORKING, Held, MadeFile, Source, Stored, Unexamined, Unreadable, written
from shared.export.model import REPORT, file_name
from shared.export.records import ExportRecords
from shared.index.model import StoredInstance
from shared.ingest import parsing
from shared.memory_budget import Lease
from shared.operations.model import Document, Operation, OperationFailed
from shared.storage.ports import ForeignContainer

UNREADABLE: Final = "The file cannot be read well enough to be de-identified."
_SMALL: Final = 4 * 1024**2
"""Bytes of a file that is read whole at once."""
_SMALL_AT_ONCE: Final = 4
_LARGEST_WHOLE: Final = 100 * 1024**2
"""Bytes of a file, and of what it is inflated to, that is held whole because nothing in it has a range."""
_HEAD: Final = 64 * 1024
_WINDOW: Final = 1024**2
_MOST_WINDOWS: Final = 512
"""Reads of a file that look for its bulk values."""
_DATA_SETS: Final = 3
"""Copies of the values of a file that are held: the source, its copy, and that in bytes."""
_MOST_TAGS: Final = 4096
"""Tags in a report: more than files have, unless somebody makes them up."""
_OTHERS: Final = "others"


class DeidentifiedCopies:
    """The files of one de-identified export. Names of files, of the log and of the report are made of new UIDs."""

    def __init__(  # noqa: PLR0917 - what one export is made of
        self, operation_id: str, namespace: str, files: Files, container: ForeignContainer, profile: Profile, key: Key
    ) -> None:
        self._operation_id = operation_id
        self._namespace = namespace
        self._files = files
        self._container = container
        self._profile = profile
        self._key = key
        self._small, self._large = asyncio.Semaphore(_SMALL_AT_ONCE), asyncio.Semaphore(1)

    async def copy(self, instance: StoredInstance) -> Copied:
        """Write the file that is made of an instance, or say why there is none."""
        uids = instance.identifier
        path = self.named(f"{uids.study_instance_uid}/{uids.series_instance_uid}/{uids.sop_instance_uid}")

        async def copy(version: StoredInstance) -> Copied:
            arriving, odd = Lease(parsing.ARRIVING), Lease(parsing.ODD)
            try:
                async with self._small if version.length <= _SMALL else self._large:
                    return await self._copy(version, path, arriving, odd)
            finally:
                arriving.shrink()
                odd.shrink()

        return await of_latest(self._files, self._namespace, instance, copy, path)

    def named(self, identifier: str) -> str:
        """The same with new UIDs (DEID-9)."""
        return "/".join(self._key.uid(uid) for uid in identifier.split("/"))

    def tally(self, before: Document, copied: Sequence[Copied]) -> Document:
        """The counts of the report: never a value (DEID-9)."""
        tags: dict[str, dict[str, int]] = {tag: dict(deeds) for tag, deeds in before.get("elements", {}).items()}
        findings: dict[str, int] = dict(before.get("findings", {}))
        refused: dict[str, int] = dict(before.get("refused", {}))
        files = int(before.get("files", 0))
        for each in copied:
            if each.report is None:
                continue
            files += not each.fault
            for finding, count in each.report.findings.items():
                counts = refused if each.fault else findings
                counts[finding.value] = counts.get(finding.value, 0) + count
            for (tag, deed), count in each.report.deeds.items():
                deeds = tags.setdefault(tag if tag in tags or len(tags) < _MOST_TAGS else _OTHERS, {})
                deeds[deed.value] = deeds.get(deed.value, 0) + count
        return {"files": files, "refused": refused, "findings": findings, "elements": tags}

    def endings(self, tally: Document) -> Sequence[Ending]:
        """The report."""
        return (partial(self._report, tally),)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _report(self, tally: Document) -> None:
        document = {"deidentify": profile_document(self._profile), **tally}
        data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        await self._container.write(f"{self._operation_id}/{REPORT}", _only(data))

    async def _copy(self, instance: StoredInstance, path: str, arriving: Lease, odd: Lease) -> Copied:
        try:
            made = await self._made(instance, arriving, odd)
            if isinstance(made.result, Refused):
                return Copied(path, f"Refused: {made.result.reason.value}.", made.result.report)
            name = file_name(self._operation_id, made.result.identifier)
            await self._container.write(name, written(made, refuses=self._profile.burned_in is BurnedIn.REFUSE))
        except Unexamined:
            report = Report()
            report.findings[Finding.UNEXAMINED] = 1
            return Copied(path, f"Refused: {Finding.UNEXAMINED.value}.", report)
        except (Unreadable, InvalidPart10, CannotCompose, zlib.error):
            report = Report()
            report.findings[Finding.UNREADABLE] = 1
            return Copied(path, UNREADABLE, report)
        return Copied(path, "", made.result.report)

    async def _made(self, instance: StoredInstance, arriving: Lease, odd: Lease) -> MadeFile:
        """Raises Unreadable, InvalidPart10, CannotCompose, BlobNotFound, Unavailable."""
        if instance.length > _SMALL:
            try:
                made = await self._streamed(instance, arriving)
            except InvalidPart10:
                made = None
            if made is not None:
                return made
            if instance.length > _LARGEST_WHOLE:
                raise Unreadable
        arriving.shrink()
        data = await self._files.blobs.read(instance.blob)
        part10 = await _read(data, arriving, odd)
        if part10.transfer_syntax_uid == DEFLATED:
            await odd.grow(_LARGEST_WHOLE)
        return await _beside(partial(self._whole, data, part10), part10, arriving)

    def _deidentified(self, part10: Part10) -> Deidentified | Refused:
        """Frees the values of the source. Raises Unreadable."""
        try:
            if part10.transfer_syntax_uid not in standard_uids() | SOURCES:
                raise Unreadable  # it would be told as it is, and nobody knows how pixels are written in it
            return deidentify(part10.attributes, part10.transfer_syntax_uid, self._profile, self._key)
        finally:
            parsing.release(part10.attributes)

    def _whole(self, data: bytes, part10: Part10) -> MadeFile:
        result = self._deidentified(part10)
        if isinstance(result, Refused):
            return MadeFile(result)
        meta, start = read_file_meta(data)
        if meta.deflated:
            data, _ = inflated(memoryview(data)[start:], _LARGEST_WHOLE + 1)
            start = 0
            if len(data) > _LARGEST_WHOLE:
                raise Unreadable
        values = _in_memory(wanted_values(result), data, meta, start)
        read = {path: data[one.offset : one.offset + one.length] for path, one in wanted_bytes(result, values).items()}
        return _made(result, part10, values, read, Held(data))

    async def _streamed(self, instance: StoredInstance, arriving: Lease) -> MadeFile | None:
        """The copy of a file that is not held; None where it has no ranges. Raises InvalidPart10, CannotCompose."""
        blob = instance.blob
        meta, start = read_file_meta(await self._files.blobs.read(blob, 0, _HEAD))
        if meta.deflated:
            return None
        reader = Part10Reader(strict=False)
        opened = await self._files.blobs.open(blob)
        async for chunk in opened.chunks():
            await parsing.feed(reader, chunk, arriving)
        part10 = await parsing.finish(reader)
        if part10.odd:
            return None
        result = await _beside(partial(self._deidentified, part10), part10, arriving)
        if isinstance(result, Refused):
            return MadeFile(result)
        values = await self._located(instance, part10, wanted_values(result), meta, start)
        read = {
            path: await self._files.blobs.read(blob, one.offset, one.length)
            for path, one in wanted_bytes(result, values).items()
        }
        source = Stored(self._files, blob)
        return await _beside(partial(_made, result, part10, values, read, source), part10, arriving)

    async def _located(
        self, instance: StoredInstance, part10: Part10, paths: Sequence[str], meta: FileMeta, start: int
    ) -> Mapping[str, BulkValue]:
        """Where values are in a stored file. Raises Unreadable, InvalidPart10."""
        frames = part10.frames
        end = frames.offsets[-1] if frames is not None and frames.encapsulated else None
        walk = find_values(paths, meta.coding, instance.length, start=start, pixel_data_end=end)
        try:
            offset, need = next(walk)
            window = _HEAD
            for _ in range(_MOST_WINDOWS):
                data = await self._files.blobs.read(instance.blob, offset, max(need, window))
                window = min(2 * window, _WINDOW)
                offset, need = walk.send(data)
        except StopIteration as stop:
            found: Mapping[str, BulkValue] = stop.value
            return found
        walk.close()
        raise Unreadable


async def _read(data: bytes, arriving: Lease, odd: Lease) -> Part10:
    """The values of a file that is held; what they take is in a lease. Raises InvalidPart10, Unavailable."""
    reader = Part10Reader(strict=False)
    try:
        await parsing.feed(reader, data, arriving)
        return await parsing.finish(reader)
    except InvalidPart10:
        await parsing.discard(reader)
        arriving.shrink()
        return await parsing.read_tolerantly([data], odd, strict=False)


async def _beside[T](function: Callable[[], T], part10: Part10, arriving: Lease) -> T:
    """The result of work on the values of a file, in a thread. Raises what it raises, and Unavailable."""
    if part10.header_bytes > parsing.LARGE:
        await arriving.grow(_DATA_SETS * part10.header_bytes)
    return await asyncio.get_running_loop().run_in_executor(WORKING, function)


async def key_of(records: ExportRecords, operation: Operation) -> Key | None:
    """The key of the export of an operation; None where nothing is de-identified.

    Raises OperationFailed where it is gone, Unavailable.
    """
    if operation.input.get("deidentify") is None:
        return None
    key = await records.key(operation.id)
    if key is None:
        raise OperationFailed(operation.results)
    return key


async def copies_of(
    files: Files, records: ExportRecords, operation: Operation, container: ForeignContainer
) -> FileCopies:
    """The copier of the files of an operation. Raises OperationFailed where its key is gone, Unavailable."""
    key = await key_of(records, operation)
    return copies_in(str(operation.input["namespace"]), files, operation, container, key)


def copies_in(
    namespace: str, files: Files, operation: Operation, container: ForeignContainer, key: Key | None
) -> FileCopies:
    """The copier of instances of one data partition; `key` None: as they are stored."""
    if key is None:
        return CopiesAsStored(operation.id, namespace, files, container)
    profile = profile_in(operation.input["deidentify"])
    return DeidentifiedCopies(operation.id, namespace, files, container, profile, key)


def profile_document(profile: Profile) -> Document:
    """A profile as requests and reports name it."""
    return {
        "profile": "basic",
        "options": sorted(profile.options),
        "subjects": profile.subjects.value,
        "burnedIn": profile.burned_in.value,
    }


def profile_in(document: Mapping[str, Any]) -> Profile:
    """The profile that `profile_document` has told."""
    return Profile(
        frozenset(map(Option, document["options"])), Subjects(document["subjects"]), BurnedIn(document["burnedIn"])
    )


def _made(
    result: Deidentified,
    part10: Part10,
    values: Mapping[str, BulkValue],
    read: Mapping[str, bytes],
    source: Source,
) -> MadeFile:
    """Raises CannotCompose."""
    pixels = part10.pixel_data
    little = {path: swapped(data, values[path].word) for path, data in read.items()}
    found = pieces(result, part10.transfer_syntax_uid, values, little, part10.frames)
    words = {value.offset: value.word for value in values.values() if value.word > 1}
    if part10.transfer_syntax_uid == EXPLICIT_BIG_ENDIAN and pixels is not None and PIXEL_DATA in values:
        bits = first(result.attributes, "00280100")
        words[values[PIXEL_DATA].offset] = pixel_word_size(pixels.vr, bits if isinstance(bits, int) else 0)
    return MadeFile(result, found, source, words)


def _in_memory(paths: list[str], data: bytes, meta: FileMeta, start: int) -> Mapping[str, BulkValue]:
    """Where values are. Raises InvalidPart10."""
    found: dict[str, BulkValue] = {}
    walk = find_values(paths, meta.coding, len(data), start=start)
    try:
        offset, need = next(walk)
        while True:
            offset, need = walk.send(data[offset : offset + max(need, _HEAD)])
    except StopIteration as stop:
        found = stop.value
    except InvalidPart10:
        walk.close()  # the structure is odd: another reader finds them
    missing = [path for path in paths if path not in found]
    return found | locate(data, missing, coding=meta.coding if meta.deflated else None) if missing else found


async def _only(data: bytes) -> AsyncIterator[bytes]:
    yield data
