"""The command line of payonce: topics, tables, client keys. Settings come from the environment."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import typer

from payonce.settings import DatabaseSettings, KafkaSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Operate payonce.")
topics_app = typer.Typer(no_args_is_help=True, help="Kafka topics, as schemas/topics.toml declares them.")
database_app = typer.Typer(no_args_is_help=True, help="The tables in PostgreSQL.")
clients_app = typer.Typer(no_args_is_help=True, help="Client apps that may place orders.")
app.add_typer(topics_app, name="topics")
app.add_typer(database_app, name="db")
app.add_typer(clients_app, name="clients")

_CLIENT_ENTRY = """[[client]]
id = "{id}"
name = "{id}"
key_hashes = ["sha256:{key_hash}"]
scopes = ["orders:write", "orders:read"]
redirect_origins = ["{origin}"]
rate_limit_per_second = 50
return_secret = "env:PAYONCE_RETURN_SECRET_{variable}"
"""


@topics_app.command("create")
def create_topics() -> None:
    """Create the topics that do not exist yet. Safe to repeat."""
    from payonce.adapters.kafka.topics import create_topics as create

    settings = KafkaSettings()
    created = create(
        settings.kafka_bootstrap_servers,
        replication_factor=settings.kafka_replication_factor,
        min_insync_replicas=settings.kafka_min_insync_replicas,
    )
    typer.echo(f"created: {', '.join(created) or 'nothing, all topics exist'}")


@database_app.command("upgrade")
def upgrade_database() -> None:
    """Bring the tables to the newest revision. Safe to repeat."""
    from payonce.adapters.migrations import upgrade

    upgrade(DatabaseSettings().database_url)
    typer.echo("the tables are up to date")


@app.command("settings")
def list_settings() -> None:
    """Print every setting as a Markdown table."""
    from payonce.settings import as_markdown

    typer.echo(as_markdown())


@clients_app.command("new")
def new_client(
    client_id: Annotated[str, typer.Argument(help="the shop's id; part of every order id, so it never changes")],
    origin: Annotated[str, typer.Option(help="where customers are sent back to, e.g. https://shop.example.com")],
) -> None:
    """Draw an API key and print the entry for the clients file. The key is shown once and stored nowhere."""
    key = f"pk_{secrets.token_urlsafe(32)}"
    entry = _CLIENT_ENTRY.format(
        id=client_id,
        key_hash=hashlib.sha256(key.encode()).hexdigest(),
        origin=origin,
        variable=client_id.upper().replace("-", "_"),
    )
    typer.echo(f"# API key, shown once: {key}\n# return secret, if you need one: {secrets.token_urlsafe(32)}\n{entry}")


def main() -> None:
    """Run the command line."""
    app()
