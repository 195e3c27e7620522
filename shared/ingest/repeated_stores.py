"""Instances that are sent again although they are stored: refused without an upload (45070).

Whoever repeats a study sends one stored instance after the other. So after a refusal the next instances of that study
are looked for before their files are uploaded: one request, in place of the upload, its refusal and its removal. The
first one that is not there ends that, so an ordinary store makes no request more.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.bounded import RecentValues
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicomweb.partitions import Partition
from shared.errors import Unavailable
from shared.index.lookup import InstanceLookup
from shared.storage.blob_upload import SINGLE_PUT_BYTES
from shared.storage.ports import BlobProperties, BlobUpload

_STUDIES: Final = 10_000
"""Studies that are remembered at a time: more than are being repeated at a time by far."""


class AlreadyStored(Exception):
    """The instance of an upload is stored, so the upload is refused. Nothing of it has become a blob."""


class RepeatedStores:
    """Studies that are being stored again, as this process knows. It may lose all of it, at the cost of uploads."""

    def __init__(self, lookup: InstanceLookup) -> None:
        self._lookup = lookup
        self._repeated: RecentValues[bool] = RecentValues(_STUDIES)

    def expected(self, partition: Partition, identifier: InstanceIdentifier) -> bool:
        """Whether the last instance of its study was stored already, so that this one may be."""
        return self._repeated.get(_key(partition, identifier)) is not None

    def refused(self, partition: Partition, identifier: InstanceIdentifier) -> None:
        """An instance was stored already."""
        self._repeated.put(_key(partition, identifier), True)

    def stored(self, partition: Partition, identifier: InstanceIdentifier) -> None:
        """An instance was not there before."""
        self._repeated.forget(_key(partition, identifier))

    def deferred(self, upload: BlobUpload, partition: Partition, identifier: InstanceIdentifier) -> BlobUpload:
        """`upload`, which sends nothing while the instance is stored."""

        async def is_stored() -> bool:
            return await self._lookup.instance(partition, identifier, metadata=False) is not None

        return _DeferredUpload(upload, is_stored)


def _key(partition: Partition, identifier: InstanceIdentifier) -> str:
    return f"{partition.namespace}!{identifier.study_instance_uid}"


class _DeferredUpload:
    """A BlobUpload of an instance that is probably stored.

    What fits one request is held until the commit, as by every upload, and decided there: an instance that is deleted
    while its file arrives is stored. Before anything larger is sent, it is looked for; while it is stored, the bytes
    are dropped. If it is deleted after that, they are needed after all: then the client has to send them again.
    """

    def __init__(self, upload: BlobUpload, is_stored: Callable[[], Awaitable[bool]]) -> None:
        self._upload = upload
        self._is_stored = is_stored
        self._length = 0
        self._sending = False
        self._dropped = False

    async def write(self, data: bytes) -> None:
        """Append `data`."""
        self._length += len(data)
        if self._length > SINGLE_PUT_BYTES:
            await self._begin_sending()
        if not self._dropped:
            await self._upload.write(data)

    async def stage(self) -> None:
        """Keep nothing in memory."""
        await self._begin_sending()
        if not self._dropped:
            await self._upload.stage()

    async def commit(self, metadata: Mapping[str, str]) -> BlobProperties:
        """Make the blob visible. Raises AlreadyStored; Unavailable if bytes were dropped that are needed."""
        if await self._is_stored():
            await self.abort()
            raise AlreadyStored
        if self._dropped:
            raise Unavailable("The instance was deleted while it was being stored again. Please retry the request.")
        return await self._upload.commit(metadata)

    async def abort(self) -> None:
        """Give up."""
        await self._upload.abort()

    async def _begin_sending(self) -> None:
        if self._sending or self._dropped:
            return
        if await self._is_stored():
            self._dropped = True
            await self._upload.abort()
        else:
            self._sending = True
