"""The command line of payonce: topics, tables, client keys. Settings come from the environment."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from payonce.ops_client.dlq import app as dlq_app
from payonce.settings import DatabaseSettings, KafkaSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Operate payonce.")
topics_app = typer.Typer(no_args_is_help=True, help="Kafka topics, as schemas/topics.toml declares them.")
database_app = typer.Typer(no_args_is_help=True, help="The tables in PostgreSQL.")
clients_app = typer.Typer(no_args_is_help=True, help="Client apps that may place orders.")
app.add_typer(topics_app, name="topics")
app.add_typer(database_app, name="db")
app.add_typer(clients_app, name="clients")
verify_app = typer.Typer(invoke_without_command=True, help="Check the guarantees on the running system.")
app.add_typer(verify_app, name="verify")

operators_app = typer.Typer(no_args_is_help=True, help="People who may use the ops console.")
app.add_typer(operators_app, name="operators")
app.add_typer(dlq_app, name="dlq")


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


@app.command("asyncapi")
def describe_topics() -> None:
    """Print the topics as an AsyncAPI 3.0 document."""
    import orjson

    from payonce.asyncapi import asyncapi_document, read_contract

    document = asyncapi_document(read_contract())
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


@verify_app.callback()
def verify_guarantees(
    context: typer.Context,
    grace: Annotated[float, typer.Option(help="seconds that anything may be on its way")] = 60.0,
    psp: Annotated[bool, typer.Option("--psp", help="ask the PSP, too, inside the reconciler's share")] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Check the guarantees on the running system, without changing it. Exits 1 on a violation, 2 if a part is away."""
    if context.invoked_subcommand is None:
        from payonce.verification.command import run

        raise typer.Exit(run(grace_seconds=grace, with_psp=psp, as_json=json))


@verify_app.command("audit")
def verify_audit() -> None:
    """Recompute the audit chain and compare it with payments.ops. Exits 1 at a broken entry, 2 if a part is away."""
    from payonce.adapters.kafka.reader import LogAway
    from payonce.audit import BrokenChain
    from payonce.audit_check import check_audit
    from payonce.ports import StoreUnavailable

    try:
        found = check_audit(KafkaSettings().kafka_bootstrap_servers, DatabaseSettings().database_url)
    except BrokenChain as error:
        typer.echo(f"the audit chain is broken: {error}", err=True)
        raise typer.Exit(1) from error
    except (LogAway, StoreUnavailable) as error:
        typer.echo(f"cannot tell: {error}", err=True)
        raise typer.Exit(2) from error
    told = f"the audit chain is whole: {found.table} entries, {found.topic} of them on payments.ops"
    typer.echo(told + (f"; {found.renumbered} renumbered after a restore" if found.renumbered else ""))


@app.command("rebuild")
def rebuild_tables(
    swap: Annotated[bool, typer.Option("--swap", help="replace what differs (status_processors stopped)")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="leave the rebuilt tables in the schema rebuild")] = False,
) -> None:
    """Make the tables anew from the topics and compare them with the live ones. Exits 1 if they differ."""
    _run_module("services.status_processor.rebuild", *["--swap"] * swap, *["--keep"] * keep)


@app.command("recompute")
def recompute_statuses(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change, write nothing")] = False,
) -> None:
    """Recompute every order's status from its stored facts, after a change of rules."""
    _run_module("services.status_processor.recompute", *["--dry-run"] * dry_run)


@app.command("reconcile")
def reconcile_orders(
    since: Annotated[str, typer.Option(help="orders changed in that time: 30s, 15m, 2h, 3d")] = "2h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell (the default)")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="have each order that differs read again at the PSP")] = False,
) -> None:
    """Compare each order touched lately with the PSP's objects, and list stuck ones. Exits 1 if any differs."""
    how = [*["--dry-run"] * dry_run, *["--fix"] * fix]
    _run_module("services.reconciler", "report", "--since", since, *how)


def _run_module(name: str, *arguments: str) -> None:
    """Run a process of ours that this package may not import, with this terminal, and end as it ends."""
    raise typer.Exit(subprocess.run([sys.executable, "-m", name, *arguments], check=False).returncode)


@clients_app.command("new")
def new_client(
    client_id: Annotated[str, typer.Argument(help="the shop's id; part of every order id, so it never changes")],
    origin: Annotated[str, typer.Option(help="where customers are sent back to, e.g. https://shop.example.com")],
) -> None:
    """Draw an API key and a return secret, and print the entry for the clients file. Both are stored nowhere."""
    _run_module("services.checkout_api.client_entry", "new", client_id, origin)


@clients_app.command("key")
def new_key(
    scope: Annotated[list[str], typer.Option(help="orders:read, orders:write; once for each")] = ["orders:read"],  # noqa: B006  (typer copies it)
) -> None:
    """Draw a further API key of a client, one that may only read unless told otherwise, and print its entry."""
    _run_module("services.checkout_api.client_entry", "key", *scope)


@operators_app.command("new")
def new_operator(
    operator_id: Annotated[str, typer.Argument(help="who acts, as the audit chain will say for ever")],
    name: Annotated[str, typer.Option(help="the person's name")],
    role: Annotated[list[str], typer.Option(help="viewer, operator, approver; once for each")],
) -> None:
    """Draw a token and print the entry for the operators file. The token is shown once and stored nowhere."""
    _run_module("services.ops_console.operator_entry", operator_id, name, *role)


def main() -> None:
    """Run the command line."""
    app()
