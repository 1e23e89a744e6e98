"""All parts of the simulator, put together, and the loop that makes things happen when they are due."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from sandbox.stripe_simulator.balance import Balance
from sandbox.stripe_simulator.checkout import Checkout
from sandbox.stripe_simulator.clock import Clock
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.disputes import Disputes
from sandbox.stripe_simulator.dunning import Dunning
from sandbox.stripe_simulator.events import Events
from sandbox.stripe_simulator.faults import Faults
from sandbox.stripe_simulator.idempotency import IdempotencyKeys
from sandbox.stripe_simulator.ids import Ids
from sandbox.stripe_simulator.invoices import Invoices
from sandbox.stripe_simulator.payments import Payments
from sandbox.stripe_simulator.rate_limit import RateLimits
from sandbox.stripe_simulator.refunds import Refunds
from sandbox.stripe_simulator.sessions import Sessions
from sandbox.stripe_simulator.signups import Signups
from sandbox.stripe_simulator.state import Store
from sandbox.stripe_simulator.subscription_states import SubscriptionStates
from sandbox.stripe_simulator.subscriptions import Subscriptions
from sandbox.stripe_simulator.webhooks import Webhooks

_TICK_SECONDS = 0.05


class Simulator:
    """One Stripe account. Everything runs in one thread, on one event loop."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.ids = Ids(config.seed)
        self.store = Store()
        self.limits = RateLimits(config.rate_limit_per_endpoint, config.rate_limit_total)
        self.keys = IdempotencyKeys(self.clock)
        self.faults = Faults(self.ids.random)
        self.webhooks = Webhooks(config, self.clock, self.ids.random)
        self.events = Events(config, self.clock, self.ids, self.store, self.webhooks)
        self.balance = Balance(self.clock, self.ids, self.store)
        self.disputes = Disputes(self.clock, self.ids, self.store, self.events, self.balance)
        self.payments = Payments(config, self.clock, self.ids, self.store, self.events, disputes=self.disputes)
        self.states = SubscriptionStates(self.clock, self.store, self.events)
        self.invoices = Invoices(config, self.clock, self.ids, self.store, self.events, disputes=self.disputes)
        self.dunning = Dunning(config, self.clock, self.store, self.events, invoices=self.invoices, states=self.states)
        self.subscriptions = Subscriptions(
            self.clock,
            self.ids,
            self.store,
            self.events,
            invoices=self.invoices,
            dunning=self.dunning,
            states=self.states,
        )
        self.checkout = Checkout(self.payments, Signups(self.events, self.subscriptions))
        self.sessions = Sessions(config, self.clock, self.ids, self.store, self.events, checkout=self.checkout)
        self.refunds = Refunds(config, self.clock, self.ids, self.store, self.events, balance=self.balance)

    def run_once(self) -> int:
        """Do what is due now, and say how much that was."""
        fired = self.clock.fire_due()
        self.webhooks.pump()
        return fired

    async def run(self) -> NoReturn:
        while True:
            self.run_once()
            await asyncio.sleep(_TICK_SECONDS)
