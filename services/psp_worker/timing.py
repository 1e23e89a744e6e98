"""The worker's limits in time, each with its reason."""

from __future__ import annotations

#: Stripe forgets a key after 24 h at the earliest; the hour is for clocks, queues and a slow last try.
KEY_LIFE_SECONDS = 23 * 3600
#: Stripe refuses a session that expires in less than 30 min; the rest is for the call's way there.
EXPIRY_NOTICE_SECONDS = 35 * 60
#: Stripe makes no session that lives longer.
LONGEST_SESSION_SECONDS = 24 * 3600
#: A call leaves this soon after its try was written, else the row is read again: it may have moved on.
CALL_WITHIN_SECONDS = 30.0
#: Between two tries of the same call.
BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_LONGEST_SECONDS = 30.0
#: Between two tries of the one call that finds out whether our credentials work again.
CONFIGURATION_RETRY_SECONDS = 30.0
#: A scan that began five minutes after the last try left proves that it made nothing; it left so long after its write.
PROOF_AFTER_SECONDS = 300.0 + CALL_WITHIN_SECONDS
#: How far the PSP's clock may be from ours.
CLOCK_SKEW_SECONDS = 60
#: One order that keeps failing for so long while others succeed is left to people.
STUCK_SECONDS = 600.0
#: How long running calls may finish when partitions are taken away, and when the process is asked to stop.
REVOKE_SECONDS = 5.0
STOP_SECONDS = 8.0
#: How long a rebalance waits for PostgreSQL to store where we are.
STORE_SECONDS = 3.0
#: Between two commits of finished offsets.
COMMIT_SECONDS = 0.5
#: A gained partition's share of the pace starts after its former owner has surely stopped calling.
SHARE_DELAY_SECONDS = 2.0
#: No call without a sign of life from the group that is younger than this.
POLL_FRESH_SECONDS = 5.0


def backoff_seconds(failures: int, jitter: float) -> float:
    """Return the wait after so many failures in a row (1 or more); `jitter` in 0..1 spreads it over the upper half."""
    whole = min(BACKOFF_LONGEST_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** min(failures, 16))
    return max(BACKOFF_FIRST_SECONDS, whole * (0.5 + 0.5 * jitter))
