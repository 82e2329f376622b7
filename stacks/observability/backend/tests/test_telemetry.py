"""Metrics, logs and settings."""

from __future__ import annotations

import io
import json
import logging

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask.testing import FlaskClient
from sqlalchemy import Engine

from taskmanager.logs import JsonFormatter
from taskmanager.models import Base
from taskmanager.settings import read_settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def test_metrics_have_an_exemplar_with_the_callers_trace(client: FlaskClient) -> None:
    client.post("/api/tasks", json={"title": "x"}, headers=PARENT)
    text = client.get("/metrics", headers=OPEN_METRICS).text
    [line] = [each for each in text.splitlines() if TRACE in each]
    assert 'http_route="/api/tasks"' in line
    assert 'http_response_status_code="201"' in line
    assert 'taskmanager_tasks{state="open"} 1' in text
    assert "healthz" not in text


def test_metrics_count_paths_of_no_route_as_one(client: FlaskClient) -> None:
    for path in ("/a", "/b"):
        client.get(path)
    text = client.get("/metrics").text
    assert 'http_route="unmatched"' in text
    assert '"/a"' not in text


def test_log_lines_name_the_trace(client: FlaskClient) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("taskmanager")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        client.post("/api/tasks", json={"title": "x"}, headers=PARENT)
    finally:
        logger.removeHandler(handler)
    line = json.loads(stream.getvalue())
    assert (line["body"], line["trace_id"]) == ("task created", TRACE)
    assert len(line["span_id"]) == 16
    assert line["attributes"] == {"task_id": 1}


def test_migrations_make_what_the_models_say(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_settings_refuse_a_port_that_is_none() -> None:
    assert read_settings({"PORT": "8080", "ALLOWED_ORIGINS": " https://a , "}).allowed_origins == (
        "https://a",
    )
    for port in ("0", "http", "65536"):
        with pytest.raises(ValueError, match="PORT is"):
            read_settings({"PORT": port})
