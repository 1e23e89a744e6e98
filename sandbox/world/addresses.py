"""Where everything in a world is, and the secrets to talk to it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """A running world, as `python -m sandbox.world --json` prints it."""

    api_url: str
    simulator_url: str | None
    shop_url: str | None
    kafka_bootstrap_servers: str
    database_url: str
    client_id: str
    api_key: str
    return_secret: str
    webhook_secret: str
    health_urls: dict[str, str]
    log_folder: str

    def as_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)
