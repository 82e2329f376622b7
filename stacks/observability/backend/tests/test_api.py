"""The API as clients see it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from taskmanager.app import create_app
from taskmanager.settings import Settings


def add(client: FlaskClient, title: str, **fields: object) -> dict[str, object]:
    """Creates a task."""
    answer = client.post("/api/tasks", json={"title": title, **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, object] = answer.get_json()
    return body


def titles(client: FlaskClient, query: str = "") -> list[str]:
    """Titles of the tasks a query finds."""
    return [task["title"] for task in client.get(f"/api/tasks{query}").get_json()["tasks"]]


def test_creates_edits_completes_reopens_and_deletes_a_task(client: FlaskClient) -> None:
    task = add(client, "  Water plants ", notes="balcony", dueOn="2026-12-01")
    assert (task["title"], task["notes"], task["dueOn"]) == (
        "Water plants",
        "balcony",
        "2026-12-01",
    )
    path = f"/api/tasks/{task['id']}"
    edited = client.patch(path, json={"title": "Water all plants"}).get_json()
    assert (edited["title"], edited["notes"]) == ("Water all plants", "balcony")
    done = client.patch(path, json={"completed": True}).get_json()
    assert done["completedAt"].endswith("+00:00")
    again = client.patch(path, json={"completed": True}).get_json()
    assert again["completedAt"] == done["completedAt"]
    assert client.patch(path, json={"completed": False}).get_json()["completedAt"] is None
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404
    assert client.patch(path, json={}).status_code == 404


def test_filters_by_status_and_text(client: FlaskClient) -> None:
    add(client, "one", notes="100% sure")
    done = add(client, "two")
    client.patch(f"/api/tasks/{done['id']}", json={"completed": True})
    add(client, "three")
    assert titles(client) == ["three", "one", "two"]
    assert titles(client, "?status=open") == ["three", "one"]
    assert titles(client, "?status=done") == ["two"]
    assert titles(client, "?q=%25") == ["one"]
    assert titles(client, "?q=_") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": 5}, "title"),
        ({"title": "x", "notes": None}, "notes"),
        ({"title": "x", "dueOn": "soon"}, "dueOn"),
        ({"title": "x", "id": 7}, "id"),
        ([], "(body)"),
    ],
)
def test_refuses_what_is_not_a_task_and_names_the_field(
    client: FlaskClient, body: object, field: str
) -> None:
    answer = client.post("/api/tasks", json=body)
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert [error["field"] for error in problem["errors"]] == [field]
    assert len(problem["traceId"]) == 32
    assert titles(client) == []


def test_refuses_null_for_what_cannot_be_empty(client: FlaskClient) -> None:
    task = add(client, "x", dueOn="2026-12-01")
    path = f"/api/tasks/{task['id']}"
    for body in ({"title": None}, {"completed": None}, {"completed": "yes please"}):
        assert client.patch(path, json=body).status_code == 422
    assert client.patch(path, json={"dueOn": None}).get_json()["dueOn"] is None


@pytest.mark.parametrize("query", ["?status=maybe", "?limit=0", "?limit=x", "?page=2"])
def test_refuses_queries_it_does_not_know(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/tasks{query}").status_code == 422


def test_answers_errors_as_problems(client: FlaskClient) -> None:
    for answer, status in (
        (client.get("/nowhere"), 404),
        (client.put("/api/tasks"), 405),
        (client.post("/api/tasks", data="{", content_type="application/json"), 400),
        (client.post("/api/tasks", data="title=x"), 415),
        (client.post("/api/tasks", data="x" * 70_000, content_type="application/json"), 413),
    ):
        assert (answer.status_code, answer.get_json()["status"]) == (status, status)


def test_says_nothing_of_the_reason_when_it_fails(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tasks")
    answer = client.get("/api/tasks")
    assert answer.status_code == 500
    assert "sqlite" not in answer.text.lower()
    assert client.get("/healthz").status_code == 500


def test_lets_other_origins_in_only_when_they_are_named(engine: Engine) -> None:
    origin = {"Origin": "https://tasks.example.org"}
    alone = create_app(Settings(), engine).test_client().get("/api/tasks", headers=origin)
    assert "Access-Control-Allow-Origin" not in alone.headers
    named = create_app(Settings(allowed_origins=(origin["Origin"],)), engine).test_client()
    allowed = named.get("/api/tasks", headers=origin)
    assert allowed.headers["Access-Control-Allow-Origin"] == origin["Origin"]
    other = named.get("/api/tasks", headers={"Origin": "https://evil.example.org"})
    assert "Access-Control-Allow-Origin" not in other.headers
