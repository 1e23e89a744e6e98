"""`python -m services.checkout_api`: the real parts put together and served. Settings come from the environment."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from functools import partial
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from payonce.adapters.clock import SystemClock
from payonce.adapters.kafka.producer import KafkaProducer, ProducerEnded
from payonce.adapters.kafka.topics import missing_topics
from payonce.adapters.order_archive import OrderArchive
from payonce.adapters.order_reads import OrderReads
from payonce.adapters.order_watch import OrderWatch
from payonce.adapters.stripe import BadSignature, verify_signature
from payonce.catalog import topics_written_by
from payonce.settings import CheckoutApiSettings, listed
from payonce.telemetry import clients_file_broken, configure_logging
from payonce.watched_file import BadFile, WatchedFile
from services.checkout_api.app import create_app
from services.checkout_api.clients import Clients
from services.checkout_api.clients_file import read_clients, secret_files
from services.checkout_api.dependencies import SOURCE, Dependencies
from services.checkout_api.links import Links
from services.checkout_api.ports import SignatureCheck

#: Requests that wait are answered at once then; one that publishes may take its 8 s.
_DRAIN_SECONDS = 10
#: Connections at once. Above it uvicorn answers 503 by itself.
_CONNECTIONS = 4_096
log = structlog.get_logger()


class Exit(IntEnum):
    """Exit codes. A restart cures everything but MISCONFIGURED."""

    STOPPED = 0
    BUG = 1
    MISCONFIGURED = 64
    KAFKA_LOST = 65  # our producer is given up: the log has forgotten what it had taken


class Misconfigured(Exception):
    """A setting, a file or a topic is missing; the message says which. A person must act."""


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    for name in (signal.SIGTERM, signal.SIGINT):
        # uvicorn takes the signals over while it serves, ends in order, and raises them again afterwards.
        signal.signal(name, _stop)
    settings = CheckoutApiSettings()
    configure_logging(SOURCE, level=settings.log_level, json_lines=settings.log_format == "json")
    try:
        # uvicorn's choice of loop is uvloop wherever it is installed.
        with asyncio.Runner(loop_factory=uvicorn.Config("", loop="auto", log_config=None).get_loop_factory()) as runner:
            return runner.run(serve(settings))
    except Misconfigured as error:
        log.error("misconfigured", error=str(error))  # noqa: TRY400  (no traceback: it is not a bug)
        return Exit.MISCONFIGURED
    except ProducerEnded as error:
        log.error("cannot_go_on", exit_code=int(Exit.KAFKA_LOST), error=str(error))  # noqa: TRY400  (nor is this one)
        return Exit.KAFKA_LOST


async def serve(settings: CheckoutApiSettings) -> int:
    """Serve until a signal comes, or raise what ended a part of it.

    Raises Misconfigured before serving anything, ProducerEnded when nothing can be published any more.
    """
    clock = SystemClock()
    links, clients = _links(settings), _clients(settings, clock)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, client_id=SOURCE)
    await _check_topics(producer, settings.kafka_bootstrap_servers)
    reads, watch = OrderReads(settings.database_url), OrderWatch(settings.database_url)
    archive = OrderArchive(settings.database_url)
    dependencies = Dependencies(
        producer=producer,
        broker=producer,
        reads=reads,
        archive=archive,
        watch=watch,
        clock=clock,
        clients=clients,
        links=links,
        verify_signature=_signature_check(settings),
        stripe_api_version=settings.stripe_api_version,
        session_lifetime_seconds=settings.session_lifetime_seconds,
    )
    failures: list[BaseException] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch.run())
        watching.add_done_callback(ended)
        producer.ended.add_done_callback(ended)
        yield
        watching.cancel()
        await asyncio.wait((watching,))
        await reads.close()
        await archive.close()
        await producer.close()

    def ended(part: asyncio.Future[None]) -> None:
        if not part.cancelled() and (error := part.exception()):
            failures.append(error)
            server.should_exit = True

    server = _Server(_config(settings, create_app(dependencies, lifespan)), dependencies)
    await server.serve()
    if failures:
        raise failures[0]
    return Exit.STOPPED if server.started else Exit.BUG


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(Exit.STOPPED)


class _Server(uvicorn.Server):
    """Lets waiting requests go before it waits for them."""

    def __init__(self, config: uvicorn.Config, dependencies: Dependencies) -> None:
        super().__init__(config)
        self._dependencies = dependencies

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._dependencies.stop_waiting()
        await super().shutdown(sockets)


def _config(settings: CheckoutApiSettings, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn declares its own ASGI types
        host=settings.http_host,
        port=settings.http_port,
        http="httptools",
        lifespan="on",
        access_log=False,  # addresses hold `t`; our own line does not
        log_config=None,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


async def _check_topics(producer: KafkaProducer, bootstrap_servers: str) -> None:
    """Insist on topics, which never come by themselves; a broker that is away is the requests' to wait for."""
    if not await producer.reachable():
        log.warning("log_unreachable_at_start", bootstrap_servers=bootstrap_servers)
        return
    missing = await asyncio.to_thread(missing_topics, bootstrap_servers, topics_written_by(SOURCE))
    if missing:
        raise Misconfigured(f"topics are missing: {', '.join(missing)}; run: payonce topics create")


def _links(settings: CheckoutApiSettings) -> Links:
    secrets = tuple(secret.encode() for secret in listed(settings.link_secrets))
    if not secrets:
        raise Misconfigured("PAYONCE_LINK_SECRETS is empty: checkout links could be forged")
    return Links(settings.public_url.rstrip("/"), secrets)


def _clients(settings: CheckoutApiSettings, clock: SystemClock) -> WatchedFile[Clients]:
    try:
        read = partial(read_clients, environ=os.environ)
        return WatchedFile(settings.clients_file, read, clock, broken=clients_file_broken, files_named=secret_files)
    except BadFile as error:
        raise Misconfigured(f"clients file {settings.clients_file}: {error}") from error


def _signature_check(settings: CheckoutApiSettings) -> SignatureCheck | None:
    secrets = listed(settings.stripe_webhook_secrets)
    return partial(_is_signed, secrets) if secrets else None


def _is_signed(secrets: tuple[str, ...], body: bytes, header: str) -> bool:
    try:
        verify_signature(body, header, secrets)
    except BadSignature:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
