"""Start the parts of a world in the order that they need each other, and stop them all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from payonce.adapters.kafka.topics import create_topics
from payonce.adapters.migrations import upgrade
from sandbox.stack import Stack
from sandbox.stack.cache import Cache
from sandbox.stack.ports import Detour, PortLease
from sandbox.supervisor import Supervisor
from sandbox.world.addresses import Addresses
from sandbox.world.credentials import Credentials
from sandbox.world.options import WorldOptions
from sandbox.world.plan import make_plan
from sandbox.world.ways import Ways


class World:
    """Stack, simulator and services for as long as a `with` block. Blocking; not for several threads at once."""

    def __init__(
        self,
        options: WorldOptions | None = None,
        on_progress: Callable[[str], None] | None = None,
        *,
        detour: Detour | None = None,
    ) -> None:
        """Prepare it. A `detour` lies between services and Kafka, PostgreSQL and PSP, and between webhooks and API."""
        self.options = options or WorldOptions()
        self._detour = detour
        self.credentials = Credentials()
        self.stack: Stack | None = None
        self._say = on_progress or (lambda _: None)
        self._folder = Path(tempfile.mkdtemp(prefix="payonce-world-"))
        self.supervisor = Supervisor(self._folder / "logs", on_event=self._say)
        self._cleanup = ExitStack()
        self._addresses: Addresses | None = None

    @property
    def addresses(self) -> Addresses:
        """Where everything is. Only inside the `with` block."""
        assert self._addresses is not None, "the world has not started"
        return self._addresses

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop everything that this world started and remove its folder. Idempotent."""
        self.supervisor.stop_all()
        self._cleanup.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        self._cleanup.callback(shutil.rmtree, self._folder, ignore_errors=True)
        bootstrap, database_url = self._start_stack()
        self._say("creating topics and tables")
        with ThreadPoolExecutor(2) as pool:
            topics = pool.submit(
                create_topics,
                bootstrap,
                replication_factor=self.options.brokers,
                min_insync_replicas=self.options.min_insync_replicas,
            )
            tables = pool.submit(upgrade, database_url)
            topics.result()
            tables.result()
        self._start_processes(bootstrap, database_url)

    def _start_stack(self) -> tuple[str, str]:
        given = self.options
        if given.kafka_bootstrap_servers and given.database_url:
            return given.kafka_bootstrap_servers, given.database_url
        self._say("starting Kafka and PostgreSQL")
        self.stack = self._cleanup.enter_context(
            Stack(
                brokers=given.brokers,
                on_progress=self._say,
                kafka_heap_mb=given.kafka_heap_mb,
                database_folder=given.database_folder,
                detour=self._detour,
            )
        )
        return (
            given.kafka_bootstrap_servers or self.stack.kafka.bootstrap,
            given.database_url or self.stack.database_url,
        )

    def _ways(self) -> Ways:
        if self._detour is None:
            return Ways()
        outside = self.stack.kafka.outside_bootstrap if self.stack else None
        return Ways(self._detour, outside)

    def _start_processes(self, bootstrap: str, database_url: str) -> None:
        ports = PortLease(Cache.of_user())
        self._cleanup.callback(ports.release)
        plan = make_plan(
            self.options,
            self.credentials,
            bootstrap=bootstrap,
            database_url=database_url,
            ways=self._ways(),
            take_port=ports.take,
            folder=self._folder,
        )
        self._say(f"starting {', '.join(spec.name for spec in plan.specs)}")
        for spec in plan.specs:
            self.supervisor.start(spec)
        for spec in plan.specs:
            self.supervisor.wait_ready(spec.name)
        self._addresses = plan.addresses
