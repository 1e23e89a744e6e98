"""How many orders may be asked after now: a rate, however long the rounds are."""

from __future__ import annotations

from typing import Final

from payonce.ports import Clock

#: What was not asked for in a longer absence is not made up for: the workers would get it all at once.
LONGEST_SECONDS: Final = 600.0


class Rate:
    """So many per second since the last round that was finished, and one in every round. For one process."""

    def __init__(self, clock: Clock, *, per_second: float, first_seconds: float) -> None:
        """`first_seconds`: how long before the first round the last one is taken to have been."""
        self._clock = clock
        self._per_second = per_second
        self._first_seconds = first_seconds
        self._since: float | None = None

    def allowance(self) -> int:
        """Return how many are allowed now; asking again changes nothing."""
        waited = self._first_seconds if self._since is None else self._clock.monotonic() - self._since
        return max(1, int(min(waited, LONGEST_SECONDS) * self._per_second))

    def spent(self) -> None:
        """Begin anew: the round is finished."""
        self._since = self._clock.monotonic()


class Share:
    """One in so many of all that is allowed, kept for one line while others are full; also of allowances of one."""

    def __init__(self, *, one_in: int) -> None:
        self._one_in = one_in
        self._carried = 0  # in parts of one

    def of(self, allowance: int) -> int:
        """Return how many of these are kept; asking again changes nothing."""
        return (self._carried + allowance) // self._one_in

    def used(self, allowance: int, *, asked: int, are_all: bool) -> None:
        """Note a finished round: what was asked for. `are_all`: nobody waits any more, and nothing is saved up."""
        self._carried = 0 if are_all else max(0, self._carried + allowance - asked * self._one_in)
