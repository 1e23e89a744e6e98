"""The payment provider's card fields on the shop's own page: where they come from, and what a page lets in for them.

The fields are the provider's frames, opened by the provider's script: no card number passes the shop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

_STRIPE = "https://js.stripe.com"
#: What Stripe's script uses besides its own host: https://docs.stripe.com/security/guide#content-security-policy
_STRIPE_SCRIPTS = (_STRIPE, "https://*.js.stripe.com")
_STRIPE_FRAMES = (*_STRIPE_SCRIPTS, "https://hooks.stripe.com")
_STRIPE_CALLS = ("https://api.stripe.com",)


@dataclass(frozen=True, slots=True)
class CardFields:
    """The provider's script, and the key with which a page may use it; that key is no secret."""

    script_url: str
    publishable_key: str = field(repr=False)

    @property
    def host(self) -> str:
        """The script's origin, as a content security policy names it."""
        parts = urlsplit(self.script_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def policy(self) -> dict[str, tuple[str, ...]]:
        """What the page with the fields lets in, per directive: the provider's hosts and nobody else's."""
        if self.host == _STRIPE:
            return {"script-src": _STRIPE_SCRIPTS, "frame-src": _STRIPE_FRAMES, "connect-src": _STRIPE_CALLS}
        return dict.fromkeys(("script-src", "frame-src", "connect-src"), (self.host,))
