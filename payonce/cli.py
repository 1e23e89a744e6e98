"""The command line of payonce: topics, tables, client keys. Settings come from the environment."""

from __future__ import annotations

import hashlib
import secrets
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

_OPERATOR_ENTRY = """[[operator]]
id = "{id}"
name = "{name}"
token_hashes = ["sha256:{token_hash}"]
roles = [{roles}]
"""
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
    typer.echo(f"the audit chain is whole: {found.table} entries, {found.topic} of them on payments.ops")


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
    """Draw an API key and print the entry for the clients file. The key is shown once and stored nowhere."""
    key = f"pk_{secrets.token_urlsafe(32)}"
    entry = _CLIENT_ENTRY.format(
        id=client_id,
        key_hash=hashlib.sha256(key.encode()).hexdigest(),
        origin=origin,
        variable=client_id.upper().replace("-", "_"),
    )
    typer.echo(f"# API key, shown once: {key}\n# return secret, if you need one: {secrets.token_urlsafe(32)}\n{entry}")


@operators_app.command("new")
def new_operator(
    operator_id: Annotated[str, typer.Argument(help="who acts, as the audit chain will say for ever")],
    name: Annotated[str, typer.Option(help="the person's name")],
    role: Annotated[list[str], typer.Option(help="viewer, operator, approver; once for each")],
) -> None:
    """Draw a token and print the entry for the operators file. The token is shown once and stored nowhere."""
    token = f"ot_{secrets.token_urlsafe(32)}"
    entry = _OPERATOR_ENTRY.format(
        id=operator_id,
        name=name,
        token_hash=hashlib.sha256(token.encode()).hexdigest(),
        roles=", ".join(f'"{each}"' for each in role),
    )
    typer.echo(f"# token, shown once: {token}\n{entry}")


def main() -> None:
    """Run the command line."""
    app()
