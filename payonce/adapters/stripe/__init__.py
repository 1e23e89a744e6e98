"""The one door to Stripe: calls out, signatures in. Only this package imports the SDK.

It says what an answer *means* (`GatewayFailure.kind`) and never what to do about it.
"""

from payonce.adapters.stripe.door import Answer
from payonce.adapters.stripe.gateway import StripeGateway
from payonce.adapters.stripe.signatures import BadSignature, verify_signature

__all__ = ["Answer", "BadSignature", "StripeGateway", "verify_signature"]
