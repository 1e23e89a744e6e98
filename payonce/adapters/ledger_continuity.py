"""Whether the database still remembers what this process wrote last: a restored backup shows before it does harm.

The worker decides by what its ledger says, also by what is missing there ("no request was ever sent"). So each of its
transactions first moves a row of this process on by one. A database that was restored from a backup, or a replica that
was behind at a failover, has an older row or none, and then nothing may be decided: the process ends, and the next one
goes back to the ledger's positions.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, text

from payonce.adapters.postgres import Database, DatabaseThread
from payonce.ports import PositionMoved

T = TypeVar("T")

_BEGIN = text("INSERT INTO ledger_writer (writer, beat) VALUES (:writer, 0)")
#: A process that wrote nothing for so long ends at its next transaction, which is harmless.
_FORGET = text("DELETE FROM ledger_writer WHERE at < now() - interval '30 days'")
_MOVE = text(
    """
    UPDATE ledger_writer SET beat = beat + 1, at = now()
    WHERE writer = :writer AND beat = ANY(CAST(:possible AS bigint[]))
    RETURNING beat
    """
)


class Continuity:
    """The numbers that our row may hold: one, or two after a transaction of which we do not know whether it ended."""

    def __init__(self) -> None:
        self.writer = ""
        self.possible: tuple[int, ...] = ()

    def begun(self, writer: str) -> None:
        """Note that our row is there, at zero."""
        self.writer, self.possible = writer, (0,)

    def moved(self, number: int | None) -> None:
        """Note that the running transaction has moved the row to `number`. Raises PositionMoved if it found none."""
        if number is None:
            raise PositionMoved("the database does not remember what this process wrote last: it was restored")
        self.possible = (number - 1, number)

    def committed(self) -> None:
        """Note that the transaction has ended well."""
        self.possible = self.possible[-1:]


class LedgerThread(DatabaseThread):
    """A DatabaseThread whose every transaction proves first that nothing of ours was forgotten.

    `run` raises PositionMoved, too, and then has run nothing.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._continuity = Continuity()

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        continuity = self._continuity
        if not continuity.possible:
            self._begin()
        with self._database.transaction() as connection:
            parameters = {"writer": continuity.writer, "possible": list(continuity.possible)}
            continuity.moved(connection.execute(_MOVE, parameters).scalar())
            result = work(connection)
        continuity.committed()
        return result

    def _begin(self) -> None:
        """Enter our row; if the answer is lost, the next try enters another."""
        writer = str(uuid.uuid4())
        with self._database.transaction() as connection:
            connection.execute(_FORGET)
            connection.execute(_BEGIN, {"writer": writer})
        self._continuity.begun(writer)
