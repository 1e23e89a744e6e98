"""A registration that is too late, or whose terms were edited, as a new attempt. Pure.

The number is the one that psp_worker's ledger will accept, the highest it knows + 1; whatever it has learned meanwhile,
the worker still decides, and refuses an attempt while an earlier one may be paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from payonce.domain.commands import RegisterPayment
from payonce.domain.link_tokens import link_token, with_token
from payonce.domain.terms import body_hash_of
from payonce.ports.ops import Letter
from payonce.ports.ops_reads import LedgerView
from services.ops_console.standing import own, read, sent_as

#: The PSP takes no session that expires within 30 minutes; the worker gives up 35 minutes ahead, so we a little sooner.
_NOTICE_SECONDS = 40 * 60


class SecretsMissing(Exception):
    """The customer's links cannot be signed for the edited terms: set PAYONCE_LINK_SECRETS as for checkout_api."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a plan depends on besides the letter: unix seconds, an attempt's life, what signs the customer's links."""

    now: float
    lifetime_seconds: int
    link_secret: bytes | None


def can_register(command: RegisterPayment, now: float) -> bool:
    """Return whether there is time left to register this attempt."""
    return command.expires_at - now > _NOTICE_SECONDS


def new_attempt(
    command: RegisterPayment, letter: Letter, ledger: Sequence[LedgerView], rules: Rules
) -> RegisterPayment:
    """Return the amended registration: the same one as last time while that one is still wanted.

    Its links are signed with today's secret, whatever signed the letter's: one that was dropped opens nothing. Raises
    SecretsMissing.
    """
    body_hash = body_hash_of(command.terms)
    earlier = sent_as(letter, RegisterPayment)
    if earlier is not None and earlier.body_hash == body_hash and _is_wanted(earlier, ledger, rules.now):
        return _with_links(earlier, letter, rules.link_secret)
    amended = replace(
        command,
        attempt=max((row.attempt for row in ledger), default=0) + 1,
        body_hash=body_hash,
        issued_at=int(rules.now),
        expires_at=int(rules.now) + rules.lifetime_seconds,
        amends=_original_id(letter) or command.command_id,
    )
    return _with_links(amended, letter, rules.link_secret)


def _is_wanted(earlier: RegisterPayment, ledger: Sequence[LedgerView], now: float) -> bool:
    """Return whether an amendment sent before has not been taken in yet, and still can be."""
    return can_register(earlier, now) and all(row.attempt < earlier.attempt for row in ledger)


def _with_links(command: RegisterPayment, letter: Letter, secret: bytes | None) -> RegisterPayment:
    if secret is None and _signed_for(letter) == command.body_hash:
        return command
    if secret is None:
        raise SecretsMissing(
            "the customer's links must be signed for the edited terms: set PAYONCE_LINK_SECRETS as for checkout_api"
        )
    token = link_token(secret, command.order_id, command.body_hash)
    return replace(
        command,
        success_url=with_token(command.success_url, token),
        cancel_url=with_token(command.cancel_url, token),
    )


def _original(letter: Letter) -> RegisterPayment | None:
    message = read(letter, own(letter))
    return message if isinstance(message, RegisterPayment) else None


def _original_id(letter: Letter) -> str | None:
    original = _original(letter)
    return None if original is None else original.command_id


def _signed_for(letter: Letter) -> str | None:
    """Return the body that the letter's links were made for; None when nobody can tell."""
    original = _original(letter)
    return None if original is None else original.body_hash
