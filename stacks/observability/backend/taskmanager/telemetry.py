"""OpenTelemetry: traces and logs by OTLP over HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT is set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from flask import Flask
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from sqlalchemy import Engine


def start_telemetry(env: Mapping[str, str]) -> list[logging.Handler]:
    """Begins to send, and gives the log handlers to add; nothing happens without an endpoint."""
    if not env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return []
    resource = Resource.create()
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=1000))
    trace.set_tracer_provider(traces)
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(), schedule_delay_millis=1000)
    )
    return [LoggingHandler(logger_provider=logs)]


def trace_app(app: Flask, engine: Engine) -> None:
    """A span for each request, a child of the caller's, and below it one for each statement."""
    instrument: Callable[..., None] = FlaskInstrumentor().instrument_app
    instrument(app, excluded_urls="healthz,metrics")
    SQLAlchemyInstrumentor().instrument(engine=engine)
