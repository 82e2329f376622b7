"""Request rate, errors and durations for Prometheus, with exemplars that lead to a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

from flask import Flask, Response, g, request
from opentelemetry import trace
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

unobserved = {"healthz", "metrics"}

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class TaskCounts(Collector):
    """The number of tasks in the database, read when Prometheus asks."""

    def __init__(self, count: Callable[[], dict[str, int]]) -> None:
        self._count = count

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One sample for each state."""
        family = GaugeMetricFamily("taskmanager_tasks", "Tasks, by state.", labels=["state"])
        for state, number in self._count().items():
            family.add_metric([state], number)
        yield family


def exemplar() -> dict[str, str] | None:
    """The current trace, when it is one that is kept."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def register_metrics(app: Flask, count: Callable[[], dict[str, int]]) -> None:
    """Measures each request, and answers GET /metrics."""
    registry = CollectorRegistry()
    registry.register(TaskCounts(count))
    duration = Histogram(
        "http_server_request_duration_seconds",
        "Duration of requests.",
        ["http_request_method", "http_route", "http_response_status_code"],
        buckets=BUCKETS,
        registry=registry,
    )

    @app.before_request
    def start() -> None:
        g.started = perf_counter()

    @app.after_request
    def observe(response: Response) -> Response:
        if request.endpoint not in unobserved and "started" in g:
            route = request.url_rule.rule if request.url_rule else "unmatched"
            duration.labels(request.method, route, str(response.status_code)).observe(
                perf_counter() - g.started, exemplar()
            )
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)
