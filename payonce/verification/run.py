"""A whole verification, in the order that lets a live system go on: what must follow is read after what it follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from payonce.adapters.kafka.reader import LogReader
from payonce.adapters.postgres import Database
from payonce.adapters.stripe import StripeGateway
from payonce.settings import ReconcilerSettings
from payonce.verification.audit_chain import check_chain
from payonce.verification.findings import Check, Report
from payonce.verification.letters import DeadLetters
from payonce.verification.log_checks import FOLDED, check_folded, check_letters, check_outcomes, check_positions
from payonce.verification.psp_checks import WINDOW_SECONDS, Psp, check_refunds, check_sessions
from payonce.verification.source import Source
from payonce.verification.table_checks import check_outbox, check_rows, check_status, check_suspects

GRACE_SECONDS = 60.0
#: The first row of a sorted stream comes when all are sorted.
_STATEMENT_MS = 600_000
_ASK_AGAIN_SECONDS = 5.0


def verify(
    bootstrap_servers: str,
    database_url: str,
    *,
    grace_seconds: float = GRACE_SECONDS,
    stripe: ReconcilerSettings | None = None,
    on_progress: Callable[[Check], None] = lambda _: None,
) -> Report:
    """Check the guarantees on a running system, without changing it; what is younger than the grace may be on its way.

    Blocking, for seconds per hundred thousand records. With `stripe` the PSP is asked, too, at the reconciler's share.
    `on_progress` is told each finished check. Raises StoreUnavailable, payonce.adapters.kafka.reader.LogAway or
    GatewayFailure.
    """
    started = time.monotonic()
    database = Database(database_url, application_name="payonce verify", statement_timeout_ms=_STATEMENT_MS)
    checks = []
    try:
        with LogReader(bootstrap_servers, client_id="payonce-verify") as log:
            source = Source(log, database, older_than_ms=int((time.time() - grace_seconds) * 1000))
            for check in _checks(source):
                on_progress(check)
                checks.append(check)
        rest = [check_chain(bootstrap_servers, database_url)]
        if stripe is not None:
            rest += asyncio.run(_ask(stripe, database, grace_seconds))
        for check in rest:
            on_progress(check)
            checks.append(check)
    finally:
        database.dispose()
    return Report(checks, time.monotonic() - started)


async def _ask(settings: ReconcilerSettings, database: Database, grace_seconds: float) -> list[Check]:
    """Ask the PSP; what it says is paid may take the grace period to arrive, so a doubt is asked again after that."""
    async with _psp(settings) as psp:
        refunds = await check_refunds(psp)
        deadline = time.monotonic() + grace_seconds
        while True:
            sessions = await check_sessions(psp, database)
            if not any(check.violations for check in sessions) or time.monotonic() > deadline:
                return [*sessions, refunds]
            await asyncio.sleep(_ASK_AGAIN_SECONDS)


@asynccontextmanager
async def _psp(settings: ReconcilerSettings) -> AsyncIterator[Psp]:
    gateway = StripeGateway(
        settings.stripe_secret_key.get_secret_value(),
        settings.stripe_api_base,
        settings.stripe_timeout_seconds,
    )

    async def pause() -> None:
        await asyncio.sleep(1 / settings.stripe_reconciler_share)

    try:
        yield Psp(gateway, settings.stripe_api_version, int(time.time()) - WINDOW_SECONDS, pause)
    finally:
        await gateway.close()


def _checks(source: Source) -> Iterator[Check]:
    letters, announced = DeadLetters(), set[int]()
    yield check_letters(source, letters)
    yield check_outcomes(source, letters)
    yield from check_suspects(source)
    for topic in FOLDED:
        yield from check_folded(source, letters, topic)
    yield from check_status(source, announced)
    yield from check_rows(source, announced)
    yield check_outbox(source)
    yield check_positions(source)
