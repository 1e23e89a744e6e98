"""What we sign: `t`, which ties a link of ours to one order and one body, and the status that goes back to the shop.

Nothing here is stored: links stay valid as long as their order, and a secret is rotated by accepting two.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from payonce.domain.link_tokens import link_token

#: Parameters that we add to a client's redirect URL; a redirect URL may not carry them itself.
SIGNED_PARAMETERS = ("payment_order_id", "reference", "status", "amount", "currency", "time")
RETURN_PARAMETERS = (*SIGNED_PARAMETERS, "signature")


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and checks links of ours. The first secret signs; all are accepted. `public_url` has no trailing slash."""

    public_url: str
    secrets: tuple[bytes, ...]

    def token(self, order_id: str, body_hash: str) -> str:
        """Return `t`: who knows it has posted this body (or was sent by the one who did)."""
        return link_token(self.secrets[0], order_id, body_hash)

    def opens(self, token: str, order_id: str, body_hash: str) -> bool:
        """Return whether `t` was made for this order and body, in constant time."""
        candidates = [link_token(secret, order_id, body_hash) for secret in self.secrets]
        return any([hmac.compare_digest(token.encode(), candidate.encode()) for candidate in candidates])  # noqa: C419

    def order(self, order_id: str) -> str:
        """Return the URL of the order in the API."""
        return f"{self.public_url}/v1/payment-orders/{order_id}"

    def checkout(self, order_id: str, body_hash: str) -> str:
        """Return the URL to send the customer to."""
        return f"{self.public_url}/checkout/{order_id}?t={self.token(order_id, body_hash)}"

    def success(self, order_id: str, body_hash: str) -> str:
        """Return where the PSP sends the customer after paying."""
        return f"{self.public_url}/return/{order_id}?t={self.token(order_id, body_hash)}"

    def cancel(self, order_id: str, body_hash: str) -> str:
        """Return where the PSP's back link leads."""
        return self.success(order_id, body_hash) + "&via=cancel"


def return_signature(secret: bytes, parameters: Mapping[str, str]) -> str:
    """Return hex HMAC-SHA256 over the signed parameters as `name=value` lines, sorted by name, joined by LF.

    Values are the plain ones, before URL encoding. None of them can hold a line break.
    """
    lines = "\n".join(f"{name}={parameters[name]}" for name in sorted(SIGNED_PARAMETERS))
    return hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest()


def with_parameters(url: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Return the URL with parameters added after its own, which stay as they are."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return urlunsplit(parts._replace(query=query))
