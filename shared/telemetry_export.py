"""Counters and spans to Application Insights, by OpenTelemetry (TEL-1). Imported only where a setting asks for it."""

import atexit
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared import metrics, version
from shared.metrics import Dimension

_EXPORT_MILLISECONDS = 60_000
"""Counters are sent once a minute: the resolution of the charts that show them."""
_UNITS: Mapping[str, str] = {
    metrics.INSTANCE_BYTES_STORED: "By",
    metrics.TRANSACTION_MILLISECONDS: "ms",
    metrics.OLDEST_PENDING_DELETION: "s",
    metrics.FEED_LAG_SECONDS: "s",
    metrics.CAST_SECONDS: "s",
}


class OpenTelemetryCollector:
    """Counts in memory and exports in a thread of its own, so that no request waits for it."""

    def __init__(self, reader: MetricReader, span_exporter: SpanExporter, *, sampled: float, role: str) -> None:
        """`sampled`: the share of transactions whose spans are sent, 0 to 1; counters are never sampled."""
        resource = Resource.create({"service.name": role, "service.version": version.VERSION})
        self._meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._traces = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sampled)), resource=resource, shutdown_on_exit=False
        )
        self._traces.add_span_processor(BatchSpanProcessor(span_exporter))
        self._meter = self._meters.get_meter("dicom")
        self._tracer = self._traces.get_tracer("dicom")
        self._instruments: dict[str, Any] = {}
        self._parents = TraceContextTextMapPropagator()

    def add(self, name: str, amount: float, dimensions: Mapping[str, Dimension]) -> None:
        """So many more."""
        instrument = self._instruments.get(name)
        if instrument is None:
            instrument = self._instruments[name] = self._meter.create_counter(name, _UNITS.get(name, "1"))
        instrument.add(amount, dict(dimensions))

    def record(self, name: str, value: float, dimensions: Mapping[str, Dimension]) -> None:
        """One value of a distribution."""
        instrument = self._instruments.get(name)
        if instrument is None:
            instrument = self._instruments[name] = self._meter.create_histogram(name, _UNITS.get(name, "1"))
        instrument.record(value, dict(dimensions))

    def set(self, name: str, value: float) -> None:
        """How it stands now."""
        instrument = self._instruments.get(name)
        if instrument is None:
            instrument = self._instruments[name] = self._meter.create_gauge(name, _UNITS.get(name, "1"))
        instrument.set(value)

    def span(self, name: str, seconds: float, traceparent: str, attributes: Mapping[str, Dimension]) -> None:
        """Record the duration of an act that has just ended."""
        end = time.time_ns()
        context = self._parents.extract({"traceparent": traceparent}) if traceparent else None
        span = self._tracer.start_span(
            name, context, attributes=dict(attributes), start_time=end - int(seconds * 1_000_000_000)
        )
        span.end(end)

    def flush(self) -> None:
        """Send what has been collected."""
        self._meters.force_flush()
        self._traces.force_flush()

    def close(self) -> None:
        """Send what is left."""
        self._meters.shutdown()
        self._traces.shutdown()


def export_to_application_insights(connection_string: str, identity_client_id: str, *, sampled: float) -> None:
    """Collect everything from now on and send it to the component of the connection string.

    `identity_client_id`: the managed identity that may publish, '' to send by the connection string alone.
    """
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    options: dict[str, Any] = {"connection_string": connection_string, "disable_offline_storage": True}
    if identity_client_id:
        from azure.identity import ManagedIdentityCredential

        options["credential"] = ManagedIdentityCredential(client_id=identity_client_id)
    collector = OpenTelemetryCollector(
        PeriodicExportingMetricReader(
            AzureMonitorMetricExporter(**options), export_interval_millis=_EXPORT_MILLISECONDS
        ),
        AzureMonitorTraceExporter(**options),
        sampled=sampled,
        role="dicom",
    )
    metrics.collect(collector)
    atexit.register(collector.close)
