"""Everything that a run needs standing: a world behind links, its servers kept, the tools to disturb them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from sandbox.chaos.ends import Ends
from sandbox.chaos.injector import Injector
from sandbox.chaos.links import Links
from sandbox.chaos.options import ChaosOptions
from sandbox.chaos.plan import Targets
from sandbox.chaos.psp_trouble import PspTrouble
from sandbox.chaos.servers import Keeper
from sandbox.chaos.small_disk import SmallDisk, unavailable
from sandbox.chaos.witness import fewest_replicas, replicas_in_sync
from sandbox.stack import Stack
from sandbox.stack.postgres import accepts_queries
from sandbox.stripe_simulator.control_client import Control
from sandbox.world import World, WorldOptions

_Say = Callable[[str], None]
#: What has memory that no real outage would wipe, or is no part of payonce.
_SPARED = frozenset({"stripe_simulator", "demo_shop"})


@dataclass(frozen=True, slots=True)
class Stage:
    """A world that runs and can be disturbed."""

    world: World
    injector: Injector
    targets: Targets
    control: Control
    ends: Ends
    left_out: tuple[str, ...]


@contextmanager
def stage(options: ChaosOptions, say: _Say) -> Iterator[Stage]:
    """Build it and take it down. Call from the main thread, before others run: the small disk belongs to a thread."""
    ends = Ends(say)
    with ExitStack() as parts:
        no_disk = unavailable()
        disk = None if no_disk else parts.enter_context(SmallDisk(options.disk_mb))
        links = parts.enter_context(Links())
        world = parts.enter_context(World(_world_options(options, disk), ends.hear, detour=links.detour))
        assert world.stack is not None, "a chaos run starts its own servers"
        parts.callback(_keep_logs, options.logs, world.stack, world)
        replicas = fewest_replicas(world.addresses.kafka_bootstrap_servers)
        assert replicas == options.brokers, f"a topic has {replicas} replicas: killing a broker would prove nothing"
        _keep_log_of_database_short(world.addresses.database_url)
        keepers = {keeper.name: parts.enter_context(keeper) for keeper in _keepers(world.stack, say)}
        control = Control(str(world.addresses.simulator_url))
        bootstrap = world.addresses.kafka_bootstrap_servers
        injector = Injector(
            world.supervisor, world.stack.postgres, keepers, links, PspTrouble(control), disk, bootstrap
        )
        services = tuple(name for name in world.addresses.health_urls if name not in _SPARED)
        brokers = tuple(name for name in keepers if name != "postgres")
        targets = Targets(services, brokers, links.names, small_disk=disk is not None)
        yield Stage(world, injector, targets, control, ends, (f"a full disk: {no_disk}",) if no_disk else ())


def _world_options(options: ChaosOptions, disk: SmallDisk | None) -> WorldOptions:
    return WorldOptions(
        brokers=options.brokers,
        rate_limit=options.rate_limit,
        psp_workers=options.psp_workers,
        status_processors=options.status_processors,
        with_shop=True,
        database_folder=disk.folder if disk else None,
    )


def _keepers(stack: Stack, say: _Say) -> Iterator[Keeper]:
    bootstrap, port = stack.kafka.bootstrap, stack.postgres.port
    for broker in stack.kafka.brokers:
        yield Keeper(f"kafka-{broker.node.id}", broker, lambda: replicas_in_sync(bootstrap), say)
    yield Keeper("postgres", stack.postgres, lambda: accepts_queries(port), say)


def _keep_log_of_database_short(url: str) -> None:
    """Let checkpoints recycle the write-ahead log before it fills the small disk by itself."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET max_wal_size = '128MB'")
            cursor.execute("SELECT pg_reload_conf()")
    finally:
        connection.close()


def _keep_logs(target: Path | None, stack: Stack, world: World) -> None:
    if target is None:
        return
    target.mkdir(parents=True, exist_ok=True)
    servers = [*(broker.log for broker in stack.kafka.brokers), stack.postgres.log]
    for log in servers:
        shutil.copyfile(log, target / f"{log.parent.name}.log")
    for log in Path(world.addresses.log_folder).glob("*.log"):
        shutil.copyfile(log, target / log.name)
