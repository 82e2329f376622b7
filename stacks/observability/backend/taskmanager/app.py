"""Puts the application together."""

from __future__ import annotations

from flask import Flask, Response, jsonify
from flask_cors import CORS
from sqlalchemy import Engine

from taskmanager.api import build_api
from taskmanager.metrics import register_metrics
from taskmanager.problems import register_problems
from taskmanager.settings import Settings
from taskmanager.store import TaskStore
from taskmanager.telemetry import trace_app


def create_app(settings: Settings, engine: Engine) -> Flask:
    """The application over a database that is migrated already."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    store = TaskStore(engine)
    trace_app(app, engine)
    register_metrics(app, store.count)
    register_problems(app)
    app.register_blueprint(build_api(store))
    if settings.allowed_origins:
        CORS(app, resources={"/api/*": {"origins": list(settings.allowed_origins)}})

    @app.get("/healthz")
    def healthz() -> Response:
        store.count()
        return jsonify({"status": "ok"})

    return app
