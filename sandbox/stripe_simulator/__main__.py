"""`python -m sandbox.stripe_simulator`: serve one simulated Stripe account until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys

from sandbox.stripe_simulator.config import from_environment
from sandbox.stripe_simulator.server import build_server


def main() -> int:
    try:
        config = from_environment()
    except ValueError as error:
        print(f"stripe_simulator: {error}", file=sys.stderr)
        return 2
    server = build_server(config)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
