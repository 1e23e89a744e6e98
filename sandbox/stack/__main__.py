"""`python -m sandbox.stack`: start the stack, print its addresses, keep it until told or left alone."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from types import FrameType

from sandbox.stack import Stack, StackError

POLL_SECONDS = 0.2


class Ended(Exception):
    """SIGTERM, SIGINT or SIGHUP came."""


def main() -> int:
    """Run until Ctrl-C, SIGTERM or the end of the parent process; 0 then, 1 if the stack cannot start."""
    options = _options()
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    stack = Stack(options.brokers, on_progress=lambda line: print(line, file=sys.stderr, flush=True))
    try:
        with stack:
            print(_as_json(stack) if options.json else _as_text(stack), flush=True)
            _wait_for_end(parent)
    except Ended:
        return 0
    except (StackError, OSError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stack", description="Real Kafka and PostgreSQL.")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of text")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="Kafka nodes")
    return parser.parse_args()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise Ended


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)


def _as_json(stack: Stack) -> str:
    pids = [*(broker.pid for broker in stack.kafka.brokers), stack.postgres.pid]
    return json.dumps(
        {
            "bootstrap": stack.kafka.bootstrap,
            "database_url": stack.database_url,
            "folder": str(stack.folder),
            "pids": pids,
        }
    )


def _as_text(stack: Stack) -> str:
    return (
        f"Kafka       {stack.kafka.bootstrap}\nPostgreSQL  {stack.database_url}\n"
        f"Data, logs  {stack.folder} (removed at the end)\nCtrl-C ends it."
    )


if __name__ == "__main__":
    sys.exit(main())
