"""The schema of the tables, brought up to date by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url

_MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"


def upgrade(database_url: str, *, schema: str | None = None) -> None:
    """Bring the tables to the newest revision. Blocking, idempotent; two at a time wait for each other.

    `schema` is where they are instead of the database's own; it must exist.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["database_url"] = database_url if schema is None else _within(database_url, schema)
    command.upgrade(config, "head")


def _within(database_url: str, schema: str) -> str:
    url = make_url(database_url).update_query_dict({"options": f"-c search_path={schema}"})
    return url.render_as_string(hide_password=False)
