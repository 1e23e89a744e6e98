"""The API's operations on disputes."""

from __future__ import annotations

from sandbox.stripe_simulator.operation import Operation, Routes, listing, retrieve

DISPUTE_ROUTES: Routes = {
    ("GET", ("disputes",)): Operation("disputes.list", listing("dispute", "disputes", ("charge", "payment_intent"))),
    ("GET", ("disputes", "*")): Operation("disputes.retrieve", retrieve("dispute", "dispute", "disputes")),
}
