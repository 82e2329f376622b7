"""Migrates the database, then serves: python3 -m taskmanager."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from taskmanager.app import create_app
from taskmanager.logs import configure_logs
from taskmanager.settings import Settings, read_settings
from taskmanager.store import migrate, open_engine
from taskmanager.telemetry import start_telemetry


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn with one process: exemplars and counters live in its memory. Threads do the work."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Sets gunicorn's options."""
        options: dict[str, Any] = {
            "bind": f"0.0.0.0:{self._settings.port}",
            "workers": 1,
            "threads": 8,
            "worker_class": "gthread",
            "worker_tmp_dir": "/dev/shm",  # noqa: S108 # memory, private to the container
            "graceful_timeout": 10,
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Builds the application inside the worker, where the threads that send may live."""
        configure_logs(*start_telemetry(os.environ))
        return create_app(self._settings, open_engine(self._settings.database_url))


def main() -> None:
    """The program."""
    configure_logs()
    settings = read_settings(os.environ)
    engine = open_engine(settings.database_url)
    migrate(engine)
    engine.dispose()
    Server(settings).run()


if __name__ == "__main__":
    main()
