"""The options of a request for the instances that it stores, and how their blobs remember them.

A process that dies between the blob and its commit leaves only the blob: whoever finishes the store must judge the file
as the request would have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from urllib.parse import quote, unquote

from shared.dicomweb.versions import ApiVersion

_CREATE: Final = "create"
_PUT: Final = "put"
_UPDATE: Final = "update"


@dataclass(frozen=True, slots=True)
class UpdatedFile:
    """A file that an operation has made of another one: whether it becomes the instance, only the operation decides."""

    operation: str
    """The id of the operation."""
    source: str
    """The name of the file that it was made of."""
    original: str = ""
    """The name of the file that is kept as the original version; empty: this one is a first version."""
    moved_from: str = ""
    """The instance that it was made of, where that is another one: its UIDs, separated by slashes."""

    def blob_metadata(self) -> dict[str, str]:
        """The metadata of the blob (storage §4). Names of files that were dropped hold any characters."""
        names = {"source": self.source, "original": self.original, "moved_from": self.moved_from}
        named = {key: quote(text) for key, text in names.items() if text}
        return {"mode": _UPDATE, "operation": self.operation, **named}

    @classmethod
    def of_blob(cls, metadata: Mapping[str, str]) -> Self | None:
        """The file that the metadata of a blob describe; None if no operation has made it."""
        if metadata.get("mode") != _UPDATE:
            return None
        names = (unquote(metadata.get(name, "")) for name in ("source", "original", "moved_from"))
        return cls(metadata.get("operation", ""), *names)


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """The options of a request for all its instances."""

    version: ApiVersion
    study: str | None = None
    """The StudyInstanceUID that every instance must have (STOW-23)."""
    replace: bool = False
    """An existing instance is replaced (PUT-1)."""
    expires: datetime | None = None
    """When the study expires (EXP-1)."""

    def blob_metadata(self) -> dict[str, str]:
        """The metadata of the blobs (storage §4)."""
        metadata = {"mode": _PUT if self.replace else _CREATE, "version": str(self.version.value)}
        if self.expires is not None:
            metadata["expires"] = self.expires.isoformat()
        return metadata

    @classmethod
    def of_blob(cls, metadata: Mapping[str, str]) -> Self:
        """The options of a blob, for whoever finishes its store. A blob that says nothing was dropped by somebody."""
        try:
            version = ApiVersion(int(metadata.get("version", "")))
        except ValueError:
            return cls(ApiVersion.V2)
        expires = metadata.get("expires")
        return cls(
            version,
            replace=metadata.get("mode") == _PUT,
            expires=None if expires is None else datetime.fromisoformat(expires),
        )
