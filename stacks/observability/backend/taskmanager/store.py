"""Tasks in the database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.orm import Session, sessionmaker

from taskmanager.models import Task, now
from taskmanager.schemas import NewTask, TaskChange, TaskQuery


def open_engine(url: str) -> Engine:
    """An engine; SQLite in write-ahead mode, so that readers do not wait for a writer."""
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def configure(connection, _record):  # type: ignore[no-untyped-def]
            for pragma in ("journal_mode=WAL", "busy_timeout=5000", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")

    return engine


def migrate(engine: Engine) -> None:
    """Brings the database to the newest migration."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


class TaskStore:
    """Reads and writes tasks, each call in a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    def find(self, query: TaskQuery) -> Sequence[Task]:
        """Open tasks before done ones, the newest first."""
        statement = select(Task).order_by(
            Task.completed_at.is_not(None), Task.created_at.desc(), Task.id.desc()
        )
        if query.status != "all":
            done = Task.completed_at.is_not(None)
            statement = statement.where(done if query.status == "done" else ~done)
        if query.q:
            statement = statement.where(
                Task.title.icontains(query.q, autoescape=True)
                | Task.notes.icontains(query.q, autoescape=True)
            )
        with self._sessions() as session:
            return session.scalars(statement.limit(query.limit)).all()

    def get(self, task_id: int) -> Task | None:
        """A task, or None."""
        with self._sessions() as session:
            return session.get(Task, task_id)

    def create(self, new: NewTask) -> Task:
        """Adds a task."""
        with self._sessions.begin() as session:
            task = Task(title=new.title, notes=new.notes, due_on=new.due_on)
            session.add(task)
        return task

    def change(self, task_id: int, change: TaskChange) -> Task | None:
        """Changes the fields that were given; None when there is no such task."""
        with self._sessions.begin() as session:
            task = session.get(Task, task_id)
            if task is None:
                return None
            for field in change.model_fields_set - {"completed"}:
                setattr(task, field, getattr(change, field))
            if "completed" in change.model_fields_set:
                task.completed_at = (task.completed_at or now()) if change.completed else None
        return task

    def delete(self, task_id: int) -> bool:
        """Removes a task; False when there was none."""
        with self._sessions.begin() as session:
            task = session.get(Task, task_id)
            if task is None:
                return False
            session.delete(task)
        return True

    def count(self) -> dict[str, int]:
        """The number of tasks, by state."""
        with self._sessions() as session:
            return {state: self._count(session, state == "done") for state in ("open", "done")}

    @staticmethod
    def _count(session: Session, done: bool) -> int:
        where = Task.completed_at.is_not(None) if done else Task.completed_at.is_(None)
        return session.scalar(select(func.count(Task.id)).where(where)) or 0
