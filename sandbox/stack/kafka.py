"""Brokers as child processes: start, stop, kill -9 and restart on the same folder and port.

Stopping keeps the data; only the stack removes it.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.stack.child import Child, wait_until
from sandbox.stack.guard import Guard
from sandbox.stack.kafka_runtime import KafkaRuntime
from sandbox.stack.kafka_settings import LOG4J, Node, server_properties
from sandbox.stack.ports import LOOPBACK, answers, require_free

START_SECONDS = 90.0
STOP_SECONDS = 4.0
"""One node stops in half a second. The last of three has no quorum to hand over to and would wait for ever."""


@dataclass(slots=True)
class Broker:
    """One node. `start` and `stop` block and are idempotent; `kill` is a power cut of the process."""

    node: Node
    nodes: tuple[Node, ...]
    folder: Path
    runtime: KafkaRuntime
    guard: Guard
    _child: Child | None = field(default=None, init=False)

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.node.port}"

    @property
    def outside_bootstrap(self) -> str:
        """Where clients that take a detour begin; without one, the same."""
        return f"{LOOPBACK}:{self.node.outside.advertised_port}" if self.node.outside else self.bootstrap

    @property
    def log(self) -> Path:
        return self.folder / "kafka.log"

    @property
    def pid(self) -> int | None:
        """None while it is down."""
        return self._child.pid if self._child and self._child.exit_code() is None else None

    def start(self) -> None:
        """Start and wait until it is registered and answers. Raises StartFailed or PortTaken."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start the process and return at once; nothing happens if it runs."""
        if self.pid is not None:
            return
        outside = [self.node.outside.port] if self.node.outside else []
        for port in (self.node.port, self.node.controller_port, *outside):
            require_free(port, f"Kafka node {self.node.id}")
        self._lay_out()
        argv = self.runtime.broker_command(self.folder / "server.properties", self.folder / "log4j2.properties")
        # Nothing is worth a gentle end when the whole stack dies: its folder goes too.
        self._child = Child(argv, env=self.runtime.env, log=self.log, guard=self.guard, gentle=signal.SIGKILL)

    def wait_ready(self) -> None:
        """Wait until the started node is in the metadata that it hands out."""
        assert self._child is not None, "spawn first"
        wait_until(self._is_ready, self._child, f"Kafka node {self.node.id}", START_SECONDS)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after STOP_SECONDS."""
        if self._child:
            self._child.stop(signal.SIGTERM, STOP_SECONDS)

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        if self._child:
            self._child.send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        if self._child:
            self._child.kill()

    def _lay_out(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.runtime.copy_formatted(self.node.id, data)
        (self.folder / "server.properties").write_text(server_properties(self.node, self.nodes, data))
        (self.folder / "log4j2.properties").write_text(LOG4J)

    def _is_ready(self) -> bool:
        return answers(self.node.port) and self.node.id in registered_brokers(self.bootstrap)


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """All nodes together."""

    brokers: tuple[Broker, ...]

    @property
    def bootstrap(self) -> str:
        """Comma-separated host:port list for clients."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    @property
    def outside_bootstrap(self) -> str:
        """The same for clients that take a detour."""
        return ",".join(broker.outside_bootstrap for broker in self.brokers)

    def start(self) -> None:
        """Start every node that is down, wait for all. Raises StartFailed or PortTaken."""
        for broker in self.brokers:
            broker.spawn()
        for broker in self.brokers:
            broker.wait_ready()

    def stop(self) -> None:
        """Signal all at once: one after the other, the last one would hang without a quorum."""
        for broker in self.brokers:
            broker.terminate()
        for broker in self.brokers:
            broker.stop()

    def kill(self) -> None:
        """SIGKILL every node."""
        for broker in self.brokers:
            broker.kill()


def registered_brokers(bootstrap: str, timeout_seconds: float = 1.0) -> frozenset[int]:
    """Ask for the node ids in the metadata; empty if nobody answers in time."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # A fresh client each time: a reused one waits out its reconnect backoff.
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return frozenset(client.list_topics(timeout=timeout_seconds).brokers)
    except KafkaException:
        return frozenset()
