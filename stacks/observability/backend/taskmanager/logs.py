"""Logs: JSON lines on standard error, and the same records by OTLP."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from opentelemetry import trace

plain = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, in the fields of OpenTelemetry's log data model."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "severity": record.levelname,
            "body": record.getMessage(),
            "logger": record.name,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        attributes = {key: value for key, value in vars(record).items() if key not in plain}
        if attributes:
            line["attributes"] = attributes
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logs(*handlers: logging.Handler) -> None:
    """Sends all records to standard error and to these handlers, and nowhere else."""
    stream = logging.StreamHandler()
    stream.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [stream, *handlers]
    root.setLevel(logging.INFO)
