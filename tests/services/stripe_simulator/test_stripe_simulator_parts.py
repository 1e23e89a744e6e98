"""The parts that are pure: forms, currencies, clock, ids, settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe_simulator.clock import Clock
from sandbox.stripe_simulator.config import Config, from_environment
from sandbox.stripe_simulator.currency import fault_of_amount, format_amount
from sandbox.stripe_simulator.forms import decode
from sandbox.stripe_simulator.ids import Ids
from sandbox.stripe_simulator.payment_methods import Failure, card


def test_brackets_become_nested_mappings() -> None:
    assert decode("a=1&b[c]=2&b[d][0][e]=3&x[]=p&x[]=q") == {
        "a": "1",
        "b": {"c": "2", "d": {"0": {"e": "3"}}},
        "x": {"0": "p", "1": "q"},
    }


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(max_size=20), max_size=5))
def test_values_survive_encoding(values: dict[str, str]) -> None:
    from urllib.parse import urlencode

    decoded = decode(urlencode({f"metadata[{name}]": value for name, value in values.items()}))

    assert decoded.get("metadata", {}) == values


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123450, "eur", "€1,234.50"),
        (5, "usd", "$0.05"),
        (500, "jpy", "¥500"),
        (5120, "kwd", "KWD 5.120"),
        (500, "isk", "ISK 5"),
        (1000000, "ugx", "UGX 10,000"),
        (-250, "gbp", "-£2.50"),
        (500, "xof", "XOF 500"),
    ],
)
def test_amounts_are_written_with_the_currencys_decimals(amount: int, currency: str, text: str) -> None:
    assert format_amount(amount, currency) == text


@pytest.mark.parametrize(
    ("amount", "currency", "wrong"),
    [(5125, "kwd", True), (5120, "kwd", False), (550, "isk", True), (500, "ugx", False), (551, "jpy", False)],
)
def test_amounts_that_stripe_refuses(amount: int, currency: str, wrong: bool) -> None:
    assert (fault_of_amount(amount, currency) is not None) is wrong


def test_the_clock_runs_actions_in_order_each_at_its_own_time() -> None:
    clock = Clock(lambda: 1000.0)
    seen: list[tuple[str, float]] = []
    clock.at(1020, lambda: seen.append(("second", clock.now())))
    clock.at(1010, lambda: seen.append(("first", clock.now())))
    clock.at(1010, lambda: clock.at(1015, lambda: seen.append(("between", clock.now()))))
    clock.at(1031, lambda: seen.append(("too late", clock.now())))

    assert clock.advance(30) == 4

    assert seen == [("first", 1010.0), ("between", 1015.0), ("second", 1020.0)]
    assert clock.now() == 1030.0


def test_a_seed_repeats_the_ids() -> None:
    assert Ids(3).session() == Ids(3).session()
    assert Ids(3).session() != Ids(4).session()


def test_a_real_card_number_is_refused() -> None:
    found = card("5105105105105100")

    assert isinstance(found, Failure)
    assert not found.charged


def test_settings_come_from_the_environment() -> None:
    config = from_environment(
        {
            "SIMULATOR_PORT": "9000",
            "SIMULATOR_WEBHOOK_SECRET": "a, b",
            "SIMULATOR_LATENCY_MS": "80",
            "SIMULATOR_SEED": "5",
        }
    )

    assert (config.port, config.webhook_secrets, config.latency_ms, config.seed) == (9000, ("a", "b"), 80.0, 5)
    assert config.base_url == "http://127.0.0.1:9000"
    assert from_environment({}) == Config()


def test_a_setting_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="SIMULATOR_LATENCY_MS"):
        from_environment({"SIMULATOR_LATENCY_MS": "fast"})
