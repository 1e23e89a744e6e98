"""How the processes of a world reach each other: straight, or through a proxy that can disturb them.

Only the services and the PSP's webhooks take the detour; whoever watches a world uses its true addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from sandbox.stack.ports import Detour
from sandbox.world.addresses import Addresses


@dataclass(frozen=True, slots=True)
class Paths:
    """The addresses that are handed to the processes."""

    kafka_bootstrap_servers: str
    database_url: str
    stripe_api_base: str | None
    webhooks_to: str


@dataclass(frozen=True, slots=True)
class Ways:
    """Without a detour every path is the true address. `kafka` are the brokers' doors for those who take it."""

    detour: Detour | None = None
    kafka: str | None = None

    def of(self, addresses: Addresses) -> Paths:
        """Return the addresses to hand out; asks the detour for each once."""
        return Paths(
            self.kafka or addresses.kafka_bootstrap_servers,
            self._through("postgres", addresses.database_url),
            self._through("stripe", addresses.simulator_url) if addresses.simulator_url else None,
            self._through("webhooks", addresses.api_url),
        )

    def _through(self, name: str, url: str) -> str:
        if self.detour is None:
            return url
        parts = urlsplit(url)
        assert parts.port is not None, f"{url} names no port"
        port = self.detour(name, parts.port)
        return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")))
