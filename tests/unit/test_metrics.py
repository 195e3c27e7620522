"""What is counted, and how it leaves the process."""

import re
from pathlib import Path

import pytest

from shared import metrics
from shared.change_feed.health import events_in_time
from shared.dicom.reasons import FailureReason
from shared.errors import Unavailable
from shared.settings import Settings
from tests.builders.files import PATIENT_ID, STUDY_DATE, file
from tests.builders.http import ask, settings
from tests.builders.images import image
from tests.builders.retrieve import DICOM, JSON, OCTETS, RetrieveService, multipart_of
from tests.builders.store import StoreService
from tests.unit.retrieve.test_wado_uri import grey, query
from tests.unit.upkeep.test_erasure import erase, opened, pass_hours

OPERATE = Path(__file__).parents[2] / "docs" / "operate"


class Counted:
    """Keeps everything."""

    def __init__(self):
        self.added = {}
        self.recorded = []
        self.stood = {}
        self.spans = []

    def add(self, name, amount, dimensions):
        key = (name, *sorted(dimensions.items()))
        self.added[key] = self.added.get(key, 0) + amount

    def record(self, name, value, dimensions):
        self.recorded.append((name, value, dict(dimensions)))

    def set(self, name, value):
        self.stood[name] = value

    def span(self, name, seconds, traceparent, attributes):
        self.spans.append((name, seconds, traceparent, dict(attributes)))


@pytest.fixture
def counted():
    collector = Counted()
    metrics.collect(collector)
    yield collector
    metrics.collect(None)


def test_without_a_collector_nothing_is_counted():
    metrics.add(metrics.INSTANCES_STORED)
    metrics.record(metrics.TRANSACTION_MILLISECONDS, 1.0)
    metrics.set_to(metrics.FEED_LAG_SECONDS, 1.0)
    metrics.span("x", 1.0)
    assert not metrics.is_collected()


@pytest.mark.spec("TEL-1")
async def test_a_transaction_is_counted_timed_and_traced(counted):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await ask("GET", "/v2/studies/1.2.3", [("Authorization", "Bearer all"), ("traceparent", trace)])
    await ask("GET", "/v2/studies/1.2.3", [])

    dimensions = (("apiVersion", 2), ("function", "retrieve_study"))
    assert counted.added[(metrics.TRANSACTIONS, *dimensions, ("status", "2xx"))] == 1
    assert counted.added[(metrics.TRANSACTIONS, *dimensions, ("status", "4xx"))] == 1
    assert [name for name, *_ in counted.recorded] == [metrics.TRANSACTION_MILLISECONDS] * 2
    name, _, parent, attributes = counted.spans[0]
    assert (name, parent) == ("retrieve_study", trace)
    assert "1.2.3" not in str(attributes)


@pytest.mark.spec("TEL-1")
async def test_what_is_sent_to_application_insights(counted):
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from shared.telemetry_export import OpenTelemetryCollector

    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    collector = OpenTelemetryCollector(reader, spans, sampled=1.0, role="dicom")
    collector.add(metrics.INSTANCES_RETRIEVED, 3, {"transcoded": True})
    collector.add(metrics.INSTANCES_RETRIEVED, 2, {"transcoded": True})
    collector.record(metrics.TRANSACTION_MILLISECONDS, 5.0, {})
    collector.set(metrics.FEED_LAG_SECONDS, 7.0)
    collector.span("search_studies", 2.0, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", {"status": "2xx"})
    collector.flush()

    [scope] = reader.get_metrics_data().resource_metrics[0].scope_metrics
    sent = {metric.name: metric.data.data_points[0] for metric in scope.metrics}
    assert sent[metrics.INSTANCES_RETRIEVED].value == 5
    assert dict(sent[metrics.INSTANCES_RETRIEVED].attributes) == {"transcoded": True}
    assert sent[metrics.FEED_LAG_SECONDS].value == 7.0
    assert sent[metrics.TRANSACTION_MILLISECONDS].sum == 5.0
    [span] = spans.get_finished_spans()
    assert span.end_time - span.start_time == 2_000_000_000
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    collector.close()


@pytest.mark.spec("TEL-1")
async def test_what_is_stored_and_what_is_refused_are_counted(counted):
    good, padded, odd = file(), file({PATIENT_ID: b"P-1\0"}), file({STUDY_DATE: "yesterday"})
    refused = file({PATIENT_ID: None, STUDY_DATE: "yesterday"})

    await StoreService().store(*(each.data for each in (good, padded, odd, refused, good)))

    assert counted.added == {
        (metrics.INSTANCES_STORED,): 3,
        (metrics.INSTANCE_BYTES_STORED,): sum(len(each.data) for each in (good, padded, odd)),
        (metrics.INSTANCES_REFUSED, ("reason", int(FailureReason.VALIDATION_FAILURE))): 1,
        (metrics.INSTANCES_REFUSED, ("reason", int(FailureReason.ALREADY_STORED))): 1,
        (metrics.NUL_PADDED_VALUES,): 1,
        (metrics.VALIDATION_WARNINGS,): 1,
    }


STORED, MADE = (("transcoded", False),), (("transcoded", True),)
PICTURE = (("rendered", True),)
JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.mark.spec("TEL-1")
@pytest.mark.parametrize(
    ("below", "accept", "dimensions", "amount"),
    [
        ("", f"{DICOM}; transfer-syntax=*", STORED, 1),
        ("", f"{DICOM}; transfer-syntax={JPEG_LS}", MADE, 1),
        ("", multipart_of(DICOM), STORED, 1),
        ("", multipart_of(DICOM, JPEG_LS), MADE, 1),
        ("/series/SERIES", multipart_of(DICOM), STORED, 1),
        ("/frames/1", f"{OCTETS}; transfer-syntax=*", (("frames", True), *STORED), 1),
        ("/frames/1,2", multipart_of("image/jls"), (("frames", True), *MADE), 1),
        ("/rendered", "image/png", PICTURE, 1),
        ("/thumbnail", "image/jpeg", PICTURE, 1),
        ("/frames/2/rendered", "image/png", PICTURE, 1),
        ("study", multipart_of(DICOM), STORED, 2),
        ("study", "application/zip", STORED, 2),
        ("study/rendered", multipart_of("image/png"), PICTURE, 2),
        ("study/rendered", "image/png", PICTURE, 1),
        ("wado", "application/dicom", STORED, 1),
        ("wado", "image/png", PICTURE, 1),
    ],
)
async def test_what_is_retrieved_is_counted_by_what_was_made_of_it(counted, below, accept, dimensions, amount):
    service, one = RetrieveService(), grey(frames=2)
    beside = image(one.identifier.study_instance_uid)
    await service.archive.store(one, beside)

    study = f"studies/{one.identifier.study_instance_uid}"
    if below == "wado":
        await service.body("wado", "*/*", query(one, contentType=accept))
    elif below.startswith("study"):
        await service.body(below.replace("study", study, 1), accept)
    elif below.startswith("/series"):
        await service.body(f"{study}/series/{one.identifier.series_instance_uid}", accept)
    else:
        await service.body(one.path + below, accept)

    retrieved = {key: value for key, value in counted.added.items() if key[0] == metrics.INSTANCES_RETRIEVED}
    assert retrieved == {(metrics.INSTANCES_RETRIEVED, *dimensions): amount}


@pytest.mark.spec("TEL-1")
@pytest.mark.parametrize(
    ("below", "accept"),
    [
        ("/frames/3", f"{OCTETS}; transfer-syntax=*"),
        ("/rendered", "text/html"),
        ("/frames/3/rendered", "image/png"),
        ("/rendered", "video/mp4"),
    ],
)
async def test_what_was_not_sent_is_not_counted_as_retrieved(counted, below, accept):
    service, one = RetrieveService(), grey(frames=2)
    await service.archive.store(one)

    assert await service.status(one.path + below, accept) in {404, 406}
    picture = await service.get(f"{one.path}/rendered", "image/png")
    tag = next(value for name, value in picture.headers if name == "ETag")
    counted.added.clear()
    assert await service.status(f"{one.path}/rendered", "image/png", If_None_Match=tag) == 304
    assert [key for key in counted.added if key[0] == metrics.INSTANCES_RETRIEVED] == []


@pytest.mark.spec("TEL-1")
async def test_metadata_that_are_sent_are_counted_by_their_data_sets(counted):
    service, one = RetrieveService(), image()
    study = one.identifier.study_instance_uid
    await service.archive.store(one, image(study), image(study))

    await service.body(f"studies/{study}/metadata", JSON)
    await service.body(f"{one.path}/metadata", JSON)

    assert counted.added[(metrics.METADATA_RETRIEVED,)] == 4


@pytest.mark.spec("TEL-1", "DEL-11")
async def test_files_that_cannot_be_erased_are_counted_and_the_oldest_tells_for_how_long(counted):
    service = await opened(1)
    await service.put()
    await service.delete("1.1")
    await service.settle()
    pass_hours(service.stores, 6)

    async def away(_kind, operation):
        if operation == "delete":
            raise Unavailable("The store is away.")

    service.blobs.before = away
    with pytest.raises(Unavailable):
        await erase(service)
    assert counted.added[(metrics.DELETIONS_FAILED,)] == 1
    assert counted.stood[metrics.OLDEST_PENDING_DELETION] == pytest.approx(5 * 3600, abs=60)

    service.blobs.before = None
    await erase(service)
    await erase(service)
    assert counted.added[(metrics.DELETIONS_FAILED,)] == 1
    assert counted.stood[metrics.OLDEST_PENDING_DELETION] == 0


@pytest.mark.spec("TEL-1")
async def test_the_lag_of_events_is_told_by_the_check_of_it(counted):
    class Publication:
        async def lag(self):
            return 200.0

    await events_in_time(Publication())()
    assert counted.stood == {metrics.FEED_LAG_SECONDS: 200.0}


def test_every_counter_is_in_the_pages_for_operators():
    names = {value for value in vars(metrics).values() if isinstance(value, str) and value.startswith("dicom.")}
    pages = (OPERATE / "monitoring.md").read_text() + (OPERATE / "dicomcast.md").read_text()

    assert len(names) > 15
    assert [name for name in sorted(names) if f"`{name}`" not in pages] == []
    told = set(re.findall(r"`(dicom\.[a-z_.]+[a-z])`", pages)) - {"dicom.audit", "dicom.telemetry"}
    assert told - names == set()


def test_export_needs_somewhere_to_send_to():
    with pytest.raises(ValueError, match="needs APPLICATIONINSIGHTS_CONNECTION_STRING"):
        settings(telemetry_export="applicationinsights")
    assert isinstance(settings(telemetry_export="applicationinsights", application_insights="x"), Settings)
