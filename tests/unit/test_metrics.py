"""What is counted, and how it leaves the process."""

import pytest

from shared import metrics
from shared.settings import Settings
from tests.builders.http import ask, settings


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


def test_export_needs_somewhere_to_send_to():
    with pytest.raises(ValueError, match="needs APPLICATIONINSIGHTS_CONNECTION_STRING"):
        settings(telemetry_export="applicationinsights")
    assert isinstance(settings(telemetry_export="applicationinsights", application_insights="x"), Settings)
