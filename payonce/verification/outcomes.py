"""Guarantee 1: every command has an outcome event or a dead letter. Pure: records in, findings out."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from payonce.dead_letters import is_replay_for_other
from payonce.ports import Record
from payonce.verification.digests import digest
from payonce.verification.findings import Finding
from payonce.verification.letters import DeadLetters, place_of

_WORKER = "psp_worker"


class Outcomes:
    """Knows which commands were answered."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters
        self._answered: set[int] = set()
        #: Commands without an outcome so far: an outcome may have come while we read.
        self._open: list[tuple[str, Record]] = []

    def add(self, tokens: Iterable[Record]) -> int:
        """Take the worker's events in; return how many they were."""
        count = 0
        for record in tokens:
            count += 1
            command_id = _command_of(record)
            if command_id is not None:
                self._answered.add(digest(command_id))
        return count

    def look(self, commands: Iterable[Record], *, older_than_ms: int) -> int:
        """Note the commands that have neither; return how many were old enough to be looked at."""
        looked = 0
        for record in commands:
            if record.timestamp_ms >= older_than_ms or is_replay_for_other(record, _WORKER):
                continue
            looked += 1
            if not self._is_answered(record):
                self._open.append((record.header("ce_id") or "", _without_body(record)))
        return looked

    def findings(self) -> list[Finding]:
        """Return the commands that have neither by now."""
        return [
            Finding(place_of(record), f"command {command_id or '(without id)'} has no outcome and no dead letter")
            for command_id, record in self._open
            if not self._is_answered(record)
        ]

    @property
    def is_open(self) -> bool:
        """Whether a second look is worth while."""
        return bool(self._open)

    def _is_answered(self, record: Record) -> bool:
        command_id = record.header("ce_id")
        if command_id is not None and digest(command_id) in self._answered:
            return True
        return self._letters.of_worker(record)


def _command_of(record: Record) -> str | None:
    """Return the command that an event answers; None for what is no event of ours (it is a dead letter then)."""
    try:
        body = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return None
    command_id = body.get("command_id") if isinstance(body, dict) else None
    return command_id if isinstance(command_id, str) else None


def _without_body(record: Record) -> Record:
    return Record(record.topic, record.partition, record.offset, record.key, None, record.headers, record.timestamp_ms)
