"""azure-apis §4.1 Entries of the change feed as JSON. Pure."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from shared.change_log.reader import EntryState, FeedEntry
from shared.dicom.media_types import JSON_UTF_8
from shared.http.messages import Response

_ACTIONS = {"create": "Create", "update": "Update", "delete": "Delete"}
_STATES = {EntryState.CURRENT: "Current", EntryState.REPLACED: "Replaced", EntryState.DELETED: "Deleted"}
_WHOLE = 1024 * 1024
"""Bytes of an answer that is not streamed, though its length would be known."""
_JSON = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with what is stored of it now."""

    entry: FeedEntry
    partition: str
    """The name of its data partition."""
    state: EntryState
    metadata: bytes | None
    """A finished document; None: not asked for, or there is none."""


async def entry_list(batches: AsyncGenerator[Sequence[Entry]], *, whole: bool) -> Response:
    """The answer with the entries of a window, empty or not (CF-16). `whole`: they are few, do not stream them unless
    they are long.
    """
    chunks = _array(batches)
    if not whole:
        return Response(200, _JSON, chunks)
    first: list[bytes] = []
    size = 0
    try:
        async for chunk in chunks:
            first.append(chunk)
            size += len(chunk)
            if size > _WHOLE:
                return Response(200, _JSON, _resumed(first, chunks))
    except BaseException:
        await chunks.aclose()
        raise
    return Response(200, _JSON, b"".join(first))


async def _resumed(first: Sequence[bytes], chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(chunks):
        for chunk in first:
            yield chunk
        async for chunk in chunks:
            yield chunk


async def latest_entry(batches: AsyncGenerator[Sequence[Entry]]) -> Response:
    """The answer with the latest entry; 204 if there is none (CF-18)."""
    async with aclosing(batches):
        async for [entry] in batches:
            return Response(200, _JSON, _document(entry))
    return Response(204)


async def _array(batches: AsyncGenerator[Sequence[Entry]]) -> AsyncGenerator[bytes]:
    separator = b"["
    async with aclosing(batches):
        async for batch in batches:
            yield separator + b",".join(map(_document, batch))
            separator = b","
    yield b"]" if separator == b"," else b"[]"


def _document(resolved: Entry) -> bytes:
    entry, identifier = resolved.entry, resolved.entry.identifier
    fields = {
        "sequence": entry.sequence,
        "partitionName": resolved.partition,
        "studyInstanceUid": identifier.study_instance_uid,
        "seriesInstanceUid": identifier.series_instance_uid,
        "sopInstanceUid": identifier.sop_instance_uid,
        "action": _ACTIONS[entry.operation],
        "timestamp": entry.timestamp.isoformat(timespec="microseconds"),
        "state": _STATES[resolved.state],
    }
    if resolved.metadata is not None:
        fields["metadata"] = orjson.Fragment(resolved.metadata)
    return orjson.dumps(fields)
