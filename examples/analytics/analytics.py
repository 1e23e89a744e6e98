# /// script
# requires-python = ">=3.11"
# dependencies = ["confluent-kafka>=2.16", "duckdb>=2.0"]
# ///
"""Reads payments.status into a table and sums it up: revenue per hour, refund rate, conversion. See README.md."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime

import duckdb
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

TOPIC = "payments.status"
#: Every message is the whole state of an order under a version. All are kept: revenue is what grew between two.
TABLES = """
CREATE TABLE IF NOT EXISTS order_version (
    order_id TEXT, version BIGINT, payment_method TEXT, status TEXT, currency TEXT,
    paid BIGINT, refunded BIGINT, changed_at BIGINT, PRIMARY KEY (order_id, version));
CREATE TABLE IF NOT EXISTS position (partition INTEGER PRIMARY KEY, next_offset BIGINT);
CREATE VIEW IF NOT EXISTS newest AS SELECT * FROM order_version AS one WHERE version =
    (SELECT max(version) FROM order_version AS other WHERE other.order_id = one.order_id);
"""
FIELDS = (
    *("order_id", "version", "payment_method", "payment_order_status"),
    *("currency", "amount_paid", "amount_refunded", "changed_at"),
)
INSERT = "INSERT INTO order_version VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
MOVE = "INSERT INTO position VALUES (?, ?) ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset"
REVENUE = """
SELECT changed_at - changed_at % 3600 AS hour, currency, sum(paid - paid_before), sum(refunded - refunded_before)
FROM (SELECT *, lag(paid, 1, 0) OVER steps AS paid_before, lag(refunded, 1, 0) OVER steps AS refunded_before
      FROM order_version WINDOW steps AS (PARTITION BY order_id ORDER BY version)) AS step
WHERE paid <> paid_before OR refunded <> refunded_before
GROUP BY 1, 2 ORDER BY 1, 2"""
REFUNDS = "SELECT currency, sum(refunded), sum(paid) FROM newest WHERE paid > 0 GROUP BY 1 ORDER BY 1"
CONVERSION = """
SELECT payment_method, sum(CASE WHEN paid > 0 OR status = 'active' THEN 1 ELSE 0 END), count(*)
FROM newest GROUP BY 1 ORDER BY 1"""


class Reader:
    """Follows the topic into the table. Messages and position commit together: a crash loses and doubles nothing."""

    def __init__(self, bootstrap_servers: str, table: duckdb.DuckDBPyConnection) -> None:
        self._table = table
        table.execute(TABLES)
        # No consumer group: the position is in the table, so a table that is deleted is filled from the beginning.
        # A position that Kafka has deleted meanwhile (after 30 days) continues with the oldest message that is left.
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "analytics-example",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )

    def start(self) -> dict[int, int]:
        """Go to where the table ends; return where each partition with more to read ends. Raises KafkaException."""
        found = self._consumer.list_topics(TOPIC, timeout=20).topics[TOPIC]
        if found.error or not found.partitions:
            raise KafkaException(found.error)
        known = self._positions()
        begin = [TopicPartition(TOPIC, number, known.get(number, OFFSET_BEGINNING)) for number in found.partitions]
        self._consumer.assign(begin)
        marks = {each.partition: self._consumer.get_watermark_offsets(each, timeout=20) for each in begin}
        return {
            partition: end for partition, (first, end) in marks.items() if end > max(first, known.get(partition, 0))
        }

    def run_once(self) -> None:
        """Read what is there, for at most a second. Raises KafkaException on what the client cannot mend itself."""
        self._keep(self._consumer.consume(1_000, timeout=1.0))

    def has_reached(self, ends: dict[int, int]) -> bool:
        """Return whether everything before these ends is in the table."""
        known = self._positions()
        return all(known.get(partition, 0) >= end for partition, end in ends.items())

    def _positions(self) -> dict[int, int]:
        return dict(self._table.execute("SELECT partition, next_offset FROM position").fetchall())

    def _keep(self, messages: Iterable[Message]) -> None:
        self._table.execute("BEGIN")
        for message in messages:
            if error := message.error():
                raise KafkaException(error)
            order = json.loads(message.value())
            self._table.execute(INSERT, [order[name] for name in FIELDS])
            self._table.execute(MOVE, (message.partition(), message.offset() + 1))
        self._table.execute("COMMIT")


def report(table: duckdb.DuckDBPyConnection) -> str:
    """Return the three tables as text. Amounts are minor units, as in the messages."""
    lines = ["revenue per hour (UTC)"]
    for hour, currency, paid, refunded in table.execute(REVENUE).fetchall():
        when = datetime.fromtimestamp(hour, UTC).strftime("%Y-%m-%d %H:00")
        lines.append(f"  {when}  {currency}  {paid - refunded:>12}  ({paid} in, {refunded} back)")
    lines.append("refund rate")
    for currency, refunded, paid in table.execute(REFUNDS).fetchall():
        lines.append(f"  {currency}  {refunded / paid:6.1%}  ({refunded} of {paid})")
    lines.append("conversion by method")
    for method, paid, placed in table.execute(CONVERSION).fetchall():
        lines.append(f"  {method:<4}  {paid / placed:6.1%}  ({paid} of {placed} orders)")
    return "\n".join(lines)


def main() -> None:
    """Read to the end and print the report; with --follow do so for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", default="payments.duckdb", help="the file to fill (default: %(default)s)")
    parser.add_argument("--follow", action="store_true", help="go on reading; a report whenever something came")
    arguments = parser.parse_args()
    table = duckdb.connect(arguments.table)
    reader, shown = Reader(os.environ["KAFKA"], table), ""
    ends = reader.start()
    while True:
        reader.run_once()
        if not reader.has_reached(ends):
            continue
        if (text := report(table)) != shown:
            shown = text
            print(text, flush=True)
        if not arguments.follow:
            return


if __name__ == "__main__":
    main()
