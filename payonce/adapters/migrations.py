"""The schema of the tables, brought up to date by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

_MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"


def upgrade(database_url: str) -> None:
    """Bring the tables to the newest revision. Blocking, idempotent; two at a time wait for each other."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")
