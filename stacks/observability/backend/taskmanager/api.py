"""The routes."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import NotFound

from taskmanager.schemas import NewTask, TaskChange, TaskQuery, render_task
from taskmanager.store import TaskStore

log = logging.getLogger(__name__)


def no_such_task(task_id: int) -> NotFound:
    """The error for a task that does not exist."""
    return NotFound(f"There is no task {task_id}; it may have been deleted.")


def build_api(store: TaskStore) -> Blueprint:
    """The API under /api."""
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.get("/tasks")
    def find() -> Response:
        query = TaskQuery.model_validate(request.args.to_dict())
        return jsonify({"tasks": [render_task(task) for task in store.find(query)]})

    @api.post("/tasks")
    def create() -> tuple[Response, int]:
        task = store.create(NewTask.model_validate(request.get_json()))
        log.info("task created", extra={"task_id": task.id})
        return jsonify(render_task(task)), 201

    @api.get("/tasks/<int:task_id>")
    def get(task_id: int) -> Response:
        task = store.get(task_id)
        if task is None:
            raise no_such_task(task_id)
        return jsonify(render_task(task))

    @api.patch("/tasks/<int:task_id>")
    def change(task_id: int) -> Response:
        wanted = TaskChange.model_validate(request.get_json())
        task = store.change(task_id, wanted)
        if task is None:
            raise no_such_task(task_id)
        completed = "completed" in wanted.model_fields_set
        event = ("task completed" if wanted.completed else "task reopened") if completed else None
        log.info(event or "task changed", extra={"task_id": task_id})
        return jsonify(render_task(task))

    @api.delete("/tasks/<int:task_id>")
    def delete(task_id: int) -> tuple[str, int]:
        if not store.delete(task_id):
            raise no_such_task(task_id)
        log.info("task deleted", extra={"task_id": task_id})
        return "", 204

    return api
