"""What the tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Engine

from taskmanager.app import create_app
from taskmanager.settings import Settings
from taskmanager.store import migrate, open_engine

trace.set_tracer_provider(TracerProvider())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A migrated database of its own."""
    engine = open_engine(f"sqlite:///{tmp_path}/tasks.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def client(engine: Engine) -> FlaskClient:
    """A client of the application."""
    return create_app(Settings(), engine).test_client()
