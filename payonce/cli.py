"""The command line of payonce: `payonce topics create`, `payonce db upgrade`. Settings come from the environment."""

from __future__ import annotations

import typer

from payonce.settings import DatabaseSettings, KafkaSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Operate payonce.")
topics_app = typer.Typer(no_args_is_help=True, help="Kafka topics, as schemas/topics.toml declares them.")
database_app = typer.Typer(no_args_is_help=True, help="The tables in PostgreSQL.")
app.add_typer(topics_app, name="topics")
app.add_typer(database_app, name="db")


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


def main() -> None:
    """Run the command line."""
    app()
