"""What the environment decides. Telemetry reads OpenTelemetry's own variables besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """All settings of the process.

    database_url: SQLAlchemy's address of the database.
    allowed_origins: web origins beside the page's own that may call the API; none by default,
        since nginx serves page and API from one origin.
    port: TCP port to listen on.
    """

    database_url: str = "sqlite:////data/tasks.db"
    allowed_origins: tuple[str, ...] = ()
    port: int = 5000


def read_settings(env: Mapping[str, str]) -> Settings:
    """Settings out of an environment; raises ValueError for a port that is none."""
    default = Settings()
    port = env.get("PORT", str(default.port))
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"PORT is {port!r}; set a number from 1 to 65535")
    origins = env.get("ALLOWED_ORIGINS", "").split(",")
    return Settings(
        database_url=env.get("DATABASE_URL") or default.database_url,
        allowed_origins=tuple(origin.strip() for origin in origins if origin.strip()),
        port=int(port),
    )
