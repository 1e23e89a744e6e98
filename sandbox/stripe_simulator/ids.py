"""Ids that look like Stripe's, from a generator that can be seeded."""

from __future__ import annotations

import random
import string

_ALPHABET = string.ascii_letters + string.digits


class Ids:
    """Draws ids and the chances of injected faults. The same seed and the same calls give the same draws."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)

    def session(self) -> str:
        return self._draw("cs_test_a1", 56)

    def payment_intent(self) -> str:
        return self._draw("pi_3", 23)

    def charge(self) -> str:
        return self._draw("ch_3", 23)

    def refund(self) -> str:
        return self._draw("re_3", 23)

    def event(self) -> str:
        return self._draw("evt_1", 23)

    def request(self) -> str:
        return self._draw("req_", 14)

    def object(self, prefix: str) -> str:
        """Draw an id of a minor object, such as `li_1...`."""
        return self._draw(f"{prefix}_1", 23)

    def digits(self, length: int) -> str:
        """Draw a reference number of a bank."""
        return "".join(self.random.choices(string.digits, k=length))

    def secret_of(self, owner: str) -> str:
        """Draw a client secret, which begins with the id of its object as at Stripe."""
        return self._draw(f"{owner}_secret_", 25)

    def _draw(self, prefix: str, length: int) -> str:
        return prefix + "".join(self.random.choices(_ALPHABET, k=length))
