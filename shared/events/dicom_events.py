"""The events that the service publishes, and their envelope (azure-apis §9). Pure.

None holds a patient attribute (EVT-1 and following): UIDs, partition and sequence alone.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from shared.dicom.identifiers import InstanceIdentifier
from shared.events.publisher import CloudEventData

CHANGES_PENDING = "ServerlessDicom.ChangesPending"
"""Changes wait for the sequencer: a wake-up without truth of its own (storage §1)."""

_IDS = UUID("6f1f3b0c-58d1-5e0c-9a55-0d1c0a7e9d42")
"""Name space of the ids of image events: the same change always has the same id."""


class ImageEvent(StrEnum):
    """The kind of change to an instance. The names are those of the managed service: its subscribers keep working."""

    CREATED = "Microsoft.HealthcareApis.DicomImageCreated"
    UPDATED = "Microsoft.HealthcareApis.DicomImageUpdated"
    DELETED = "Microsoft.HealthcareApis.DicomImageDeleted"


def changes_pending(source: str, places: Sequence[str], *, event_id: str, time: datetime) -> CloudEventData:
    """The wake-up of the sequencer. `places`: where to look, opaque."""
    return CloudEventData(event_id, source, CHANGES_PENDING, time, None, {"places": list(places)})


def image_event(
    kind: ImageEvent,
    instance: InstanceIdentifier,
    *,
    partition: str,
    sequence: int,
    change: str,
    time: datetime,
    host: str,
    source: str,
) -> CloudEventData:
    """The event of one entry of the change feed.

    `partition` is the data partition's name as clients see it, `host` the service's host name without scheme, `source`
    the resource that publishes, `change` the id of the change. The event's id depends on partition, sequence and change
    alone, so that a repeat can be recognised, also where another store has published before.
    """
    study, series, sop = instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
    return CloudEventData(
        id=str(uuid5(_IDS, f"{partition}/{sequence}/{change}")),
        source=source,
        type=kind.value,
        time=time,
        # Always v1 and always with the partition: subscribers filter on it.
        subject=f"{host}/v1/partitions/{partition}/studies/{study}/series/{series}/instances/{sop}",
        data={
            "partitionName": partition,
            "imageStudyInstanceUid": study,
            "imageSeriesInstanceUid": series,
            "imageSopInstanceUid": sop,
            "serviceHostName": host,
            "sequenceNumber": sequence,
        },
    )
