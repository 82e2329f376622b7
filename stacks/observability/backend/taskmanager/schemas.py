"""What clients may send, and what they get. Names on the wire are in camelCase."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from taskmanager.models import Task

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Notes = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class Incoming(BaseModel):
    """Fields that are not known are refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=False, extra="forbid")


class NewTask(Incoming):
    """Body of POST /api/tasks."""

    title: Title
    notes: Notes = ""
    due_on: date | None = None


class TaskChange(Incoming):
    """Body of PATCH /api/tasks/<id>: only what is given changes."""

    title: Title = ""
    notes: Notes = ""
    due_on: date | None = None
    completed: bool = False


class TaskQuery(Incoming):
    """Query of GET /api/tasks; `q` is looked for in title and notes."""

    status: Literal["all", "open", "done"] = "all"
    q: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 200


def utc(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC; SQLite forgets the zone, and what is stored is UTC."""
    return None if moment is None else moment.replace(tzinfo=UTC).isoformat()


def render_task(task: Task) -> dict[str, object]:
    """A task as the API answers it."""
    return {
        "id": task.id,
        "title": task.title,
        "notes": task.notes,
        "dueOn": task.due_on.isoformat() if task.due_on else None,
        "createdAt": utc(task.created_at),
        "completedAt": utc(task.completed_at),
    }
