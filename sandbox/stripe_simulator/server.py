"""Serving the simulator with uvicorn: as this process, or in a thread beside a test."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.stripe_simulator.answer import TRANSPORT
from sandbox.stripe_simulator.app import create_app
from sandbox.stripe_simulator.control_client import Control

if TYPE_CHECKING:
    from types import TracebackType

    from sandbox.stripe_simulator.config import Config

_START_SECONDS = 20.0


class _CuttableProtocol(HttpToolsProtocol):
    """Hands the connection to the application, so that an injected fault can cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {}}
        self.scope["extensions"][TRANSPORT] = self.transport  # type: ignore[assignment]  # our own extension


def build_server(config: Config) -> AnnouncingServer:
    """Make a server for this configuration, not yet running."""
    return AnnouncingServer(
        uvicorn.Config(
            create_app(config),
            host=config.host,
            port=config.port,
            http=_CuttableProtocol,
            loop="uvloop",
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )


class AnnouncingServer(uvicorn.Server):
    """Says when it is up, without being asked again and again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


class SimulatorServer:
    """A simulator in a thread, on a free port: `with SimulatorServer(Config(...)) as simulator: simulator.url`."""

    def __init__(self, config: Config) -> None:
        """`config.port` is ignored. The port is taken here, so `url` is known before the server runs."""
        self._socket = socket.socket()
        self._socket.bind((config.host, 0))
        port = self._socket.getsockname()[1]
        self.config = replace(config, port=port)
        self.url = f"http://{config.host}:{port}"
        self.control = Control(self.url)
        self._server = build_server(self.config)
        self._thread = threading.Thread(target=self._serve, name="stripe-simulator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        up = self._server.up.wait(_START_SECONDS)
        if not up:
            raise TimeoutError("the Stripe simulator did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
