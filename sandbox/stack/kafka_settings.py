"""What a broker is told: pure functions from addresses to the text of its configuration files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.stack.ports import LOOPBACK

CLUSTER_ID = "cGF5b25jZS1zYW5kYm94MA"
"""Any 16 bytes in URL-safe base64; fixed, because formatted folders are reused."""

LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""

COMMON = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "controller.quorum.election.timeout.ms": "100",
    "controller.quorum.fetch.timeout.ms": "500",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # The cleaner's buffer is 128 MB by default. Compacted topics just grow, which a run of minutes never notices.
    "log.cleaner.enable": "false",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "background.threads": "1",
    "num.replica.fetchers": "1",
}

ALONE_SESSION_MS = 2_000
"""A killed single broker cannot register again before its old session ends: this is most of its restart."""
CLUSTER_SESSION_MS = 3_000
"""How long every partition stalls when a node dies; as in production."""


@dataclass(frozen=True, slots=True)
class Outside:
    """A second listener for clients that come through something else: it listens on one port and names another."""

    port: int
    advertised_port: int


@dataclass(frozen=True, slots=True)
class Node:
    """Where one broker listens."""

    id: int
    port: int
    controller_port: int
    outside: Outside | None = None


def server_properties(node: Node, nodes: tuple[Node, ...], data: Path) -> str:
    """Write the text of server.properties for `node`, one of the combined broker and controller `nodes`."""
    replicas = len(nodes)
    minimum = max(1, replicas - 1)
    settings = COMMON | {
        "node.id": str(node.id),
        "log.dirs": str(data),
        "listeners": f"{_clients(node, node.outside.port if node.outside else None)},"
        f"CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": _clients(node, node.outside.advertised_port if node.outside else None),
        "controller.quorum.voters": ",".join(f"{n.id}@{LOOPBACK}:{n.controller_port}" for n in nodes),
        "broker.session.timeout.ms": str(ALONE_SESSION_MS if replicas == 1 else CLUSTER_SESSION_MS),
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(minimum),
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(minimum),
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(minimum),
    }
    return "".join(f"{name}={value}\n" for name, value in sorted(settings.items()))


def _clients(node: Node, outside_port: int | None) -> str:
    outside = f",OUTSIDE://{LOOPBACK}:{outside_port}" if outside_port else ""
    return f"PLAINTEXT://{LOOPBACK}:{node.port}{outside}"
