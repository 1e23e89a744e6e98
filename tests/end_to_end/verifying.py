"""`payonce verify` on a world, the PSP included."""

from __future__ import annotations

from pydantic import SecretStr

from payonce.settings import ReconcilerSettings
from payonce.verification import Report, verify
from sandbox.world import World


def verified(world: World, *, grace_seconds: float) -> Report:
    """Check the guarantees now; what is younger than the grace may be on its way."""
    stripe = ReconcilerSettings(
        stripe_api_base=world.addresses.simulator_url,
        stripe_secret_key=SecretStr(world.credentials.stripe_secret_key),
        stripe_reconciler_share=20.0,
    )
    addresses = world.addresses
    return verify(addresses.kafka_bootstrap_servers, addresses.database_url, grace_seconds=grace_seconds, stripe=stripe)
