"""May this subscription be ended? A pure decision over everything known of the order.

It spares a client from waiting for a rejection. The last word is the PSP's.
"""

from __future__ import annotations

from payonce.domain.commands import CancelSubscription
from payonce.domain.whole_order import WholeOrder
from payonce.problem_documents import Problem
from services.checkout_api.answers import RETRY_AFTER
from services.checkout_api.problems import wrong_field
from services.checkout_api.requests import SubscriptionCancelRequest


def subscription_end(
    whole: WholeOrder, request: SubscriptionCancelRequest, *, issued_at: int, api_version: str
) -> CancelSubscription | None:
    """Return the command, None if the subscription has ended as it is. The same subscription and `at` are the same.

    Raises Problem: 409 if the order has no subscription (yet), 422 if it does not say which one is meant.
    """
    subscription = _meant(whole, request.subscription)
    if subscription not in whole.view.subscriptions:
        return None
    return CancelSubscription(
        order_id=whole.row.order_id,
        subscription=subscription,
        at=request.at,
        issued_at=issued_at,
        api_version=api_version,
    )


def is_ending(whole: WholeOrder | None, command: CancelSubscription) -> bool:
    """Return whether the PSP is known to have ended the subscription, or to be going to as was asked."""
    known = whole.view.known_subscriptions if whole is not None else ()
    found = next((each for each in known if each.subscription == command.subscription), None)
    if found is None:
        return False
    return found.status == "ended" or (command.at == "period_end" and found.cancel_at_period_end)


def _meant(whole: WholeOrder, named: str | None) -> str:
    """Return the subscription that is named, or else the only one: of those that live, or of all that have ended."""
    if whole.row.payment_type != "RECC":
        raise Problem(409, "not_recurring", "the order is paid once: it has no subscription; cancel or refund it")
    known = [each.subscription for each in whole.view.known_subscriptions]
    if not known:
        told = f"the order has no subscription (yet): its status is {whole.row.status}; cancel its attempt instead"
        raise Problem(409, "no_subscription", told, headers=RETRY_AFTER)
    if named is not None and named not in known:
        raise wrong_field("subscription", f"is not one of the order's: {', '.join(known)}", "unknown_subscription")
    live = whole.view.subscriptions
    if named is None and len(live) > 1:
        raise wrong_field("subscription", f"must say which of them: {', '.join(live)}", "subscription_needed")
    return named or next(iter(live or known))
