"""`payonce verify`: run it, show it, say by the exit code whether it is clean."""

from __future__ import annotations

from rich.console import Console

from payonce.adapters.kafka.reader import LogAway
from payonce.ports import GatewayFailure, StoreUnavailable
from payonce.settings import DatabaseSettings, KafkaSettings, ReconcilerSettings
from payonce.verification import showing
from payonce.verification.findings import Check
from payonce.verification.run import verify


def run(*, grace_seconds: float, with_psp: bool, as_json: bool) -> int:
    """Return 0 if every check is clean, 1 if there is a violation, 2 if log, tables or PSP are away."""
    console = Console()
    bootstrap, database_url = KafkaSettings().kafka_bootstrap_servers, DatabaseSettings().database_url
    stripe = ReconcilerSettings() if with_psp else None
    try:
        with console.status("reading") as status:

            def tell(check: Check) -> None:
                status.update(f"{check.name}: {check.checked:,}")

            report = verify(bootstrap, database_url, grace_seconds=grace_seconds, stripe=stripe, on_progress=tell)
    except (StoreUnavailable, LogAway, GatewayFailure) as error:
        console.print(f"not verified: {error}", style="red", markup=False)
        return 2
    if as_json:
        print(showing.as_json(report))  # noqa: T201  (for programs: no colours, no wrapping)
    else:
        showing.show(console, report)
    return 1 if report.violations else 0
