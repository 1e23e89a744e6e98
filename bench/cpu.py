"""CPU time per process of a world, so that we know where an order's milliseconds go."""

from __future__ import annotations

import psutil

from sandbox.world import World


def cpu_seconds(world: World) -> dict[str, float]:
    """Return the CPU seconds that each process has used so far, user and system, descendants included."""
    names = [*world.addresses.health_urls, "stripe_simulator"]
    used = {name: world.supervisor.cpu_seconds(name) for name in names}
    if world.stack:
        pids = {f"kafka-{n}": broker.pid for n, broker in enumerate(world.stack.kafka.brokers, 1)}
        used |= {name: _tree_seconds(pid) for name, pid in pids.items() if pid}
        used["postgres"] = _tree_seconds(world.stack.postgres.pid)
    return used


def _tree_seconds(pid: int | None) -> float:
    if pid is None:
        return 0.0
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    # A server's ended backends are counted in its own children times.
    return sum(t.user + t.system for t in times) + times[0].children_user + times[0].children_system
