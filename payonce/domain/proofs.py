"""How it is known that a registration has no session, where others than its writer must tell one proof from another."""

from __future__ import annotations

from typing import Final

#: How the proofs begin that only hold for what can be found: a session may still be born late. Rows keep them for ever.
SCAN_PROOF: Final = "no session names this attempt, by a scan that began "
