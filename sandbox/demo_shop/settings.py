"""What the shop is told from outside: environment only, and no secret has a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sandbox.demo_shop.card_fields import CardFields


class SettingMissing(Exception):
    """A setting is absent or unusable; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the shop and the payment service are. URLs have no trailing slash.

    Without `card_fields` customers pay on the payment provider's page only.
    """

    port: int
    url: str
    api_url: str
    api_key: str = field(repr=False)
    return_secret: bytes = field(repr=False)
    card_fields: CardFields | None = None

    @property
    def redirect_url(self) -> str:
        """Where customers come back to; its origin is registered with the payment service."""
        return f"{self.url}/thanks"

    @property
    def is_secure(self) -> bool:
        """Whether customers reach the shop over https, so that its cookie never travels in the clear."""
        return urlsplit(self.url).scheme == "https"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings. Raises SettingMissing, naming the first one that is wrong."""
    port = _required(environment, "SHOP_PORT")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise SettingMissing("SHOP_PORT must be a port number")
    return Settings(
        port=int(port),
        url=_url(environment, "SHOP_URL"),
        api_url=_url(environment, "SHOP_API_URL"),
        api_key=_required(environment, "SHOP_API_KEY"),
        return_secret=_required(environment, "SHOP_RETURN_SECRET").encode(),
        card_fields=_card_fields(environment),
    )


def _card_fields(environment: Mapping[str, str]) -> CardFields | None:
    """Return where the provider's card fields come from: both settings, or neither."""
    if not any(environment.get(name) for name in ("SHOP_PSP_SCRIPT_URL", "SHOP_PSP_KEY")):
        return None
    key = _required(environment, "SHOP_PSP_KEY")
    if not key.startswith("pk_"):
        raise SettingMissing("SHOP_PSP_KEY must be a publishable key (pk_...): every customer sees it")
    return CardFields(_url(environment, "SHOP_PSP_SCRIPT_URL"), key)


def _required(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name, "").strip()):
        raise SettingMissing(f"{name} is not set")
    return value


def _url(environment: Mapping[str, str], name: str) -> str:
    value = _required(environment, name).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingMissing(f"{name} must be an http(s) URL")
    return value
