from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.events.dicom_events import CHANGES_PENDING, ImageEvent, changes_pending, image_event
from shared.events.publisher import CloudEventData

TIME = datetime(2026, 11, 21, 10, 20, 30, 123456, tzinfo=UTC)
INSTANCE = InstanceIdentifier("1.2", "1.2.3", "1.2.3.4")


def created(
    partition: str = "Microsoft.Default", sequence: int = 7, kind: ImageEvent = ImageEvent.CREATED
) -> CloudEventData:
    return image_event(
        kind,
        INSTANCE,
        partition=partition,
        sequence=sequence,
        time=TIME,
        host="dicom.example.org",
        source="/subscriptions/x/topics/dicom",
    )


@pytest.mark.spec("EVT-2")
def test_an_image_event_has_the_published_envelope_and_data() -> None:
    event = created().json()
    assert UUID(str(event.pop("id")))
    assert event == {
        "specversion": "1.0",
        "source": "/subscriptions/x/topics/dicom",
        "type": "Microsoft.HealthcareApis.DicomImageCreated",
        "time": "2026-11-21T10:20:30.123456Z",
        "subject": "dicom.example.org/v1/partitions/Microsoft.Default/studies/1.2/series/1.2.3/instances/1.2.3.4",
        "datacontenttype": "application/json",
        "data": {
            "partitionName": "Microsoft.Default",
            "imageStudyInstanceUid": "1.2",
            "imageSeriesInstanceUid": "1.2.3",
            "imageSopInstanceUid": "1.2.3.4",
            "serviceHostName": "dicom.example.org",
            "sequenceNumber": 7,
        },
    }


def test_the_types_are_those_of_the_managed_service() -> None:
    assert [created(kind=kind).type for kind in ImageEvent] == [
        "Microsoft.HealthcareApis.DicomImageCreated",
        "Microsoft.HealthcareApis.DicomImageUpdated",
        "Microsoft.HealthcareApis.DicomImageDeleted",
    ]


@pytest.mark.spec("EVT-2")
def test_the_same_change_always_has_the_same_id_and_another_one_another() -> None:
    ids = {created(partition, sequence).id for partition in ("a", "a/1", "b") for sequence in (1, 2, 11)}
    assert len(ids) == 9
    assert created().id == created().id == "f264f3d2-d0fa-5320-a3bf-2b9d2300dc96"


def test_the_wake_up_tells_where_to_look_and_nothing_else() -> None:
    event = changes_pending("/topics/dicom", ["h03", "h1f"], event_id="e1", time=TIME)
    assert event.json() == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/topics/dicom",
        "type": CHANGES_PENDING,
        "time": "2026-11-21T10:20:30.123456Z",
        "datacontenttype": "application/json",
        "data": {"places": ["h03", "h1f"]},
    }
