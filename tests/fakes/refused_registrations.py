"""Registrations that the PSP refused when a test began, and their dead letters."""

from __future__ import annotations

from payonce.domain.commands import RegisterPayment
from payonce.ports import Record
from tests.fakes.dead_letters import letter_record, original
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START


def command(reference: str) -> RegisterPayment:
    """Return a registration that is fresh when a test begins, and long past 30 hours later."""
    return register(reference, issued_at=int(START), life_seconds=20 * 3600)


def letters(count: int, *, first: int = 0) -> list[Record]:
    """Return their dead letters, as many as asked for."""
    return [
        letter_record(original(command(f"A-{number}"), offset=number), offset=number)
        for number in range(first, first + count)
    ]
