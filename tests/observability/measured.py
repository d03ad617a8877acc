"""What a manager has told OpenTelemetry, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sessiongate.observability import instrument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from sessiongate import APITokens, SessionManager

__all__ = ["Measured"]


class Measured:
    """Readers of metrics and spans, and what they have read."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self.meters = MeterProvider(metric_readers=[self._reader])
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))

    def instrument(self, manager: SessionManager | APITokens, **options: Any) -> None:
        providers = {"meter_provider": self.meters, "tracer_provider": self.tracers}
        instrument(manager, **{**providers, **options})

    def points(self) -> Iterator[tuple[str, Any]]:
        """The name of each metric, and each of its points."""
        data = self._reader.get_metrics_data()
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        yield metric.name, point

    def values(self, name: str, manager: str = "sessions") -> dict[tuple[str, ...], float]:
        """The values of a counter or a gauge that are not 0, by the values of its attributes."""
        return {
            tuple(
                str(value)
                for key, value in sorted(point.attributes.items())
                if key != "sessiongate.manager"
            ): point.value
            for found, point in self.points()
            if found == f"sessiongate.{name}" and point.attributes["sessiongate.manager"] == manager
            if point.value
        }

    def calls(self) -> dict[tuple[str, ...], int]:
        """How often each verb was measured: verb, and perhaps the class of the error."""
        return {
            tuple(
                str(point.attributes[key])
                for key in ("db.operation.name", "error.type")
                if key in point.attributes
            ): point.count
            for name, point in self.points()
            if name == "sessiongate.store.duration"
        }

    def spans(self) -> tuple[ReadableSpan, ...]:
        """Those that have ended."""
        return self._spans.get_finished_spans()
