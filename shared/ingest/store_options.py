"""The options of a request for the instances that it stores, and how their blobs remember them.

A process that dies between the blob and its commit leaves only the blob: whoever finishes the store must judge the file
as the request would have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from shared.dicomweb.versions import ApiVersion

_CREATE: Final = "create"
_PUT: Final = "put"


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
        """The terms of a blob, for whoever finishes its store. A blob that says nothing was dropped by somebody."""
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
