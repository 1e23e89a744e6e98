"""W3C trace context: carried from the caller into the log, never invented here."""

from __future__ import annotations

import re

from payonce.ports import Headers

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_headers(traceparent: str | None) -> Headers:
    """Return the record headers that continue the caller's trace, none if it has none."""
    if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
        return ()
    return (("traceparent", traceparent.encode()),)
