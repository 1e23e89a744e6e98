"""`subscription_data` of a session: what the subscription will be made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.stripe_simulator import errors

if TYPE_CHECKING:
    from sandbox.stripe_simulator.parameters import Parameters

_SIMULATED = frozenset({"description", "metadata", "trial_end", "trial_period_days", "trial_settings"})
_NOT_SIMULATED = frozenset(
    "application_fee_percent billing_cycle_anchor billing_cycle_anchor_config billing_mode default_tax_rates "  # noqa: SIM905 - a list of words
    "invoice_settings on_behalf_of pending_invoice_item_interval proration_behavior transfer_data".split()
)
_TRIAL_DAYS_MAX = 730
_TRIAL_END_MIN_SECONDS = 48 * 3600
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SubscriptionData:
    """A trial lasts so many days from the sign-up, or until a fixed time, whichever is given."""

    metadata: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    trial_period_days: int | None = None
    fixed_trial_end: int | None = None
    missing_payment_method: str = "create_invoice"

    @property
    def has_trial(self) -> bool:
        return self.trial_period_days is not None or self.fixed_trial_end is not None

    def trial_end(self, now: int) -> int | None:
        """Say when the trial of somebody who signs up now ends."""
        if self.trial_period_days is not None:
            return now + self.trial_period_days * _DAY
        return self.fixed_trial_end


def read_subscription_data(parameters: Parameters, now: int) -> SubscriptionData:
    """Check the parameters of subscription mode. Raises ApiError (400) naming the parameter."""
    data = parameters.child("subscription_data", _SIMULATED | _NOT_SIMULATED)
    if data is None:
        return SubscriptionData()
    for name in _NOT_SIMULATED:
        if name in data:
            raise errors.not_simulated(f"the parameter {data.name(name)}", data.name(name))
    days, end = data.integer("trial_period_days"), data.integer("trial_end")
    if days is not None and end is not None:
        message = "You can only pass one of `trial_end` and `trial_period_days`."
        raise errors.invalid_parameter(data.name("trial_end"), message)
    if days is not None and not 1 <= days <= _TRIAL_DAYS_MAX:
        message = f"The number of trial period days must be between 1 and {_TRIAL_DAYS_MAX}."
        raise errors.invalid_parameter(data.name("trial_period_days"), message)
    if end is not None and end < now + _TRIAL_END_MIN_SECONDS:
        message = "The `trial_end` date has to be at least 2 days in the future."
        raise errors.invalid_parameter(data.name("trial_end"), message)
    return SubscriptionData(
        metadata=data.metadata("metadata"),
        description=data.string("description", length_max=500),
        trial_period_days=days,
        fixed_trial_end=end,
        missing_payment_method=_missing_payment_method(data),
    )


def _missing_payment_method(data: Parameters) -> str:
    """Read what happens when a trial ends and nothing was left to charge."""
    settings = data.child("trial_settings", {"end_behavior"})
    behavior = settings.child("end_behavior", {"missing_payment_method"}) if settings else None
    allowed, default = {"cancel", "create_invoice", "pause"}, "create_invoice"
    return (behavior.choice("missing_payment_method", allowed) if behavior else None) or default
