"""Errors as RFC 9457 problem details."""

from __future__ import annotations

from flask import Flask, Response, jsonify
from opentelemetry import trace
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException


def problem(
    status: int, title: str, detail: str, errors: list[dict[str, str]] | None = None
) -> Response:
    """A problem with the trace id by which it is found again."""
    body: dict[str, object] = {"status": status, "title": title, "detail": detail}
    if errors:
        body["errors"] = errors
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        body["traceId"] = trace.format_trace_id(span.trace_id)
    response = jsonify(body)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


def explain(error: ValidationError) -> list[dict[str, str]]:
    """Each field that is wrong, and why; never the value itself, which may be long."""
    return [
        {"field": ".".join(str(part) for part in each["loc"]) or "(body)", "message": each["msg"]}
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def register_problems(app: Flask) -> None:
    """Has every error of the app answered as a problem."""

    @app.errorhandler(ValidationError)
    def invalid(error: ValidationError) -> Response:
        errors = explain(error)
        detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
        return problem(422, "The request is not valid", detail, errors)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        return problem(error.code or 500, error.name, error.description or error.name)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        app.logger.error("request failed", exc_info=error)
        span = trace.get_current_span()
        span.record_exception(error)
        span.set_status(trace.StatusCode.ERROR, type(error).__name__)
        return problem(500, "Internal Server Error", "The server failed; its log has the reason.")
