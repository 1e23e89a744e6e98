"""`python -m services.ops_console`: the real parts put together and served. Settings come from the environment."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from payonce.adapters.clock import SystemClock
from payonce.adapters.kafka.audit_topic import KafkaAuditTopic
from payonce.adapters.kafka.consumer import ConsumerEnded, GroupConsumer
from payonce.adapters.kafka.consumer_config import consumer_config
from payonce.adapters.kafka.deletion import KafkaDeletion
from payonce.adapters.kafka.producer import KafkaProducer, ProducerEnded
from payonce.adapters.kafka.topics import BrokersAway, missing_topics
from payonce.adapters.ops_store import PostgresOpsStore
from payonce.catalog import topics_read_by, topics_written_by
from payonce.ports import PositionMoved
from payonce.settings import OpsConsoleSettings, listed
from payonce.telemetry import configure_logging, operators_file_broken
from payonce.watched_file import BadFile, WatchedFile
from services.ops_console.anchoring import Auditor
from services.ops_console.app import create_app
from services.ops_console.chores import Chores, Settler
from services.ops_console.dependencies import Dependencies
from services.ops_console.exits import Exit, Misconfigured
from services.ops_console.indexer import Indexer
from services.ops_console.operators import Operators, read_operators
from services.ops_console.pacing import ReplayPace
from services.ops_console.replaying import Replayer
from services.ops_console.retention import Retention

PROCESS = "ops_console"
_DRAIN_SECONDS = 5
_CONNECTIONS = 512
#: The group's member is alive if it came back from the log within this time.
_POLL_FRESH_SECONDS = 10.0
log = structlog.get_logger()


def main() -> int:
    """Serve until SIGTERM or SIGINT, or until a part cannot go on; return the exit code."""
    for name in (signal.SIGTERM, signal.SIGINT):
        # uvicorn takes the signals over while it serves, ends in order, and raises them again afterwards.
        signal.signal(name, _stop)
    settings = OpsConsoleSettings()
    configure_logging(PROCESS, level=settings.log_level, json_lines=settings.log_format == "json")
    try:
        _check_topics(settings.kafka_bootstrap_servers)
        return asyncio.run(serve(settings))
    except Misconfigured as error:
        log.error("misconfigured", error=str(error))  # noqa: TRY400  (no traceback: it is not a bug)
        return Exit.MISCONFIGURED
    except BrokersAway as error:
        log.error("brokers_away", detail=str(error))  # noqa: TRY400  (the address says it all)
        return Exit.KAFKA_LOST
    except (ConsumerEnded, ProducerEnded):
        log.exception("cannot_go_on")
        return Exit.KAFKA_LOST
    except PositionMoved as error:
        log.error("database_restored", detail=str(error))  # noqa: TRY400  (it says all, and a restart cures it)
        return Exit.RESTORED


async def serve(settings: OpsConsoleSettings) -> int:
    """Serve until a signal comes; raise what ended a part. Raises Misconfigured before serving anything."""
    clock = SystemClock()
    operators = _operators(settings, clock)
    console = _assemble(settings, clock, operators)
    failures: list[BaseException] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = [_watched(part) for part in (console.indexer.run(), console.chores.run())]
        console.member.start()
        console.member.ended.add_done_callback(ended)
        console.producer.ended.add_done_callback(ended)
        for task in running:
            task.add_done_callback(ended)
        yield
        await console.close(running)

    def ended(part: asyncio.Future[None]) -> None:
        if not part.cancelled() and (error := part.exception()):
            failures.append(error)
            server.should_exit = True

    server = uvicorn.Server(_config(settings, create_app(console.dependencies, lifespan)))
    await server.serve()
    if failures:
        raise failures[0]
    return Exit.STOPPED if server.started else Exit.BUG


@dataclass(frozen=True, slots=True)
class _Console:
    dependencies: Dependencies
    store: PostgresOpsStore
    producer: KafkaProducer
    member: GroupConsumer
    indexer: Indexer
    chores: Chores

    async def close(self, running: list[asyncio.Task[None]]) -> None:
        """Leave the group first, so that what is indexed is committed, then stop the rest."""
        if not self.member.ended.done():
            await self.member.stop()
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await self.producer.close()
        await asyncio.to_thread(self.store.close)


def _assemble(settings: OpsConsoleSettings, clock: SystemClock, operators: WatchedFile[Operators]) -> _Console:
    store = PostgresOpsStore(settings.database_url)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, client_id=PROCESS)
    indexer = Indexer(store, clock)
    read = topics_read_by(PROCESS)
    config = consumer_config(
        settings.kafka_bootstrap_servers,
        group=PROCESS,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        group_instance_id=settings.kafka_group_instance_id,
    )
    member = GroupConsumer(config, read, indexer, clock.monotonic)
    indexer.attach(member)
    pace = ReplayPace(settings.replay_rate_per_second)
    link_secrets = listed(settings.link_secrets)
    dependencies = Dependencies(
        store=store,
        clock=clock,
        operators=operators,
        pace=pace,
        lifetime_seconds=settings.session_lifetime_seconds,
        link_secret=link_secrets[0].encode() if link_secrets else None,
        new_id=lambda: f"rp_{secrets.token_hex(13)}",
        is_reading=lambda: producer.is_alive and clock.monotonic() - member.last_poll_at() < _POLL_FRESH_SECONDS,
    )
    chores = Chores(
        store,
        clock,
        replayer=Replayer(store, producer, clock, dependencies.rules, pace),
        auditor=Auditor(store, producer, KafkaAuditTopic(settings.kafka_bootstrap_servers), clock),
        settler=Settler(store, clock),
        retention=Retention(store, KafkaDeletion(settings.kafka_bootstrap_servers), clock, read),
    )
    return _Console(dependencies, store, producer, member, indexer, chores)


def _check_topics(bootstrap_servers: str) -> None:
    wanted = sorted({*topics_read_by(PROCESS), *topics_written_by(PROCESS)})
    if missing := missing_topics(bootstrap_servers, wanted):
        raise Misconfigured(f"topics are missing: {', '.join(missing)}; run: payonce topics create")


def _operators(settings: OpsConsoleSettings, clock: SystemClock) -> WatchedFile[Operators]:
    try:
        return WatchedFile(settings.operators_file, read_operators, clock, broken=operators_file_broken)
    except BadFile as error:
        raise Misconfigured(f"operators file {settings.operators_file}: {error}") from error


def _watched(part: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(part)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(Exit.STOPPED)


def _config(settings: OpsConsoleSettings, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn declares its own ASGI types
        host=settings.ops_http_host,
        port=settings.ops_http_port,
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code not in {Exit.STOPPED, Exit.MISCONFIGURED}:
        # Threads inside the Kafka library may still run; nothing that they could finish is needed.
        os._exit(code)
    sys.exit(code)
