"""What POST /v1/checkout/sessions accepts: Stripe's documented rules, into one checked value.

Parameters that Stripe knows and this double does not simulate are refused by name, never ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.line_items import LINE_ITEM, LineItem, read_line_items
from sandbox.stripe_simulator.parameters import Parameters
from sandbox.stripe_simulator.payment_methods import offered_types
from sandbox.stripe_simulator.subscription_parameters import SubscriptionData, read_subscription_data

if TYPE_CHECKING:
    from sandbox.stripe_simulator.forms import Form
    from sandbox.stripe_simulator.periods import Recurring

EXPIRES_MIN_SECONDS = 30 * 60
EXPIRES_MAX_SECONDS = 24 * 3600
_CLIENT_REFERENCE_LENGTH_MAX = 200
_UI_MODES = frozenset({"hosted_page", "embedded_page", "elements", "form"})
_MODES = frozenset({"payment", "setup", "subscription"})

_SIMULATED = frozenset(
    "allowed_payment_method_types automatic_tax billing_address_collection cancel_url client_reference_id currency "  # noqa: SIM905 - a list of words
    "customer_creation customer_email excluded_payment_method_types expand expires_at line_items locale metadata mode "
    "origin_context payment_intent_data payment_method_collection payment_method_types redirect_on_completion "
    "return_url submit_type subscription_data success_url ui_mode".split()
)
_NOT_SIMULATED = frozenset(
    "adaptive_pricing after_expiration allow_promotion_codes branding_settings consent_collection custom_fields "  # noqa: SIM905 - a list of words
    "custom_text customer customer_account customer_update discounts integration_identifier invoice_creation "
    "managed_payments name_collection optional_items payment_method_configuration "
    "payment_method_data payment_method_options permissions phone_number_collection saved_payment_method_options "
    "setup_intent_data shipping_address_collection shipping_options tax_id_collection "
    "wallet_options".split()
)
_SUBMIT_TYPES = {"payment": {"auto", "book", "donate", "pay"}, "subscription": {"auto", "pay", "subscribe"}}
# What only the other mode may pass.
_FORBIDDEN = {
    "payment": ("subscription_data", "payment_method_collection"),
    "subscription": ("payment_intent_data", "customer_creation"),
}
_PAYMENT_INTENT_DATA = frozenset(
    "capture_method description metadata receipt_email statement_descriptor statement_descriptor_suffix "  # noqa: SIM905 - a list of words
    "transfer_group".split()
)


@dataclass(frozen=True, slots=True)
class PaymentIntentData:
    """What the session's PaymentIntent will be made from."""

    metadata: dict[str, str]
    description: str | None = None
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    transfer_group: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A checked request for a session; amounts in Stripe's minor units."""

    mode: str
    ui_mode: str
    line_items: tuple[LineItem, ...]
    currency: str
    metadata: dict[str, str]
    payment_intent_data: PaymentIntentData
    subscription_data: SubscriptionData
    payment_method_collection: str | None
    allowed_types: list[str] | None
    excluded_types: list[str] | None
    offered_types: tuple[str, ...]
    expires_at: int
    success_url: str | None
    cancel_url: str | None
    return_url: str | None
    client_reference_id: str | None
    customer_email: str | None
    customer_creation: str
    locale: str | None
    submit_type: str | None
    billing_address_collection: str | None
    origin_context: str | None

    @property
    def amount_total(self) -> int:
        """What is due now."""
        return sum(self.due_now(item) for item in self.line_items)

    @property
    def collects_payment_method(self) -> bool:
        """Whether the customer must give an instrument: not when nothing is due, unless it is wanted for later."""
        return self.amount_total > 0 or self.payment_method_collection == "always"

    @property
    def recurring(self) -> Recurring | None:
        """How often a subscription is billed."""
        return next((item.recurring for item in self.line_items if item.recurring), None)

    @property
    def amount_recurring(self) -> int:
        """What every billing period costs."""
        return sum(item.amount for item in self.line_items if item.recurring)

    def due_now(self, item: LineItem) -> int:
        """Say what of an item is due now: nothing of a recurring one during a trial."""
        return 0 if item.recurring and self.subscription_data.has_trial else item.amount


def read_session_request(form: Form, now: int) -> SessionRequest:
    """Check the parameters of a create call against the clock `now`. Raises ApiError (400) naming the parameter."""
    _refuse_by_name(form)
    parameters = Parameters(form, _SIMULATED)
    mode = _mode(parameters)
    ui_mode = _ui_mode(parameters)
    line_items = read_line_items(parameters.children("line_items", LINE_ITEM), parameters.string("currency"), mode)
    currency = line_items[0].currency
    allowed = parameters.strings("allowed_payment_method_types") or None
    excluded = parameters.strings("excluded_payment_method_types") or None
    return SessionRequest(
        mode=mode,
        ui_mode=ui_mode,
        line_items=line_items,
        currency=currency,
        metadata=parameters.metadata("metadata"),
        payment_intent_data=_payment_intent_data(parameters),
        subscription_data=read_subscription_data(parameters, now),
        payment_method_collection=_payment_method_collection(parameters, mode),
        allowed_types=allowed,
        excluded_types=excluded,
        offered_types=offered_types(currency, allowed, excluded, cards_only=mode == "subscription"),
        expires_at=_expires_at(parameters, now),
        success_url=parameters.url("success_url"),
        cancel_url=parameters.url("cancel_url"),
        return_url=parameters.url("return_url"),
        client_reference_id=parameters.string("client_reference_id", length_max=_CLIENT_REFERENCE_LENGTH_MAX),
        customer_email=_email(parameters),
        customer_creation=_customer_creation(parameters, mode),
        locale=parameters.string("locale", length_max=10),
        submit_type=parameters.choice("submit_type", _SUBMIT_TYPES[mode]),
        billing_address_collection=parameters.choice("billing_address_collection", {"auto"}),
        origin_context=parameters.choice("origin_context", {"mobile_app", "web"}),
    )


def _refuse_by_name(form: Form) -> None:
    if "payment_method_types" in form:
        message = (
            "The `payment_method_types` parameter is no longer supported. Use `allowed_payment_method_types`, "
            "`excluded_payment_method_types`, or let Stripe choose the payment methods."
        )
        code = "payment_method_types_no_longer_supported"
        raise errors.invalid_parameter("payment_method_types", message, code)
    for name in form:
        if name in _NOT_SIMULATED:
            raise errors.not_simulated(f"the parameter {name}", name)


def _mode(parameters: Parameters) -> str:
    if "mode" not in parameters:
        raise errors.missing_parameter("mode")
    mode = parameters.choice("mode", _MODES) or ""
    if mode == "setup":
        raise errors.not_simulated("mode=setup", "mode")
    for name in _FORBIDDEN[mode]:
        if name in parameters:
            raise errors.invalid_parameter(name, f"You can not pass `{name}` in `{mode}` mode.")
    tax = parameters.child("automatic_tax", {"enabled"})
    if tax is not None and tax.boolean("enabled"):
        raise errors.not_simulated("automatic tax", "automatic_tax[enabled]")
    return mode


def _payment_method_collection(parameters: Parameters, mode: str) -> str | None:
    default = "always" if mode == "subscription" else None
    return parameters.choice("payment_method_collection", {"always", "if_required"}, default)


def _customer_creation(parameters: Parameters, mode: str) -> str:
    """Subscriptions always make a customer, payments none here."""
    return (
        "always" if mode == "subscription" else parameters.choice("customer_creation", {"if_required"}) or "if_required"
    )


def _ui_mode(parameters: Parameters) -> str:
    """Which page shows the session, with the URLs that it needs and those it forbids."""
    ui_mode = parameters.choice("ui_mode", _UI_MODES, "hosted_page") or ""
    if ui_mode == "hosted_page":
        parameters.required("success_url")
        forbidden, reason = ("return_url", "redirect_on_completion"), "`ui_mode` is `hosted_page`"
    elif ui_mode == "elements":
        parameters.required("return_url")
        parameters.choice("redirect_on_completion", {"always"})
        forbidden, reason = ("success_url", "cancel_url"), "`ui_mode` is `elements`"
    else:
        raise errors.not_simulated(f"ui_mode={ui_mode}", "ui_mode")
    for name in forbidden:
        if name in parameters:
            raise errors.invalid_parameter(name, f"You cannot pass `{name}` when {reason}.")
    return ui_mode


def _expires_at(parameters: Parameters, now: int) -> int:
    expires_at = parameters.integer("expires_at")
    if expires_at is None:
        return now + EXPIRES_MAX_SECONDS
    if expires_at < now + EXPIRES_MIN_SECONDS:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise errors.invalid_parameter("expires_at", message)
    if expires_at > now + EXPIRES_MAX_SECONDS:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise errors.invalid_parameter("expires_at", message)
    return expires_at


def _email(parameters: Parameters) -> str | None:
    email = parameters.string("customer_email", length_max=512)
    if email is not None and ("@" not in email[1:-1] or " " in email):
        raise errors.invalid_parameter("customer_email", f"Invalid email address: {email}", "email_invalid")
    return email


def _payment_intent_data(parameters: Parameters) -> PaymentIntentData:
    data = parameters.child("payment_intent_data", _PAYMENT_INTENT_DATA)
    if data is None:
        return PaymentIntentData({})
    capture = data.choice("capture_method", {"automatic", "automatic_async", "manual"})
    if capture == "manual":
        raise errors.not_simulated("manual capture", "payment_intent_data[capture_method]")
    return PaymentIntentData(
        metadata=data.metadata("metadata"),
        description=data.string("description", length_max=1000),
        receipt_email=data.string("receipt_email", length_max=512),
        statement_descriptor=data.string("statement_descriptor", length_max=22),
        statement_descriptor_suffix=data.string("statement_descriptor_suffix", length_max=22),
        transfer_group=data.string("transfer_group"),
    )
