"""The guarantees, checked on a living system: `payonce verify`, the demo's last line, the chaos run's verdict.

It only reads. Each check is a function of records and rows; SQL and Kafka stay behind their adapters.
"""

from payonce.verification.findings import Check, Finding, Report
from payonce.verification.run import verify

__all__ = ["Check", "Finding", "Report", "verify"]
