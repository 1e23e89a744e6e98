"""`python -m sandbox.stripe_simulator`: serve one simulated Stripe account until SIGTERM or Ctrl-C."""

from __future__ import annotations

import signal
import sys

from sandbox.stripe_simulator.config import from_environment
from sandbox.stripe_simulator.server import build_server


def main() -> int:
    """Serve; returns 0 after a signal, 1 when the server could not start, 2 for a wrong setting."""
    try:
        config = from_environment()
    except ValueError as error:
        print(f"stripe_simulator: {error}", file=sys.stderr)
        return 2
    server = build_server(config)
    # The server stops at these signals and then raises them again: the second time they mean nothing.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
