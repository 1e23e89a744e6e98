"""Trains the AOT cache: one broker run that does what tests do, then ends and writes what it loaded."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

from sandbox.stack.cache import Progress
from sandbox.stack.child import Child, log_tail, wait_until
from sandbox.stack.errors import StartFailed
from sandbox.stack.guard import Guard
from sandbox.stack.kafka import START_SECONDS, registered_brokers
from sandbox.stack.kafka_runtime import KafkaRuntime
from sandbox.stack.kafka_settings import LOG4J, Node, server_properties
from sandbox.stack.ports import LOOPBACK, PortLease, answers

RECORDS = 100
WRITE_SECONDS = 120.0
"""The JVM writes the cache after SIGTERM: 5-7 s on an idle machine."""


def ensure_trained(runtime: KafkaRuntime, guard: Guard, on_progress: Progress) -> None:
    """Make the AOT cache unless it is there. Blocks for about 15 s once; raises StartFailed."""
    if runtime.aot_cache.exists():
        return
    with runtime.cache.locked(runtime.name, on_progress):
        if runtime.aot_cache.exists():
            return
        on_progress("Kafka: training the start-up cache, once (about 15 s)")
        with runtime.cache.scratch("train") as folder:
            written = _train(replace(runtime, heap_mb=512), guard, folder)
            written.replace(runtime.aot_cache)


def _train(runtime: KafkaRuntime, guard: Guard, folder: Path) -> Path:
    ports = PortLease(runtime.cache)
    node = Node(1, ports.take(), ports.take())
    data, output = folder / "data", folder / "kafka.aot"
    runtime.copy_formatted(node.id, data)
    properties, log4j = folder / "server.properties", folder / "log4j2.properties"
    properties.write_text(server_properties(node, (node,), data))
    log4j.write_text(LOG4J)
    argv = runtime.broker_command(properties, log4j, train=output)
    child = Child(argv, env=runtime.env, log=folder / "kafka.log", guard=guard, gentle=signal.SIGKILL)
    bootstrap = f"{LOOPBACK}:{node.port}"
    try:
        wait_until(
            lambda: answers(node.port) and node.id in registered_brokers(bootstrap),
            child,
            "Kafka (training)",
            START_SECONDS,
        )
        _exercise(bootstrap)
        child.stop(signal.SIGTERM, WRITE_SECONDS)
    finally:
        child.kill()
        ports.release()
    if not output.exists():
        raise StartFailed(f"the training run wrote no AOT cache\n{log_tail(child.log)}")
    return output


def _exercise(bootstrap: str) -> None:
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    client = {"bootstrap.servers": bootstrap, "log_level": 0}
    admin = AdminClient(client)  # named: one that is collected takes its answers with it
    for created in admin.create_topics([NewTopic("training", 3, 1)]).values():
        created.result(30)
    producer = Producer(client | {"enable.idempotence": True, "linger.ms": 1})
    for number in range(RECORDS):
        producer.produce("training", key=str(number), value=b"x" * 200)
    if producer.flush(30):
        raise StartFailed("the training records were not accepted")
    consumer = Consumer(client | {"group.id": "training", "auto.offset.reset": "earliest"})
    consumer.subscribe(["training"])
    consumer.consume(RECORDS, timeout=10)
    consumer.commit(asynchronous=False)
    consumer.close()
