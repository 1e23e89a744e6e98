"""After the last fault: wait until the world is as it must be, without touching it, then look once and for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException
from sqlalchemy.exc import OperationalError

from sandbox.chaos.options import ChaosOptions
from sandbox.chaos.report import Found
from sandbox.chaos.stage import Stage
from sandbox.chaos.verifying import verify
from sandbox.chaos.waiting import asking_kafka
from sandbox.chaos.witness import Witness, total_lag
from sandbox.demo.records import Records
from sandbox.demo.summary import money_expected, summarise, unsettled
from sandbox.demo.traffic import Traffic
from sandbox.supervisor import ProcessFailed

_LOOK_SECONDS = 1.0
_SAY_SECONDS = 15.0
_LAG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Settling:
    """Blocking."""

    stage: Stage
    witness: Witness
    records: Records
    traffic: Traffic
    say: Callable[[str], None]

    def wait(self, deadline_seconds: float) -> tuple[bool, float]:
        """Wait for rest; return whether it came, and after how many seconds."""
        said = began = time.monotonic()
        try:
            for name in self.stage.targets.services:
                self.stage.world.supervisor.wait_ready(name, deadline_seconds)
        except ProcessFailed as error:
            self.say(str(error))
            return False, time.monotonic() - began
        while (elapsed := time.monotonic() - began) < deadline_seconds:
            open_ends = self.open_ends()
            if not open_ends:
                return True, elapsed
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                self.say(f"settling for {elapsed:.0f} s: {'; '.join(open_ends)}")
            time.sleep(_LOOK_SECONDS)
        return False, time.monotonic() - began

    def open_ends(self) -> list[str]:
        """Return what is not yet as it must be, in words."""
        found = []
        placed = self.traffic.placed
        try:
            if late := unsettled(placed, self.records.statuses(self._ids)):
                found.append(f"{len(late)} orders are not where they must be, such as {late[0].order_id}")
            expected = money_expected(placed)
            if self.records.money(self._ids) != expected:
                found.append("the money recorded is not what was paid")
            if self.witness.money() != expected:
                found.append("the money announced is not what was paid")
            if lag := total_lag(self.stage.world.addresses.kafka_bootstrap_servers):
                found.append(f"lag {lag}")
        except (OperationalError, KafkaException) as error:
            found.append(f"a server does not answer: {error}")
        return found

    def look(self, options: ChaosOptions, *, settled: bool, seconds: float) -> Found:
        """Collect everything that the report judges."""
        stats = self.stage.control.stats()
        sessions = {order: int(count) for order, count in stats["sessions_per_order"].items() if order}
        statuses, placed = self.records.statuses(self._ids), tuple(self.traffic.placed)
        recorded, announced = self.records.money(self._ids), self.witness.money()
        verdict = verify(self.stage.world)
        return Found(
            placed=placed,
            statuses=statuses,
            sessions_per_order=sessions,
            summary=summarise(placed, statuses, recorded=recorded, analysed=announced, sessions_per_order=sessions),
            gave_up=tuple(self.traffic.gave_up or ()),
            most_calls_per_second=stats["most_calls_per_second"],
            limit_per_endpoint=options.rate_limit,
            limit_total=self.stage.world.options.rate_limit_total,
            lag=asking_kafka(lambda: total_lag(self.stage.world.addresses.kafka_bootstrap_servers), _LAG_SECONDS),
            settle_seconds=seconds,
            settled=settled,
            verify_exit_code=verdict.exit_code,
            verify_output=verdict.output,
        )

    @property
    def _ids(self) -> Sequence[str]:
        return [order.order_id for order in self.traffic.placed]
