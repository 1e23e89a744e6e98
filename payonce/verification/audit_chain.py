"""What people did: the chain in ops_action is whole, and payments.ops tells the same."""

from __future__ import annotations

from payonce.audit import BrokenChain
from payonce.audit_check import check_audit
from payonce.verification.findings import Check, Finding


def check_chain(bootstrap_servers: str, database_url: str) -> Check:
    """Ask for the chain; the first entry that is not what it was is the violation. Raises StoreUnavailable, LogAway."""
    check = Check(7, "the audit chain is whole")
    try:
        check.add(check_audit(bootstrap_servers, database_url).table)
    except BrokenChain as broken:
        check.add(1, [Finding("ops_action", str(broken))])
    return check
