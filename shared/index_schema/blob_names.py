"""Names of blobs, and the ids of the uploads in them (storage §4). Pure."""

import random
import re
from dataclasses import dataclass

from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema.keys import digest

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_OBSOLETE, _COMMITTED = ".obsolete", ".committed"
_BLOB = re.compile(r"([0-9a-f]{3})/([0-9a-z]+)/([0-9.]+)/([0-9.]+)/([0-9.]+)/([0-9A-HJKMNP-TV-Z]{26})\.dcm")


@dataclass(frozen=True, slots=True)
class BlobName:
    """The parts of the name of a blob that the service wrote."""

    namespace: str
    identifier: InstanceIdentifier
    upload_id: str


def blob_prefix(namespace: str, study: str) -> str:
    """The prefix of the names of all blobs of a study."""
    return f"{digest(f'{namespace}!{study}')[:3]}/{namespace}/{study}/"


def blob_name(namespace: str, identifier: InstanceIdentifier, upload_id: str) -> str:
    """The name of the blob of one upload."""
    prefix = blob_prefix(namespace, identifier.study_instance_uid)
    return f"{prefix}{identifier.series_instance_uid}/{identifier.sop_instance_uid}/{upload_id}.dcm"


def parse_blob_name(name: str) -> BlobName | None:
    """The parts of a name that `blob_name` made; None for any other name."""
    parts = _BLOB.fullmatch(name)
    if parts is None:
        return None
    start, namespace, study, series, sop_instance, upload_id = parts.groups()
    if digest(f"{namespace}!{study}")[:3] != start:
        return None
    return BlobName(namespace, InstanceIdentifier(study, series, sop_instance), upload_id)


def metadata_blob(blob: str) -> str:
    """The blob beside `blob` that holds its metadata when they are too large for rows."""
    return f"{blob.removesuffix('.dcm')}.json"


def frames_blob(blob: str) -> str:
    """The blob beside `blob` that holds its frame offsets when they are too many for a row."""
    return f"{blob.removesuffix('.dcm')}.off"


def obsolete_mark(blob: str) -> str:
    """The blob beside `blob` that says that no live instance names it any more (DAT-52)."""
    return f"{blob}{_OBSOLETE}"


def committed_mark(blob: str) -> str:
    """The blob beside `blob`, which an update has made, that says that it has become the instance (DAT-52)."""
    return f"{blob}{_COMMITTED}"


def file_beside(name: str) -> str | None:
    """The file beside which a blob of that name lies, by `metadata_blob`, `frames_blob`, `obsolete_mark` or
    `committed_mark`; None for any other name.
    """
    for suffix in (_OBSOLETE, _COMMITTED):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    stem, dot, suffix = name.rpartition(".")
    file = f"{stem}.dcm"
    return file if dot and suffix in ("json", "off") and parse_blob_name(file) else None


def new_upload_id(now_ms: int) -> str:
    """A ULID: 26 characters, later ones are greater."""
    return _ulid(now_ms, random.getrandbits(80))


def dropped_upload_id(blob: str, created_ms: int) -> str:
    """The upload id of a file that was dropped under a name of its own: the same whenever it is asked for."""
    return _ulid(created_ms, int(digest(blob)[:20], 16))


def updated_upload_id(operation_id: str, source_upload_id: str, now_ms: int) -> str:
    """The upload id of the file that an operation makes from another one: later than that, and the same whenever it is
    asked for.
    """
    made_ms = max(now_ms, round(upload_time(source_upload_id) * 1000) + 1)
    return _ulid(made_ms, int(digest(operation_id)[:10], 16) << 40 | int(digest(source_upload_id)[:10], 16))


def is_made_by(operation_id: str, upload_id: str) -> bool:
    """Whether `updated_upload_id` made the upload id for that operation."""
    number = 0
    for character in upload_id[10:]:
        number = number << 5 | _CROCKFORD.index(character)
    return number >> 40 == int(digest(operation_id)[:10], 16)


def upload_time(upload_id: str) -> float:
    """The time at which an upload began, or the file was dropped, in seconds since 1970."""
    number = 0
    for character in upload_id[:10]:
        number = number << 5 | _CROCKFORD.index(character)
    return number / 1000


def upload_id_of(blob: str) -> str:
    """The upload id in the name of a blob that the service wrote: its last component, without suffix."""
    return blob.rpartition("/")[2].removesuffix(".dcm")


def _ulid(now_ms: int, tail: int) -> str:
    number = now_ms << 80 | tail
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
