"""What a session leaves behind when its host is lost or its process is frozen: nothing that another has to wait for.

To the server a frozen process, a lost host and one that only says nothing are the same; so here it says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from payonce.adapters.advisory_locks import Lock
from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.kafka.producer import DELIVERY_TIMEOUT_MS
from payonce.adapters.outbox import PostgresOutbox
from payonce.adapters.postgres import IDLE_IN_TRANSACTION_MS, Database
from payonce.adapters.session_lock import SessionLock
from payonce.ports import StoreUnavailable
from services.status_processor.relay_thread import IDLE_SESSION_MS
from tests.unit.domain import factories as make

pytestmark = pytest.mark.stack
#: Longer than a stall of the machine between two statements of ours, which is silence to the server, too.
SILENCE_MS = 3_000
#: Far more than the server takes; a test that waits so long has failed.
PATIENCE_SECONDS = 20.0


def settings_of(database: Database) -> dict[str, str]:
    names = "tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count tcp_user_timeout"
    names += " idle_in_transaction_session_timeout idle_session_timeout statement_timeout lock_timeout"
    with database.transaction() as connection:
        found = {name: str(connection.execute(text(f"SHOW {name}")).scalar_one()) for name in names.split()}
    database.dispose()
    return found


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await reached():
        assert time.monotonic() < deadline, "the silent session still has it"
        await asyncio.sleep(0.05)


def test_the_server_gives_up_a_lost_host_after_seconds_and_a_silent_transaction_after_90(database_url: str) -> None:
    """Its own defaults are two hours for a host that is gone, and for ever for a process that is frozen."""
    assert settings_of(Database(database_url, application_name="silent")) == {
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
        "idle_in_transaction_session_timeout": "90s",
        "idle_session_timeout": "0",
        "statement_timeout": "5s",
        "lock_timeout": "3s",
    }


def test_whoever_may_be_silent_for_long_says_so(database_url: str) -> None:
    told = Database(database_url, application_name="silent", idle_in_transaction_ms=0, idle_session_ms=120_000)

    found = settings_of(told)

    assert (found["idle_in_transaction_session_timeout"], found["idle_session_timeout"]) == ("0", "2min")


def test_a_dead_letter_is_published_within_the_silence_that_a_transaction_may_keep() -> None:
    """The fold publishes them before the transaction ends; the relay publishes while its lock's session is silent."""
    assert DELIVERY_TIMEOUT_MS < IDLE_IN_TRANSACTION_MS
    assert DELIVERY_TIMEOUT_MS < IDLE_SESSION_MS


@pytest.mark.parametrize("goes_on_with", ["a statement", "its end"])
async def test_an_order_locked_by_a_frozen_process_is_free_again_and_the_process_was_away(
    database_url: str, goes_on_with: str
) -> None:
    """The redelivered batch needs exactly the orders that the frozen one has locked; it must not wait for ever."""
    frozen = PostgresFoldStore(Database(database_url, application_name="frozen", idle_in_transaction_ms=SILENCE_MS))
    other = PostgresFoldStore(Database(database_url, application_name="other"))

    async def other_has_it() -> bool:
        try:
            async with other.transaction() as transaction:
                await transaction.lock([make.ORDER_ID])
        except StoreUnavailable:
            return False
        return True

    async def freeze_and_go_on() -> None:
        async with frozen.transaction() as transaction:
            await transaction.lock([make.ORDER_ID])
            await until(other_has_it)
            if goes_on_with == "a statement":
                await transaction.lock([make.ORDER_ID])

    with pytest.raises(StoreUnavailable):
        await freeze_and_go_on()
    async with frozen.transaction() as transaction:  # and then it works again
        await transaction.lock([make.ORDER_ID])
    other.close()
    frozen.close()


async def test_the_relays_lock_goes_on_when_its_holder_is_frozen_and_the_holder_was_away(database_url: str) -> None:
    silent = Database(database_url, application_name="frozen", pool_size=1, idle_session_ms=SILENCE_MS)
    frozen = PostgresOutbox(silent)
    other = PostgresOutbox(Database(database_url, application_name="other", pool_size=1))
    assert await frozen.acquire()

    await until(other.acquire)

    with pytest.raises(StoreUnavailable):
        await frozen.oldest(1)
    assert not await frozen.acquire()
    other.close()
    frozen.close()


async def test_a_session_lock_goes_on_when_its_holder_is_frozen(database_url: str) -> None:
    silent = Database(database_url, application_name="frozen", pool_size=1, idle_session_ms=SILENCE_MS)
    frozen = SessionLock(silent, Lock.OPS_LEAD)
    other = SessionLock(Database(database_url, application_name="other", pool_size=1), Lock.OPS_LEAD)
    assert await frozen.acquire()

    await until(other.acquire)

    with pytest.raises(StoreUnavailable):
        await frozen.acquire()
    assert not await frozen.acquire()
    other.close()
    frozen.close()
