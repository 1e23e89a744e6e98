"""PostgreSQL in memory, as far as its concurrency shows: READ COMMITTED, row locks, unique keys, restarts, restores.

A statement is a generator over committed rows and its transaction's own; it yields each key that it has to lock, and
waits there while another transaction holds it. What it reads after that is what is committed by then.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from payonce.ports import StoreUnavailable
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation

T = TypeVar("T")
Key = tuple[Hashable, ...]
Statement = Generator[Key, None, T]
Rows = dict[str, dict[Any, Any]]

_LOCK_SECONDS = 3.0


@dataclass(eq=False, slots=True)
class Transaction:
    """One open transaction of one connection, as the server sees it."""

    owner: Incarnation
    writes: dict[tuple[str, Hashable], Any] = field(default_factory=dict)
    locks: dict[Key, None] = field(default_factory=dict)
    is_open: bool = False
    broken: str | None = None
    waits_for: Key | None = None


class Database:
    """The server. Rows are never changed in place, so that a backup is a copy of the tables' dictionaries."""

    def __init__(self, network: Network, rng: random.Random, epoch: float) -> None:
        self.tables: Rows = {}
        self.sequences: dict[str, int] = {}
        self.is_up = True
        self.flaky = 0.0  # the probability that a statement fails
        self.doubtful = 0.0  # the probability that a commit's answer is lost
        self.commits = 0
        self.watchers: list[Callable[[Mapping[tuple[str, Any], Any]], object]] = []  # see each commit before it is done
        self._network = network
        self._rng = rng
        self._epoch = epoch
        self._held: dict[Key, Transaction] = {}
        self._waiting: dict[Key, list[Callable[[], None]]] = {}
        self._open: list[Transaction] = []
        self._sessions: dict[int, Incarnation] = {}  # session level advisory locks

    # -- what a connection can do

    def begin(self, owner: Incarnation) -> Transaction:
        """Return a transaction; the server hears of it with its first statement."""
        return Transaction(owner)

    async def run(self, transaction: Transaction, statement: Callable[[Transaction], Statement[T]]) -> T:
        """Run one statement. Raises StoreUnavailable, after which the transaction is void."""
        loop = self._network.loop
        done = loop.create_future()

        def start() -> None:
            if not transaction.is_open and transaction.broken is None:
                self.require_up()
                if not transaction.owner.is_alive:
                    raise StoreUnavailable("nobody is there to connect")
                transaction.is_open = True
                self._open.append(transaction)
            if transaction.broken is None and self._rng.random() < self.flaky:
                self._abort(transaction, "57014: canceling statement due to statement timeout")
            self._advance(transaction, statement(transaction), done)

        await self._network.call(transaction.owner, start)
        result: T = await done
        return result

    async def commit(self, transaction: Transaction) -> None:
        """Make its writes visible, all at once. Raises StoreUnavailable, and then it may have happened all the same."""
        await self._network.call(transaction.owner, lambda: self._commit(transaction))
        if self.doubtful and self._rng.random() < self.doubtful:
            raise StoreUnavailable("the connection broke after the commit")

    async def rollback(self, transaction: Transaction) -> None:
        """Forget it."""
        await self._network.call(transaction.owner, lambda: self._abort(transaction, "rolled back"))

    def clock_ms(self) -> int:
        """Return the server's clock."""
        return int((self._epoch + self._network.loop.time()) * 1000)

    # -- for statements

    def get(self, transaction: Transaction, table: str, key: Hashable) -> Any:
        """Return a row as this transaction sees it now, or None."""
        name = (table, key)
        if name in transaction.writes:
            return transaction.writes[name]
        return self.tables.get(table, {}).get(key)

    def rows(self, transaction: Transaction, table: str) -> Iterator[tuple[Any, Any]]:
        """Yield the rows of a table as this transaction sees them now, by key."""
        own = {key: row for (name, key), row in transaction.writes.items() if name == table}
        merged = {**self.tables.get(table, {}), **own}
        return iter(sorted((key, row) for key, row in merged.items() if row is not None))

    def next_id(self, sequence: str) -> int:
        """Draw a number; it is gone whatever becomes of the transaction."""
        self.sequences[sequence] = self.sequences.get(sequence, 0) + 1
        return self.sequences[sequence]

    def try_lock(self, transaction: Transaction, key: Key) -> bool:
        """Take a transaction level advisory lock, unless another has it."""
        if self._held.setdefault(key, transaction) is not transaction:
            return False
        transaction.locks[key] = None
        return True

    # -- session locks

    def try_session_lock(self, owner: Incarnation, key: int) -> bool:
        """Take a session level advisory lock for a connection, unless another has it."""
        self.require_up()
        if not owner.is_alive:
            raise StoreUnavailable("nobody is there to connect")
        return self._sessions.setdefault(key, owner) is owner

    def require_session_lock(self, owner: Incarnation, key: int) -> None:
        """Raise StoreUnavailable unless the connection still has the lock."""
        self.require_up()
        if self._sessions.get(key) is not owner:
            raise StoreUnavailable("the lock went with its connection")

    def require_up(self) -> None:
        """Raise StoreUnavailable while the server is down."""
        if not self.is_up:
            raise StoreUnavailable("connection refused")

    # -- what can happen to a server

    def hang_up(self, owner: Incarnation) -> None:
        """Notice soon that a process has died: a commit that it had sent may be carried out before that."""
        self._network.loop.later(self._rng.choice((0.0, 0.005, 0.3)), self._disconnect, owner)

    def _disconnect(self, owner: Incarnation) -> None:
        for transaction in [each for each in self._open if each.owner is owner]:
            self._abort(transaction, "the client has gone")
        self._sessions = {key: holder for key, holder in self._sessions.items() if holder is not owner}

    def stop(self) -> None:
        """Go down: every transaction ends, every lock goes."""
        self.is_up = False
        for transaction in list(self._open):
            self._abort(transaction, "57P01: terminating connection due to administrator command")
        self._sessions.clear()

    def backup(self) -> tuple[Rows, dict[str, int]]:
        """Return what is committed."""
        return {name: dict(rows) for name, rows in self.tables.items()}, dict(self.sequences)

    def restore(self, backup: tuple[Rows, dict[str, int]]) -> None:
        """Put a backup in the place of what is there."""
        self.stop()
        tables, sequences = backup
        self.tables = {name: dict(rows) for name, rows in tables.items()}
        self.sequences = dict(sequences)

    # -- the server's inside

    def _advance(self, transaction: Transaction, statement: Statement[Any], done: Any) -> None:
        """Run the statement until it ends or has to wait for a lock."""
        if done.done():
            return
        try:
            while True:
                if transaction.broken is not None:
                    raise StoreUnavailable(transaction.broken)  # noqa: TRY301
                key = next(statement)
                if self._held.setdefault(key, transaction) is not transaction:
                    self._wait(transaction, statement, done, key)
                    return
                transaction.locks[key] = None
        except StopIteration as end:
            transaction.waits_for = None
            self._network.loop.later(0.0, _resolve, done, end.value)
        except Exception as error:  # noqa: BLE001  (the client's answer)
            self._abort(transaction, str(error))
            self._network.loop.later(0.0, _refuse, done, error)

    def _wait(self, transaction: Transaction, statement: Statement[Any], done: Any, key: Key) -> None:
        transaction.waits_for = key
        if self._is_deadlock(transaction):
            raise StoreUnavailable("40P01: deadlock detected")

        def again() -> None:
            if done.done():
                return
            if transaction.broken is None and self._held.setdefault(key, transaction) is not transaction:
                self._waiting.setdefault(key, []).append(again)
                return
            if transaction.broken is None:
                transaction.locks[key] = None
                transaction.waits_for = None
            self._advance(transaction, statement, done)

        def give_up() -> None:
            if transaction.waits_for == key and not done.done():
                self._abort(transaction, "55P03: canceling statement due to lock timeout")
                again()

        self._waiting.setdefault(key, []).append(again)
        self._network.loop.later(_LOCK_SECONDS, give_up)

    def _is_deadlock(self, transaction: Transaction) -> bool:
        seen = transaction
        for _ in range(len(self._open) + 1):
            holder = self._held.get(seen.waits_for) if seen.waits_for is not None else None
            if holder is None:
                return False
            if holder is transaction:
                return True
            seen = holder
        return False

    def _commit(self, transaction: Transaction) -> None:
        if transaction.broken is not None:
            raise StoreUnavailable(transaction.broken)
        for watch in self.watchers:
            watch(transaction.writes)
        for (table, key), row in transaction.writes.items():
            rows = self.tables.setdefault(table, {})
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        self.commits += bool(transaction.writes)
        self._end(transaction, "committed")

    def _abort(self, transaction: Transaction, why: str) -> None:
        if transaction.broken is None:
            self._end(transaction, why)

    def _end(self, transaction: Transaction, why: str) -> None:
        transaction.broken = why
        if transaction in self._open:
            self._open.remove(transaction)
        waits_for, transaction.waits_for = transaction.waits_for, None
        for key in transaction.locks:
            if self._held.get(key) is transaction:
                del self._held[key]
        for key in [*transaction.locks, *([waits_for] if waits_for is not None else [])]:
            for again in self._waiting.pop(key, []):
                self._network.loop.later(0.0, again)


def _resolve(done: Any, result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _refuse(done: Any, error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
