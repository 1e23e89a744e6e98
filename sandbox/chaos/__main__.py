"""`make chaos MINUTES=10`: break everything that can break, and see whether the sums agree afterwards."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from pathlib import Path

from sandbox.chaos.options import ChaosOptions
from sandbox.chaos.report import as_text
from sandbox.chaos.run import run_chaos
from sandbox.chaos.waiting import Overdue
from sandbox.stack import StackError
from sandbox.supervisor import ProcessFailed


def main() -> int:
    """Return 0 if nothing was lost, doubled or wrong, 1 if anything was, 2 if a part is missing."""
    arguments = _arguments()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))
    say(f"seed {arguments.seed}")
    try:
        report = run_chaos(_options(arguments), say)
    except (StackError, ProcessFailed) as error:
        print(f"the world did not stand: {error}", file=sys.stderr)
        return 2
    except BaseExceptionGroup as group:
        overdue, others = group.split(Overdue)
        if others or overdue is None:
            raise
        print(f"FAILED: {overdue.exceptions[0]}", file=sys.stderr)
        return 1
    text = as_text(report)
    print(text)
    if arguments.report:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        arguments.report.write_text(text + "\n")
    return 1 if report.violations else 0


def _options(arguments: argparse.Namespace) -> ChaosOptions:
    return ChaosOptions(
        minutes=arguments.minutes,
        seed=arguments.seed,
        brokers=arguments.brokers,
        orders_per_second=arguments.rate,
        logs=arguments.logs,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long orders are placed and faults injected")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="the plan; drawn when not given")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=3)
    parser.add_argument("--rate", type=float, default=10.0, help="orders per second")
    parser.add_argument("--report", type=Path, help="write the report to this file, too")
    parser.add_argument("--logs", type=Path, help="copy every process's log to this folder at the end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
