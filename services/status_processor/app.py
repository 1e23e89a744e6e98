"""The Faust shell: raw topics, one agent with one actor, micro-batches, offsets acknowledged in order after the commit.

No exception ever leaves the take loop, and nothing breaks out of it: Faust would go on acknowledging what it does not
deliver. Each setting that differs from Faust's default has its reason in a message that was lost or stuck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import faust
import structlog
from faust.types import TP, StreamT

from payonce import telemetry
from payonce.adapters.kafka.log_bounds import LogBounds
from payonce.adapters.kafka.reader import holds_records
from payonce.catalog import topics_read_by
from payonce.ports import Clock, Record, StoreUnavailable, TopicPartition
from payonce.settings import StatusProcessorSettings
from services.status_processor import starting
from services.status_processor.batches import Batches, Delivered
from services.status_processor.delivery import EagerTransport
from services.status_processor.fold import Fold
from services.status_processor.succession import Hole, note_missing

log = structlog.get_logger()

#: The consumer group, and the name that dead letters carry.
GROUP = "status_processor"
BATCH_RECORDS = 500
#: Most of Faust's latency is this window; a backlog fills batches whatever it is.
WINDOW_SECONDS = 0.01
#: Well under the group's rebalance timeout of 60 s; a batch in progress is bounded by the statement timeouts.
_BEFORE_REVOCATION_SECONDS = 15.0
#: Half of what an assignment may take to begin.
_SETTLE_SECONDS = 15.0
_SETTLE_PAUSE_SECONDS = 0.5
#: Of a partition that nobody leads now. All that comes may then have been told before: telling it again is harmless.
_UNKNOWN_END = 2**63 - 1


class FaustShell:
    """A Faust app around a fold. Make it inside the running loop; start and stop `app`."""

    def __init__(self, settings: StatusProcessorSettings, fold: Fold, clock: Clock) -> None:
        self._fold = fold
        self._clock = clock
        self.app = _app(settings)
        self._bounds = LogBounds(settings.kafka_bootstrap_servers, client_id=f"{GROUP}-bounds")
        self.batches = Batches(fold, clock, self, partial(_holds_records, settings.kafka_bootstrap_servers))
        transport = EagerTransport(self.app.conf.broker, self.app)
        transport.hooks = self
        self.app.transport = transport
        topic = self.app.topic(
            *topics_read_by(GROUP), key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        self.app.agent(topic, name="fold", concurrency=1)(self._take)

    # -------------------------------------------------------------------- batches.Membership

    @property
    def generation(self) -> int:
        """The generation whose messages we hold."""
        return int(self.app.consumer_generation_id)

    @property
    def is_leaving(self) -> bool:
        """Whether a rebalance or a stop is under way."""
        return bool(self.app.rebalancing or self.app.should_stop or not self.app.consumer.flow_active)

    # -------------------------------------------------------------------- delivery.RebalanceHooks

    async def before_revocation(self) -> None:
        """Let the batch in progress commit, so that the next owner of its partitions reads the positions it wrote."""
        if not await self.batches.wait_until_idle(_BEFORE_REVOCATION_SECONDS):
            log.warning("a batch is still in progress at a revocation", waited_seconds=_BEFORE_REVOCATION_SECONDS)
        self._fold.revoked()

    async def starts(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        """Return where to start: the committed offsets (the beginning without one), or where the rows are behind."""
        offsets = {_place(tp): offset for tp, offset in committed.items()}
        ends = await self._settled_ends(offsets)
        beginnings = await asyncio.to_thread(self._bounds.beginnings, offsets)
        found = starting.starts(offsets, await self._places_behind(offsets, ends), beginnings, ends)
        for hole in found.expired:
            note_missing(hole)
        for place in found.shortened:
            log.error("the log has lost its end: reading it anew", topic=place.topic, partition=place.partition)
        self.batches.begin(found.offsets)
        return {tp: found.offsets[_place(tp)] for tp in committed}

    async def _settled_ends(self, committed: Mapping[TopicPartition, int | None]) -> Mapping[TopicPartition, int]:
        """Return where the log ends; if that is below a committed offset, only after some time: see succession."""
        until = self._clock.monotonic() + _SETTLE_SECONDS
        while True:
            ends = await asyncio.to_thread(self._bounds.ends, committed)
            is_short = any(offset and ends.get(place, offset) < offset for place, offset in committed.items())
            if not is_short or self._clock.monotonic() > until:
                return ends
            await self._clock.sleep(_SETTLE_PAUSE_SECONDS)

    async def _places_behind(
        self, committed: Mapping[TopicPartition, int | None], ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        known = {place: ends.get(place, _UNKNOWN_END) for place in committed}
        try:
            behind = await self._fold.assigned(committed, known)
        except StoreUnavailable as error:
            log.warning("assigned; the positions are read later", partitions=len(committed), error=str(error))
            return {}
        log.info("assigned", partitions=len(committed), generation=self.generation)
        if behind:
            log.warning("the database is behind Kafka: reading again from its positions", partitions=len(behind))
        return behind

    # -------------------------------------------------------------------- what the process asks

    def group_generation(self) -> int:
        """Return the group coordinator's generation, -1 if we are no member. For the watchdog's thread."""
        # Private, all of it, and the only place where aiokafka tells the truth; `_consumer` does not make one.
        return int(self.app._consumer._thread._consumer._coordinator.generation)  # noqa: SLF001

    async def look(self) -> None:
        """Set the lag of each topic, and notice partitions whose records are not handed over any more.

        Raises RecordsPassedOver or LogAway.
        """
        held = {_place(tp) for tp in self.app.consumer.assignment()}
        ends = await asyncio.to_thread(self._bounds.ends, held)
        lags = dict.fromkeys(topics_read_by(GROUP), 0)
        for place, end in ends.items():
            lags[place.topic] += max(0, end - self._fold.next_offset(place))
        for topic, lag in lags.items():
            telemetry.fold_lag_records.labels(topic).set(lag)
        if held:
            await self.batches.look(ends)

    async def _take(self, stream: StreamT[bytes]) -> None:
        async for events in stream.noack_take(BATCH_RECORDS, within=WINDOW_SECONDS):
            try:
                await self._handle(stream, events)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  (whatever it is: end the process, hold the batch until then)
                await self.app.crash(error)
                await asyncio.Event().wait()

    async def _handle(self, stream: StreamT[bytes], events: Sequence[Any]) -> None:
        batch = [Delivered(_record(event.message), event.message.generation_id) for event in events]
        verdicts = await self.batches.handle(batch)
        for event, is_done in zip(events, verdicts, strict=True):
            if is_done:
                await stream.ack(event)
        # Whoever waits for unacknowledged messages would wait for those for ever.
        abandoned = [event.message for event, is_done in zip(events, verdicts, strict=True) if not is_done]
        self.app.consumer.unacked.difference_update(abandoned)


def _app(settings: StatusProcessorSettings) -> faust.App:
    instance_id = settings.kafka_group_instance_id
    session_seconds = settings.kafka_session_timeout_ms / 1000
    app = faust.App(
        GROUP,
        broker=[f"kafka://{address.strip()}" for address in settings.kafka_bootstrap_servers.split(",")],
        datadir=str(settings.faust_data_folder),
        autodiscover=False,
        broker_max_poll_interval=1e7,  # else aiokafka leaves the group during an outage and never comes back
        broker_session_timeout=max(session_seconds, 30.0) if instance_id else session_seconds,
        broker_heartbeat_interval=3.0,
        broker_request_timeout=40.0,
        broker_commit_interval=0.5,
        broker_commit_livelock_soft_timeout=3600.0,
        consumer_group_instance_id=instance_id,
        producer_request_timeout=15.0,
        stream_buffer_maxsize=20_000,
        stream_wait_empty=False,  # a batch that was let go would block a rebalance for ever
        stream_processing_timeout=3600.0,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        cython_optimizations=True,
        web_enabled=False,
    )
    app.loop = asyncio.get_running_loop()
    app.finalize()
    return app


def _place(tp: TP) -> TopicPartition:
    return TopicPartition(tp.topic, tp.partition)


async def _holds_records(bootstrap_servers: str, hole: Hole) -> bool:
    return await asyncio.to_thread(holds_records, bootstrap_servers, hole.place, hole.first, hole.end)


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
        timestamp_ms=int((message.timestamp or 0) * 1000),
    )
