"""Names for orders: the shop's own unique ids, under which the payment service knows them."""

from __future__ import annotations

import base64
import re
import secrets

#: What the payment service calls an order.
ORDER_ID = re.compile(r"ord_[a-z2-7]{26}")


def new_reference() -> str:
    """Return a reference that nobody guesses (80 random bits): it opens the order's payment page to its customer."""
    return "SK-" + base64.b32encode(secrets.token_bytes(10)).decode()
