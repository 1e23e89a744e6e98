"""`python -m sandbox.world`: a world until Ctrl-C or SIGTERM; `--json` and `--shell` print its addresses."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from sandbox.stack import StackError
from sandbox.supervisor import ProcessFailed
from sandbox.world.addresses import Addresses
from sandbox.world.options import WorldOptions, existing
from sandbox.world.world import World


def main() -> int:
    """Run until told to stop; 2 when a part is missing, with a sentence that says which."""
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with World(_options(arguments), on_progress=lambda text: print(text, file=sys.stderr)) as world:
            print(_shown(world.addresses, arguments), flush=True)
            stop.wait()
    except (StackError, ProcessFailed) as error:
        print(f"the world did not start: {error}", file=sys.stderr)
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.world", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the addresses as one line of JSON")
    parser.add_argument("--shell", action="store_true", help="print them as variables for a shell to read with `.`")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument(
        "--rate-limit", type=float, default=100.0, help="the PSP's limit per endpoint, calls per second"
    )
    parser.add_argument("--psp-latency-ms", type=int, default=0, help="how long the simulator thinks")
    parser.add_argument("--psp-workers", type=int, default=1)
    parser.add_argument("--status-processors", type=int, default=1)
    parser.add_argument("--api-port", type=int, help="the checkout API's port (default: a free one)")
    parser.add_argument("--shop", action="store_true", help="start the demo shop too")
    parser.add_argument(
        "--stripe-test-mode",
        action="store_true",
        help="Stripe's test mode instead of the simulator: STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET must be set",
    )
    return parser.parse_args()


def _options(arguments: argparse.Namespace) -> WorldOptions:
    given = existing()
    if arguments.stripe_test_mode:
        given |= _test_mode()
    return WorldOptions(
        brokers=arguments.brokers,
        rate_limit=25.0 if arguments.stripe_test_mode else arguments.rate_limit,
        psp_latency_ms=arguments.psp_latency_ms,
        psp_workers=arguments.psp_workers,
        status_processors=arguments.status_processors,
        with_shop=arguments.shop or arguments.stripe_test_mode,
        api_port=arguments.api_port,
        kafka_bootstrap_servers=given.get("kafka_bootstrap_servers"),
        database_url=given.get("database_url"),
        stripe_api_base=given.get("stripe_api_base"),
        stripe_secret_key=given.get("stripe_secret_key"),
        stripe_webhook_secret=given.get("stripe_webhook_secret"),
    )


def _test_mode() -> dict[str, str]:
    key, secret = os.environ.get("STRIPE_SECRET_KEY", ""), os.environ.get("STRIPE_WEBHOOK_SECRET", "")
    if not key.startswith(("sk_test_", "rk_test_")) or not secret:
        sys.exit(
            "set STRIPE_SECRET_KEY to a test key (sk_test_...) and STRIPE_WEBHOOK_SECRET to the endpoint's whsec_..."
        )
    return {"stripe_secret_key": key, "stripe_webhook_secret": secret}


def _shown(addresses: Addresses, arguments: argparse.Namespace) -> str:
    if arguments.json:
        return addresses.as_json()
    return addresses.as_shell() if arguments.shell else _for_people(addresses)


def _for_people(addresses: Addresses) -> str:
    lines = [
        f"checkout API   {addresses.api_url}/docs",
        f"demo shop      {addresses.shop_url}",
        f"your own shop  {addresses.own_shop_url}   (nothing is there; customers may return to it)",
        f"webhooks to    {addresses.api_url}/webhooks/stripe",
        f"simulator      {addresses.simulator_url}",
        f"API key        {addresses.api_key}",
        f"ops console    {addresses.ops_url}/docs",
        f"ops token      {addresses.ops_token}",
        f"approver token {addresses.approver_token}",
        f"Kafka          {addresses.kafka_bootstrap_servers}",
        f"PostgreSQL     {addresses.database_url}",
        f"logs           {addresses.log_folder}",
        "Ctrl-C stops everything.",
    ]
    return "\n".join(line for line in lines if not line.endswith("None"))


if __name__ == "__main__":
    sys.exit(main())
