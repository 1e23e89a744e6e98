"""Where everything in a world is, and the secrets to talk to it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """A running world, as `python -m sandbox.world --json` prints it.

    At `own_shop_url` nothing runs: it is registered for a shop of your own, so that customers may return to it.
    """

    api_url: str
    simulator_url: str | None
    shop_url: str | None
    own_shop_url: str
    kafka_bootstrap_servers: str
    database_url: str
    client_id: str
    api_key: str
    return_secret: str
    webhook_secret: str
    ops_url: str
    ops_token: str
    approver_token: str
    health_urls: dict[str, str]
    log_folder: str

    def as_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def as_shell(self) -> str:
        """Return what a shell reads with `.`: the variables that the examples and the README's commands use."""
        variables = {
            "API": self.api_url,
            "KEY": self.api_key,
            "RETURN_SECRET": self.return_secret,
            "SHOP": self.own_shop_url,
            "KAFKA": self.kafka_bootstrap_servers,
        }
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
