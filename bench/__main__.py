"""`python -m bench`: the canonical workload; two numbers, and the CPU milliseconds of an order in each process.

1. orders/s end to end: POST, token, payment, webhooks, `paid` in PostgreSQL, flat out.
2. p50/p99 of POST to token stored, at 15 orders/s (a million a day is 11.6).
Compare ratios of one run, never absolutes of two machines.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time

import aiohttp
from rich.console import Console
from sqlalchemy import Engine, create_engine, text

from bench.cpu import cpu_seconds
from bench.load import Load, at_rate, flat_out
from sandbox.demo.traffic import percentile
from sandbox.world import World, WorldOptions

_UNLIMITED = 100_000.0
_PAID = text("SELECT count(*) FROM payment_order WHERE payment_order_status = 'paid'")
_SETTLE_SECONDS = 120.0


def main() -> int:
    """Run the workload and print; 1 if not every order ended paid."""
    arguments = _arguments()
    console = Console(highlight=False)
    options = WorldOptions(rate_limit=_UNLIMITED, kafka_heap_mb=512, with_shop=True)
    with World(options, on_progress=lambda text: console.print(f"[dim]{text}[/]")) as world:
        return asyncio.run(_run(world, arguments, console))


async def _run(world: World, arguments: argparse.Namespace, console: Console) -> int:
    engine = create_engine(world.addresses.database_url, pool_size=1)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as http:
        load = Load(http, world.addresses)
        console.print(f"[dim]warming up for {arguments.warm_up:g} s[/]")
        warm = await at_rate(load, per_second=arguments.rate * 4, seconds=arguments.warm_up)
        await _until_paid(engine, len(warm))
        steady = await at_rate(load, per_second=arguments.rate, seconds=arguments.seconds)
        await _until_paid(engine, len(warm) + len(steady))
        before, started = cpu_seconds(world), time.perf_counter()
        done = await flat_out(load, orders=arguments.orders, at_once=arguments.at_once)
        all_paid = await _until_paid(engine, len(warm) + len(steady) + len(done))
        elapsed = time.perf_counter() - started
    used = {name: (seconds - before[name]) * 1000 / len(done) for name, seconds in cpu_seconds(world).items()}
    engine.dispose()
    latencies = [order.token_seconds * 1000 for order in steady]
    console.print(
        f"python -m bench on {platform.machine()}, Python {platform.python_version()}, everything on one machine"
    )
    console.print(
        f"[bold]{len(done) / elapsed:.0f} orders/s[/] end to end ({len(done)} orders, {arguments.at_once} at once)"
    )
    console.print(
        f"[bold]{percentile(latencies, 0.5):.0f} / {percentile(latencies, 0.99):.0f} ms[/] p50 / p99 of POST to token "
        f"stored, at {arguments.rate:g} orders/s"
    )
    console.print("CPU ms per order: " + ", ".join(f"{name} {ms:.1f}" for name, ms in used.items()))
    return 0 if all_paid else 1


async def _until_paid(engine: Engine, orders: int) -> bool:
    """Wait until so many orders are paid; return whether they are."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        if await asyncio.to_thread(_count_paid, engine) >= orders:
            return True
        await asyncio.sleep(0.02)
    return False


def _count_paid(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(_PAID).scalar_one())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--orders", type=int, default=3_000, help="orders of the flat-out part")
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--rate", type=float, default=15.0, help="orders per second of the latency part")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the latency part")
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
