"""Ports of the embedded stack: free, below the ephemeral range, and given once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sandbox.stack import PortTaken
from sandbox.stack.cache import Cache
from sandbox.stack.ports import LOOPBACK, PORTS, PortLease, answers, is_free, require_free


def test_leased_port_is_not_given_twice_and_is_free(tmp_path: Path) -> None:
    first, second = PortLease(Cache(tmp_path)), PortLease(Cache(tmp_path))
    ports = [lease.take() for lease in (first, second) for _ in range(50)]

    assert len(set(ports)) == 100
    assert all(port in PORTS and is_free(port) for port in ports)
    require_free(ports[0], "anything")
    first.release()
    second.release()


def test_released_port_may_be_leased_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = PortLease(Cache(tmp_path)), PortLease(Cache(tmp_path))
    port = first.take()
    monkeypatch.setattr("sandbox.stack.ports.PORTS", range(port, port + 1))
    with pytest.raises(PortTaken):
        second.take()

    first.release()

    assert second.take() == port
    second.release()


def test_port_with_a_listener_is_taken_and_answers(tmp_path: Path) -> None:
    lease = PortLease(Cache(tmp_path))
    port = lease.take()
    assert not answers(port)
    with socket.socket() as other:
        other.bind((LOOPBACK, port))
        other.listen()

        assert answers(port)
        assert not is_free(port)
        with pytest.raises(PortTaken, match=f"Kafka cannot listen on {LOOPBACK}:{port}"):
            require_free(port, "Kafka")
    lease.release()
