"""The `Prefer` header (RFC 7240): how long a client is willing to wait. What we cannot read is ignored, as it says."""

from __future__ import annotations

import re

LONGEST_WAIT_SECONDS = 30
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)


def preferred_wait(header: str | None) -> int | None:
    """Return the seconds to wait, at most 30; None without a usable preference or for zero."""
    found = _WAIT.search(header or "")
    seconds = min(int(found[1]), LONGEST_WAIT_SECONDS) if found else 0
    return seconds or None


def applied(wait: int | None) -> dict[str, str]:
    """Return the header that says which preference was followed; nothing without one."""
    return {} if wait is None else {"Preference-Applied": f"wait={wait}"}
