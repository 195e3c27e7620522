"""The port to the makers of the files of new versions."""

from typing import Protocol

from shared.index.instance_rows import IndexedInstance
from shared.index.model import NewInstance
from shared.index_schema.schema import IndexSchema


class Versions(Protocol):
    """Makes new versions of instances, or the instances of another study that they become, for one operation."""

    def blob(self, instance: IndexedInstance) -> str | None:
        """The name of the file that is made of the present one, the same whenever it is asked for; None: there is
        none, and the instance stays as it is.
        """
        ...

    async def write(self, instance: IndexedInstance) -> None:
        """Write the new file, and what is kept of the present one. Nothing becomes visible. Idempotent.

        Raises CannotChange, BlobNotFound, Unavailable.
        """
        ...

    async def entry(self, instance: IndexedInstance, length: int, schema: IndexSchema) -> NewInstance:
        """The entry of the new file for the index; it has so many bytes. Raises as `write`."""
        ...
