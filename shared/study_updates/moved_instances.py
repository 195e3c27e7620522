"""data-safety §8 Instances that an operation moves into another study: their new UIDs, and what they were (MRG-3)."""

import hashlib
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.uid_changes import UidChanges
from shared.index.lookup import InstanceLookup
from shared.index_schema import blob_names, keys
from shared.index_schema.keys import StudyPlace
from shared.ingest.store_options import UpdatedFile

_PAGE: Final = 500
_MOST_INSTANCES: Final = 1000
"""Instances that results name: they are one document, and the UIDs of others can be computed."""


def moved_uid(operation_id: str, uid: str) -> str:
    """The UID that an operation gives to what had another one (PS3.5 §B.2), the same whenever it is asked for."""
    digest = hashlib.sha256(f"{operation_id} {uid}".encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def joined(identifier: InstanceIdentifier) -> str:
    """An instance as the files that are made of it name it."""
    one = identifier
    return f"{one.study_instance_uid}/{one.series_instance_uid}/{one.sop_instance_uid}"


def parsed(text: str) -> InstanceIdentifier:
    """The counterpart of `joined`."""
    return InstanceIdentifier(*text.split("/"))


async def uid_changes(
    lookup: InstanceLookup,
    operation_id: str,
    place: StudyPlace,
    *,
    series: Collection[str],
    target: str,
    made: Mapping[str, UpdatedFile],
) -> UidChanges:
    """The UIDs of all instances of series that leave a study, those included that have left it already, of which the
    operation has `made` files. Raises Unavailable.
    """
    moving = set(series)
    for file in made.values():
        left = parsed(file.moved_from)
        moving |= {left.series_instance_uid, left.sop_instance_uid}
    for uid in series:
        start: str | None = keys.instance_range(uid, None)[0]
        while start is not None:
            page, start = await lookup.walk(place, start, top=_PAGE)
            found = [each.stored.identifier for each in page if each.stored.identifier.series_instance_uid == uid]
            moving |= {each.sop_instance_uid for each in found}
            if len(found) < len(page):
                break
    return UidChanges({uid: moved_uid(operation_id, uid) for uid in moving}, place.study_instance_uid, target)


def uid_map(made: Mapping[str, UpdatedFile]) -> dict[str, Any]:
    """The outcome of series and instances, for the results of the operation that has made these files."""
    names = {blob: blob_names.parse_blob_name(blob) for blob in sorted(made)}
    pairs = [(parsed(made[blob].moved_from), name.identifier) for blob, name in names.items() if name]
    series = {old.series_instance_uid: new.series_instance_uid for old, new in pairs}
    instances = {old.sop_instance_uid: new.sop_instance_uid for old, new in pairs[:_MOST_INSTANCES]}
    return {"seriesInstanceUids": series, "sopInstanceUids": instances}
