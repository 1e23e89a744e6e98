"""`payonce verify` on the world, as an operator would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from sandbox.world import World

_VERIFY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the command ended, and what it said. 0: no violation."""

    exit_code: int
    output: str


def verify(world: World) -> Verdict:
    """Run it over the true addresses of a world at rest: nothing may be on its way. Blocking. Raises TimeoutExpired."""
    addresses = world.addresses
    settings = {
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": addresses.kafka_bootstrap_servers,
        "PAYONCE_DATABASE_URL": addresses.database_url,
        "PAYONCE_STRIPE_SECRET_KEY": world.credentials.stripe_secret_key,
        "PAYONCE_STRIPE_API_BASE": addresses.simulator_url or "",
        "PAYONCE_STRIPE_RATE_LIMIT_PER_ENDPOINT": str(world.options.rate_limit),
        "PAYONCE_STRIPE_RATE_LIMIT_TOTAL": str(world.options.rate_limit_total),
        "COLUMNS": "140",
    }
    done = subprocess.run(
        [sys.executable, "-m", "payonce", "verify", "--grace", "0", "--psp"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=_VERIFY_SECONDS,
        check=False,
    )
    return Verdict(done.returncode, done.stdout + done.stderr)
