"""Customers who place and pay orders all the time, while a test does something else to the same world."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Self

import httpx

from sandbox.world import World
from tests.end_to_end.shop import Shop


class Traffic:
    """Places and pays orders in a thread until it is told to stop; what is refused is not counted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.accepted: list[str] = []
        self.paid: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with Shop(self._world) as shop:
            while not self._stopping.wait(0.05):
                with suppress(httpx.TransportError):  # a customer whose connection breaks tries again later
                    self._one(shop)

    def _one(self, shop: Shop) -> None:
        answer = shop.post(shop.body(), wait=20)
        if answer.status_code in {201, 202}:
            self.accepted.append(answer.json()["id"])
        if answer.status_code == 201:
            shop.pay(answer.json())
            self.paid.append(answer.json()["id"])
