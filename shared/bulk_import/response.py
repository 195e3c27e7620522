"""The outcome of a file's import, and its record (IMP-6, IMP-9). Pure. Records name no value of a patient attribute."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Self

import orjson

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.reasons import FailureReason, WarningReason
from shared.ingest.store_outcome import StoreOutcome

_ERROR_CHARACTERS: Final = 2000
_STATUS: Final = {
    FailureReason.PROCESSING_FAILURE: 500,
    FailureReason.OUT_OF_RESOURCES: 413,
}
_TEXTS: Final = {
    FailureReason.PROCESSING_FAILURE: "The file could not be processed.",
    FailureReason.OUT_OF_RESOURCES: "The file is too large.",
    FailureReason.VALIDATION_FAILURE: "The file is not a readable DICOM file, or lacks a valid required attribute.",
    FailureReason.ALREADY_STORED: "The instance exists already, with other content.",
    FailureReason.CREATION_PENDING: "Somebody else was storing the instance.",
}


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """The outcome of a file's import."""

    result: Literal["stored", "duplicate", "refused"]
    """duplicate: the instance was there, with identical bytes (IMP-8)."""
    status: int
    """As HTTP would have it (IMP-9)."""
    failure: FailureReason | None = None
    error: str = ""
    warning: WarningReason | None = None
    identifier: InstanceIdentifier | None = None
    sop_instance_uid: str | None = None
    """As in the file, where the rest is not known."""
    added: str = ""
    """The parts that the file lacked and was stored with, in words."""

    @classmethod
    def stored(cls, outcome: StoreOutcome, *, duplicate: bool = False) -> Self:
        """The instance is there."""
        warning = None if duplicate else outcome.warning
        return cls(
            "duplicate" if duplicate else "stored",
            200 if warning is None else 202,
            warning=warning,
            identifier=outcome.identifier,
        )

    @classmethod
    def refused(
        cls, failure: FailureReason, *, status: int = 0, error: str = "", outcome: StoreOutcome | None = None
    ) -> Self:
        """The file is not stored. `status` and `error`: where they do not follow from the reason."""
        told = "; ".join(outcome.comments) or outcome.explanation if outcome else ""
        text = error or told or _TEXTS.get(failure, failure.name)
        return cls(
            "refused",
            status or _STATUS.get(failure, 409),
            failure,
            text[:_ERROR_CHARACTERS],
            identifier=outcome.identifier if outcome else None,
            sop_instance_uid=outcome.sop_instance_uid if outcome else None,
        )


def record(outcome: ImportOutcome, *, name: str, url: str, partition: str, now: datetime) -> str:
    """The message about a file (IMP-9). `url`: where the file is now, or was when it has been stored."""
    identifier = outcome.identifier
    fields = {
        "blobName": name,
        "blobUrl": url,
        "partitionName": partition,
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "result": outcome.result,
        "status": outcome.status,
        "failureReason": outcome.failure,
        "warningReason": outcome.warning,
        "error": outcome.error or None,
        "added": outcome.added or None,
        "studyInstanceUid": identifier.study_instance_uid if identifier else None,
        "seriesInstanceUid": identifier.series_instance_uid if identifier else None,
        "sopInstanceUid": identifier.sop_instance_uid if identifier else outcome.sop_instance_uid,
    }
    return orjson.dumps({key: value for key, value in fields.items() if value is not None}).decode()


def error_metadata(outcome: ImportOutcome, metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a file in the error container: why it is there, for whoever looks without reading the queue."""
    printable = "".join(character if " " <= character <= "~" else "?" for character in outcome.error).strip()
    own = {"importstatus": str(outcome.status), "importfailure": str(int(outcome.failure or 0))}
    if printable:
        own["importerror"] = printable
    kept = {name: value for name, value in metadata.items() if _is_plain(name, value)}
    return {**kept, **own}


def _is_plain(name: str, value: str) -> bool:
    """Whether the metadata that somebody gave a file can be written again as they are."""
    plain = name.isascii() and name.isidentifier() and name == name.lower()
    return plain and value.isascii() and value.isprintable() and bool(value) and value == value.strip()
