from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.events.dicom_events import CHANGES_PENDING, ImageEvent, changes_pending, image_event
from shared.events.publisher import CloudEventData

TIME = datetime(2026, 11, 21, 10, 20, 30, 123456, tzinfo=UTC)
INSTANCE = InstanceIdentifier("1.2", "1.2.3", "1.2.3.4")


def created(
    partition: str = "Microsoft.Default",
    sequence: int = 7,
    change: str = "c1",
    kind: ImageEvent = ImageEvent.CREATED,
) -> CloudEventData:
    return image_event(
        kind,
        INSTANCE,
        partition=partition,
        sequence=sequence,
        change=change,
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
    ids = {
        created(partition, sequence, change).id
        for partition in ("a", "b")
        for sequence in (1, 2, 11)
        for change in ("c1", "c2")
    }
    assert len(ids) == 12
    assert created().id == created().id == "d81660d2-cfe2-566d-9abe-f9e2f89354ba"


@pytest.mark.spec("S-6")
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


@pytest.mark.spec("EVT-2")
def test_the_event_grid_schema_says_the_same() -> None:
    event = created()
    assert event.event_grid_json() == {
        "id": event.id,
        "subject": event.subject,
        "eventType": "Microsoft.HealthcareApis.DicomImageCreated",
        "eventTime": "2026-11-21T10:20:30.123456Z",
        "dataVersion": "1",
        "data": event.json()["data"],
    }
    wake_up = changes_pending("/topics/dicom", ["h03"], event_id="e1", time=TIME).event_grid_json()
    assert wake_up["subject"]
