"""Webhook signatures: whether these bytes are Stripe's own, and fresh."""

from __future__ import annotations

import time
from collections.abc import Sequence

import stripe


class BadSignature(Exception):
    """The webhook is not Stripe's, was changed on the way, or is too old or too new: answer 400, write nothing."""


def verify_signature(payload: bytes, header: str, secrets: Sequence[str], tolerance_seconds: int = 300) -> None:
    """Return if one of the secrets signed exactly these bytes within the tolerance, before or after now; else raise.

    Raises BadSignature for every malformed input, never anything else. Several secrets allow rotation.
    """
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, header, secret, tolerance_seconds)
        except (stripe.SignatureVerificationError, ValueError, TypeError, AttributeError):
            continue
        _refuse_outside(tolerance_seconds, header)
        return
    raise BadSignature("no live secret signed this body within the tolerance")


def _refuse_outside(tolerance_seconds: int, header: str) -> None:
    # The SDK refuses old timestamps only, and none at all with a tolerance of 0.
    signed_at = next(int(item[2:]) for item in header.split(",") if item.startswith("t="))
    if abs(int(time.time()) - signed_at) > tolerance_seconds:
        raise BadSignature(f"signed at {signed_at}, more than {tolerance_seconds} s from now")
