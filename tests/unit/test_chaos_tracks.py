"""A track does one fault after the other; ends that nobody ordered are counted."""

from __future__ import annotations

import pytest

from sandbox.chaos import servers
from sandbox.chaos.ends import Ends
from sandbox.chaos.faults import Fault, Kind
from sandbox.chaos.servers import Keeper
from sandbox.chaos.tracks import Tracks
from sandbox.chaos.waiting import Overdue, wait_for
from sandbox.stack import StartFailed

FAULTS = [Fault(0.0, Kind.KILL_SERVICE, name) for name in ("a", "b", "c")]


def test_a_track_injects_in_order_and_remembers_what_happened() -> None:
    done: list[str] = []
    tracks = Tracks(lambda fault: done.append(fault.target), lambda _: None)
    tracks.begin()

    tracks.run_track(FAULTS)

    assert done == ["a", "b", "c"]
    assert [each.fault for each in tracks.injected] == FAULTS
    assert all(each.lifted >= each.began for each in tracks.injected)


def test_after_the_end_no_further_fault_begins() -> None:
    done: list[str] = []

    def inject(fault: Fault) -> None:
        done.append(fault.target)
        tracks.end()

    tracks = Tracks(inject, lambda _: None)
    tracks.run_track([*FAULTS, Fault(3_600.0, Kind.KILL_SERVICE, "in an hour")])

    assert done == ["a"]


def test_a_part_that_does_not_come_back_ends_the_track_and_is_no_injected_fault() -> None:
    def inject(_: Fault) -> None:
        raise Overdue("postgres is well: not within 120 s")

    tracks = Tracks(inject, lambda _: None)

    with pytest.raises(Overdue):
        tracks.run_track(FAULTS)
    assert tracks.injected == ()


def test_waiting_ends_with_the_condition_or_with_the_deadline() -> None:
    answers = iter([False, True])
    wait_for(lambda: next(answers), "the second look", 60)

    with pytest.raises(Overdue, match="never: not within 0 s"):
        wait_for(lambda: False, "never", 0)


def test_ends_by_exit_code_are_counted_and_kills_are_not() -> None:
    said: list[str] = []
    ends = Ends(said.append)
    lines = [
        "psp_worker ended: exit code -9",
        "psp_worker ended: exit code 66",
        "psp_worker ended: exit code 66",
        "status_processor-2 ended: exit code 71",
        "psp_worker started, pid 66",
    ]
    for line in lines:
        ends.hear(line)

    assert ends.counts == {("psp_worker", 66): 2, ("status_processor-2", 71): 1}
    assert said == lines


class Server:
    """A server that starts only at the given try."""

    def __init__(self, starts_at_try: int = 1) -> None:
        self.pid: int | None = None
        self.tries = 0
        self._starts_at_try = starts_at_try

    def start(self) -> None:
        self.tries += 1
        if self.tries < self._starts_at_try:
            raise StartFailed("no room on the disk")
        self.pid = 1

    def kill(self) -> None:
        self.pid = None


def test_a_keeper_starts_what_is_down_and_tries_again_when_it_would_not_start() -> None:
    server, said = Server(starts_at_try=3), list[str]()
    keeper = Keeper("postgres", server, lambda: True, said.append)

    assert [keeper.run_once() for _ in range(4)] == [False, False, True, True]
    assert server.tries == 3
    assert len(said) == 2


def test_a_server_that_is_held_down_is_not_started_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    keeper = Keeper("postgres", server, lambda: True, lambda _: None)
    seen: list[int | None] = []

    class Meanwhile:
        """In place of the time that a fault lasts: the keeper looks three times."""

        @staticmethod
        def sleep(_seconds: float) -> None:
            for _ in range(3):
                keeper.run_once()
                seen.append(server.pid)

    monkeypatch.setattr(servers, "time", Meanwhile)
    keeper.run_once()
    with keeper:
        keeper.kill(5.0)

    assert seen == [None, None, None]
    assert server.pid == 1
    assert server.tries == 2
