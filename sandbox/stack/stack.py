"""The embedded stack: one Kafka cluster and one PostgreSQL, started side by side in a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from sandbox.stack.cache import Cache, Progress
from sandbox.stack.errors import StackError
from sandbox.stack.guard import Guard
from sandbox.stack.kafka import Broker, KafkaCluster
from sandbox.stack.kafka_runtime import KafkaRuntime, prepare_kafka
from sandbox.stack.kafka_settings import Node, Outside
from sandbox.stack.ports import Detour, PortLease
from sandbox.stack.postgres import Postgres
from sandbox.stack.postgres_install import prepare_postgres
from sandbox.stack.postgres_programs import public_folder
from sandbox.stack.training import ensure_trained

T = TypeVar("T")


class Stack:
    """Kafka and PostgreSQL for as long as a `with` block, or from `start` to `stop`.

    Nothing starts before `start`. Not for use by several threads at once.
    """

    def __init__(
        self,
        brokers: Literal[1, 3] = 1,
        on_progress: Progress | None = None,
        *,
        kafka_heap_mb: int = 256,
        database_folder: Path | None = None,
        detour: Detour | None = None,
    ) -> None:
        """Choose the parts. `database_folder` puts PostgreSQL on another disk, `detour` gives brokers a second door."""
        self._broker_count = brokers
        self._database_folder = database_folder
        self._detour = detour
        self._listener: Callable[[str], None] = on_progress or (lambda _: None)
        self._given_up = threading.Event()
        self._kafka_heap_mb = kafka_heap_mb
        self._kafka: KafkaCluster | None = None
        self._postgres: Postgres | None = None
        self._folder: Path | None = None
        self._guard: Guard | None = None
        self._ports: PortLease | None = None

    @property
    def kafka(self) -> KafkaCluster:
        """The brokers. Raises StackError before `start`."""
        return _started(self._kafka)

    @property
    def postgres(self) -> Postgres:
        """The database server. Raises StackError before `start`."""
        return _started(self._postgres)

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of an empty database. Raises StackError before `start`."""
        return self.postgres.url

    @property
    def folder(self) -> Path:
        """Data and logs; gone after `stop`. Raises StackError before `start`."""
        return _started(self._folder)

    def start(self) -> None:
        """Start both and wait until both answer. Raises StackError; then nothing is left running."""
        if self._folder is not None:
            raise StackError("this stack is started already")
        self._given_up.clear()
        cache = Cache.of_user()
        self._guard = Guard()
        self._ports = PortLease(cache)
        self._folder = Path(tempfile.mkdtemp(prefix="payonce-stack-", dir=public_folder()))
        self._folder.chmod(0o711)  # the database's user passes through; nobody can list it
        self._guard.remove(self._folder)
        try:
            self._start_both(cache, self._guard, self._folder, self._ports)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both and remove their data. Blocks; idempotent."""
        # The data goes with them, so nothing needs to be flushed. (A killed PostgreSQL would leave its shared
        # memory segment behind for ever; an immediate stop is as quick and does not.)
        if self._kafka:
            self._kafka.kill()
        if self._postgres:
            self._postgres.stop("immediate")
        if self._guard:
            self._guard.close()
        if self._ports:
            self._ports.release()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._kafka = self._postgres = self._folder = self._guard = self._ports = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_both(self, cache: Cache, guard: Guard, folder: Path, ports: PortLease) -> None:
        nodes = tuple(self._node(each, ports) for each in range(1, self._broker_count + 1))
        database = self._database_folder or folder
        with ThreadPoolExecutor(2, thread_name_prefix="stack") as pool:
            starts = [
                pool.submit(self._start_kafka, cache, guard, folder, nodes),
                pool.submit(self._start_postgres, cache, guard, database / "postgres", ports.take()),
            ]
            try:
                done, _ = wait(starts, return_when=FIRST_EXCEPTION)
                for each in done:
                    each.result()
            except BaseException:
                # Ends what the other thread waits for, and lets it start nothing new; the pool then joins it.
                self._given_up.set()
                guard.close()
                raise

    def _node(self, number: int, ports: PortLease) -> Node:
        if self._detour is None:
            return Node(number, ports.take(), ports.take())
        outside = ports.take()
        return Node(number, ports.take(), ports.take(), Outside(outside, self._detour(f"kafka-{number}", outside)))

    def _on_progress(self, line: str) -> None:
        # Also the place where the preparing of a start that was given up stops: it reports between steps.
        if self._given_up.is_set():
            raise StackError("the start was given up")
        self._listener(line)

    def _start_kafka(self, cache: Cache, guard: Guard, folder: Path, nodes: tuple[Node, ...]) -> None:
        runtime = prepare_kafka(cache, self._on_progress, self._kafka_heap_mb)
        ensure_trained(runtime, guard, self._on_progress)
        self._kafka = KafkaCluster(tuple(self._broker(runtime, guard, folder, node, nodes) for node in nodes))
        self._kafka.start()

    @staticmethod
    def _broker(runtime: KafkaRuntime, guard: Guard, folder: Path, node: Node, nodes: tuple[Node, ...]) -> Broker:
        return Broker(node, nodes, folder / f"kafka-{node.id}", runtime, guard)

    def _start_postgres(self, cache: Cache, guard: Guard, folder: Path, port: int) -> None:
        self._postgres = Postgres(port, folder, prepare_postgres(cache, self._on_progress), guard)
        self._postgres.start()


def _started(part: T | None) -> T:
    if part is None:
        raise StackError("the stack is not started")
    return part
