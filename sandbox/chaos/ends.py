"""Counts the processes that ended without being killed: an exit code is how a service says that it cannot go on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

_END = re.compile(r"(?P<name>\S+) ended: exit code (?P<code>-?\d+)")
_KILLED = -9


class Ends:
    """Hears what the supervisor tells, and passes it on."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._counts: Counter[tuple[str, int]] = Counter()

    def hear(self, line: str) -> None:
        """Take one line of the supervisor in."""
        if (found := _END.fullmatch(line)) and (code := int(found["code"])) != _KILLED:
            self._counts[found["name"], code] += 1
        self._say(line)

    @property
    def counts(self) -> Mapping[tuple[str, int], int]:
        """How often each process ended with each code by itself."""
        return dict(self._counts)
