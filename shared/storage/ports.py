"""The ports of the data stores: what the service needs of blobs, tables, queues and secrets, and how they fail.

Adapters translate every SDK exception into one of the errors below or into `shared.errors.Unavailable`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol


class StorageError(Exception):
    """Base of what a store reports to its caller."""


class BlobNotFound(StorageError):
    """No blob of that name, or not the one that was asked for (If-Match)."""


class BlobExists(StorageError):
    """A create-only write found a blob of that name."""


class PreconditionFailed(StorageError):
    """A conditional table write found an entity missing, present, or with another etag: re-read and decide."""


class QueueNotFound(StorageError):
    """No queue of that name."""


class ContainerRefused(StorageError):
    """A container of another account refuses what is asked of it: it is gone, or the permission is."""


class Ambiguous(StorageError):
    """A write got no answer: it may or may not have been applied. Re-read and decide (storage invariant 9)."""


# ---------------------------------------------------------------------------------------------------------- blobs


@dataclass(frozen=True, slots=True)
class BlobProperties:
    """The properties of a blob that are known without reading it."""

    name: str
    length: int
    etag: str
    created: datetime
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BlobPage:
    """Part of a listing, by name; `next_marker` is where the next page starts, '' at the end."""

    blobs: Sequence[BlobProperties]
    """Without those of no bytes."""
    next_marker: str
    empty: Sequence[str] = ()
    """The names of blobs of no bytes, and of uploads that were never committed: a listing does not tell which."""


class BlobUpload(Protocol):
    """A blob in the making. Nothing is visible before `commit`; an upload that is never committed leaves no blob.

    At most a few blocks are held in memory; `write` waits while too many are under way (back-pressure).
    """

    async def write(self, data: bytes) -> None:
        """Append `data`."""
        ...

    async def stage(self) -> None:
        """Send what is held as staged blocks, so that nothing of the upload stays in memory. More may be written."""
        ...

    async def commit(self, metadata: Mapping[str, str]) -> BlobProperties:
        """Make the blob visible. Raises BlobExists if the name is taken by another blob."""
        ...

    async def abort(self) -> None:
        """Give up; releases memory and pending requests. Safe to call twice, and after commit."""
        ...


class ComposedUpload(BlobUpload, Protocol):
    """An upload that takes ranges of other blobs, too."""

    async def append_range(self, source: str, offset: int, length: int) -> None:
        """Append a range of another blob of the container, in constant memory: the store copies it by itself if it can
        (`BlobStore.copies_ranges`), else its bytes pass through this process. Raises BlobNotFound.
        """
        ...


class BlobReader(Protocol):
    """An opened download: properties are known, bytes follow."""

    @property
    def length(self) -> int:
        """Bytes that `chunks` will yield."""
        ...

    @property
    def etag(self) -> str:
        """As in BlobProperties."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, a piece at a time, in constant memory."""
        ...


class BlobStore(Protocol):
    """One container of immutable blobs."""

    @property
    def copies_ranges(self) -> bool:
        """Whether the store copies a range of one blob into another by itself (Put Block From URL). It counts as able
        until it has said that it is not: Azure is, the emulator is not.
        """
        ...

    def upload(self, name: str) -> ComposedUpload:
        """Start writing a new blob. Small ones are one request, larger ones staged blocks."""
        ...

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        """Write a small blob, create-only. Raises BlobExists."""
        ...

    async def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a range in one request; shorter when the blob ends. Raises BlobNotFound."""
        ...

    async def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (offset, length) ranges, fetched together. Raises BlobNotFound."""
        ...

    async def open(self, name: str, offset: int = 0, length: int | None = None) -> BlobReader:
        """Open a range for streaming; the blob exists when this returns. Raises BlobNotFound."""
        ...

    async def properties(self, name: str) -> BlobProperties:
        """Raises BlobNotFound."""
        ...

    async def delete(self, name: str, *, etag: str = "") -> bool:
        """Remove a blob; with `etag`, only that version of it. False when there was none, or another version."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[BlobProperties]:
        """All blobs whose name starts with `prefix`, by name. Uploads that were never committed are no blobs."""
        ...

    async def page(self, marker: str = "", *, top: int = 1000) -> BlobPage:
        """At most `top` (≤ 5000) of all blobs, by name, in one request; `marker` is where the page before ended."""
        ...

    async def remove_staged(self, name: str) -> bool:
        """Remove blocks that were staged under a name of which no blob was ever made, or a blob of no bytes.

        False when there is a blob with content. Whoever is still staging there finds that its commit fails.
        """
        ...

    async def copy_to(self, container: str, name: str, *, etag: str, metadata: Mapping[str, str]) -> None:
        """Copy that version of a blob, inside the account, to the same name in another container.

        What is there under that name is replaced at once. The bytes do not pass through this process. Raises
        BlobNotFound when there is no such blob, or another version of it.
        """
        ...


class ForeignContainer(Protocol):
    """A container of another account, which the service writes to and never reads.

    Blobs that are there are overwritten. Every method raises ContainerRefused, and Unavailable when no answer comes.
    """

    async def create_log(self, name: str) -> None:
        """Make an empty blob that grows."""
        ...

    async def append(self, name: str, data: bytes) -> None:
        """Append to such a blob: once, or twice when an answer is lost."""
        ...

    async def copy(self, name: str, source_url: str) -> bool:
        """Let the storage service copy what is at `source_url`; False where it does not. No bytes pass through here."""
        ...

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob of any length, in bounded memory; what `chunks` raises leaves no blob."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


# --------------------------------------------------------------------------------------------------------- tables

type Value = str | int | float | bool | bytes
"""int is Edm.Int64, bytes is Edm.Binary (at most 64 KiB), str at most 32 Ki UTF-16 units."""

type Kind = Literal["dicom", "idx", "idxi", "hint", "feed", "conf", "trash", "ops", "worklist"]
"""The tables of storage §2; an adapter maps (kind, partition key) to a physical table."""
type CastTable = Literal[
    "DicomCast",
    "SyncStateTable",
    "InvalidDicomTagExceptionTable",
    "DicomFailToStoreExceptionTable",
    "FhirFailToStoreExceptionTable",
    "TransientRetryExceptionTable",
    "TransientFailureExceptionTable",
]
"""Tables of DICOMcast (dicomcast §5.3). All but the first are named as the archived DICOMcast named them."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A row: keys, properties, and the etag it had when read ('' for one not yet written)."""

    partition_key: str
    row_key: str
    properties: Mapping[str, Value]
    etag: str = ""


class RowWrite(NamedTuple):
    """One write of an entity group transaction.

    insert: fails if present. upsert: insert or replace. replace, merge, delete: fail if missing, or if `etag` is not
    '*' and differs.
    """

    verb: Literal["insert", "upsert", "replace", "merge", "delete"]
    partition_key: str
    row_key: str
    properties: Mapping[str, Value] = {}
    etag: str = "*"


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a range, in key order; `next_row_key` is where the next page starts, None at the end of the range."""

    entities: Sequence[Entity]
    next_row_key: str | None


class TableStore(Protocol):
    """The tables. Every call touches one partition of one table."""

    async def get(self, kind: Kind, partition_key: str, row_key: str) -> Entity | None:
        """One row, or None."""
        ...

    async def page(
        self,
        kind: Kind,
        partition_key: str,
        low: str,
        high: str,
        *,
        top: int = 1000,
        select: Sequence[str] | None = None,
    ) -> Page:
        """At most `top` (≤ 1000) rows with low ≤ RowKey < high in one request. A page may be empty and not the last."""
        ...

    async def range(
        self, kind: Kind, partition_key: str, low: str, high: str, *, select: Sequence[str] | None = None
    ) -> list[Entity]:
        """All rows with low ≤ RowKey < high, in key order, over as many pages as it takes."""
        ...

    async def commit(self, kind: Kind, operations: Sequence[RowWrite]) -> str:
        """One entity group transaction: 1 to 100 operations on different rows of one partition, at most 4 MiB; all or
        none. A single operation is one plain request; the etag of the row that it wrote is returned, else ''.

        Raises PreconditionFailed when a row is missing, present or changed, Ambiguous when the outcome is unknown,
        ValueError when the limits are broken (nothing was sent).
        """
        ...


# --------------------------------------------------------------------------------------------------------- queues


class QueueStore(Protocol):
    """Queues for work that must be paced (S-6)."""

    async def send(
        self, queue: str, message: str, *, delay_seconds: int = 0, seconds_to_live: int | None = None
    ) -> None:
        """Append one message (≤ 48 KiB of text), for ever unless it is told how long. Raises QueueNotFound."""
        ...

    async def length(self, queue: str) -> int:
        """About how many messages there are, those included that are being handled. Raises QueueNotFound."""
        ...


# -------------------------------------------------------------------------------------------------------- secrets


class SecretStore(Protocol):
    """Keeps what opens somebody else's account, encrypted or where nobody else reads. Methods raise Unavailable, and
    DependencyRefused.
    """

    async def put(self, name: str, value: str) -> None:
        """Keep `value` under `name` (`[0-9a-z-]{1,127}`), in place of what is there."""
        ...

    async def get(self, name: str) -> str | None:
        """The secret under `name`; None if there is none."""
        ...

    async def delete(self, name: str) -> None:
        """Forget it, for good where the store allows that. Idempotent."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
