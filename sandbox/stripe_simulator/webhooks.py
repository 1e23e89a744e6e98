"""Sends events to the endpoint: signed afresh for every try, retried until a 2xx, never in the way of the API.

Retries double from half a second to half a minute and end after three days of the simulator's clock. The signature's
time is the real one, because the receiver compares it with its own clock.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from sandbox.stripe_simulator.background import end_on_bug
from sandbox.stripe_simulator.webhook_options import options_of

if TYPE_CHECKING:
    import random

    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config
    from sandbox.stripe_simulator.state import EventRecord

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_GIVE_UP_SECONDS = 3 * 86_400
_SUCCESS = range(200, 300)


@dataclass(slots=True)
class Delivery:
    """One event on its way."""

    record: EventRecord
    begun: float
    attempts: int = 0


def signature_header(body: bytes, secrets: list[str], timestamp: int) -> str:
    """`Stripe-Signature` with one v1 signature per secret, as during a rotation."""
    signed = str(timestamp).encode() + b"." + body
    signatures = [hmac.digest(secret.encode(), signed, hashlib.sha256).hex() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={signature}" for signature in signatures)])


def backoff_seconds(attempts: int, first: float, most: float) -> float:
    """How long to wait after so many failed tries."""
    return min(most, first * 2.0 ** min(attempts - 1, 30))


class Webhooks:
    """The sender for one endpoint. `start` and `stop` belong to a running event loop."""

    def __init__(self, config: Config, clock: Clock, random_source: random.Random) -> None:
        self.options = options_of(config)
        self.counts: Counter[str] = Counter()
        self._config = config
        self._clock = clock
        self._random = random_source
        self._ready: deque[Delivery] = deque()
        self._held: list[Delivery] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._first_attempts: dict[str, asyncio.Event] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(limit=self._config.webhook_concurrency)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)

    async def stop(self) -> None:
        session, self._session = self._session, None  # nothing more is started
        for task in list(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if session is not None:
            await session.close()

    def subscribed(self, event_type: str) -> bool:
        """Whether an endpoint exists that wants this type."""
        return bool(self.options.url) and event_type in self.options.enabled_events

    def send(self, record: EventRecord) -> None:
        """Begin to deliver a new event, with the faults that are set."""
        options = self.options
        by_chance = bool(options.drop_probability) and self._random.random() < options.drop_probability
        if by_chance or record.type in options.drop_types:
            self.counts["dropped"] += 1
        else:
            self._first_attempts[record.id] = asyncio.Event()
            self._begin(record)
            if options.duplicate_probability and self._random.random() < options.duplicate_probability:
                self.counts["duplicated"] += 1
                self._begin(record)

    def resend(self, record: EventRecord) -> None:
        """Deliver an event again, at once and without faults, as the dashboard's button does."""
        self.counts["resent"] += 1
        self._ready.append(Delivery(record, self._clock.now()))
        self.pump()

    def release(self) -> int:
        """Send what is held back, shuffled."""
        held, self._held = self._held, []
        self._random.shuffle(held)
        self._ready.extend(held)
        self.pump()
        return len(held)

    async def first_attempt(self, event_id: str, seconds: float) -> None:
        """Wait until the endpoint has answered this event for the first time, at most `seconds` of real time."""
        answered = self._first_attempts.get(event_id)
        if answered is None:
            return
        try:
            await asyncio.wait_for(answered.wait(), seconds)
        except TimeoutError:
            self.counts["redirected_without_answer"] += 1

    def backlog(self) -> dict[str, int]:
        return {"ready": len(self._ready), "held": len(self._held), "sending": len(self._sending)}

    def pump(self) -> None:
        """Start as many tries as the limit of concurrency lets."""
        while self._session is not None and self._ready and len(self._sending) < self._config.webhook_concurrency:
            task = asyncio.create_task(self._try(self._session, self._ready.popleft()))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        end_on_bug(task)
        self.pump()

    def _begin(self, record: EventRecord) -> None:
        options = self.options
        delivery = Delivery(record, self._clock.now())
        delay = options.delay_seconds + self._random.random() * options.delay_jitter_seconds
        if options.paused or options.hold:
            self._hold(delivery)
        elif delay:
            self._clock.at(delivery.begun + delay, lambda: self._enqueue(delivery))
        else:
            self._enqueue(delivery)

    def _hold(self, delivery: Delivery) -> None:
        self._held.append(delivery)
        if self.options.paused:
            return
        if len(self._held) >= self.options.hold:
            self.release()
        elif len(self._held) == 1:
            self._clock.at(delivery.begun + self.options.hold_seconds, self._release_unless_paused)

    def _release_unless_paused(self) -> None:
        if not self.options.paused:
            self.release()

    def _enqueue(self, delivery: Delivery) -> None:
        self._ready.append(delivery)
        self.pump()

    async def _try(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        delivery.attempts += 1
        self.counts["attempts"] += 1
        succeeded = await self._post(session, delivery.record.body)
        answered = self._first_attempts.pop(delivery.record.id, None)
        if answered is not None:
            answered.set()
        if succeeded:
            self.counts["delivered"] += 1
            delivery.record.pending_webhooks = 0
        else:
            self._retry(delivery)

    def _retry(self, delivery: Delivery) -> None:
        config = self._config
        if self._clock.now() - delivery.begun >= _GIVE_UP_SECONDS:
            self.counts["given_up"] += 1
            return
        wait = backoff_seconds(delivery.attempts, config.webhook_backoff_seconds, config.webhook_backoff_max_seconds)
        self._clock.at(self._clock.now() + wait, lambda: self._enqueue(delivery))

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        url = self.options.url
        if not url:
            return False
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature_header(body, self.options.secrets, int(time.time())),
        }
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.counts[f"failed_{type(error).__name__}"] += 1
            return False
        self.counts[f"answered_{response.status}"] += 1
        return response.status in _SUCCESS
