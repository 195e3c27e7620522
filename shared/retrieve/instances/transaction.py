"""Retrieve Study, Series and Instance: files as stored or transcoded, in bounded memory (PS3.18 §10.4.1.1)."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared import telemetry
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.transfer_syntaxes import DEFLATED
from shared.dicom.uid_references import Substitution
from shared.errors import NotAcceptable
from shared.retrieve.deflated import deflated_anew
from shared.retrieve.instances.conversion import (
    ConvertedFile,
    check_conversion,
    convert_file,
    convertible_objects,
)
from shared.retrieve.negotiation import (
    Encoding,
    TransferSyntaxChoice,
    choose,
    choose_checked,
    nothing_found,
    stored_will_do,
)
from shared.retrieve.snapshot import Archive, Snapshot, current
from shared.storage.ports import BlobNotFound, BlobReader

_SMALL: Final = 1024 * 1024
"""Files up to this many bytes are read whole, and ahead of their turn."""
_AHEAD: Final = 8
"""Small files that are read ahead of the one that is being sent."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreed form of the objects of a request."""

    choice: TransferSyntaxChoice
    stored_will_do: bool
    """Objects that cannot be given in the chosen syntax are sent as they are stored (WADO-34)."""
    as_stored: frozenset[str] = frozenset()
    """The locations of those of which that is known."""

    def encoding(self, snapshot: Snapshot) -> Encoding | None:
        """The label of an object that is sent as stored; None: it is to be transcoded."""
        if snapshot.location in self.as_stored:
            return self.choice.unchanged(snapshot.syntax)
        return self.choice.encoding(snapshot.syntax)

    def expected(self, snapshot: Snapshot) -> Encoding:
        """The label of an object if nothing comes in between. Raises NotAcceptable."""
        found = self.encoding(snapshot) or self.choice.produced()
        if found is None:
            raise NotAcceptable("The transfer syntax of the instance is not accepted.")
        return found


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file of which the first bytes are at hand or on their way."""

    snapshot: Snapshot
    encoding: Encoding
    body: bytes | BlobReader | ConvertedFile
    substitution: Substitution | None = None
    """Hides UIDs that the caller may not learn."""

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    @property
    def converted(self) -> bool:
        """Whether it is another file than the stored one."""
        return isinstance(self.body, ConvertedFile)

    def content(self) -> bytes | AsyncIterator[bytes]:
        """The bytes, to be read once."""
        hidden = self.substitution
        if isinstance(self.body, bytes):
            return hidden.whole(self.body) if hidden else self.body
        chunks = self.body.chunks()
        return hidden.stream(chunks) if hidden else chunks


@dataclass(frozen=True, slots=True)
class RetrievedInstances:
    """The files of a study or series, in no particular order (WADO-27). `files` must be closed."""

    agreement: Agreement
    snapshots: Sequence[Snapshot]
    """Those that there are; one whose file turns out to be deleted meanwhile is not among the files."""
    media_type: str
    files: AsyncGenerator[OpenedFile]
    kept: int
    """How many of them are sent as stored for want of another form, as far as that is known before the first byte."""


async def agree(snapshot: Snapshot, accepted: Sequence[TransferSyntaxChoice]) -> Agreement:
    """The form in which one instance is sent. Raises NotAcceptable (D-18), BlobNotFound."""
    return await _agree([snapshot.syntax], accepted, _Listed([snapshot]))


async def open_instance(snapshot: Snapshot, agreement: Agreement, start: int = 0, end: int | None = None) -> OpenedFile:
    """The file of an instance, or the bytes [start, end) of one that is sent as stored.

    Raises NotAcceptable when it cannot be transcoded, or is a version that came meanwhile, in a syntax that is not
    accepted; BlobNotFound, Unavailable.
    """
    stored = agreement.encoding(snapshot)
    target = agreement.choice.target
    hidden = await snapshot.substitution()
    if stored is None and target is not None:
        try:
            converted = await convert_file(snapshot, target)
        except NotAcceptable:
            telemetry.event("instance-not-converted", asStored=agreement.stored_will_do)
            if not agreement.stored_will_do:
                raise
        else:
            return OpenedFile(snapshot, agreement.expected(snapshot), converted, hidden)
    if stored is None and not agreement.stored_will_do:
        raise NotAcceptable("The instance was replaced by one in a transfer syntax that is not accepted.")
    encoding = stored or agreement.choice.unchanged(snapshot.syntax)
    if hidden and snapshot.syntax == DEFLATED:
        return OpenedFile(snapshot, encoding, await snapshot.using_whole(partial(deflated_anew, change=hidden.whole)))
    length = (snapshot.length if end is None else end) - start
    if length <= _SMALL:
        return OpenedFile(snapshot, encoding, await snapshot.read(start, length), hidden)
    if length < snapshot.length:
        return OpenedFile(snapshot, encoding, await snapshot.open(start, length), hidden)
    return OpenedFile(snapshot, encoding, await snapshot.open(), hidden)


async def retrieve_instances(
    archive: Archive, scope: ResourceIdentifier, accepted: Sequence[TransferSyntaxChoice]
) -> RetrievedInstances:
    """All files of a study, series or instance: one range read of the index, the first file opened before this returns.

    Raises NotFound, NotAcceptable (D-18, D-19), LostFile.
    """
    snapshots = await archive.snapshots(scope)
    what = "instance" if scope.sop_instance_uid else "series" if scope.series_instance_uid else "study"
    if not snapshots:
        raise nothing_found(accepted, what)
    agreement = await _agree({each.syntax for each in snapshots}, accepted, _InScope(archive, scope))
    for at, snapshot in enumerate(snapshots):
        first = await _opened(snapshot, agreement)
        if first is not None:
            files = _all(first, snapshots[at + 1 :], agreement)
            kept = len(agreement.as_stored) + int(agreement.encoding(first.snapshot) is None and not first.converted)
            return RetrievedInstances(agreement, snapshots, first.encoding.media_type, files, kept)
    raise nothing_found(accepted, what)


# -------------------------------------------------------------------------------------------------------- negotiation


@dataclass(frozen=True, slots=True)
class _InScope:
    """The instances of a study or series, read again with their attributes."""

    archive: Archive
    scope: ResourceIdentifier

    def each(self) -> AsyncGenerator[Snapshot]:
        """All of them."""
        return self.archive.stream(self.scope)


@dataclass(frozen=True, slots=True)
class _Listed:
    """Instances that are at hand."""

    snapshots: Sequence[Snapshot]

    async def each(self) -> AsyncGenerator[Snapshot]:
        """All of them."""
        for snapshot in self.snapshots:
            yield snapshot


async def _agree(
    syntaxes: Iterable[str], accepted: Sequence[TransferSyntaxChoice], objects: _InScope | _Listed
) -> Agreement:
    """The best choice in which all objects, which are stored in these syntaxes, can really be sent; where the client
    does not insist on it, objects that cannot be are sent as stored (WADO-34).

    What needs transcoding is looked at first, each object of it. Raises NotAcceptable (D-18, D-19).
    """
    stored = set(syntaxes)

    async def check(choice: TransferSyntaxChoice) -> None:
        await _unconvertible(objects, choice, refuse=True)

    lenient = stored_will_do(accepted)
    if len(lenient) < len(accepted):
        try:
            choice, _ = await choose_checked(accepted, stored, convertible_objects, check)
            return Agreement(choice, stored_will_do=not choice.named)
        except NotAcceptable:
            if not lenient:
                raise
    choice, _ = choose(lenient, stored, lambda _stored, _target: True)
    if all(choice.encoding(syntax) for syntax in stored):
        return Agreement(choice, stored_will_do=True)
    kept = await _unconvertible(objects, choice, refuse=False)
    return Agreement(choice, stored_will_do=True, as_stored=kept)


async def _unconvertible(objects: _InScope | _Listed, choice: TransferSyntaxChoice, *, refuse: bool) -> frozenset[str]:
    """The locations of the objects that cannot be sent as `choice` says. `refuse`: raises NotAcceptable for one."""
    found: set[str] = set()
    target = choice.target
    async with aclosing(objects.each()) as snapshots:
        async for snapshot in snapshots:
            if target is None or choice.encoding(snapshot.syntax) is not None:
                continue
            try:
                await check_conversion(snapshot, target)
            except BlobNotFound:
                continue  # deleted meanwhile (WADO-29), or found missing when its turn comes
            except NotAcceptable:
                if refuse:
                    raise
                found.add(snapshot.location)
    return frozenset(found)


# ------------------------------------------------------------------------------------------------------------ reading


async def _opened(snapshot: Snapshot, agreement: Agreement) -> OpenedFile | None:
    return await current(snapshot, lambda version: open_instance(version, agreement))


async def _all(first: OpenedFile, rest: Iterable[Snapshot], agreement: Agreement) -> AsyncGenerator[OpenedFile]:
    """`first` and the files of `rest`, in order; small files are read while earlier ones are being sent.

    A large file is opened when its turn comes: an open download that nobody reads would be cut by the store.
    """
    waiting = deque(rest)
    ahead: deque[asyncio.Task[OpenedFile | None]] = deque()

    def read_ahead() -> None:
        while waiting and len(ahead) < _AHEAD and waiting[0].length <= _SMALL:
            ahead.append(asyncio.create_task(_opened(waiting.popleft(), agreement)))

    try:
        read_ahead()
        yield first
        while ahead or waiting:
            opened = await (ahead.popleft() if ahead else _opened(waiting.popleft(), agreement))
            read_ahead()
            if opened is not None:
                yield opened
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
