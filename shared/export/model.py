"""azure-apis §7.1 The subject of an export, and its destination. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from shared.deidentification.profile import Profile
from shared.dicom.identifiers import InstanceIdentifier
from shared.index.model import StoredInstance
from shared.operations.model import Operation

type Position = Mapping[str, Any]
"""How far a source has been read: a JSON object of its own, empty at the beginning."""

ERROR_LOG: Final = "errors.log"
REPORT: Final = "report.json"


class Access(StrEnum):
    """The credential of the service at a destination."""

    IDENTITY = "identity"
    SIGNATURE = "sas"
    """A shared access signature."""
    EMULATOR = "emulator"
    """The account key that every emulator has."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Destination:
    """A container of Blob Storage."""

    url: str
    """Without query, and without a slash at the end."""
    access: Access
    signature: str = field(default="", repr=False)
    """The shared access signature, a query string: whoever has it can write there. Empty for any other access."""

    @property
    def container(self) -> str:
        """The name of the container."""
        return self.url.rpartition("/")[2]

    @property
    def account(self) -> str:
        """The host of the account, with what stands in front of the container in the path."""
        return self.url.rpartition("/")[0].partition("://")[2]

    def error_log(self, operation_id: str) -> str:
        """The URL of the error log of an export, without a signature (XPT-25)."""
        return f"{self.url}/{error_log(operation_id)}"


@dataclass(frozen=True, slots=True)
class NewExport:
    """A request to export."""

    destination: Destination
    identifiers: Sequence[str] | None
    """Studies, series and instances as the client named them; None: the whole partition."""
    profile: Profile | None = None
    """How files are de-identified; None: they are not."""


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some instances of a source."""

    instances: Sequence[StoredInstance]
    unknown: Sequence[str]
    """Identifiers that match nothing, in the form that was given (XPT-23)."""
    following: Position | None
    """Where the source goes on; None at its end."""


class InstanceSource(Protocol):
    """The instances of an export, read a page at a time from any position: a list of identifiers, a data partition, the
    manifest of a cohort.
    """

    async def page(self, position: Position) -> SourcePage:
        """Instances behind a position, in bounded memory; a page may be empty and not the last. Raises Unavailable."""
        ...


class SourceOf(Protocol):
    """The source of an export of some type, which its task names."""

    def __call__(self, operation: Operation) -> InstanceSource:
        """The source of that operation."""
        ...


def error_log(operation_id: str) -> str:
    """The name of the error log of an export (XPT-22)."""
    return f"{operation_id}/{ERROR_LOG}"


def file_name(operation_id: str, uids: InstanceIdentifier) -> str:
    """The name of the file of an instance (XPT-20)."""
    return f"{operation_id}/results/{uids.study_instance_uid}/{uids.series_instance_uid}/{uids.sop_instance_uid}.dcm"
