"""`make demo`: a world, 200 orders, every life of a payment, the verdict as the exit code.

On a terminal the shop then stays open.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import threading
import time

from rich.console import Console

from sandbox.demo.run import Demo
from sandbox.stack import StackError
from sandbox.supervisor import ProcessFailed
from sandbox.world import World, WorldOptions


def main() -> int:
    """Return 0 if every line is equal, 1 if any differs, 2 if a part is missing."""
    arguments = _arguments()
    console = Console()
    started = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.1f} s[/]  {text}", highlight=False)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        with World(WorldOptions(with_shop=True, rate_limit=arguments.rate_limit), on_progress=say) as world:
            demo = Demo(world, console, orders=arguments.orders, orders_per_second=arguments.rate)
            summary = asyncio.run(demo.run(arguments.kill))
            console.print(_verdict(equal=summary.equal, seconds=time.monotonic() - started))
            if sys.stdout.isatty() and not arguments.exit:
                console.print(f"\nThe demo shop is open: {world.addresses.shop_url}   (Ctrl-C closes it)")
                threading.Event().wait()
    except (StackError, ProcessFailed) as error:
        console.print(f"the demo could not start: {error}", style="red", markup=False)
        return 2
    return 0 if summary.equal else 1


def _verdict(*, equal: bool, seconds: float) -> str:
    return f"[bold green]all equal[/] in {seconds:.0f} s" if equal else "[bold red]there are differences[/]"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--rate", type=float, default=25.0, help="orders per second")
    parser.add_argument("--rate-limit", type=float, default=60.0, help="the simulator's limit per endpoint and second")
    parser.add_argument(
        "--kill",
        action="append",
        default=[],
        metavar="PROCESS",
        help="end it with SIGKILL during the traffic; repeatable",
    )
    parser.add_argument("--exit", action="store_true", help="do not stay up on a terminal")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
